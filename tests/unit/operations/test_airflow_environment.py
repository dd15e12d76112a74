"""Airflow's configuration: loopback only, secrets generated once, kept closed and never shown."""

import json
import stat
from pathlib import Path

import pytest

from include.bootstrap import SANDBOX_ACCOUNT
from include.config.accounts import account_credentials
from include.config.settings import Settings
from include.operations.airflow_environment import (
    StackSecrets,
    airflow_environment,
    ensure_secrets,
    passwords_file,
    product_environment,
)
from include.operations.airflow_settings import AirflowSettings, load_airflow_settings


@pytest.fixture
def people() -> AirflowSettings:
    return load_airflow_settings()


@pytest.fixture
def secrets(tmp_path: Path, people: AirflowSettings) -> StackSecrets:
    return ensure_secrets(tmp_path, people)


def test_everybody_has_a_password_of_his_own(secrets: StackSecrets, people: AirflowSettings) -> None:
    assert secrets.passwords.keys() == {user.user_id for user in people.airlock.users}
    assert len(set(secrets.passwords.values())) == len(secrets.passwords)


def test_secret_files_are_closed_to_other_users(secrets: StackSecrets, tmp_path: Path) -> None:
    for name in ("airflow/keys.json", "airflow/passwords.json", "accounts/sandbox.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_secrets_stay_the_same_from_start_to_start(secrets, tmp_path: Path, people: AirflowSettings) -> None:
    again = ensure_secrets(tmp_path, people)
    assert (again.keys, again.passwords) == (secrets.keys, secrets.passwords)


def test_a_new_user_gets_a_password_and_nobody_elses_changes(secrets, tmp_path: Path, people) -> None:
    known = json.loads(passwords_file(tmp_path).read_text())
    known.pop("ravi")
    passwords_file(tmp_path).write_text(json.dumps(known))
    again = ensure_secrets(tmp_path, people).passwords
    assert {k: v for k, v in again.items() if k != "ravi"} == {
        k: v for k, v in secrets.passwords.items() if k != "ravi"
    }
    assert again["ravi"]


def test_a_repr_shows_no_secret(secrets: StackSecrets) -> None:
    assert not any(value in repr(secrets) for value in (*secrets.keys.values(), *secrets.passwords.values()))


def test_airflow_listens_on_loopback_and_reports_to_nobody(secrets, people, tmp_path: Path) -> None:
    environment = airflow_environment(
        Settings(home=tmp_path), people, secrets, database="postgresql://x/airflow", port=12345
    )
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:12345/execution/"
    assert environment["SCARF_ANALYTICS"] == "False"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert int(environment["AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS"]) > 3


def test_the_service_user_of_tasks_only_reads(secrets, people, tmp_path: Path) -> None:
    environment = airflow_environment(Settings(home=tmp_path), people, secrets, database="x", port=1)
    login = json.loads(environment["AIRFLOW_CONN_AIRLOCK_API"])["login"]
    assert f"{login}:VIEWER" in environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(",")


def test_the_sandbox_account_keeps_its_keys(secrets: StackSecrets, tmp_path: Path, people: AirflowSettings) -> None:
    before = [value.get_secret_value() for value in account_credentials(tmp_path, SANDBOX_ACCOUNT)]
    ensure_secrets(tmp_path, people)
    assert before == [value.get_secret_value() for value in account_credentials(tmp_path, SANDBOX_ACCOUNT)]


def test_the_product_gets_its_home_and_exchange_by_environment(tmp_path: Path) -> None:
    given = product_environment(Settings(home=tmp_path), exchange_url="http://127.0.0.1:9")
    assert (given["AIRLOCK_HOME"], given["AIRLOCK_EXCHANGE_URL"]) == (str(tmp_path), "http://127.0.0.1:9")
