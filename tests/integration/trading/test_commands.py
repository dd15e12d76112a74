"""`airlock status`, `halt` and `resume` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from include.commands.trading import app
from include.domain.enums import DesiredState, Mode
from include.domain.errors import ConfigurationError
from include.ledger.unit_of_work import PostgresLedger
from tests.samples import put_deployment


@pytest.fixture
def airlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Any:
    """Runs a command on the test's ledger; expected failures come back as exceptions."""
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", database_url)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


WHO = ("--by", "ada", "--reason", "drill")


def test_status_is_one_json_document(airlock: Any, ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    result = airlock("status", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (row,) = document["deployments"]
    assert row["deployment_id"] == deployment.id
    assert (row["status"], row["desired"]) == ("PENDING", DesiredState.RUNNING.value)
    assert row["capital"] == "80000"
    assert row["heartbeat_age_secs"] is None


def test_a_live_deployment_nobody_released_reads_as_halted(airlock: Any, ledger: PostgresLedger) -> None:
    put_deployment(ledger, Mode.LIVE)
    (row,) = json.loads(airlock("status", "--json").stdout)["deployments"]
    assert row["state"] == "HALTED"


def test_halt_and_resume_by_the_start_of_an_id(airlock: Any, ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    assert airlock("halt", "--deployment", deployment.id[:8], "--no-cancel", *WHO).exit_code == 0
    states = json.loads(airlock("status", "--json").stdout)["trading_states"]
    assert [(s["scope"], s["state"], s["by"]) for s in states] == [(f"deployment:{deployment.id}", "HALTED", "ada")]
    assert airlock("resume", "--deployment", deployment.id[:8], *WHO).exit_code == 0
    assert json.loads(airlock("status", "--json").stdout)["deployments"][0]["state"] == "ACTIVE"


@pytest.mark.parametrize(
    "words", [("--all", "--account", "x"), (), ("--deployment", "ffff")], ids=["two scopes", "no scope", "unknown id"]
)
def test_an_unclear_scope_halts_nothing(airlock: Any, ledger: PostgresLedger, words: tuple[str, ...]) -> None:
    put_deployment(ledger)
    result = airlock("halt", *words, *WHO)
    assert isinstance(result.exception, ConfigurationError)
    with ledger.begin() as work:
        assert work.trading_states.all() == []


def test_a_venue_that_cannot_be_reached_ends_in_a_line_and_exit_code_3(airlock: Any, ledger: PostgresLedger) -> None:
    put_deployment(ledger)
    result = airlock("halt", "--all", *WHO)
    assert result.exit_code == 3
    assert "NOT DONE deployment" in result.output
    with ledger.begin() as work:
        assert [record.state.value for record in work.trading_states.all()] == ["HALTED"]
