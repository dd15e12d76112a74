"""Row rules of the data gate as pure functions: masks, runs, presence on the grid."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, to_ms
from include.validators.bar_rules import in_time_order, row_masks, runs
from include.validators.presence import presence
from tests.market import MINUTE, NOW, RULES, START, Columns, bars, minutes, take

NOTHING = np.empty(0, dtype=np.int64)


def broken(columns: Columns, now: datetime = NOW, unfinished: list[int] | None = None) -> dict[DataRule, list[int]]:
    """Rows (in order of time) that break each rule, rules without any left out."""
    masks = row_masks(in_time_order(columns), MINUTE, RULES, np.array(unfinished or [], dtype=np.int64), to_ms(now))
    return {rule: np.flatnonzero(mask).tolist() for rule, mask in masks.items() if mask.any()}


def test_clean_bars_break_no_rule() -> None:
    assert broken(bars(500)) == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_number_that_is_not_finite_is_found_in_any_column(column: str, value: float) -> None:
    columns = bars(50)
    columns[column][7] = value
    assert broken(columns)[DataRule.NON_FINITE] == [7]


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [0.0, -5.0])
def test_a_price_must_be_positive(column: str, value: float) -> None:
    columns = bars(50)
    columns[column][7] = value
    assert broken(columns)[DataRule.NON_POSITIVE_PRICE] == [7]


def test_volume_may_be_zero_but_not_negative() -> None:
    columns = bars(50)
    columns["volume"][7], columns["volume"][9] = -0.1, 0.0
    assert broken(columns) == {DataRule.NEGATIVE_VOLUME: [7]}


@pytest.mark.parametrize(("a", "b"), [("high", "low"), ("high", "open"), ("low", "close"), ("close", "high")])
def test_swapped_prices_are_inconsistent(a: str, b: str) -> None:
    columns = bars(50)
    columns["high"] += 0.5  # room, so that a swap shows in every row
    columns["low"] -= 0.5
    columns[a], columns[b] = columns[b], columns[a]
    assert broken(columns)[DataRule.OHLC_INCONSISTENT] == list(range(50))


def test_the_second_row_of_a_time_is_the_duplicate() -> None:
    assert broken(take(bars(50), np.r_[0:10, 9, 10:50])) == {DataRule.DUPLICATE_TIME: [10]}


def test_a_row_that_goes_back_in_time_is_out_of_order() -> None:
    assert broken(take(bars(50), np.r_[0:10, 11, 10, 12:50])) == {DataRule.OUT_OF_ORDER: [10]}


def test_a_time_between_two_grid_points_is_off_grid() -> None:
    columns = bars(50)
    columns["open_time"][7] += 1
    assert broken(columns) == {DataRule.OFF_GRID: [7]}


@pytest.mark.parametrize(("length", "found"), [(30, False), (31, True)])
def test_prices_may_repeat_for_thirty_bars_and_no_longer(length: int, found: bool) -> None:
    columns = bars(80)
    for name in ("open", "high", "low", "close"):
        columns[name][10 : 10 + length] = columns[name][10]
    expected = {DataRule.STALE_PRICE: list(range(10, 10 + length))} if found else {}
    assert broken(columns) == expected


def test_a_hole_breaks_a_run_of_equal_prices() -> None:
    columns = bars(80)
    for name in ("open", "high", "low", "close"):
        columns[name][10:50] = columns[name][10]
    assert DataRule.STALE_PRICE not in broken(take(columns, np.r_[0:30, 31:80]))


def test_prices_that_stand_still_without_volume_are_a_halt_and_no_stuck_feed() -> None:
    columns = bars(80)
    for name in ("open", "high", "low", "close"):
        columns[name][10:60] = columns[name][10]
    columns["volume"][11:60] = 0.0
    assert broken(columns) == {DataRule.ZERO_VOLUME_HALT: list(range(11, 60))}
    columns["volume"][30] = 1.0
    assert broken(columns)[DataRule.STALE_PRICE] == list(range(10, 60))


@pytest.mark.parametrize(("length", "found"), [(2, False), (3, True)])
def test_three_bars_without_volume_are_a_halt(length: int, found: bool) -> None:
    columns = bars(50)
    columns["volume"][10 : 10 + length] = 0.0
    assert broken(columns) == ({DataRule.ZERO_VOLUME_HALT: list(range(10, 10 + length))} if found else {})


def test_a_bar_that_closes_after_now_or_was_ingested_open_is_unfinished() -> None:
    columns = bars(10)
    assert broken(columns, now=START + minutes(9)) == {DataRule.UNFINISHED_BAR: [9]}
    assert broken(columns, unfinished=[to_ms(START + minutes(4))]) == {DataRule.UNFINISHED_BAR: [4]}


def test_times_from_a_zone_ahead_of_us_lie_in_the_future() -> None:
    columns = bars(600)
    just_closed = START + minutes(600)
    columns["open_time"] += 8 * 3_600_000
    assert len(broken(columns, now=just_closed)[DataRule.UNFINISHED_BAR]) == 480


def test_runs_are_maximal_and_breaks_split_them() -> None:
    mask = np.array([True, True, False, True, True, True])
    assert [r.tolist() for r in runs(mask)] == [[0, 3], [2, 6]]
    breaks = np.array([False, False, False, False, True, False])
    assert [r.tolist() for r in runs(mask, breaks)] == [[0, 3, 4], [2, 4, 6]]


def test_presence_counts_bars_of_the_window_once_and_on_the_grid_only() -> None:
    columns = take(bars(20), np.r_[2:8, 7, 10:20])
    columns["open_time"][0] += 5_000
    found = presence(columns["open_time"], MINUTE, to_ms(START), to_ms(START + minutes(15)))
    assert found.expected == 15
    assert found.present.tolist() == [3, 4, 5, 6, 7, 10, 11, 12, 13, 14]
    assert found.missing.tolist() == [0, 1, 2, 8, 9]
    assert [h.tolist() for h in found.holes()] == [[8], [2]]
    assert found.slot(found.time(8)) == 8


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "expected"),
    [
        ("1m", "2024-01-01T00:00:30", "2024-01-01T00:03:00", 2),
        ("1m", "2024-01-01T00:00:00", "2024-01-01T00:02:30", 3),
        ("1h", "2024-01-01T00:00:00", "2024-01-02T00:00:00", 24),
        ("1d", "2024-01-01T00:00:00", "2025-01-01T00:00:00", 366),
        ("1w", "2024-01-01T00:00:00", "2024-01-15T00:00:00", 2),
        ("1h", "2024-01-01T00:10:00", "2024-01-01T00:20:00", 0),
    ],
)
def test_a_window_holds_the_bars_that_open_inside_it(timeframe: str, start: str, end: str, expected: int) -> None:
    a, b = (to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in (start, end))
    assert presence(NOTHING, Timeframe.parse(timeframe), a, b).expected == expected
