"""Rules on rows of bars, as pure vectorised functions: arrays in, boolean masks and runs out.

All masks have one element a row, rows in order of time (`in_time_order`). Comparisons with NaN are false, so a
missing price breaks NON_FINITE and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import FloatArray, IntArray
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe
from include.qualification.profile import DataRules

BoolArray = NDArray[np.bool_]
WEEK_SECONDS = 604_800
MONDAY_MS = 4 * 86_400_000
"""1970-01-05, the first Monday: weekly bars open on Mondays, all shorter ones on multiples since the epoch."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Stored rows of one symbol in order of time; `backwards` marks those whose time went backwards as stored."""

    open_time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    backwards: BoolArray

    def __len__(self) -> int:
        return int(self.open_time.shape[0])


def in_time_order(columns: Mapping[str, NDArray[Any]]) -> Rows:
    """Sort by open time, stably; remembers which rows were out of order."""
    times = columns["open_time"]
    backwards = np.zeros(len(times), dtype=np.bool_)
    backwards[1:] = times[1:] < times[:-1]
    # A slice of everything when nothing is to be sorted: views, no copies.
    order = np.argsort(times, kind="stable") if backwards.any() else slice(None)
    return Rows(
        times[order], columns["open"][order], columns["high"][order], columns["low"][order], columns["close"][order],
        columns["volume"][order], backwards[order],
    )  # fmt: skip


def grid_anchor(timeframe: Timeframe) -> int:
    """Epoch milliseconds from which open times are multiples of the timeframe."""
    return MONDAY_MS if timeframe.seconds % WEEK_SECONDS == 0 else 0


def row_masks(
    rows: Rows, timeframe: Timeframe, rules: DataRules, unfinished: IntArray, now_ms: int
) -> dict[DataRule, BoolArray]:
    """Which rows break which rule.

    Args:
        unfinished: open times of bars that were ingested before they had closed.
        now_ms: time of judgement; a bar that closes later cannot be finished.
    """
    o, h, l, c, v, t = rows.open, rows.high, rows.low, rows.close, rows.volume, rows.open_time
    return {
        DataRule.NON_FINITE: ~(np.isfinite(o) & np.isfinite(h) & np.isfinite(l) & np.isfinite(c) & np.isfinite(v)),
        DataRule.NON_POSITIVE_PRICE: (o <= 0) | (h <= 0) | (l <= 0) | (c <= 0),
        DataRule.NEGATIVE_VOLUME: v < 0,
        DataRule.OHLC_INCONSISTENT: (h < o) | (h < c) | (l > o) | (l > c),
        DataRule.DUPLICATE_TIME: _after_first(t[1:] == t[:-1]),
        DataRule.OUT_OF_ORDER: rows.backwards,
        DataRule.OFF_GRID: (t - grid_anchor(timeframe)) % timeframe.ms != 0,
        DataRule.JUMP: np.abs(jumps(c)) > rules.max_jump_fraction,
        DataRule.STALE_PRICE: _long_runs(_repeats(rows, timeframe), rules.max_stale_bars, include_before=True),
        DataRule.ZERO_VOLUME_HALT: _long_runs(v == 0, rules.max_zero_volume_bars, breaks=_breaks(t, timeframe)),
        DataRule.UNFINISHED_BAR: np.isin(t, unfinished) | (t + timeframe.ms > now_ms),
    }


def jumps(close: FloatArray) -> FloatArray:
    """Relative move of each close from the last usable close before it, shape (n,); 0 where there is none.

    Closes that are not finite and positive are skipped on both sides: they break rules of their own.
    """
    moves = np.zeros(close.shape[0], dtype=np.float64)
    usable = np.flatnonzero(np.isfinite(close) & (close > 0))
    moves[usable[1:]] = close[usable[1:]] / close[usable[:-1]] - 1.0
    return moves


def runs(mask: BoolArray, breaks: BoolArray | None = None) -> tuple[IntArray, IntArray]:
    """First and one-past-last index of every run of true elements, shapes (k,); `breaks[i]` splits before i."""
    starts = mask.copy()
    starts[1:] &= ~mask[:-1] if breaks is None else (~mask[:-1] | breaks[1:])
    ends = mask.copy()
    ends[:-1] &= ~mask[1:] if breaks is None else (~mask[1:] | breaks[1:])
    return np.flatnonzero(starts).astype(np.int64), np.flatnonzero(ends).astype(np.int64) + 1


@dataclass(frozen=True, slots=True)
class Presence:
    """Which bars of a window exist. Slots count the window's bars from 0."""

    first_slot_ms: int
    step_ms: int
    expected: int
    present: IntArray
    """Slots with at least one row, increasing."""

    @property
    def missing(self) -> IntArray:
        """Slots without a row, increasing."""
        absent = np.ones(self.expected, dtype=np.bool_)
        absent[self.present] = False
        return np.flatnonzero(absent).astype(np.int64)

    def time(self, slot: int) -> int:
        """Open time of a slot in epoch milliseconds."""
        return self.first_slot_ms + slot * self.step_ms

    def slot(self, open_time: int) -> int:
        """Slot of an on-grid open time in epoch milliseconds."""
        return (open_time - self.first_slot_ms) // self.step_ms

    def holes(self) -> tuple[IntArray, IntArray]:
        """Slot of the first missing bar and number of missing bars, of every hole between two present bars."""
        steps = np.diff(self.present)
        at = np.flatnonzero(steps > 1)
        return self.present[at] + 1, steps[at] - 1


def presence(open_time: IntArray, timeframe: Timeframe, start_ms: int, end_ms: int) -> Presence:
    """Bars that [start, end) should hold, and those that rows provide; off-grid rows provide nothing.

    Args:
        open_time: shape (n,), epoch milliseconds, not decreasing.
    """
    anchor, step = grid_anchor(timeframe), timeframe.ms
    first = anchor - (anchor - start_ms) // step * step
    expected = max(0, -((first - end_ms) // step))
    offsets = open_time - first
    slots = offsets[(offsets % step == 0) & (offsets >= 0) & (open_time < end_ms)] // step
    # Sorted already, so neighbours tell; np.unique would hash two million slots.
    return Presence(first, step, int(expected), slots[~_after_first(slots[1:] == slots[:-1])[: len(slots)]])


def _after_first(mask: BoolArray) -> BoolArray:
    out = np.zeros(mask.shape[0] + 1, dtype=np.bool_)
    out[1:] = mask
    return out


def _breaks(times: IntArray, timeframe: Timeframe) -> BoolArray:
    return _after_first(np.diff(times) != timeframe.ms)


def _repeats(rows: Rows, timeframe: Timeframe) -> BoolArray:
    """Rows whose four prices equal those of the bar right before."""
    same = np.diff(rows.open_time) == timeframe.ms
    for prices in (rows.open, rows.high, rows.low, rows.close):
        same &= prices[1:] == prices[:-1]
    return _after_first(same)


def _long_runs(
    mask: BoolArray, longest: int, *, breaks: BoolArray | None = None, include_before: bool = False
) -> BoolArray:
    """Rows of runs of more than `longest` bars; with `include_before` a run counts the bar that it repeats."""
    first, last = runs(mask, breaks)
    first = first - 1 if include_before else first
    long = last - first > longest
    edges = np.zeros(mask.shape[0] + 1, dtype=np.int64)
    np.add.at(edges, first[long], 1)
    np.add.at(edges, last[long], -1)
    return np.asarray(np.cumsum(edges[:-1]) > 0)
