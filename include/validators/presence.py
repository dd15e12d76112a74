"""Which bars of a window exist: slots on the grid of the timeframe, counted from 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.domain.bars import IntArray
from include.domain.times import Timeframe
from include.validators.bar_rules import BoolArray, runs


@dataclass(frozen=True, slots=True)
class Presence:
    """The bars that a window should hold and which of them have a row."""

    first_slot_ms: int
    step_ms: int
    held: BoolArray
    """One element a slot: true when the bar has at least one row."""

    @property
    def expected(self) -> int:
        return int(self.held.shape[0])

    @property
    def present(self) -> IntArray:
        """Slots with a row, increasing."""
        return np.flatnonzero(self.held).astype(np.int64)

    @property
    def missing(self) -> IntArray:
        """Slots without a row, increasing."""
        return np.flatnonzero(~self.held).astype(np.int64)

    @property
    def count(self) -> int:
        """Bars that are present."""
        return int(np.count_nonzero(self.held))

    def time(self, slot: int) -> int:
        """Open time of a slot in epoch milliseconds."""
        return self.first_slot_ms + slot * self.step_ms

    def slot(self, open_time: int) -> int:
        """Slot of an on-grid open time in epoch milliseconds."""
        return (open_time - self.first_slot_ms) // self.step_ms

    def holes(self) -> tuple[IntArray, IntArray]:
        """First missing slot and number of missing bars of every hole between two present bars, shapes (k,)."""
        first, last = runs(~self.held)
        inner = (first > 0) & (last < self.expected)
        return first[inner], (last - first)[inner]


def presence(open_time: IntArray, timeframe: Timeframe, start_ms: int, end_ms: int) -> Presence:
    """Bars that [start, end) should hold, and those that rows provide; off-grid rows provide nothing.

    Args:
        open_time: shape (n,), epoch milliseconds, any order.
    """
    anchor, step = timeframe.anchor_ms, timeframe.ms
    first = anchor - (anchor - start_ms) // step * step
    held = np.zeros(max(0, -((first - end_ms) // step)), dtype=np.bool_)
    offsets = open_time - first
    held[offsets[(offsets % step == 0) & (offsets >= 0) & (open_time < end_ms)] // step] = True
    return Presence(first, step, held)
