"""The vocabulary of the ladder: Candidate, Criterion, Profile, Evidence, Verdict."""
