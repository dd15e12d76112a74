"""`airlock deploy` and `airlock stop` as a person types them: what is declared, and what is refused in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner, Result

from include import bootstrap
from include.commands.deploy import app
from include.config.files import find_candidate, find_profile
from include.config.settings import load_settings
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Stage
from include.domain.errors import AirlockError, ConfigurationError, RejectedError
from include.ledger.unit_of_work import PostgresLedger
from include.qualification.criterion import Comparison, Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.trading.trader import Trader
from include.venues.ccxt_venue import CcxtVenue
from tests.samples import put_deployment

PROFILE = "five-year"
ACCOUNTS = """
on-paper: {exchange: binance-usdm, local: true, paper: {deposit: "1000000", venue: synthetic}}
poor: {exchange: binance-usdm, paper: {deposit: "5", venue: synthetic}}
testnet: {exchange: binance-usdm, sandbox: true}
mine: {exchange: binance-usdm}
"""


@pytest.fixture
def airlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Any:
    """Runs a command on the test's ledger; expected failures come back as exceptions."""
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", database_url)
    monkeypatch.setenv("AIRLOCK_EXCHANGE_URL", "http://127.0.0.1:9")
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


def passed(ledger: PostgresLedger) -> None:
    """Data gate and backtest of the candidate are PASS."""
    candidate, profile = find_candidate("trend-follower"), find_profile(PROFILE)

    def evidence(stage: Stage) -> Evidence:
        metrics = {}
        for criterion in profile.stage_criteria(stage, candidate.timeframe):
            value = criterion.threshold + (1 if criterion.op in (Comparison.GE, Comparison.GT) else -1)
            metrics[criterion.metric] = Measurement(value, value, value, 1_000_000)
        return build_evidence(
            candidate=candidate, stage=stage, profile=profile, fingerprint="d" * 64,
            measured_at=datetime(2026, 1, 1, tzinfo=UTC), metrics=metrics, synthetic=True,
        )  # fmt: skip

    with ledger.begin() as work:
        work.candidates.register(candidate)
        for stage in (Stage.DATA_GATE, Stage.BACKTEST):
            work.evidence.record(evidence(stage))
        work.commit()


def deploy(airlock: Any, *more: str, account: str = "on-paper") -> Result:
    result: Result = airlock(
        "deploy", "trend-follower", "--profile", PROFILE, "--by", "ada", "--account", account, *more
    )  # fmt: skip
    return result


def only(ledger: PostgresLedger) -> Deployment:
    with ledger.begin() as work:
        (found,) = work.deployments.all()
    return found


def test_a_candidate_that_passed_trades_on_paper_and_asking_twice_is_asking_once(
    airlock: Any, ledger: PostgresLedger
) -> None:
    passed(ledger)
    first = deploy(airlock, "--json")
    assert first.exit_code == 0, first.exception
    assert deploy(airlock).exit_code == 0
    made = only(ledger)
    assert json.loads(first.stdout)["deployment_id"] == made.id
    assert (made.mode, made.desired) == (Mode.SIMULATION, DesiredState.RUNNING)
    assert (made.connection.kind, made.connection.account) == (VenueKind.PAPER, "on-paper")
    assert made.connection.url == "http://127.0.0.1:9"


def test_a_stopped_trial_that_is_deployed_again_runs_again(airlock: Any, ledger: PostgresLedger) -> None:
    passed(ledger)
    deploy(airlock)
    assert airlock("stop", "--deployment", only(ledger).id[:8], "--by", "ada", "--reason", "enough").exit_code == 0
    assert only(ledger).desired is DesiredState.STOPPED
    deploy(airlock)
    assert only(ledger).desired is DesiredState.RUNNING


@pytest.mark.parametrize(
    ("account", "more", "words"),
    [
        ("mine", (), "a SIMULATION never does"),
        ("mine", ("--real-money", "mine"), "a SIMULATION never does"),
        ("mine", ("--mode", "live"), "--real-money mine"),
        ("mine", ("--mode", "live", "--real-money", "mine"), "made up"),
        ("testnet", ("--real-money", "testnet"), "no real money"),
        ("poor", (), "less than the capital"),
        ("nobody", (), "is not declared"),
    ],
)
def test_an_account_that_may_not_be_used_so_is_refused(
    airlock: Any, ledger: PostgresLedger, account: str, more: tuple[str, ...], words: str
) -> None:
    passed(ledger)
    error = deploy(airlock, *more, account=account).exception
    assert isinstance(error, ConfigurationError)
    assert words in str(error) and "\n" not in str(error)
    with ledger.begin() as work:
        assert not work.deployments.all()


@pytest.mark.parametrize("more", [(), ("--mode", "live")])
def test_what_the_ladder_has_not_passed_is_not_deployed(
    airlock: Any, ledger: PostgresLedger, more: tuple[str, ...]
) -> None:
    assert isinstance(deploy(airlock, *more).exception, RejectedError)
    with ledger.begin() as work:
        assert not work.deployments.all()


def test_evidence_without_signatures_makes_no_live_deployment(airlock: Any, ledger: PostgresLedger) -> None:
    passed(ledger)
    assert isinstance(deploy(airlock, "--mode", "live", account="testnet").exception, RejectedError)


def test_a_key_that_is_taken_by_another_account_is_refused(airlock: Any, ledger: PostgresLedger) -> None:
    passed(ledger)
    deploy(airlock, "--key", "one")
    error = deploy(airlock, "--key", "one", account="testnet").exception
    assert isinstance(error, AirlockError)
    assert "on account 'on-paper'" in str(error)


@pytest.mark.parametrize("change", ["real_money = true", "mode = 'LIVE', real_money = true", "venue_kind = 'MARGIN'"])
def test_the_ledger_itself_keeps_real_money_to_live_deployments_on_exchanges(
    ledger: PostgresLedger, database_url: str, change: str
) -> None:
    put_deployment(ledger)
    with create_engine(database_url).begin() as connection, pytest.raises(IntegrityError):
        connection.execute(text(f"UPDATE deployments SET {change}"))


@pytest.fixture
def on_testnet(airlock: Any, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A trial in an exchange's test environment, with keys."""
    monkeypatch.setenv("AIRLOCK_ACCOUNT_TESTNET_KEY", "k")
    monkeypatch.setenv("AIRLOCK_ACCOUNT_TESTNET_SECRET", "s")
    passed(ledger)
    assert deploy(airlock, account="testnet").exit_code == 0
    return only(ledger)


def test_a_testnet_account_is_reached_in_the_test_environment_and_nowhere_else(on_testnet: Deployment) -> None:
    venue = bootstrap.build_venue(load_settings(), on_testnet)
    assert isinstance(venue, CcxtVenue)
    endpoint = venue._link.endpoint
    assert (endpoint.base_url, endpoint.sandbox) == ("", True)
    assert bootstrap.build_pacer(on_testnet, venue) is None


def test_an_account_that_was_turned_into_real_money_is_reached_by_nobody(
    on_testnet: Deployment, ledger: PostgresLedger, tmp_path: Path
) -> None:
    (tmp_path / "accounts.yaml").write_text("testnet: {exchange: binance-usdm}\n")
    settings = load_settings()
    with pytest.raises(ConfigurationError, match="real money now"):
        bootstrap.build_venue(settings, on_testnet)
    trader = Trader(
        ledger, run=tmp_path / "run", logs=tmp_path / "logs", environment={},
        authorise=lambda deployment: bootstrap.authorise(settings, deployment),
    )  # fmt: skip
    trader.step()
    assert only(ledger).status is DeploymentStatus.FAILED
    assert "real money now" in only(ledger).status_reason
    assert not list((tmp_path / "logs").glob("engine-*"))
