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


def own_masks(rows: Rows, timeframe: Timeframe, unfinished: IntArray, now_ms: int) -> dict[DataRule, BoolArray]:
    """Which rows break which of the rules that a row breaks by itself, whatever lies around it; any order of rows.

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
        DataRule.OFF_GRID: (t - timeframe.anchor_ms) % timeframe.ms != 0,
        DataRule.UNFINISHED_BAR: np.isin(t, unfinished) | (t + timeframe.ms > now_ms),
    }


def row_masks(
    rows: Rows, timeframe: Timeframe, rules: DataRules, unfinished: IntArray, now_ms: int
) -> dict[DataRule, BoolArray]:
    """Which rows break which rule; arguments as for `own_masks`. Prices that move too far are in `moves`."""
    v, t = rows.volume, rows.open_time
    stale = _long_runs(_repeats(rows, timeframe), rules.max_stale_bars, include_before=True)
    return {
        **own_masks(rows, timeframe, unfinished, now_ms),
        DataRule.DUPLICATE_TIME: _after_first(t[1:] == t[:-1]),
        DataRule.OUT_OF_ORDER: rows.backwards,
        DataRule.STALE_PRICE: _traded(stale, v),
        DataRule.ZERO_VOLUME_HALT: _long_runs(v == 0, rules.max_zero_volume_bars, breaks=_breaks(t, timeframe)),
    }


def runs(mask: BoolArray, breaks: BoolArray | None = None) -> tuple[IntArray, IntArray]:
    """First and one-past-last index of every run of true elements, shapes (k,); `breaks[i]` splits before i."""
    starts = mask.copy()
    starts[1:] &= ~mask[:-1] if breaks is None else (~mask[:-1] | breaks[1:])
    ends = mask.copy()
    ends[:-1] &= ~mask[1:] if breaks is None else (~mask[1:] | breaks[1:])
    return np.flatnonzero(starts).astype(np.int64), np.flatnonzero(ends).astype(np.int64) + 1


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


def _traded(stale: BoolArray, volume: FloatArray) -> BoolArray:
    """Runs of equal prices during which something traded: without any volume they are a halt, not a stuck feed."""
    kept = stale.copy()
    for first, last in zip(*runs(stale), strict=True):
        # The bar that is repeated may be the last one before the halt.
        kept[first:last] = (volume[first + 1 : last] != 0).any()
    return kept
