"""Whether the bars of a series add up to a coarser timeframe of the same series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.aggregation import aggregate
from include.domain.bars import PRICE_COLUMNS, Bars, FloatArray, IntArray
from include.domain.times import Timeframe
from include.validators.bar_rules import BoolArray, Rows, in_time_order, runs

VOLUME_TOLERANCE = 1e-9
"""Relative: sums of floats in another order differ by less, a missing trade by more."""


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What the comparison with one coarser timeframe found; counts are coarser bars."""

    timeframe: Timeframe
    bars: int
    """Compared: stored, and complete in the finer series."""
    incomplete: int
    """Some of their finer bars are missing or unusable: nothing can be said about them."""
    differing: int
    """In open, high, low or close."""
    volume_differing: int
    """In volume alone."""

    def document(self, symbol: str) -> dict[str, Any]:
        return {
            "symbol": symbol, "timeframe": str(self.timeframe), "bars": self.bars, "incomplete": self.incomplete,
            "differing": self.differing, "volume_differing": self.volume_differing,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Consecutive coarser bars that differ, by open time, with the first value that does."""

    first_ms: int
    last_ms: int
    count: int
    column: str
    added_up: float
    stored: float


def cross_check(
    symbol: str, rows: Rows, timeframe: Timeframe, stored: Mapping[str, NDArray[Any]], coarser: Timeframe
) -> tuple[CrossCheck, tuple[Mismatch, ...]]:
    """Add `rows` up to `coarser` and compare with its stored bars where both are complete.

    Prices must be equal to the last bit, volume within `VOLUME_TOLERANCE`; volume is compared where the stored series
    has any at all.

    Args:
        stored: columns of the coarser series, in any order.
    """
    added = aggregate(_usable_bars(symbol, rows, timeframe), coarser)
    other = _usable_bars(symbol, in_time_order(stored), coarser)
    _, ours, theirs = np.intersect1d(added.bars.open_time, other.open_time, assume_unique=True, return_indices=True)
    values: dict[str, tuple[FloatArray, FloatArray]] = {
        name: (getattr(added.bars, name)[ours], getattr(other, name)[theirs]) for name in (*PRICE_COLUMNS, "volume")
    }
    prices = np.logical_or.reduce([values[name][0] != values[name][1] for name in PRICE_COLUMNS])
    a, b = values["volume"]
    volume = ~np.isclose(a, b, rtol=VOLUME_TOLERANCE, atol=0.0) & ~prices & bool(other.volume.any())
    times = added.bars.open_time[ours]
    incomplete = int(np.count_nonzero(~np.isin(other.open_time, added.bars.open_time)))
    found = CrossCheck(
        coarser, len(times), incomplete, int(np.count_nonzero(prices)), int(np.count_nonzero(volume))
    )  # fmt: skip
    return found, (*_mismatches(prices, times, coarser, values), *_mismatches(volume, times, coarser, values))


def rows_of(mismatches: tuple[Mismatch, ...], open_time: IntArray, coarser: Timeframe) -> BoolArray:
    """Rows of the finer series that lie in differing bars."""
    out = np.zeros(len(open_time), dtype=np.bool_)
    for m in mismatches:
        out[np.searchsorted(open_time, m.first_ms) : np.searchsorted(open_time, m.last_ms + coarser.ms)] = True
    return out


def _usable_bars(symbol: str, rows: Rows, timeframe: Timeframe) -> Bars:
    """Rows that can be compared: on the grid, not repeated, all values finite."""
    keep = (rows.open_time - timeframe.anchor_ms) % timeframe.ms == 0
    same = rows.open_time[1:] == rows.open_time[:-1]
    keep[1:] &= ~same
    keep[:-1] &= ~same
    columns = {name: getattr(rows, name) for name in (*PRICE_COLUMNS, "volume")}
    for values in columns.values():
        keep &= np.isfinite(values)
    if keep.all():
        return Bars(symbol, timeframe, rows.open_time, **columns)
    return Bars(symbol, timeframe, rows.open_time[keep], **{name: values[keep] for name, values in columns.items()})


def _mismatches(
    differs: BoolArray, times: IntArray, coarser: Timeframe, values: Mapping[str, tuple[FloatArray, FloatArray]]
) -> tuple[Mismatch, ...]:
    breaks = np.diff(times, prepend=times[:1]) != coarser.ms
    found = []
    for a, b in zip(*(edge.tolist() for edge in runs(differs, breaks)), strict=True):
        column = next((n for n in PRICE_COLUMNS if values[n][0][a] != values[n][1][a]), "volume")
        ours, theirs = (float(side[a]) for side in values[column])
        found.append(Mismatch(int(times[a]), int(times[b - 1]), b - a, column, ours, theirs))
    return tuple(found)
