"""Configuration: settings, venue and instrument facts, profiles and candidates as files. Reads, never decides."""
