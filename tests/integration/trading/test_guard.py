"""The account guard in a running engine: trips are kept, what is held is left, and only a person re-enables."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from include.domain.enums import OrderPurpose, OrderStatus, TradingState
from include.ledger.unit_of_work import PostgresLedger
from include.trading import engine as engine_module
from include.trading.kill_switch import deployment_scope, resume
from include.trading.session import GUARD_TRIPPED
from tests.adapters.engines import WIDE
from tests.adapters.live_engines import Live, bar, build, running
from tests.adapters.questions import ALL_LIMITS

P = OrderPurpose
DRAWDOWN = replace(WIDE, max_drawdown_fraction=Decimal("0.1"), breaker_marks=2)
LOSSES = replace(WIDE, max_consecutive_losses=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BEAT_SECS", 0.02)
    monkeypatch.setattr(engine_module, "UNSETTLED_SECS", 0.02)


def state_of(live: Live) -> TradingState:
    with live.ledger.begin() as work:
        return work.trading_states.effective(live.deployment)


def reasons(live: Live) -> set[str]:
    return {o.reason.split()[0] for o in live.orders(P.ENTRY) if o.status is OrderStatus.DENIED}


async def enter(live: Live, minute: int) -> None:
    entry = await live.enter(minute)
    live.venue.fill(entry.client_order_id, str(entry.intent.quantity), "50000")
    await live.until(lambda: live.working(P.STOP))


async def lose(live: Live, minute: int) -> None:
    """A round trip that its stop ends."""
    await enter(live, minute)
    (stop,) = live.working(P.STOP)
    live.venue.fill(stop.client_order_id, str(stop.intent.quantity), "49500")
    await live.until(lambda: not live.engine.session.book.portfolio.holdings)


async def test_one_bad_price_trips_nothing_and_two_in_a_row_take_the_strategy_off_the_market(
    ledger: PostgresLedger,
) -> None:
    async with running(build(ledger, limits=DRAWDOWN, weight=1.0)) as live:
        await enter(live, 0)
        for minute, price in ((1, 40_000), (2, 50_000), (3, 40_000)):
            live.venue.tell_bar(bar(minute, price))
        await live.handled(4)
        assert state_of(live) is TradingState.ACTIVE
        live.venue.tell_bar(bar(4, 40_000))
        await live.until(lambda: live.working(P.EXIT))
        assert state_of(live) is TradingState.REDUCE_ONLY
        (leaving,) = live.orders(P.EXIT)
        live.venue.fill(leaving.client_order_id, str(leaving.intent.quantity), "40000")
        await live.until(lambda: not live.engine.session.book.portfolio.holdings)
        live.venue.tell_bar(bar(5, 40_000))
        await live.handled(6)
    assert "STATE_REDUCE_ONLY" in reasons(live)
    assert [i.code for i in live.incidents()] == ["DRAWDOWN_LIMIT"]
    assert len(live.orders(P.EXIT)) == 1


async def test_losses_in_a_row_disable_the_strategy_until_a_person_re_enables_it_and_count_anew_from_then(
    ledger: PostgresLedger,
) -> None:
    first = build(ledger, limits=LOSSES)
    async with running(first) as live:
        await lose(live, 0)
        await lose(live, 1)
        live.venue.tell_bar(bar(2))
        await live.handled(3)
        assert state_of(live) is TradingState.REDUCE_ONLY
    assert reasons(first) == {"STATE_REDUCE_ONLY"}
    with ledger.begin() as work:
        (trip,) = work.audit.of_subject(first.deployment.id, GUARD_TRIPPED)
    assert trip.details["reasons"][0].startswith("LOSSES_CONSECUTIVE losses=2")
    async with running(build(ledger, first.venue, "test:2", limits=LOSSES)) as live:
        assert state_of(live) is TradingState.REDUCE_ONLY
        resume(ledger, scope=deployment_scope(live.deployment.id), by="ada", reason="looked at both trades")
        await live.until(lambda: live.engine.session.state is TradingState.ACTIVE)
        await lose(live, 3)
        live.venue.tell_bar(bar(4))
        await live.until(lambda: live.working(P.ENTRY))
        assert state_of(live) is TradingState.ACTIVE
    assert [i.code for i in live.incidents()] == ["LOSSES_CONSECUTIVE"]


async def test_under_every_limit_the_engine_answers_what_the_gate_asks_and_the_first_one_reached_denies(
    ledger: PostgresLedger,
) -> None:
    limits = replace(
        ALL_LIMITS, max_orders_per_minute=100, max_messages_per_minute=100, price_move_bars=1, max_trades_per_day=1,
        stop_before_liquidation=True,
    )  # fmt: skip
    async with running(build(ledger, limits=limits)) as live:
        await lose(live, 0)
        live.venue.tell_bar(bar(1))
        await live.handled(2)
    assert reasons(live) == {"TRADES_DAILY"}
    assert state_of(live) is TradingState.ACTIVE


async def test_without_breakers_nothing_of_it_happens(ledger: PostgresLedger) -> None:
    async with running(build(ledger, weight=1.0)) as live:
        await enter(live, 0)
        for minute in (1, 2, 3):
            live.venue.tell_bar(bar(minute, 30_000))
        await live.handled(4)
        assert state_of(live) is TradingState.ACTIVE
    assert live.incidents() == []
    assert live.orders(P.EXIT) == []
