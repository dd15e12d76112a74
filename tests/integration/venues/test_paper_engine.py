"""One engine, one candidate, one market: on paper and on the sandbox exchange it makes the same trades."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from include.domain.deployments import VenueKind
from include.domain.orders import Fill
from include.ledger.unit_of_work import PostgresLedger
from include.strategies.protocol import load_strategy
from include.trading.engine import Engine
from include.venues.paper.venue import PaperVenue
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.engines import WIDE, churn_candidate, put, replay_deployment, replay_engine
from tests.adapters.memory_market import make_instrument
from tests.integration.venues.sandbox import ALICE, HISTORY, SYMBOLS, market, plan, running

MINUTES = 90


class ScriptedPacer:
    """Lets the scripted market finish the next bar whenever the engine is ready."""

    progress = 0.0

    def __init__(self, venue: PaperVenue, source: ScriptedSource) -> None:
        self._venue, self._source = venue, source

    async def advance(self) -> bool:
        if not self._venue._account.stands_at_open:
            if self._source.row == HISTORY + MINUTES:
                return False
            self._source.finish()
        return await self._venue.advance(5)


def told(ledger: PostgresLedger, deployment_id: str) -> list[tuple[object, ...]]:
    with ledger.begin() as work:
        fills: list[Fill] = list(work.orders.fills(deployment_id))
    return [(f.filled_at, f.symbol, f.side, f.quantity, f.price, f.fee) for f in fills]


async def test_paper_and_sandbox_make_the_same_trades(ledger: PostgresLedger, tmp_path: Path) -> None:
    data = market(MINUTES)
    candidate = churn_candidate()
    replayed = put(ledger, candidate, replay_deployment(candidate, MINUTES, key="replay"))
    async with running(plan(MINUTES), data) as sandbox:
        await replay_engine(ledger, candidate, replayed, sandbox.url).run()

    on_paper = put(ledger, candidate, replay_deployment(candidate, MINUTES, key="paper", kind=VenueKind.SANDBOX))
    source = ScriptedSource({symbol: bars_of(data, symbol) for symbol in SYMBOLS}, HISTORY)
    facts = {symbol: make_instrument(symbol) for symbol in SYMBOLS}
    venue = PaperVenue(source, facts, ALICE.balance, tmp_path / "paper.journal")
    engine = Engine(
        ledger=ledger, venue=venue, pacer=ScriptedPacer(venue, source), deployment=on_paper, candidate=candidate,
        strategy=load_strategy(candidate.strategy, candidate.params), limits=replace(WIDE), holder="test:2",
    )  # fmt: skip
    await engine.run()
    found, wanted = told(ledger, on_paper.id), told(ledger, replayed.id)
    assert len(wanted) > 20
    assert found == wanted
    assert sum(1 for _, symbol, *_ in found if symbol == SYMBOLS[0]) > 0
    assert Decimal(0) not in {quantity for _, _, _, quantity, *_ in found}
