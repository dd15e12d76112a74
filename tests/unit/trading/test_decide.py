"""Rules 1-3 of the fill rule: what is asked for at a close."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from include.domain.bars import Bar
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side
from include.domain.errors import DataError
from include.domain.orders import Intent, Order
from include.trading.decide import Wish, decide
from include.trading.order_manager import identify
from tests.adapters.questions import BAR, BTC, SYMBOL, order

NAN = math.nan
CLOSE = Decimal(50_000)
CLOSED = Bar(SYMBOL, BAR, CLOSE, CLOSE, CLOSE, CLOSE, Decimal(1))
EARLIER = BAR.replace(hour=11)


def ask(wish: Wish, position: str = "0", working: tuple[Order, ...] = ()) -> tuple[Intent, ...]:
    return decide(
        deployment_id="d" * 64, bar=CLOSED, wish=wish, position=Decimal(position), working=working, instrument=BTC,
        allocation=Decimal(10_000),
    )  # fmt: skip


CASES = [
    ("no opinion asks for nothing", NAN, "0", []),
    ("no opinion keeps a position", NAN, "0.1", []),
    ("flat and wanting to be flat", 0.0, "0", []),
    ("a long while flat", 1.0, "0", ["ENTRY BUY 0.100"]),
    ("a short while flat", -1.0, "0", ["ENTRY SELL 0.100"]),
    ("the side already held", 1.0, "0.02", []),
    ("leaving a long", 0.0, "0.123", ["EXIT SELL 0.123"]),
    ("leaving a short", 0.0, "-0.123", ["EXIT BUY 0.123"]),
    ("turning round: the exit comes first", -1.0, "0.123", ["EXIT SELL 0.123", "ENTRY SELL 0.100"]),
]


@pytest.mark.parametrize(("target", "position", "asked"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_target_and_position_decide_what_is_asked(target: float, position: str, asked: list[str]) -> None:
    intents = ask(Wish(target, 0.5, NAN, NAN), position)
    assert [f"{i.purpose.value} {i.side.value} {i.quantity}" for i in intents] == asked
    assert all(i.type is OrderType.MARKET and i.reference_price == CLOSE for i in intents)
    assert all(i.reduce_only == (i.purpose is OrderPurpose.EXIT) for i in intents)


def test_protective_levels_are_rounded_to_the_tick_and_kept_with_the_entry() -> None:
    (entry,) = ask(Wish(1.0, 0.5, 49_500.04, 50_500.06))
    assert (entry.protective_stop, entry.protective_take_profit) == (Decimal("49500.0"), Decimal("50500.1"))


def test_a_level_that_rounds_to_zero_is_no_order() -> None:
    (entry,) = ask(Wish(1.0, 0.5, 0.04, NAN))
    assert entry.protective_stop is None


def test_an_infinite_level_is_refused() -> None:
    with pytest.raises(DataError):
        ask(Wish(1.0, 0.5, math.inf, NAN))


def test_a_reversal_too_small_to_enter_only_leaves() -> None:
    assert [i.purpose for i in ask(Wish(-1.0, 0.001, NAN, NAN), "0.1")] == [OrderPurpose.EXIT]


@pytest.mark.parametrize("purpose", [OrderPurpose.ENTRY, OrderPurpose.EXIT])
def test_an_unfilled_market_order_of_an_earlier_bar_is_waited_for(purpose: OrderPurpose) -> None:
    assert ask(Wish(1.0, 0.5, NAN, NAN), working=(order(purpose=purpose, bar_time=EARLIER),)) == ()


def test_a_resting_take_profit_does_not_keep_anybody_from_leaving() -> None:
    resting = order(
        purpose=OrderPurpose.TAKE_PROFIT, bar_time=EARLIER, type=OrderType.LIMIT, price=CLOSE, reduce_only=True
    )
    assert len(ask(Wish(0.0, 0.5, NAN, NAN), "0.1", (resting,))) == 1


def test_deciding_a_bar_again_after_a_crash_gives_the_same_order_ids() -> None:
    wish = Wish(-1.0, 0.5, 50_100.0, 49_900.0)
    first = ask(wish, "0.1")
    sent = order(OrderStatus.SUBMITTED, purpose=OrderPurpose.EXIT, side=Side.SELL, reduce_only=True)
    again = ask(wish, "0.1", (sent,))
    assert [identify(i) for i in again] == [identify(i) for i in first]
