"""What an engine process is given."""

from __future__ import annotations

from include.trading.trader import minimal_environment

OURS = {
    "PATH": "/bin", "HOME": "/home/x", "PYTHONPATH": "/strategies", "AIRLOCK_HOME": "/data",
    "AIRLOCK_DATABASE_URL": "postgresql://x", "AIRLOCK_RUN_STACK": "s1", "AIRLOCK_SLACK_TOKEN": "xoxb",
    "AIRLOCK_ACCOUNT_LIVE_KEY": "k", "AIRLOCK_ACCOUNT_LIVE_SECRET": "s", "AIRLOCK_ACCOUNT_OTHER_KEY": "ok",
    "AIRLOCK_ACCOUNT_OTHER_SECRET": "os", "AIRFLOW__CORE__FERNET_KEY": "f", "AWS_SECRET_ACCESS_KEY": "a",
}  # fmt: skip


def test_an_engine_gets_its_own_account_and_no_other_secret() -> None:
    given = minimal_environment(OURS, "live", None)
    assert given["AIRLOCK_ACCOUNT_LIVE_SECRET"] == "s"
    assert not {"AIRLOCK_SLACK_TOKEN", "AIRLOCK_ACCOUNT_OTHER_KEY", "AIRFLOW__CORE__FERNET_KEY",
                "AWS_SECRET_ACCESS_KEY"} & given.keys()  # fmt: skip
    assert given["AIRLOCK_HOME"] == "/data"


def test_a_replay_gets_the_random_keys_of_its_own_exchange() -> None:
    given = minimal_environment(OURS, "simulation", ("random-key", "random-secret"))
    assert given["AIRLOCK_ACCOUNT_SIMULATION_KEY"] == "random-key"
    assert given["AIRLOCK_ACCOUNT_SIMULATION_SECRET"] == "random-secret"
    assert "AIRLOCK_ACCOUNT_LIVE_KEY" not in given
