"""One module a stage, and the rule of the ladder. Plain functions, usable without Airflow."""
