"""The life of a position on a venue that fills bit by bit, triggers late, pays funding and liquidates. Real ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Severity, Side, TradingState
from include.domain.orders import Order
from include.ledger.unit_of_work import PostgresLedger
from include.stages.live import observe_deployment
from include.trading import engine as engine_module
from include.trading import recovery
from tests.adapters.live_engines import Live, bar, build, open_position, running
from tests.adapters.questions import NOW, SYMBOL
from tests.adapters.scripted_venue import ScriptedVenue

P, S = OrderPurpose, OrderStatus


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BEAT_SECS", 0.02)
    monkeypatch.setattr(engine_module, "RECONCILE_SECS", 0.05)
    monkeypatch.setattr(recovery, "PASS_DELAY_SECS", 0.0)


def half(order: Order) -> str:
    return str(order.intent.quantity / 2)


def resting(live: Live, purpose: OrderPurpose) -> list[Decimal]:
    return [order.intent.quantity for order in live.working(purpose)]


# --- bit by bit -----------------------------------------------------------------------------------------------


async def test_each_part_of_an_entry_is_protected_and_the_position_is_never_without_a_stop(
    ledger: PostgresLedger,
) -> None:
    async with running(build(ledger)) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, half(entry))
        await live.until(lambda: live.working(P.STOP) and live.working(P.TAKE_PROFIT))
        assert resting(live, P.STOP) == resting(live, P.TAKE_PROFIT) == [entry.intent.quantity / 2]
        first = live.working(P.STOP)[0].client_order_id
        rested = live.venue.on_cancel = []
        live.venue.fill(entry.client_order_id, half(entry))
        await live.until(lambda: resting(live, P.STOP) == resting(live, P.TAKE_PROFIT) == [entry.intent.quantity])
    stops_when_canceled = dict(rested)[first]
    assert stops_when_canceled == 2, "the old stop went only after the new one had been confirmed"


async def test_late_repeated_and_disordered_reports_change_nothing_twice(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        entry = await live.enter()
        part = live.venue.fill(entry.client_order_id, half(entry), tell=False)
        rest = live.venue.fill(entry.client_order_id, half(entry), "50010", tell=False)
        for report in (rest, part, rest, part):
            live.venue.tell_again(report)
        await live.until(lambda: resting(live, P.STOP) == [entry.intent.quantity])
        portfolio = live.engine.session.book.portfolio
        assert portfolio.positions() == await live.venue.positions()
        assert live.engine.session.expected_wallet == (await live.venue.balances())[0].wallet
    assert live.orders(P.ENTRY)[0].status is S.FILLED
    with ledger.begin() as work:
        assert len(work.orders.fills(live.deployment.id)) == 2


async def test_a_scale_in_is_protected_with_the_rest_and_the_clock_ends_the_whole(ledger: PostgresLedger) -> None:
    async with running(build(ledger, strategy="Ladder", hold=3)) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: live.working(P.TRAILING_STOP))
        live.venue.tell_bar(bar(1))
        await live.until(lambda: live.working(P.SCALE_IN))
        (added,) = live.working(P.SCALE_IN)
        live.venue.fill(added.client_order_id, str(added.intent.quantity))
        whole = entry.intent.quantity + added.intent.quantity
        await live.until(lambda: resting(live, P.TRAILING_STOP) == [whole])
        live.venue.tell_bar(bar(2))
        live.venue.tell_bar(bar(3))
        await live.until(lambda: live.working(P.TIME_EXIT))
        (leave,) = live.working(P.TIME_EXIT)
        assert (leave.intent.quantity, leave.intent.side, leave.intent.reduce_only) == (whole, Side.SELL, True)
        assert {o.intent.bar_time for o in live.orders(P.TIME_EXIT)} == {bar(3).open_time}


async def test_an_entry_in_work_is_withdrawn_when_its_position_shrinks(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, half(entry))
        await live.until(lambda: live.working(P.TAKE_PROFIT))
        (profit,) = live.working(P.TAKE_PROFIT)
        live.venue.fill(profit.client_order_id, half(profit))
        await live.until(lambda: live.orders(P.ENTRY)[0].status is S.CANCELED)
        assert live.working(P.STOP), "what is left stays protected"


async def test_while_a_triggered_stop_is_in_work_nothing_is_decided(ledger: PostgresLedger) -> None:
    async with running(build(ledger, strategy="Ladder")) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: live.working(P.TRAILING_STOP))
        (stop,) = live.working(P.TRAILING_STOP)
        live.venue.trigger(stop.client_order_id)
        await live.until(lambda: live.orders(P.TRAILING_STOP)[0].status is S.TRIGGERED)
        live.venue.tell_bar(bar(1))
        await live.handled(2)
        assert live.orders(P.SCALE_IN, P.EXIT) == []
        live.venue.fill(stop.client_order_id, str(stop.intent.quantity))
        await live.until(lambda: not live.engine.session.book.portfolio.holdings)


async def test_a_stop_that_was_met_while_the_position_grew_takes_the_rest_along(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, half(entry))
        await live.until(lambda: live.working(P.STOP))
        (stop,) = live.working(P.STOP)
        live.venue.fill(entry.client_order_id, half(entry), tell=False)
        live.venue.fill(stop.client_order_id, str(stop.intent.quantity), "49400", tell=False)
        for report in live.venue.told_later():
            live.venue.tell_again(report)
        await live.until(lambda: len(live.orders(P.STOP)) == 2)
        rest = live.orders(P.STOP)[1]
        assert (rest.intent.type, rest.intent.quantity) == (OrderType.MARKET, entry.intent.quantity / 2)


async def test_a_position_whose_stop_is_refused_is_left_and_people_hear_of_it(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        entry = await live.enter()
        live.venue.script.append("refuse")
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: live.working(P.EXIT))
    assert [incident.code for incident in live.incidents()] == ["POSITION_UNPROTECTED"]


async def test_a_stop_refused_because_the_position_has_just_gone_is_no_alarm(
    ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RECONCILE_SECS", 60.0)  # which would find what this venue hides
    async with running(build(ledger)) as live:
        entry = await live.enter()
        live.venue.script.append("refuse")
        live.venue.says_flat = True
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: [o for o in live.orders(P.STOP) if o.status is S.REJECTED])
        await live.until(lambda: live.working(P.TAKE_PROFIT))
        assert live.orders(P.EXIT) == []
        live.venue.says_flat = False
        live.venue.tell_bar(bar(1))
        await live.until(lambda: live.working(P.EXIT))
    assert [incident.code for incident in live.incidents()] == ["POSITION_UNPROTECTED"]


# --- starting again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["die-before", "die-after"])
async def test_a_bar_decided_again_after_a_crash_sends_what_was_missing_and_nothing_twice(
    ledger: PostgresLedger, script: str
) -> None:
    live = build(ledger, strategy="Ladder")
    with pytest.raises(BaseException):  # noqa: B017 (stands for a process that dies)
        async with running(live):
            entry = await live.enter()
            live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
            await live.until(lambda: live.working(P.TRAILING_STOP))
            live.venue.script.append(script)
            live.venue.tell_bar(bar(1))
            await live.until(lambda: not live.venue.script)
            await live.task_ended()
    async with running(build(ledger, live.venue, strategy="Ladder")) as again:
        await again.until(lambda: again.working(P.SCALE_IN))
        assert len(again.orders(P.SCALE_IN)) == 1
        assert again.venue.received.count(again.orders(P.SCALE_IN)[0].client_order_id) == 1
        assert again.orders(P.EXIT) == []


async def test_holding_time_and_shrinking_are_known_after_a_restart(ledger: PostgresLedger) -> None:
    async with running(build(ledger, strategy="Ladder", hold=3)) as live:
        entry = await live.enter()
        live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
        await live.until(lambda: live.working(P.TRAILING_STOP))
    async with running(build(ledger, live.venue, strategy="Ladder", hold=3)) as again:
        again.venue.tell_bar(bar(1))
        again.venue.tell_bar(bar(2))
        again.venue.tell_bar(bar(3))
        await again.until(lambda: again.orders(P.TIME_EXIT))
    assert again.orders(P.TIME_EXIT)[0].intent.bar_time == bar(3).open_time


# --- funding --------------------------------------------------------------------------------------------------


async def test_funding_is_part_of_the_account_once_told_or_asked_for(ledger: PostgresLedger) -> None:
    live = build(ledger)
    live.venue.pay(SYMBOL, "99", tell=False)  # somebody else's, long before us
    async with running(live):
        await open_position(live)
        payment = live.venue.pay(SYMBOL, "-1.25")
        live.venue.tell_again(payment)
        live.venue.pay(SYMBOL, "0.5", tell=False)
        await live.until(lambda: live.engine.session.book.portfolio.funding == Decimal("-0.75"))
        live.venue.tell_bar(bar(1))
        await live.handled(2)
        session = live.engine.session
        assert session.expected_wallet == (await live.venue.balances())[0].wallet
    assert live.incidents() == []
    with ledger.begin() as work:
        assert [paid.amount for paid in work.orders.funding(live.deployment.id)] == [Decimal("-1.25"), Decimal("0.5")]
        point = work.orders.equity(live.deployment.id)[-1]
    assert point.cash == live.deployment.capital - Decimal("0.5") - Decimal("0.75")
    async with running(build(ledger, live.venue)) as again:
        assert again.engine.session.book.portfolio.funding == Decimal("-0.75")


# --- liquidation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tell", [True, False], ids=["told", "found by reconciliation"])
async def test_a_liquidation_is_adopted_with_an_incident_and_the_symbol_is_left_alone(
    ledger: PostgresLedger, tell: bool
) -> None:
    async with running(build(ledger)) as live:
        await open_position(live)
        live.venue.liquidate(SYMBOL, "25000", tell=tell)
        await live.until(lambda: live.orders(P.LIQUIDATION))
        live.venue.tell_bar(bar(1, 25_000))
        live.venue.tell_bar(bar(2, 25_100))
        await live.handled(3)
        await live.until(lambda: not live.engine.session.book.working())
        session = live.engine.session
        assert session.book.portfolio.holdings == {}
        assert session.expected_wallet == (await live.venue.balances())[0].wallet
        assert session.state is TradingState.ACTIVE
    (gone,) = live.orders(P.LIQUIDATION)
    assert (gone.status, gone.venue_order_id, gone.intent.side) == (S.FILLED, "autoclose-2", Side.SELL)
    assert len(live.orders(P.ENTRY)) == 1
    (incident,) = live.incidents()
    assert (incident.severity, incident.code) == (Severity.CRITICAL, "LIQUIDATED")
    assert observe_deployment(ledger, live.deployment.id, NOW).positions == {}
    async with running(build(ledger, live.venue)) as again:
        again.venue.tell_bar(bar(3, 25_000))
        await again.handled(1)
        assert len(again.orders(P.ENTRY)) == len(again.orders(P.LIQUIDATION)) == 1
    assert len(again.incidents()) == 1


async def test_a_liquidation_that_none_of_our_positions_explains_halts(ledger: PostgresLedger) -> None:
    venue = ScriptedVenue()
    for minute in range(-3, 0):
        venue.tell_bar(bar(minute), stream=False)
    async with running(build(ledger, venue)) as live:
        live.venue.liquidate_foreign(SYMBOL, "0.3", "25000")
        await live.until(lambda: live.engine.session.state is TradingState.HALTED)
    assert live.orders(P.LIQUIDATION) == []
    assert [incident.code for incident in live.incidents()] == ["RECONCILIATION_FAILED"]


async def test_leverage_and_margin_are_set_before_anything_is_traded(ledger: PostgresLedger) -> None:
    live = build(ledger, leverage=7)
    seen: list[dict[str, int]] = []
    live.venue.on_submit = lambda order: seen.append(dict(live.venue.leverage))
    async with running(live):
        await live.enter()
        assert live.engine.session.instruments[SYMBOL].leverage == 7
    assert seen == [{SYMBOL: 7}]
