"""airflow_settings.yaml: strict, and everybody who must answer can."""

from pathlib import Path

import pytest
import yaml

from include.config.files import load_roles
from include.domain.enums import Role
from include.domain.errors import ConfigurationError
from include.operations.airflow_settings import SETTINGS_FILE, load_airflow_settings, require_answerable


def altered(tmp_path: Path, change) -> Path:
    document = yaml.safe_load(SETTINGS_FILE.read_text())
    change(document)
    path = tmp_path / "airflow_settings.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_shipped_file_lets_every_role_holder_answer() -> None:
    require_answerable(load_airflow_settings(), load_roles())


def test_the_shipped_file_holds_no_password() -> None:
    settings = load_airflow_settings()
    assert all(c.conn_password is None and c.conn_uri is None for c in settings.airflow.connections)


def test_pools_of_the_dags_are_declared() -> None:
    assert {pool.pool_name for pool in load_airflow_settings().airflow.pools} >= {"measurements", "trading"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["airflow"].update(pool=[]), "airflow.pool: Extra inputs"),
        (lambda d: d["airlock"]["users"].append({"user_id": "x", "name": "X", "role": "BOSS"}), "role"),
        (lambda d: d["airlock"]["users"].append(dict(d["airlock"]["users"][0])), "user_id must not repeat"),
        (lambda d: d["airlock"]["users"].pop(0), "user 'admin' is missing"),
        (lambda d: d["airflow"]["pools"].append({"pool_name": "p", "pool_slot": "many"}), "pool_slot"),
    ],
)
def test_mistakes_are_refused_with_file_key_and_reason(tmp_path: Path, change, reason: str) -> None:
    path = altered(tmp_path, change)
    with pytest.raises(ConfigurationError) as caught:
        load_airflow_settings(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("person", "reason"), [("nobody-known", "is no user"), ("airlock-reader", "cannot answer")])
def test_a_role_holder_who_cannot_answer_is_refused(person: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        require_answerable(load_airflow_settings(), {Role.RISK_MANAGER: frozenset({person})})
