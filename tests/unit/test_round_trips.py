"""Round trips from fills: flat to flat, whatever comes in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.enums import Liquidity, Side
from include.domain.orders import Fill
from include.domain.round_trips import KEPT_AT_LEAST, RoundTripLog
from tests.adapters.questions import NOW, SYMBOL

D = Decimal
EVER = NOW - timedelta(days=999)


def fill(side: Side, quantity: str, price: str, minute: float = 0, fee: str = "0", symbol: str = SYMBOL) -> Fill:
    at: datetime = NOW + timedelta(minutes=minute)
    return Fill(f"{symbol}-{minute}", "al", symbol, side, D(quantity), D(price), D(fee), Liquidity.TAKER, at)


def log_of(*fills: Fill) -> RoundTripLog:
    log = RoundTripLog()
    for one in fills:
        log.add(one)
    return log


def test_a_long_that_was_added_to_and_left_in_parts_is_one_round_trip() -> None:
    log = log_of(
        fill(Side.BUY, "1", "100", 0, "1"), fill(Side.BUY, "1", "110", 1, "1"),
        fill(Side.SELL, "0.5", "120", 2, "1"), fill(Side.SELL, "1.5", "120", 3, "1"),
    )  # fmt: skip
    (trip,) = log.closed_since(EVER)
    assert (trip.side, trip.quantity, trip.bought_for, trip.sold_for, trip.profit) == (
        Side.BUY, D(2), D(210), D(240), D(26)
    )  # fmt: skip
    assert not trip.is_loss
    assert log.opened_since(NOW) == 1


def test_a_fill_that_turns_a_position_over_closes_one_and_opens_the_next() -> None:
    log = log_of(fill(Side.BUY, "1", "100"), fill(Side.SELL, "3", "90", 1, "5"), fill(Side.BUY, "2", "80", 2))
    first, second = log.closed_since(EVER)
    assert (first.side, first.profit, first.is_loss) == (Side.BUY, D(-15), True)
    assert (second.side, second.quantity, second.profit) == (Side.SELL, D(2), D(20))
    assert log.opened_since(NOW) == 2


def test_a_trade_that_brings_nothing_is_a_loss() -> None:
    (trip,) = log_of(fill(Side.BUY, "1", "100"), fill(Side.SELL, "1", "100", 1)).closed_since(EVER)
    assert trip.is_loss


def test_symbols_are_apart_and_an_open_trade_is_no_round_trip() -> None:
    log = log_of(fill(Side.BUY, "1", "100"), fill(Side.SELL, "1", "100", 1, symbol="ETH/USDT"))
    assert not log.closed_since(EVER)
    assert log.opened_since(NOW + timedelta(seconds=30)) == 1


def test_what_no_limit_can_look_back_on_is_forgotten() -> None:
    log = RoundTripLog()
    for day in range(3 * KEPT_AT_LEAST):
        log.add(fill(Side.BUY, "1", "100", day * 1_440))
        log.add(fill(Side.SELL, "1", "100", day * 1_440 + 1))
    assert len(log.closed_since(EVER)) == KEPT_AT_LEAST
    assert log.opened_since(EVER) <= 2


@given(st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 5), st.integers(90, 110)), max_size=40))
def test_profits_of_all_round_trips_are_the_cash_that_moved_from_flat_to_flat(
    moves: list[tuple[Side, int, int]],
) -> None:
    log, cash, held, at_flat = RoundTripLog(), D(0), D(0), D(0)
    for number, (side, quantity, price) in enumerate(moves):
        log.add(fill(side, str(quantity), str(price), number))
        before, held = held, held + side.sign * quantity
        cash -= side.sign * quantity * price
        if held == 0:
            at_flat = cash
        elif before * held < 0:  # turned over: what is left was opened at this price
            at_flat = cash + held * price
    assert sum((trip.profit for trip in log.closed_since(EVER)), D(0)) == at_flat


@pytest.mark.parametrize("other", [fill(Side.SELL, "1", "101", 3), fill(Side.SELL, "1", "100", 3)])
def test_identical_round_trips_are_of_one_kind(other: Fill) -> None:
    log = log_of(
        fill(Side.BUY, "1", "99", 0), fill(Side.SELL, "1", "100", 1), fill(Side.BUY, "1", "99", 2), other
    )  # fmt: skip
    first, second = log.closed_since(EVER)
    assert (first.kind == second.kind) == (other.price == 100)
    assert first.way == second.way
