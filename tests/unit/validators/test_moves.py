"""Real jumps told from bad ticks, on hand-made closes."""

from __future__ import annotations

import numpy as np
import pytest

from include.validators.bar_rules import in_time_order
from include.validators.moves import LONGEST_TICK, jumps, tell_moves
from tests.market import Columns, bars

LIMIT = 0.10
PRICES = ("open", "high", "low", "close")


def told(columns: Columns) -> tuple[list[int], list[tuple[int, int]]]:
    """Rows that jumped, and first and last (exclusive) row of every bad tick."""
    rows = in_time_order(columns)
    jumped, ticks = tell_moves(rows, jumps(rows.close), LIMIT)
    return np.flatnonzero(jumped).tolist(), list(zip(ticks.first.tolist(), ticks.last.tolist(), strict=True))


def scaled(factor: float, begin: int, end: int | None = None, names: tuple[str, ...] = PRICES) -> Columns:
    columns = bars(60)
    for name in names:
        columns[name][begin:end] *= factor
    return columns


def flat(closes: list[float]) -> Columns:
    """Bars that open where the last one closed and go straight to their close."""
    columns = bars(len(closes))
    columns["close"] = np.array(closes)
    columns["open"] = np.concatenate([closes[:1], closes[:-1]])
    columns["high"], columns["low"] = (f(columns["open"], columns["close"]) for f in (np.maximum, np.minimum))
    return columns


def test_moves_are_measured_across_unusable_closes() -> None:
    moves = jumps(np.array([100.0, np.nan, 0.0, 130.0, -1.0, 130.0]))
    assert moves.tolist() == pytest.approx([0, 0, 0, 0.3, 0, 0])


@pytest.mark.parametrize(("factor", "rows"), [(1.0999, []), (1.1001, [7])])
def test_the_jump_limit_is_inclusive(factor: float, rows: list[int]) -> None:
    assert told(flat([100.0] * 7 + [100.0 * factor] * 43)) == (rows, [])


@pytest.mark.parametrize("factor", [0.01, 0.8, 1.3, 1_000.0])
@pytest.mark.parametrize("length", range(1, LONGEST_TICK + 1))
def test_a_move_that_reverts_at_once_is_one_bad_tick_and_no_jump(factor: float, length: int) -> None:
    assert told(scaled(factor, 30, 30 + length)) == ([], [(30, 30 + length)])


@pytest.mark.parametrize("end", [30 + LONGEST_TICK + 1, None])
def test_a_move_that_stays_is_a_jump(end: int | None) -> None:
    assert told(scaled(0.8, 30, end)) == ([30] if end is None else [30, end], [])


def test_a_crash_that_recovers_into_an_unsettled_market_is_no_bad_tick() -> None:
    # The closes of Bitfinex on 2014-02-10 around 11:00, in whole dollars.
    closes = [620, 622, 619, 621, 614, 606, 600, 581, 451, 668, 598, 680, 616, 615, 619, 609, 634, 632, 637, 632]
    jumped, ticks = told(flat([float(c) for c in closes]))
    assert (jumped, ticks) == ([8, 9, 10, 11], [])


def test_a_print_far_below_a_falling_market_is_a_bad_tick() -> None:
    # Bitfinex, 2013-04-11 18:12: a decimal slipped while the price fell by single dollars.
    closes = [101, 101, 101, 101, 100, 106, 1.06, 100, 100, 105, 100, 100, 101, 101]
    columns = flat([float(c) for c in closes])
    columns["open"][7], columns["low"][7] = 100.0, 100.0
    assert told(columns) == ([], [(6, 7)])


def test_a_bar_that_opens_at_the_bad_price_belongs_to_the_bad_tick() -> None:
    assert told(flat([100.0] * 20 + [20.0] + [100.0] * 20)) == ([], [(20, 22)])


@pytest.mark.parametrize(("name", "factor"), [("high", 1.4), ("low", 0.6)])
def test_a_high_or_low_that_the_bar_does_not_follow_is_a_bad_tick(name: str, factor: float) -> None:
    assert told(scaled(factor, 30, 31, (name,))) == ([], [(30, 31)])


def test_a_wide_bar_in_a_market_that_moves_as_far_is_no_bad_tick() -> None:
    columns = flat([100.0, 91.0] * 30)
    columns["low"][30] *= 0.85
    assert told(columns) == ([], [])


@pytest.mark.parametrize("row", [0, 1, 2, 58, 59])
def test_at_the_ends_nothing_shows_that_a_price_came_back(row: int) -> None:
    jumped, ticks = told(scaled(2.0, row, row + 1))
    assert ticks == []
    assert jumped == [r for r in (row, row + 1) if 0 < r < 60]


def test_unusable_prices_are_passed_over() -> None:
    columns = scaled(0.01, 30, 31)
    columns["close"][[28, 33]] = np.nan, -5.0
    columns["low"][29] = np.nan
    assert told(columns) == ([], [(30, 31)])


def test_no_rows_and_few_rows_have_no_moves() -> None:
    for count in (0, 1, 2, 5):
        assert told({name: values[:count] for name, values in bars(5).items()}) == ([], [])
