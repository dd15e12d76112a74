"""Stage SIMULATION: declared on evidence, measured from the ledger, doubted when the books do not agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.config.files import find_profile
from include.domain.deployments import Deployment
from include.domain.enums import DeploymentStatus, DesiredState, Mode, Stage
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.times import iso
from include.ledger.unit_of_work import PostgresLedger
from include.qualification.candidate import Candidate
from include.qualification.criterion import Comparison, Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.qualification.verdict import Verdict
from include.stages.simulation import TRADES_FILE, measure_simulation, start_simulation
from include.trading.endings import ACCOUNT_RECONCILED
from tests.adapters.engines import candidate_of, churn_candidate, replay_engine
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument
from tests.integration.venues.sandbox import ALICE, HISTORY, START, SYMBOLS, market, plan, running

MINUTES = 240
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROFILE = find_profile("five-year").model_copy(update={"initial_capital": float(ALICE.balance)})


@pytest.fixture
def candidate() -> Candidate:
    return churn_candidate()


@pytest.fixture
def data() -> MemoryMarket:
    return market(MINUTES)


def passing(candidate: Candidate, stage: Stage, end: datetime = START) -> Evidence:
    """Evidence whose every criterion passes."""
    metrics = {}
    for criterion in PROFILE.stage_criteria(stage, candidate.timeframe):
        above = criterion.op in (Comparison.GE, Comparison.GT)
        value = criterion.threshold + (1 if above else -1)
        metrics[criterion.metric] = Measurement(value, value, value, 1_000_000)
    window = {"from": iso(end - timedelta(days=1)), "to": iso(end)}
    return build_evidence(
        candidate=candidate, stage=stage, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW, metrics=metrics,
        synthetic=True, details={"window": window},
    )  # fmt: skip


def qualify(ledger: PostgresLedger, candidate: Candidate, end: datetime = START) -> None:
    with ledger.begin() as work:
        work.candidates.register(candidate)
        for stage in (Stage.DATA_GATE, Stage.BACKTEST):
            evidence = passing(candidate, stage, end)
            assert evidence.verdict is Verdict.PASS
            work.evidence.record(evidence)
        work.commit()


def declare(ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, **changes: Any) -> Deployment:
    arguments: Mapping[str, Any] = {
        "start": START, "days": MINUTES / 1_440, "session_key": "s1", "by": "ada", "now": NOW, **changes,
    }  # fmt: skip
    return start_simulation(ledger, candidate, PROFILE, data, **arguments)


async def run(ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket) -> Deployment:
    """Declare and trade a whole simulation."""
    qualify(ledger, candidate)
    deployment = declare(ledger, candidate, data)
    account = replace(ALICE, name=deployment.connection.account)
    async with running(plan(MINUTES, accounts=(account,)), data) as sandbox:
        await replay_engine(ledger, candidate, deployment, sandbox.url).run()
    return deployment


def measure(
    ledger: PostgresLedger, deployment: Deployment, candidate: Candidate, data: MemoryMarket, folder: Path
) -> Evidence:
    return measure_simulation(ledger, deployment.id, candidate, PROFILE, data, now=NOW, report_dir=folder)


def test_a_simulation_is_declared_once_and_wants_to_run(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket
) -> None:
    qualify(ledger, candidate)
    first, again = declare(ledger, candidate, data), declare(ledger, candidate, data)
    assert first == again
    assert (first.mode, first.desired, first.status) == (
        Mode.SIMULATION, DesiredState.RUNNING, DeploymentStatus.PENDING,
    )  # fmt: skip
    assert first.capital == Decimal(repr(PROFILE.initial_capital))
    assert first.connection.end == START + timedelta(minutes=MINUTES)


def test_without_passed_gates_nothing_is_simulated(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket
) -> None:
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.commit()
    with pytest.raises(RejectedError, match="EVIDENCE_MISSING"):
        declare(ledger, candidate, data)
    with ledger.begin() as work:
        assert work.deployments.all() == []


def test_bars_that_the_backtest_has_seen_are_no_test(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket
) -> None:
    qualify(ledger, candidate, end=START + timedelta(minutes=1))
    with pytest.raises(ConfigurationError, match="has seen bars up to"):
        declare(ledger, candidate, data)


def test_bars_that_are_not_in_the_lake_cannot_be_replayed(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket
) -> None:
    qualify(ledger, candidate)
    with pytest.raises(ConfigurationError, match="is not in the lake"):
        declare(ledger, candidate, data, days=3.0)


async def test_an_undisturbed_simulation_equals_the_backtest_and_its_books_agree(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, tmp_path: Path
) -> None:
    deployment = await run(ledger, candidate, data)
    evidence = measure(ledger, deployment, candidate, data, tmp_path)
    values = {name: measurement.value for name, measurement in evidence.metrics.items()}
    assert values["trade_parity"] == 1.0
    assert values["win_rate_drift"] == 0.0
    assert values["uptime"] == 1.0
    assert values["simulated_days"] == pytest.approx(MINUTES / 1_440)
    assert (values["feed_uptime"], values["feed_missing_bars"], values["feed_latency_p99_ms"]) == (1.0, 0.0, None)
    assert values["fill_rate"] == 1.0
    assert (values["trades"] or 0) > 50
    books = evidence.details["bookkeeping"]
    assert Decimal(books["equity_from_fills"]) == Decimal(books["equity_of_engine"])
    assert Decimal(books["wallet_from_fills"]) == Decimal(books["wallet_of_venue"])
    assert "error" not in evidence.details
    assert evidence.verdict is Verdict.FAIL  # this candidate only churns
    assert (tmp_path / TRADES_FILE).is_file()
    assert evidence.artefacts.keys() == {TRADES_FILE}
    again = measure(ledger, deployment, candidate, data, tmp_path)
    assert again.digest == evidence.digest


async def test_funding_leverage_and_partial_fills_are_in_both_books(ledger: PostgresLedger, tmp_path: Path) -> None:
    candidate = candidate_of("Stacker", SYMBOLS, leverage=3, weight=0.02, add=0.01, trailing=0.004)
    data = paying_market()
    deployment = await run(ledger, candidate, data)
    evidence = measure(ledger, deployment, candidate, data, tmp_path)
    assert "error" not in evidence.details
    values = {name: measurement.value for name, measurement in evidence.metrics.items()}
    assert values["trade_parity"] == 1.0
    assert values["funding"] and values["liquidations"] == 0
    books = evidence.details["bookkeeping"]
    assert Decimal(books["funding"]) == pytest.approx(Decimal(repr(-values["funding"])))
    with ledger.begin() as work:
        fills, orders = work.orders.fills(deployment.id), work.orders.all(deployment.id)
    assert len(fills) > sum(order.filled_quantity > 0 for order in orders), "some orders fill bit by bit"


def paying_market() -> MemoryMarket:
    """Little volume, and funding every hour."""
    whole = market(MINUTES)
    rates = np.where(np.arange(HISTORY + MINUTES) % 60 == 0, 0.0003, np.nan)
    window = START - HISTORY * MINUTE.delta, START + MINUTES * MINUTE.delta
    bars = {s: replace(whole.bars("test", s, MINUTE, *window), extras={"funding_rate": rates}) for s in SYMBOLS}
    return MemoryMarket(bars, {s: replace(make_instrument(s), participation=Decimal("0.4")) for s in bars})


async def test_books_that_do_not_agree_make_the_measurement_an_error(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, tmp_path: Path
) -> None:
    deployment = await run(ledger, candidate, data)
    with ledger.begin() as work:
        (final,) = work.audit.of_subject(deployment.id, ACCOUNT_RECONCILED)
        wallet = Decimal(final.details["venue_wallet"]) + Decimal("0.02")
        work.audit.record("engine", ACCOUNT_RECONCILED, deployment.id, {**final.details, "venue_wallet": str(wallet)})
        work.commit()
    evidence = measure(ledger, deployment, candidate, data, tmp_path)
    assert evidence.verdict is Verdict.ERROR
    assert "wallet_of_venue" in evidence.details["error"]


async def test_trades_that_were_not_made_on_this_data_make_the_measurement_an_error(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, tmp_path: Path
) -> None:
    deployment = await run(ledger, candidate, data)
    other = market(MINUTES)
    for held in other._bars.values():
        held.high[:] += 5_000.0
        held.low[:] += 5_000.0
        held.open[:] += 5_000.0
        held.close[:] += 5_000.0
    evidence = measure(ledger, deployment, candidate, other, tmp_path)
    assert evidence.verdict is Verdict.ERROR
    assert "outside its bar's range" in evidence.details["error"]


def test_a_simulation_that_has_not_finished_is_an_error_and_no_verdict(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, tmp_path: Path
) -> None:
    qualify(ledger, candidate)
    deployment = declare(ledger, candidate, data)
    evidence = measure(ledger, deployment, candidate, data, tmp_path)
    assert evidence.verdict is Verdict.ERROR
    assert "PENDING" in evidence.details["error"]


def test_a_deployment_of_another_candidate_is_refused(
    ledger: PostgresLedger, candidate: Candidate, data: MemoryMarket, tmp_path: Path
) -> None:
    qualify(ledger, candidate)
    deployment = declare(ledger, candidate, data)
    with pytest.raises(ConfigurationError, match="not of candidate"):
        measure(ledger, deployment, churn_candidate(weight=0.3), data, tmp_path)
