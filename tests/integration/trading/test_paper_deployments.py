"""A paper account lives in its engine's process: a halt leaves its wish there, and without an engine does it itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import OrderPurpose, OrderStatus, TradingState
from include.domain.orders import Order
from include.ledger.unit_of_work import PostgresLedger
from include.qualification.candidate import Candidate
from include.stages.live import check_go_live
from include.strategies.protocol import load_strategy
from include.trading import kill_switch
from include.trading.engine import Engine, Outcome
from include.trading.halt_wishes import make_wish, open_wish
from include.trading.kill_switch import halt, resume
from include.venues.paper.pacer import PaperPacer
from include.venues.paper.venue import PaperVenue
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.engines import WIDE, churn_candidate, paper_deployment, put
from tests.adapters.memory_market import make_instrument
from tests.integration.venues.sandbox import ALICE, HISTORY, SYMBOLS, market

MINUTES = 200
BARS = {symbol: bars_of(market(MINUTES), symbol) for symbol in SYMBOLS}


@dataclass(slots=True)
class Trial:
    """A deployment on paper, its journal, and the market it follows."""

    ledger: PostgresLedger
    candidate: Candidate
    deployment: Deployment
    source: ScriptedSource
    journal: Path

    def venue(self) -> PaperVenue:
        """The account, as whoever starts next opens it; the feed's past is the same for all."""
        source = ScriptedSource(dict(BARS), self.source.row)
        self.source = source
        return PaperVenue(source, {s: make_instrument(s) for s in SYMBOLS}, ALICE.balance, self.journal)

    def engine(self) -> Engine:
        venue = self.venue()
        return Engine(
            ledger=self.ledger, venue=venue, pacer=PaperPacer(venue), deployment=self.deployment,
            candidate=self.candidate, strategy=load_strategy(self.candidate.strategy, self.candidate.params),
            limits=WIDE, holder="test:1", lease_ttl_secs=30.0,
        )  # fmt: skip

    def orders(self) -> list[Order]:
        """Those that were sent."""
        with self.ledger.begin() as work:
            found = work.orders.all(self.deployment.id)
        return [order for order in found if order.status is not OrderStatus.DENIED]

    async def play(self, until: Callable[[], object]) -> None:
        """Bars pass until a condition holds."""
        async with asyncio.timeout(30):
            while not until():
                if self.source.row < HISTORY + MINUTES:
                    self.source.finish()
                await asyncio.sleep(0.05)

    async def halt(self, *, flatten: bool = True) -> kill_switch.HaltResult:
        return await halt(
            self.ledger, lambda _: self.venue(), scope="all", by="ada", reason="drill", flatten=flatten
        )  # fmt: skip


@pytest.fixture
def trial(ledger: PostgresLedger, tmp_path: Path) -> Trial:
    candidate = churn_candidate()
    made = paper_deployment(candidate, 2 * MINUTES)
    deployment = put(ledger, candidate, made)
    return Trial(ledger, candidate, deployment, ScriptedSource(dict(BARS), HISTORY), tmp_path / "j")


class trading:  # noqa: N801 (a context manager reads best in lower case)
    """The engine holds protected positions when the block begins, and is stopped at its end."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    async def __aenter__(self) -> Engine:
        self.engine = self.trial.engine()
        self.task = asyncio.create_task(self.engine.run())
        await self.trial.play(lambda: self.task.done() or self.engine.started.is_set())
        await self.trial.play(lambda: self.task.done() or self.is_protected())
        return self.engine

    def is_protected(self) -> bool:
        book = self.engine.session.book
        purposes = {(order.intent.symbol, order.intent.purpose) for order in book.working()}
        held = book.portfolio.quantities()
        return bool(held) and all((symbol, OrderPurpose.STOP) in purposes for symbol in held)

    async def __aexit__(self, *_: object) -> None:
        self.engine.stop()
        assert await self.task is Outcome.STOPPED


async def test_the_engine_clears_its_own_account_when_it_is_halted(trial: Trial) -> None:
    async with trading(trial) as engine:
        book = engine.session.book
        result = await trial.halt()
        assert result.failures == ()
        assert len(result.flattened) == len(book.portfolio.quantities()) > 0
        assert result.canceled
        await trial.play(lambda: not book.portfolio.quantities() and not book.working())
        assert engine.session.state is TradingState.HALTED
        known = len(trial.orders())
        handled = engine.session.bars_handled
        await trial.play(lambda: engine.session.bars_handled > handled + 10)
        assert len(trial.orders()) == known, "a halted engine went on"
        assert engine.session.reconciled
    flattens = [o for o in trial.orders() if o.intent.purpose is OrderPurpose.FLATTEN]
    assert {o.status for o in flattens} == {OrderStatus.FILLED}
    with trial.ledger.begin() as work:
        assert [i for i in work.incidents.recent() if not i.code.startswith("FEED_")] == []


async def test_without_an_engine_the_account_is_cleared_here_and_the_next_engine_agrees(trial: Trial) -> None:
    async with trading(trial):
        pass
    result = await trial.halt()
    assert result.failures == ()
    assert result.flattened and result.canceled
    engine = trial.engine()
    task = asyncio.create_task(engine.run())
    await trial.play(
        lambda: task.done() or (engine.started.is_set() and not engine.session.book.portfolio.quantities())
    )
    assert engine.session.reconciled
    engine.stop()
    assert await task is Outcome.STOPPED
    with trial.ledger.begin() as work:
        assert open_wish(work, trial.deployment.id) is None
        assert [i for i in work.incidents.recent() if not i.code.startswith("FEED_")] == []


async def test_an_engine_that_does_not_answer_is_named(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_switch, "ENGINE_WAIT_SECS", 0.1)
    with trial.ledger.begin() as work:
        work.leases.acquire(trial.deployment.id, "elsewhere:7", 60)
        work.commit()
    (line,) = (await trial.halt()).failures
    assert "elsewhere:7 has not cleared" in line
    with trial.ledger.begin() as work:
        assert work.trading_states.effective(trial.deployment) is TradingState.HALTED
        assert open_wish(work, trial.deployment.id) is not None


async def test_a_paper_account_passes_the_go_live_check_and_trades_afterwards(trial: Trial) -> None:
    checks = await check_go_live(trial.ledger, trial.deployment, trial.candidate, trial.venue())
    assert [check.detail for check in checks if not check.passed] == []
    async with trading(trial) as engine:
        assert engine.session.reconciled


def test_a_wish_ends_with_its_halt_and_wishes_add_up(ledger: PostgresLedger, trial: Trial) -> None:
    with ledger.begin() as work:
        make_wish(work, trial.deployment.id, "ada", cancel=False, flatten=True)
        number = make_wish(work, trial.deployment.id, "ada", cancel=True, flatten=False)
        wish = open_wish(work, trial.deployment.id)
        assert wish is not None
        assert (wish.number, wish.cancel, wish.flatten) == (number, True, True)
        work.commit()
    resume(ledger, scope="all", by="ada", reason="over")
    with ledger.begin() as work:
        assert open_wish(work, trial.deployment.id) is None


def test_every_paper_deployment_has_an_account_of_its_own(trial: Trial) -> None:
    other = paper_deployment(trial.candidate, MINUTES, key="other")
    assert {d.id for d in kill_switch.targets_of("all", [trial.deployment, other])} == {trial.deployment.id, other.id}
    assert other.connection.kind is VenueKind.PAPER
