"""Airlock: evidence-gated promotion of trading strategies. Knows nothing of Airflow."""
