"""Reconciliation with a venue: what is adopted by the written rules, and what is left for a person."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.domain.enums import OrderPurpose, OrderStatus
from include.domain.errors import RetryableError
from include.ledger.unit_of_work import PostgresLedger
from include.trading import recovery
from include.trading.order_manager import identify, new_order
from include.trading.reconciliation import DifferenceKind
from tests.adapters.desks import Desk, open_desk
from tests.adapters.questions import SYMBOL
from tests.adapters.scripted_venue import ScriptedVenue

K = DifferenceKind


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PASS_DELAY_SECS", 0.0)


async def test_an_account_that_agrees_reconciles(ledger: PostgresLedger) -> None:
    desk = open_desk(ledger, ScriptedVenue())
    assert await desk.recovery.run() == ()


@pytest.mark.parametrize("parts", [["0.1"], ["0.04", "0.06"], ["0.04"]], ids=["filled", "in two parts", "in part"])
async def test_fills_that_happened_while_we_were_away_are_adopted(ledger: PostgresLedger, parts: list[str]) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await desk.send(desk.wish())
    for part in parts:
        venue.fill(identify(desk.wish()), part, tell=False)
    successor = open_desk(ledger, venue)
    assert await successor.recovery.run() == ()
    assert successor.session.book.portfolio.positions() == await venue.positions()
    assert successor.session.expected_wallet == (await venue.balances())[0].wallet
    assert await open_desk(ledger, venue).recovery.run() == ()


async def test_an_order_that_ended_while_we_were_away_is_taken_over(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    order = await desk.send(desk.wish())
    assert order is not None
    await venue.cancel(order)
    successor = open_desk(ledger, venue)
    assert await successor.recovery.run() == ()
    assert [o.status for o in successor.all()] == [OrderStatus.CANCELED]


async def test_an_order_of_somebody_else_is_never_adopted(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    venue.place_foreign(new_order(desk.wish(sequence=9), venue.now))
    remaining = await desk.recovery.run()
    assert [difference.kind for difference in remaining] == [K.ORDER_FOREIGN]
    assert desk.all() == []


async def test_a_fill_of_somebody_else_leaves_position_and_wallet_unexplained(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    other = new_order(desk.wish(sequence=9), venue.now)
    venue.place_foreign(other)
    venue.fill(other.client_order_id, "0.1")
    assert [d.kind for d in await desk.recovery.run()] == [K.FILL_FOREIGN, K.POSITION, K.WALLET]
    assert desk.session.book.portfolio.quantities() == {}


async def test_money_that_left_the_account_is_a_difference(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    venue.wallet -= 1
    assert [d.kind for d in await desk.recovery.run()] == [K.WALLET]


async def test_a_venue_that_forgot_a_working_order_is_a_difference(ledger: PostgresLedger) -> None:
    desk = open_desk(ledger, ScriptedVenue())
    await desk.send(desk.wish())
    successor = open_desk(ledger, ScriptedVenue())
    assert [d.kind for d in await successor.recovery.run()] == [K.ORDER_NOT_OPEN]


async def test_a_silent_venue_is_no_difference_but_no_agreement_either(ledger: PostgresLedger) -> None:
    desk = open_desk(ledger, ScriptedVenue(unreachable=True))
    with pytest.raises(RetryableError):
        await desk.recovery.run()


async def test_an_order_that_the_kill_switch_wrote_is_learnt_from_the_ledger(ledger: PostgresLedger) -> None:
    from include.domain.enums import OrderPurpose, Side

    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await desk.send(desk.wish())
    desk.orders.apply([venue.fill(identify(desk.wish()), "0.1")])
    flatten = new_order(desk.wish(purpose=OrderPurpose.FLATTEN, side=Side.SELL, reduce_only=True), venue.now)
    with ledger.begin() as work:
        work.orders.record_emergency(flatten)
        work.commit()
    await venue.submit(flatten)
    venue.fill(flatten.client_order_id, "0.1", tell=False)
    assert await desk.recovery.run() == ()
    assert desk.session.book.portfolio.quantities() == {}


async def bought(desk: Desk) -> None:
    """A tenth of a bitcoin, known to both sides."""
    await desk.send(desk.wish())
    desk.orders.apply([desk.venue.fill(identify(desk.wish()), "0.1")])


async def test_funding_that_we_were_not_told_of_is_asked_for_and_counts_once(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    venue.pay(SYMBOL, "7")  # before our first fill: somebody else's
    desk.session.opening_wallet = (await venue.balances())[0].wallet
    await bought(desk)
    venue.pay(SYMBOL, "-0.75")
    for _ in range(2):
        assert await desk.recovery.run() == ()
        assert desk.session.book.portfolio.funding == Decimal("-0.75")
        assert desk.session.expected_wallet == (await venue.balances())[0].wallet
    with ledger.begin() as work:
        assert [p.payment_id for p in work.orders.funding(desk.deployment.id)] == ["f2"]


async def test_a_liquidation_while_we_were_away_is_adopted_once_and_said_aloud(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    await bought(open_desk(ledger, venue))
    venue.liquidate(SYMBOL, "25000", tell=False)
    for _ in range(2):
        successor = open_desk(ledger, venue)
        assert await successor.recovery.run() == ()
        assert successor.session.book.portfolio.holdings == {}
        assert successor.session.expected_wallet == (await venue.balances())[0].wallet
    assert [o.intent.purpose for o in successor.all()] == [OrderPurpose.ENTRY, OrderPurpose.LIQUIDATION]
    with ledger.begin() as work:
        assert [incident.code for incident in work.incidents.recent()] == ["LIQUIDATED"]


async def test_a_liquidation_in_several_trades_is_adopted_trade_by_trade(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    desk = open_desk(ledger, venue)
    await bought(desk)
    venue.liquidate(SYMBOL, "25000", tell=False, parts=("0.06", "0.04"))
    assert await desk.recovery.run() == ()
    closing = [o for o in desk.all() if o.intent.purpose is OrderPurpose.LIQUIDATION]
    assert [(o.intent.quantity, o.status) for o in closing] == [
        (Decimal("0.06"), OrderStatus.FILLED), (Decimal("0.04"), OrderStatus.FILLED),
    ]  # fmt: skip
    with ledger.begin() as work:
        assert len(work.incidents.recent()) == 1
