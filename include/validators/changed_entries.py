"""Entries that are missed or come late: a strategy's signals as a clumsy executor would have obeyed them.

An entry is the decision that opened a position in the undisturbed run. Missing it takes away everything until that
position was closed, since a target that stays would only enter a bar later. A late one is made with the weight and the
protective levels that were decided, unless the strategy has changed its mind or has entered again in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from include.backtesting.kernel import PURPOSES, Fills
from include.domain.bars import FloatArray, IntArray, Signals
from include.domain.enums import OrderPurpose

MISSED = -1
"""In place of a delay: the entry is not made at all."""
_EXIT = PURPOSES.index(OrderPurpose.EXIT)


@dataclass(frozen=True, slots=True)
class Entries:
    """Positions of an undisturbed run in order; all arrays have shape (entries,).

    Attributes:
        decided: row whose close decided the entry.
        side: +1 long, -1 short.
        until: row of the bar that closed the position; the number of bars where it stayed open.
        reverses: whether the decision also closed the position before.
    """

    decided: IntArray
    side: IntArray
    until: IntArray
    reverses: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.decided.shape[0])


def entries_of(fills: Fills, bars: int) -> Entries:
    """Entries behind the fills of one symbol over `bars` rows."""
    position = np.cumsum(fills.side * fills.lots)
    before = np.concatenate((np.zeros(1, dtype=np.int64), position))[: len(position)]
    starts = np.flatnonzero((before == 0) & (position != 0))
    until = np.full(len(starts), bars, dtype=np.int64)
    closed = fills.bar_index[position == 0]
    until[: len(closed)] = closed
    row = fills.bar_index[starts]
    reverses = (starts > 0) & (fills.bar_index[starts - 1] == row) & (fills.purpose[starts - 1] == _EXIT)
    return Entries(row - 1, np.sign(position[starts]), until, reverses)


def _copied(_: str, column: FloatArray) -> FloatArray:
    return column.copy()


def change_entries(
    signals: Signals, entries: Entries, delays: IntArray, copy: Callable[[str, FloatArray], FloatArray] = _copied
) -> Signals:
    """The signals with each entry late by its delay in bars, or `MISSED`; what is on time is not touched.

    Args:
        delays: shape (entries,).
        copy: gives room of its own to a column by its name; for callers that use the same room again.
    """
    target = copy("target", signals.target)
    moved = _apply(
        signals.target, target, entries.decided, entries.side, entries.until, entries.reverses, delays
    )  # fmt: skip
    rows, source = moved[:, 0], moved[:, 1]
    columns = {}
    for name in ("weight", "stop", "take_profit", "trailing", "hold"):
        column: FloatArray | None = getattr(signals, name)
        if column is not None and not np.array_equal(column[rows], column[source], equal_nan=True):
            columns[name] = copy(name, column)
            columns[name][rows] = column[source]
    return replace(signals, target=target, **columns)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _apply(
    target: FloatArray, out: FloatArray, decided: IntArray, side: IntArray, until: IntArray,
    reverses: NDArray[np.bool_], delays: IntArray,
) -> IntArray:  # fmt: skip
    """Change `out`, a copy of the target; rows of (row, row it was decided on) of every late entry that is made."""
    moved, made = np.empty((decided.shape[0], 2), dtype=np.int64), 0
    for i in range(decided.shape[0]):
        if delays[i] == 0:
            continue
        row = decided[i]
        end = until[i] if delays[i] < 0 else row + delays[i]
        after = decided[i + 1] if i + 1 < decided.shape[0] else target.shape[0]
        enters = delays[i] > 0 and end < after
        for t in range(row, min(end, after)):
            if target[t] == side[i]:
                out[t] = np.nan
            elif not np.isnan(target[t]):
                enters = False  # the strategy has changed its mind: what is late is not wanted any more
                if delays[i] > 0:
                    break
        if reverses[i]:
            out[row] = 0.0
        if enters and (np.isnan(target[end]) or target[end] == side[i]):
            out[end] = side[i]
            moved[made] = end, row
            made += 1
    return moved[:made]


def restore_entries(copy: FloatArray, column: FloatArray, entries: Entries, delays: IntArray) -> None:
    """Make a column that `change_entries` may have changed equal to the one it was copied from again."""
    _restore(copy, column, entries.decided, entries.until, delays)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _restore(copy: FloatArray, column: FloatArray, decided: IntArray, until: IntArray, delays: IntArray) -> None:
    for i in range(decided.shape[0]):
        if delays[i] != 0:
            row, end = decided[i], max(until[i], decided[i] + delays[i]) + 1
            copy[row:end] = column[row:end]
