"""One rule, three executors: backtest kernel, the engine on a paper account in its own process, and the engine through
the sandbox exchange's sockets. On the same bars they make the same trades, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.domain.bars import Bars
from include.domain.enums import DeploymentStatus, OrderPurpose
from include.domain.errors import RetryableError
from include.domain.instruments import Instrument
from include.domain.times import to_ms
from include.ledger.unit_of_work import PostgresLedger
from include.qualification.candidate import Candidate
from include.trading.engine import Outcome
from tests.adapters.engines import (
    candidate_of,
    paper_deployment,
    paper_engine,
    put,
    replay_deployment,
    replay_engine,
)
from tests.adapters.executors import kernel_trades, ledger_trades
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument, random_bars
from tests.integration.venues.sandbox import ALICE, plan, running

P = OrderPurpose
START = datetime(2022, 5, 1, 22, 20, tzinfo=UTC)
MINUTES = 106
"""The exchange stands still for half an hour from six minutes on, and at midnight funding is due."""
HISTORY = 60
SYNTHETIC, RECORDED = "ETH/USDT", "BTC/USDT"
CAPITAL = ALICE.balance


@dataclass(frozen=True, slots=True)
class Scenario:
    """A strategy, the market it trades on, and which ways in and out it must have taken."""

    name: str
    strategy: str
    purposes: frozenset[OrderPurpose]
    params: Mapping[str, Any] = field(default_factory=dict)
    leverage: int = 1
    participation: Mapping[str, Decimal] = field(default_factory=dict)

    def candidate(self, symbols: Sequence[str]) -> Candidate:
        return candidate_of(self.strategy, symbols, leverage=self.leverage, **self.params)


THIN = {SYNTHETIC: Decimal("0.4"), RECORDED: Decimal("0.0001")}
SCENARIOS = (
    Scenario("a trend, long and short", "Trend", frozenset({P.ENTRY, P.EXIT})),
    Scenario("brackets", "Churn", frozenset({P.ENTRY, P.EXIT, P.STOP, P.TAKE_PROFIT})),
    Scenario("trailing stops", "Trailer", frozenset({P.ENTRY, P.EXIT, P.STOP, P.TRAILING_STOP})),
    Scenario(
        "scale-ins with leverage, left by the clock",
        "Stacker",
        frozenset({P.ENTRY, P.SCALE_IN, P.TIME_EXIT, P.EXIT, P.TAKE_PROFIT}),
        leverage=5,
    ),
    Scenario(
        "more than the market takes at once",
        "Stacker",
        frozenset({P.ENTRY, P.SCALE_IN, P.TIME_EXIT, P.EXIT, P.TAKE_PROFIT, P.TRAILING_STOP}),
        {"weight": 0.02, "add": 0.01, "trailing": 0.004},
        participation=THIN,
    ),
    Scenario("a margin that is used up", "Reckless", frozenset({P.ENTRY, P.EXIT, P.LIQUIDATION}), leverage=75),
)


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest) -> Bars | None:
    """Real minutes of the window, or None where they are absent: the synthetic symbol then trades alone."""
    try:
        folder: Path = request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        return None
    return recorded_bars(folder / "usdm-1m" / "BTCUSDT" / "2022.parquet")


def recorded_bars(path: Path) -> Bars:
    import pyarrow.parquet as pq

    first, last = START - HISTORY * MINUTE.delta, START + MINUTES * MINUTE.delta
    table = pq.read_table(path, filters=[("open_time", ">=", first), ("open_time", "<", last)])
    columns = [table.column(name).to_numpy() for name in ("open", "high", "low", "close", "volume")]
    times = table.column("open_time").to_numpy().astype("datetime64[ms]").astype(np.int64)
    return Bars(RECORDED, MINUTE, times, *columns)


def market_of(recorded: Bars | None, scenario: Scenario) -> MemoryMarket:
    """The synthetic symbol, and the recorded one beside it where there is one."""
    made = random_bars(SYNTHETIC, START - HISTORY * MINUTE.delta, HISTORY + MINUTES, seed=7, price=100.0)
    bars = {SYNTHETIC: made} if recorded is None else {SYNTHETIC: made, RECORDED: recorded}
    return MemoryMarket(bars, {symbol: instrument_of(symbol, scenario) for symbol in bars})


def instrument_of(symbol: str, scenario: Scenario) -> Instrument:
    steps = make_instrument(symbol, tick="0.01" if symbol == RECORDED else "0.1")
    return replace(
        steps, funding_rate=Decimal("0.0001"), maintenance_margin_rate=Decimal("0.004"),
        liquidation_fee_rate=Decimal("0.002"), participation=scenario.participation.get(symbol),
    )  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
async def test_three_executors_make_the_same_trades(
    ledger: PostgresLedger, recorded: Bars | None, scenario: Scenario, tmp_path: Path
) -> None:
    symbols = (SYNTHETIC,) if recorded is None else (SYNTHETIC, RECORDED)
    market, candidate = market_of(recorded, scenario), scenario.candidate(symbols)
    replay = put(ledger, candidate, replay_deployment(candidate, MINUTES, start=START))
    async with running(plan(MINUTES, symbols=symbols, start=START), market) as sandbox:
        assert await replay_engine(ledger, candidate, replay, sandbox.url).run() is Outcome.COMPLETED
        wallet, equity = sandbox.exchange.accounts[ALICE.name].wallet, sandbox.exchange.accounts[ALICE.name].equity
    paper = put(ledger, candidate, paper_deployment(candidate, MINUTES, start=START))
    on_paper, _ = paper_engine(ledger, candidate, paper, market, tmp_path / "j", history=HISTORY, minutes=MINUTES)
    assert await on_paper.run() is Outcome.COMPLETED

    kernel = kernel_trades(market, candidate, CAPITAL, START)
    assert ledger_trades(ledger, replay) == kernel
    assert ledger_trades(ledger, paper) == kernel
    assert scenario.purposes <= kernel.purposes
    assert {row.symbol for row in kernel.fills} == set(symbols)
    assert kernel.funding
    for deployment in (replay, paper):
        with ledger.begin() as work:
            points = work.orders.equity(deployment.id)
            stored, lease = work.deployments.get(deployment.id), work.leases.current(deployment.id)
        assert stored is not None and stored.status is DeploymentStatus.COMPLETED
        assert (points[-1].cash, points[-1].equity) == (wallet, equity)
        assert len(points) == MINUTES
        assert lease is None


@pytest.mark.parametrize("scenario", [SCENARIOS[1], SCENARIOS[4], SCENARIOS[5]], ids=lambda s: s.name)
async def test_an_engine_on_paper_that_dies_and_comes_back_makes_the_same_trades(
    ledger: PostgresLedger, recorded: Bars | None, scenario: Scenario, tmp_path: Path
) -> None:
    symbols = (SYNTHETIC,) if recorded is None else (SYNTHETIC, RECORDED)
    market, candidate = market_of(recorded, scenario), scenario.candidate(symbols)
    deployment = put(ledger, candidate, paper_deployment(candidate, MINUTES, start=START))
    done, deaths = 0, 0
    while done < MINUTES:
        engine, source = paper_engine(
            ledger, candidate, deployment, market, tmp_path / "j", history=HISTORY + done, minutes=MINUTES - done,
            dies_in=9,
        )  # fmt: skip
        with suppress(RetryableError):
            assert await engine.run() is Outcome.COMPLETED
            break
        done, deaths = source.row - HISTORY, deaths + 1
    assert deaths > 3
    assert ledger_trades(ledger, deployment) == kernel_trades(market, candidate, CAPITAL, START)


@pytest.mark.shared_data
def test_the_recorded_window_has_a_halt_and_a_funding_time(recorded: Bars | None, shared_data: Path) -> None:
    assert recorded is not None
    assert (recorded.volume == 0).sum() == 29
    assert recorded.open_time[-1] > to_ms(START.replace(hour=0, minute=0)) + 24 * 3_600_000
