"""Rules 1-7 of the fill rule: what is asked for at a close."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.bars import Bar
from include.domain.enums import Liquidity, OrderPurpose, OrderStatus, OrderType, Side
from include.domain.errors import DataError
from include.domain.orders import Fill, FundingPayment, Order
from include.domain.times import Timeframe
from include.trading.decide import Close, Decision, Wish, decide, observe_situation
from include.trading.order_manager import identify
from include.trading.standing import Fact, History
from tests.adapters.questions import BAR, BTC, SYMBOL, order

NAN = math.nan
P, S = OrderPurpose, OrderStatus
MINUTE = Timeframe(60)
PRICE = Decimal(50_000)
CLOSED = Bar(SYMBOL, BAR, PRICE, PRICE, PRICE, PRICE, Decimal(1))
EARLIER = BAR - timedelta(minutes=10)
AFTER = BAR + timedelta(minutes=1)


def wish(target: float = NAN, weight: float = 0.5, **more: float) -> Wish:
    return Wish(**{"target": target, "weight": weight, "stop": NAN, "take_profit": NAN, **more})


def fill(order_: Order, quantity: str, at: datetime, price: str = "50000", fee: str = "0") -> Fill:
    name = f"{order_.client_order_id}-{at:%H%M%S}"
    return Fill(
        name, order_.client_order_id, SYMBOL, order_.intent.side, Decimal(quantity), Decimal(price), Decimal(fee),
        Liquidity.TAKER, at,
    )  # fmt: skip


def ask(wanted: Wish, orders: Sequence[Order] = (), facts: Sequence[Fact] = (), allocation: int = 10_000) -> Decision:
    history = History()
    for fact in facts:
        history.add(fact)
    close = Close("d" * 64, CLOSED, MINUTE, BTC, Decimal(allocation))
    return decide(close, wanted, observe_situation(orders, history, CLOSED, MINUTE))


def entered(
    side: Side = Side.BUY, filled: str = "0.1", status: OrderStatus = S.FILLED, at: datetime = EARLIER, **changes: Any
) -> tuple[Order, Fill]:
    """An entry of a tenth of a bitcoin, decided ten minutes ago, and what it has filled a minute later."""
    entry = order(status, filled, side=side, bar_time=EARLIER, **changes)
    return entry, fill(entry, filled, at + timedelta(minutes=1))


def asked(decision: Decision) -> list[str]:
    return [f"{i.purpose.value} {i.side.value} {i.quantity}" for i in decision.intents]


def withdrawn(decision: Decision) -> list[str]:
    return [order_.intent.purpose.value for order_ in decision.withdraw]


CASES = [
    ("no opinion asks for nothing", NAN, None, []),
    ("no opinion keeps a position", NAN, Side.BUY, []),
    ("flat and wanting to be flat", 0.0, None, []),
    ("a long while flat", 1.0, None, ["ENTRY BUY 0.100"]),
    ("a short while flat", -1.0, None, ["ENTRY SELL 0.100"]),
    ("the side already held", 1.0, Side.BUY, []),
    ("leaving a long", 0.0, Side.BUY, ["EXIT SELL 0.1"]),
    ("leaving a short", 0.0, Side.SELL, ["EXIT BUY 0.1"]),
    ("turning round: the exit comes first", -1.0, Side.BUY, ["EXIT SELL 0.1", "ENTRY SELL 0.100"]),
]


@pytest.mark.parametrize(("target", "side", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_target_and_position_decide_what_is_asked(target: float, side: Side | None, expected: list[str]) -> None:
    entry, filled = entered(side or Side.BUY)
    decision = ask(wish(target), [entry], [filled]) if side else ask(wish(target))
    assert asked(decision) == expected
    assert all(i.type is OrderType.MARKET and i.reference_price == PRICE for i in decision.intents)
    assert all(i.reduce_only == (i.purpose is P.EXIT) for i in decision.intents)


# --- entries --------------------------------------------------------------------------------------------------


def test_what_protects_an_entry_is_rounded_to_its_step_and_kept_with_it() -> None:
    (entry,) = ask(wish(1.0, stop=49_500.04, take_profit=50_500.06, trailing=0.0044, hold=12.0)).intents
    assert (entry.protective_stop, entry.protective_take_profit) == (Decimal("49500.0"), Decimal("50500.1"))
    assert (entry.protective_trailing, entry.hold_bars) == (Decimal("0.004"), 12)


def test_a_level_that_rounds_to_zero_is_no_order() -> None:
    (entry,) = ask(wish(1.0, stop=0.04)).intents
    assert entry.protective_stop is None


def test_an_infinite_level_is_refused() -> None:
    with pytest.raises(DataError):
        ask(wish(1.0, stop=math.inf))


def test_a_reversal_too_small_to_enter_only_leaves() -> None:
    entry, filled = entered()
    assert asked(ask(wish(-1.0, 0.001), [entry], [filled])) == ["EXIT SELL 0.1"]


def test_an_entry_is_capped_by_what_is_left_of_the_allocation() -> None:
    entry, first = entered()
    lost = [first, fill(order(side=Side.SELL, name="al-x"), "0.1", BAR, "10000", "12")]
    assert asked(ask(wish(1.0, 1.0), [entry], lost)) == ["ENTRY BUY 0.119"]  # 10,000 - 4,000 - 12 at 50,000


def test_funding_and_open_profit_count_for_what_is_left() -> None:
    entry, first = entered(filled="0.001")
    owed = FundingPayment("f1", SYMBOL, Decimal(-6_000), BAR)
    assert asked(ask(wish(-1.0, 1.0), [entry], [first, owed])) == ["EXIT SELL 0.001", "ENTRY SELL 0.080"]


def test_a_symbol_that_has_lost_its_allocation_asks_for_nothing() -> None:
    assert asked(ask(wish(1.0), facts=[FundingPayment("f1", SYMBOL, Decimal(-10_001), BAR)])) == []


# --- scale-ins ------------------------------------------------------------------------------------------------


def test_a_scale_in_is_cut_to_what_the_allocation_may_hold() -> None:
    entry, filled = entered()
    assert asked(ask(wish(1.0, add=0.4), [entry], [filled])) == ["SCALE_IN BUY 0.080"]
    assert asked(ask(wish(1.0, add=1.0), [entry], [filled])) == ["SCALE_IN BUY 0.100"]


@pytest.mark.parametrize("target", [NAN, 0.0, -1.0])
def test_nothing_is_added_unless_the_target_is_the_side_held(target: float) -> None:
    entry, filled = entered()
    assert P.SCALE_IN not in [i.purpose for i in ask(wish(target, add=0.5), [entry], [filled]).intents]


def test_a_position_that_has_begun_to_shrink_is_not_enlarged_again() -> None:
    entry, first = entered()
    part = fill(order(side=Side.SELL, name="al-profit"), "0.02", BAR)
    assert ask(wish(1.0, add=0.5), [entry], [first, part]) == Decision()


# --- time exits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hold", "expected"), [(11, "SCALE_IN BUY 0.100"), (10, "TIME_EXIT SELL 0.1")])
def test_a_position_is_left_when_its_bars_have_passed_since_the_open_of_its_first(hold: int, expected: str) -> None:
    entry, filled = entered(hold_bars=hold)
    assert asked(ask(wish(1.0, add=0.5), [entry], [filled])) == [expected]


def test_a_hole_in_the_bars_does_not_prolong_a_holding_time() -> None:
    entry, filled = entered(hold_bars=3)
    assert asked(ask(wish(), [entry], [filled])) == ["TIME_EXIT SELL 0.1"]


def test_a_target_that_leaves_at_the_same_close_is_the_reason_given() -> None:
    entry, filled = entered(hold_bars=3)
    assert asked(ask(wish(-1.0), [entry], [filled])) == ["EXIT SELL 0.1", "ENTRY SELL 0.100"]


# --- orders in work -------------------------------------------------------------------------------------------

IN_WORK = [
    ("no opinion waits", NAN, [], []),
    ("the same side waits, and adds nothing", 1.0, [], []),
    ("leaving withdraws the rest and leaves what has filled", 0.0, ["ENTRY"], ["EXIT SELL 0.04"]),
    ("turning round does both, and enters", -1.0, ["ENTRY"], ["EXIT SELL 0.04", "ENTRY SELL 0.100"]),
]


@pytest.mark.parametrize(("target", "gone", "expected"), [c[1:] for c in IN_WORK], ids=[c[0] for c in IN_WORK])
def test_while_an_entry_is_in_work_only_leaving_counts(target: float, gone: list[str], expected: list[str]) -> None:
    entry, filled = entered(filled="0.04", status=S.PARTIALLY_FILLED)
    decision = ask(wish(target, add=0.5), [entry], [filled])
    assert (withdrawn(decision), asked(decision)) == (gone, expected)


def test_an_entry_that_has_not_filled_at_all_is_withdrawn_for_one_on_the_other_side() -> None:
    waiting = order(bar_time=EARLIER)
    decision = ask(wish(-1.0), [waiting])
    assert (withdrawn(decision), asked(decision)) == (["ENTRY"], ["ENTRY SELL 0.100"])


def test_a_holding_time_that_ends_while_a_scale_in_is_in_work_withdraws_it() -> None:
    entry, filled = entered(hold_bars=3)
    adding = order(purpose=P.SCALE_IN, bar_time=BAR - timedelta(minutes=1))
    decision = ask(wish(1.0), [entry, adding], [filled])
    assert (withdrawn(decision), asked(decision)) == (["SCALE_IN"], ["TIME_EXIT SELL 0.1"])


LEAVING = [
    order(purpose=P.EXIT, side=Side.SELL, reduce_only=True, bar_time=EARLIER),
    order(purpose=P.TIME_EXIT, side=Side.SELL, reduce_only=True, bar_time=EARLIER),
    order(S.TRIGGERED, purpose=P.STOP, side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=PRICE,
          reduce_only=True, bar_time=EARLIER),
    order(S.PARTIALLY_FILLED, "0.01", purpose=P.TRAILING_STOP, side=Side.SELL, type=OrderType.TRAILING_STOP_MARKET,
          callback_rate=Decimal("0.01"), reduce_only=True, bar_time=EARLIER),
]  # fmt: skip


@pytest.mark.parametrize("order_in_work", LEAVING, ids=lambda o: o.intent.purpose.value)
@pytest.mark.parametrize("target", [1.0, 0.0, -1.0, NAN])
def test_while_an_exit_or_a_triggered_stop_is_in_work_nothing_is_decided(target: float, order_in_work: Order) -> None:
    entry, filled = entered(hold_bars=2)
    assert ask(wish(target, add=0.5), [entry, order_in_work], [filled]) == Decision()


def test_resting_protection_does_not_keep_anybody_from_leaving() -> None:
    entry, filled = entered()
    resting = [
        order(purpose=P.TAKE_PROFIT, bar_time=EARLIER, type=OrderType.LIMIT, price=PRICE, reduce_only=True),
        order(purpose=P.STOP, bar_time=EARLIER, type=OrderType.STOP_MARKET, stop_price=PRICE, reduce_only=True),
    ]
    assert asked(ask(wish(0.0), [entry, *resting], [filled])) == ["EXIT SELL 0.1"]


def test_a_liquidated_symbol_is_not_traded_again() -> None:
    gone = order(S.FILLED, "0.1", purpose=P.LIQUIDATION, side=Side.SELL, reduce_only=True, bar_time=EARLIER)
    assert ask(wish(1.0), [gone]) == Decision()


# --- deciding a bar again after a crash -----------------------------------------------------------------------


def test_what_was_sent_at_this_close_and_what_it_has_filled_since_changes_nothing() -> None:
    entry, first = entered()
    turn = wish(-1.0, stop=50_100.0, take_profit=49_900.0)
    before = ask(turn, [entry], [first])
    leave = order(S.FILLED, "0.1", purpose=P.EXIT, side=Side.SELL, reduce_only=True, name="al-exit")
    again = order(S.PARTIALLY_FILLED, "0.03", side=Side.SELL, name="al-entry")
    since = [fill(leave, "0.1", AFTER), fill(again, "0.03", AFTER + timedelta(seconds=1))]
    after = ask(turn, [entry, leave, again], [first, *since])
    assert [identify(i) for i in after.intents] == [identify(i) for i in before.intents]
    assert after.intents == before.intents


def test_an_entry_that_has_filled_since_the_close_is_not_added_to_for_that_close() -> None:
    entry = order(S.FILLED, "0.1", bar_time=BAR)
    (intent,) = ask(wish(1.0, add=0.5), [entry], [fill(entry, "0.1", AFTER)]).intents
    assert intent.purpose is P.ENTRY


def test_an_entry_that_was_in_work_at_the_close_counts_as_in_work_although_it_has_filled_since() -> None:
    entry, part = entered(filled="0.04")
    rest = fill(entry, "0.06", AFTER)
    done = order(S.FILLED, "0.1", bar_time=EARLIER)
    assert ask(wish(1.0, add=0.5), [done], [part, rest]) == Decision()
    assert asked(ask(wish(0.0), [done], [part, rest])) == ["EXIT SELL 0.04"]


def test_a_stop_that_has_filled_since_the_close_was_resting_at_it() -> None:
    entry, first = entered()
    stop = order(S.FILLED, "0.1", purpose=P.STOP, side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=PRICE,
                 reduce_only=True, bar_time=EARLIER)  # fmt: skip
    decision = ask(wish(0.0), [entry, stop], [first, fill(stop, "0.1", AFTER)])
    assert asked(decision) == ["EXIT SELL 0.1"]
