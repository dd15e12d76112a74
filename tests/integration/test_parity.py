"""The engine through the sandbox's sockets trades exactly what the backtest kernel trades on the same bars."""

from __future__ import annotations

from collections import Counter

import pytest

from include.domain.enums import DeploymentStatus, OrderPurpose
from include.ledger.unit_of_work import PostgresLedger
from include.trading.engine import Outcome
from tests.adapters.engines import backtest_rows, churn_candidate, ledger_rows, put, replay_deployment, replay_engine
from tests.integration.venues.sandbox import ALICE, START, market, plan, running

MINUTES = 300


@pytest.mark.parametrize("symbols", [("BTC/USDT",), ("BTC/USDT", "ETH/USDT")], ids=["one symbol", "two symbols"])
async def test_engine_and_backtest_fill_the_same_orders_to_the_last_digit(
    ledger: PostgresLedger, symbols: tuple[str, ...]
) -> None:
    data = market(MINUTES, symbols)
    candidate = churn_candidate(symbols)
    deployment = put(ledger, candidate, replay_deployment(candidate, MINUTES))
    async with running(plan(MINUTES, symbols=symbols), data) as sandbox:
        outcome = await replay_engine(ledger, candidate, deployment, sandbox.url).run()

    assert outcome is Outcome.COMPLETED
    traded = ledger_rows(ledger, deployment)
    assert traded == backtest_rows(data, candidate, ALICE.balance, START)
    assert Counter(row[-1] for row in traded).keys() == {
        p.value for p in (OrderPurpose.ENTRY, OrderPurpose.EXIT, OrderPurpose.STOP, OrderPurpose.TAKE_PROFIT)
    }


async def test_a_completed_replay_leaves_one_equity_point_a_bar_and_agrees_with_the_venue(
    ledger: PostgresLedger,
) -> None:
    candidate = churn_candidate()
    deployment = put(ledger, candidate, replay_deployment(candidate, MINUTES))
    async with running(plan(MINUTES), market(MINUTES)) as sandbox:
        await replay_engine(ledger, candidate, deployment, sandbox.url).run()
        wallet = sandbox.exchange.accounts[ALICE.name].wallet
        equity = sandbox.exchange.accounts[ALICE.name].equity

    with ledger.begin() as work:
        points = work.orders.equity(deployment.id)
        stored = work.deployments.get(deployment.id)
        working = work.orders.working(deployment.id)
        lease = work.leases.current(deployment.id)
    assert stored is not None and stored.status is DeploymentStatus.COMPLETED
    assert len(points) == MINUTES
    assert points[-1].cash == wallet
    assert points[-1].equity == equity
    assert all(order.intent.purpose is not OrderPurpose.ENTRY for order in working)
    assert lease is None
