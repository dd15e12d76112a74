"""The engine on an exchange whose clock runs by itself, reconciling all the time: agreement, never a false alarm."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from include.domain.deployments import VenueKind
from include.domain.enums import OrderPurpose, TradingState
from include.ledger.unit_of_work import PostgresLedger
from include.strategies.protocol import load_strategy
from include.trading import engine as engine_module
from include.trading.engine import Engine, Outcome
from include.trading.kill_switch import halt
from include.venues.ccxt_venue import CcxtVenue
from tests.adapters.engines import WIDE, churn_candidate, put, replay_deployment
from tests.integration.venues.sandbox import ALICE, SYMBOLS, market, plan, running

BARS = 40


async def test_live_trading_reconciles_continuously_and_can_be_flattened(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RECONCILE_SECS", 1.0)
    candidate = churn_candidate()
    async with running(plan(2_000, speed="120"), market(2_000)) as sandbox:
        deployment = replay_deployment(candidate, 0, kind=VenueKind.SANDBOX)
        deployment = put(
            ledger, candidate, replace(deployment, connection=replace(deployment.connection, url=sandbox.url))
        )
        engine = Engine(
            ledger=ledger, venue=CcxtVenue(sandbox.url, ALICE.key, ALICE.secret), pacer=None, deployment=deployment,
            candidate=candidate, strategy=load_strategy(candidate.strategy, candidate.params), limits=WIDE,
            holder="test:1",
        )  # fmt: skip
        task = asyncio.create_task(engine.run())
        async with asyncio.timeout(120):
            while not (engine.started.is_set() and engine.session.bars_handled >= BARS * len(SYMBOLS)):
                assert not task.done(), task.result()
                await asyncio.sleep(0.05)
        assert engine.session.state is TradingState.ACTIVE
        assert engine.session.book.fills_count > BARS
        result = await halt(
            ledger, lambda _: CcxtVenue(sandbox.url, ALICE.key, ALICE.secret), scope="all", by="ada", reason="drill",
            flatten=True,
        )  # fmt: skip
        assert result.failures == ()
        async with asyncio.timeout(60):
            while engine.session.book.portfolio.quantities() or sandbox.exchange.accounts[ALICE.name].open_orders():
                await asyncio.sleep(0.05)
        engine.stop()
        assert await task is Outcome.STOPPED
        wallet = sandbox.exchange.accounts[ALICE.name].wallet
    assert engine.session.expected_wallet == wallet
    with ledger.begin() as work:
        assert list(work.incidents.recent()) == []
        orders = work.orders.all(deployment.id)
    assert {o.intent.purpose for o in orders if o.filled_quantity} >= {OrderPurpose.ENTRY, OrderPurpose.EXIT}
