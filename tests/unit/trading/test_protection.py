"""Which stop, trailing stop and take-profit should rest, as a table of situations."""

from __future__ import annotations

from dataclasses import replace
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
DISTANCE = Decimal("0.005")
LONG = Decimal("0.1")
HALF = Decimal("0.05")
LATER = BAR + timedelta(minutes=9)


def entry(status: OrderStatus = S.FILLED, filled: str = "0.1", **changes: Any) -> Order:
    levels = {"protective_stop": STOP, "protective_take_profit": PROFIT}
    return order(status, filled, **{**levels, **changes})


def trailed(status: OrderStatus = S.FILLED, filled: str = "0.1", **changes: Any) -> Order:
    """An entry with nothing but a trailing stop."""
    return order(status, filled, **{"protective_trailing": DISTANCE, **changes})


def scaled(status: OrderStatus = S.FILLED, filled: str = "0.1", **changes: Any) -> Order:
    return order(status, filled, **{"purpose": P.SCALE_IN, "bar_time": LATER, **changes})


def stop(status: OrderStatus = S.ACCEPTED, filled: str = "0", **changes: Any) -> Order:
    return order(
        status, filled, purpose=P.STOP, side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=STOP, reduce_only=True,
        **changes,
    )  # fmt: skip


def trail(status: OrderStatus = S.ACCEPTED, filled: str = "0", **changes: Any) -> Order:
    return order(
        status, filled, purpose=P.TRAILING_STOP, side=Side.SELL, type=OrderType.TRAILING_STOP_MARKET,
        callback_rate=DISTANCE, reduce_only=True, **changes,
    )  # fmt: skip


def profit(status: OrderStatus = S.ACCEPTED, filled: str = "0", **changes: Any) -> Order:
    return order(
        status, filled, purpose=P.TAKE_PROFIT, side=Side.SELL, type=OrderType.LIMIT, price=PROFIT, reduce_only=True,
        **changes,
    )  # fmt: skip


def leaving(filled: str = "0", **changes: Any) -> Order:
    return order(
        S.PARTIALLY_FILLED, filled, purpose=P.EXIT, side=Side.SELL, reduce_only=True, bar_time=LATER, **changes
    )


Plan = tuple[list[str], list[str], bool]
NOTHING: Plan = ([], [], False)
TWICE = Decimal("0.2")
CASES: list[tuple[str, Decimal, list[Order], Plan]] = [
    ("flat with nothing", Decimal(0), [], NOTHING),
    ("just filled", LONG, [entry()], ([], ["STOP 0 0.1", "TAKE_PROFIT 0 0.1"], False)),
    ("both rest", LONG, [entry(), stop(), profit()], NOTHING),
    ("a crash between the two", LONG, [entry(), stop()], ([], ["TAKE_PROFIT 0 0.1"], False)),
    ("one still on its way", LONG, [entry(), stop(S.SUBMITTED), profit()], NOTHING),
    ("a trailing stop alone", LONG, [trailed()], ([], ["TRAILING_STOP 0 0.1"], False)),
    ("a trailing stop beside the others", LONG, [entry(protective_trailing=DISTANCE)],
     ([], ["STOP 0 0.1", "TRAILING_STOP 0 0.1", "TAKE_PROFIT 0 0.1"], False)),
    ("no levels were asked for", LONG, [entry(protective_stop=None, protective_take_profit=None)], NOTHING),
    ("only a stop was asked for", LONG, [entry(protective_take_profit=None)], ([], ["STOP 0 0.1"], False)),
    ("the take-profit filled", Decimal(0), [entry(), stop(), profit(S.FILLED, "0.1")], (["STOP 0"], [], False)),
    ("the stop filled and the other expired", Decimal(0), [entry(), stop(S.FILLED, "0.1"), profit(S.EXPIRED)],
     NOTHING),
    ("a cancel is already on its way", Decimal(0), [entry(), stop(S.PENDING_CANCEL)], NOTHING),
    ("a halt cancelled both", LONG, [entry(), stop(S.CANCELED), profit(S.CANCELED)],
     ([], ["STOP 1 0.1", "TAKE_PROFIT 1 0.1"], False)),
    ("a stop was refused", LONG, [entry(), stop(S.REJECTED), profit()], ([], [], True)),
    ("a stop was denied", LONG, [entry(), stop(S.DENIED), profit()], ([], [], True)),
    ("a trailing stop was refused", LONG, [trailed(), trail(S.REJECTED)], ([], [], True)),
    ("a take-profit was refused", LONG, [entry(), stop(), profit(S.REJECTED)], NOTHING),
    ("turned round: the old ones go, new ones come", -LONG,
     [entry(), stop(), profit(), entry(bar_time=LATER, side=Side.SELL, name="al-2")],
     (["STOP 0", "TAKE_PROFIT 0"], ["STOP 0 0.1", "TAKE_PROFIT 0 0.1"], False)),
    ("a position that no entry here explains", LONG, [stop()], (["STOP 0"], [], False)),
    # --- growing ------------------------------------------------------------------------------------------------
    ("a part of the entry is protected at once", HALF, [entry(S.PARTIALLY_FILLED, "0.05")],
     ([], ["STOP 0 0.05", "TAKE_PROFIT 0 0.05"], False)),
    ("a partly filled entry that ended", HALF, [entry(S.CANCELED, "0.05")],
     ([], ["STOP 0 0.05", "TAKE_PROFIT 0 0.05"], False)),
    ("more has filled: the larger stop comes first, the smaller take-profit goes first", LONG,
     [entry(), stop(quantity=HALF), profit(quantity=HALF)], (["TAKE_PROFIT 0"], ["STOP 1 0.1"], False)),
    ("the larger stop is not confirmed: the smaller one stays", LONG,
     [entry(), stop(quantity=HALF), stop(S.SUBMITTED, sequence=1), profit()], NOTHING),
    ("the larger stop is confirmed: the smaller one goes", LONG,
     [entry(), stop(quantity=HALF), stop(sequence=1), profit()], (["STOP 0"], [], False)),
    ("the smaller take-profit is gone: the larger one comes", LONG,
     [entry(), stop(), profit(S.CANCELED, quantity=HALF)], ([], ["TAKE_PROFIT 1 0.1"], False)),
    ("the larger stop was refused: a part is unprotected, so all must go", LONG,
     [entry(), stop(quantity=HALF), stop(S.REJECTED, sequence=1), profit()], ([], [], True)),
    ("a stop that a halt kept back is due again when trading is released", LONG,
     [entry(), replace(stop(S.DENIED), reason="STATE_HALTED order al-1"), profit()], ([], ["STOP 1 0.1"], False)),
    ("a stop that the gate denied for another reason is not asked for again", LONG,
     [entry(), replace(stop(S.DENIED), reason="PRICE_COLLAR price=1"), profit()], ([], [], True)),
    ("a scale-in enlarges stop and trailing stop alike", TWICE,
     [trailed(protective_stop=STOP), stop(), trail(), scaled()], ([], ["STOP 1 0.2", "TRAILING_STOP 1 0.2"], False)),
    ("and nothing more, once both are confirmed and the old ones gone", TWICE,
     [trailed(protective_stop=STOP), stop(S.CANCELED), trail(S.CANCELED), scaled(),
      stop(sequence=1, quantity=TWICE), trail(sequence=1, quantity=TWICE)], NOTHING),
    # --- shrinking ----------------------------------------------------------------------------------------------
    ("a take-profit has filled in part: what rests is cut by the venue", HALF,
     [entry(), stop(), profit(S.PARTIALLY_FILLED, "0.05")], NOTHING),
    ("an exit has filled in part: a trailing stop keeps its best price", HALF, [trailed(), trail(), leaving("0.05")],
     NOTHING),
    ("whatever reduces withdraws what is left of the entry", Decimal("0.03"),
     [entry(S.PARTIALLY_FILLED, "0.05"), stop(quantity=HALF), profit(S.PARTIALLY_FILLED, "0.02", quantity=HALF)],
     (["ENTRY 0"], [], False)),
    ("so does a stop that has triggered and not filled yet", HALF,
     [entry(S.PARTIALLY_FILLED, "0.05"), stop(S.TRIGGERED, quantity=HALF), profit(quantity=HALF)],
     (["ENTRY 0"], [], False)),
    ("and one that has taken everything", Decimal(0),
     [entry(S.PARTIALLY_FILLED, "0.05"), stop(S.FILLED, "0.05", quantity=HALF), profit(S.EXPIRED, quantity=HALF)],
     (["ENTRY 0"], [], False)),
    ("a scale-in goes the same way", LONG,
     [entry(), stop(S.TRIGGERED), profit(), scaled(S.ACCEPTED, "0")], (["SCALE_IN 0"], [], False)),
    ("the entry of a turn-round waits for the exit", HALF,
     [entry(), stop(), profit(), leaving("0.05"),
      entry(S.ACCEPTED, "0", side=Side.SELL, bar_time=LATER, name="al-2")], NOTHING),
    # --- met ----------------------------------------------------------------------------------------------------
    ("a stop that was met while the position grew takes the rest along", HALF,
     [entry(), stop(S.FILLED, "0.05", quantity=HALF), profit()], ([], ["STOP 1 0.05"], False)),
    ("what is in work needs no help", HALF, [entry(), stop(S.PARTIALLY_FILLED, "0.05"), profit()], NOTHING),
    ("a triggered trailing stop that is too small", LONG, [trailed(), trail(S.TRIGGERED, quantity=HALF)],
     ([], ["TRAILING_STOP 1 0.05"], False)),
    ("its help was refused", HALF,
     [trailed(), trail(S.FILLED, "0.05", quantity=HALF),
      order(S.REJECTED, purpose=P.TRAILING_STOP, side=Side.SELL, reduce_only=True, sequence=1)], ([], [], True)),
]  # fmt: skip


@pytest.mark.parametrize(("position", "orders", "plan"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_plan_brings_what_rests_in_line_with_the_position(
    position: Decimal, orders: list[Order], plan: Plan
) -> None:
    found = plan_protection(position, orders)
    assert [f"{o.intent.purpose.value} {o.intent.sequence}" for o in found.cancel] == plan[0]
    assert [f"{i.purpose.value} {i.sequence} {i.quantity}" for i in found.place] == plan[1]
    assert found.unprotected is plan[2]


def test_what_a_met_stop_left_behind_leaves_at_market() -> None:
    (rest,) = plan_protection(HALF, [entry(), stop(S.FILLED, "0.05", quantity=HALF), profit()]).place
    assert (rest.type, rest.reduce_only, rest.side) == (OrderType.MARKET, True, Side.SELL)


def test_protection_is_reduce_only_on_the_other_side_for_the_whole_position() -> None:
    for intent in plan_protection(-LONG, [entry(side=Side.SELL)]).place:
        assert intent.reduce_only
        assert intent.side is Side.BUY
        assert intent.quantity == LONG
        assert (intent.stop_price or intent.price) in (STOP, PROFIT)


def test_placing_what_was_planned_leaves_nothing_to_plan() -> None:
    assert plan_protection(LONG, [entry(), stop(), profit()]).place == ()
