"""Wrong time zones by correlation of returns at lags of half hours."""

from __future__ import annotations

import numpy as np
import pytest

from include.domain.times import DAY_MS, Timeframe, to_ms
from include.validators.time_zones import HALF_HOUR_MS, HalfHours, Shift, block_edges, find_shifts, half_hours
from tests.market import START

DAYS = 60
FIRST = to_ms(START) // DAY_MS * DAY_MS
END = FIRST + DAYS * DAY_MS
EDGES = block_edges(FIRST, END)
HOUR = 2 * HALF_HOUR_MS
BASE = np.cumsum(np.random.default_rng(0).normal(0, 0.01, DAYS * 48 + 96))
"""A common factor, on half hours, longer than the window."""


def series(name: str, hours: float = 0.0, seed: int = 1, common: float = 1.0, timeframe: str = "30m") -> HalfHours:
    """A market of the common factor and noise of its own, stamped `hours` late."""
    own = np.cumsum(np.random.default_rng(seed).normal(0, 0.007, len(BASE)))
    every = Timeframe.parse(timeframe).ms // HALF_HOUR_MS
    closes = np.exp(common * BASE + own)[every - 1 :: every]
    times = FIRST - DAY_MS + np.arange(len(closes)) * every * HALF_HOUR_MS + int(hours * HOUR)
    return half_hours(name, times, closes, Timeframe.parse(timeframe), FIRST, END)


def off(*judged: HalfHours, references: tuple[HalfHours, ...] = ()) -> dict[str, float]:
    """Names of series that are off, with hours; each over the whole window."""
    shifts = find_shifts(judged, references, EDGES)
    assert all((s.first_block, s.last_block) == (0, len(EDGES) - 2) for s in shifts)
    return {s.name: s.lag_ms / HOUR for s in shifts}


def test_markets_that_move_together_are_in_one_zone() -> None:
    assert off(series("A"), series("B", seed=2), series("C", seed=3)) == {}


@pytest.mark.parametrize("hours", [0.5, 1, 5.5, 8, 14, -1, -5, -9.5])
def test_the_one_of_three_that_is_off_is_named_with_its_hours(hours: float) -> None:
    assert off(series("A"), series("B", hours, seed=2), series("C", seed=3)) == {"B": hours}


def test_two_that_disagree_are_both_named() -> None:
    assert off(series("A"), series("B", 8, seed=2)) == {"A": -8, "B": 8}


def test_a_majority_outvotes_two() -> None:
    judged = [
        series(name, hours, seed) for seed, (name, hours) in enumerate({"A": 0, "B": 8, "C": 0, "D": 8, "E": 0}.items())
    ]
    assert off(*judged) == {"B": 8, "D": 8}


@pytest.mark.parametrize("timeframe", ["30m", "1h", "2h", "4h"])
@pytest.mark.parametrize("hours", [1, 5.5, -8])
def test_a_reference_of_the_same_symbol_shows_the_zone_of_a_single_series(timeframe: str, hours: float) -> None:
    reference = (series("elsewhere", seed=1, timeframe=timeframe),)
    assert off(series("A", seed=1), references=reference) == {}
    assert off(series("A", hours, seed=1), references=reference) == {"A": hours}


def test_a_reference_settles_which_of_two_is_off() -> None:
    assert off(series("A"), series("B", 8, seed=2), references=(series("elsewhere", timeframe="1h"),)) == {"B": 8}


def test_a_reference_that_is_off_itself_is_outvoted_and_not_named() -> None:
    assert off(series("A"), series("B", seed=2), references=(series("elsewhere", 3, seed=3),)) == {}


def test_markets_that_have_nothing_to_do_with_each_other_say_nothing() -> None:
    assert off(series("A", common=0.0), series("B", 8, seed=2, common=0.0)) == {}


def test_a_zone_that_holds_for_a_part_of_the_history_is_found_there() -> None:
    edge = int((EDGES[1] - EDGES[0]) // HALF_HOUR_MS)
    right, late, other = series("B", seed=2), series("B", 8, seed=2), series("A")
    mixed = HalfHours("B", right.step_ms, np.concatenate([right.closes[:edge], late.closes[edge:]]))
    found = find_shifts([other, mixed, series("C", seed=3)], (), EDGES)
    assert [(s.name, s.first_block, s.last_block, s.lag_ms) for s in found] == [("B", 1, len(EDGES) - 2, 8 * HOUR)]


def test_one_bad_tick_does_not_decide() -> None:
    a, b = series("A"), series("B", seed=2)
    a.closes[500] += 7.0
    b.closes[516] += 7.0
    assert off(a, b) == {}


@pytest.mark.parametrize("days", [0, 1])
def test_too_short_a_window_says_nothing(days: int) -> None:
    end = FIRST + max(HOUR, days * DAY_MS)
    cut = slice(0, (end - FIRST) // HALF_HOUR_MS + 1)
    judged = [HalfHours(s.name, s.step_ms, s.closes[cut]) for s in (series("A"), series("B", 8, seed=2))]
    assert find_shifts(judged, (), block_edges(FIRST, end)) == ()


def test_longer_bars_than_the_lags_are_passed_over() -> None:
    assert off(series("A", timeframe="1d"), series("B", 8, seed=2, timeframe="1d")) == {}


def test_blocks_cover_the_window_and_begin_at_midnight() -> None:
    edges = block_edges(FIRST + 5 * HOUR, END + 1)
    assert (edges[0], edges[-1]) == (FIRST, END + DAY_MS)
    assert not (edges % DAY_MS).any()


def test_a_shift_says_what_it_rests_on() -> None:
    (first, _) = find_shifts([series("A"), series("B", 8, seed=2)], (), EDGES)
    assert isinstance(first, Shift)
    assert (first.name, first.other) == ("A", "B")
    assert abs(first.at_zero) < 0.2
    assert 0.6 < first.at_lag <= 1.0
