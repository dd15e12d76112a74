"""Which stop and take-profit should rest, as a table of situations."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side
from include.domain.orders import Order
from include.trading.protection import plan_protection
from tests.adapters.questions import BAR, order

P, S = OrderPurpose, OrderStatus
STOP, PROFIT = Decimal(49_500), Decimal(50_500)
LONG = Decimal("0.1")
LATER = BAR + timedelta(minutes=9)


def entry(status: OrderStatus = S.FILLED, filled: str = "0.1", **changes: Any) -> Order:
    levels = {"protective_stop": STOP, "protective_take_profit": PROFIT}
    return order(status, filled, **{**levels, **changes})


def stop(status: OrderStatus = S.ACCEPTED, **changes: Any) -> Order:
    return order(
        status, purpose=P.STOP, side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=STOP, reduce_only=True, **changes
    )


def profit(status: OrderStatus = S.ACCEPTED, **changes: Any) -> Order:
    return order(
        status, purpose=P.TAKE_PROFIT, side=Side.SELL, type=OrderType.LIMIT, price=PROFIT, reduce_only=True, **changes
    )


Plan = tuple[list[str], list[str], bool]
CASES: list[tuple[str, Decimal, list[Order], Plan]] = [
    ("flat with nothing", Decimal(0), [], ([], [], False)),
    ("just filled", LONG, [entry()], ([], ["STOP 0", "TAKE_PROFIT 0"], False)),
    ("both rest", LONG, [entry(), stop(), profit()], ([], [], False)),
    ("a crash between the two", LONG, [entry(), stop()], ([], ["TAKE_PROFIT 0"], False)),
    ("one still on its way", LONG, [entry(), stop(S.SUBMITTED), profit()], ([], [], False)),
    ("the entry is still filling", LONG, [entry(S.PARTIALLY_FILLED, "0.05")], ([], [], False)),
    ("a partly filled entry that ended", Decimal("0.05"), [entry(S.CANCELED, "0.05")],
     ([], ["STOP 0", "TAKE_PROFIT 0"], False)),
    ("no levels were asked for", LONG, [entry(protective_stop=None, protective_take_profit=None)], ([], [], False)),
    ("only a stop was asked for", LONG, [entry(protective_take_profit=None)], ([], ["STOP 0"], False)),
    ("the take-profit filled", Decimal(0), [entry(), stop(), profit(S.FILLED)], (["STOP"], [], False)),
    ("the stop filled and the other expired", Decimal(0), [entry(), stop(S.FILLED), profit(S.EXPIRED)],
     ([], [], False)),
    ("a cancel is already on its way", Decimal(0), [entry(), stop(S.PENDING_CANCEL)], ([], [], False)),
    ("a halt cancelled both", LONG, [entry(), stop(S.CANCELED), profit(S.CANCELED)],
     ([], ["STOP 1", "TAKE_PROFIT 1"], False)),
    ("a stop was refused", LONG, [entry(), stop(S.REJECTED), profit()], ([], [], True)),
    ("a stop was denied", LONG, [entry(), stop(S.DENIED), profit()], ([], [], True)),
    ("a take-profit was refused", LONG, [entry(), stop(), profit(S.REJECTED)], ([], [], False)),
    ("turned round: the old ones go, new ones come", -LONG,
     [entry(), stop(), profit(), entry(bar_time=LATER, side=Side.SELL, name="al-2")],
     (["STOP", "TAKE_PROFIT"], ["STOP 0", "TAKE_PROFIT 0"], False)),
    ("a position that no entry here explains", LONG, [stop()], (["STOP"], [], False)),
]  # fmt: skip


@pytest.mark.parametrize(("position", "orders", "plan"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_plan_brings_what_rests_in_line_with_the_position(
    position: Decimal, orders: list[Order], plan: Plan
) -> None:
    found = plan_protection(position, orders)
    assert [o.intent.purpose.value for o in found.cancel] == plan[0]
    assert [f"{i.purpose.value} {i.sequence}" for i in found.place] == plan[1]
    assert found.unprotected is plan[2]


def test_protection_is_reduce_only_on_the_other_side_for_the_whole_position() -> None:
    for intent in plan_protection(-LONG, [entry(side=Side.SELL)]).place:
        assert intent.reduce_only
        assert intent.side is Side.BUY
        assert intent.quantity == LONG
        assert (intent.stop_price or intent.price) in (STOP, PROFIT)


def test_placing_what_was_planned_leaves_nothing_to_plan() -> None:
    assert plan_protection(LONG, [entry(), stop(), profit()]).place == ()
