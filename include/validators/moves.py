"""Prices that move too far: real jumps told from bad ticks (`docs/data-quality.md` gives the rule and its limits).

A bad tick is a price far away from everything around it: with `level` the median and `noise` the largest deviation of
the logs of the five closes before and the five after, it lies further than the largest allowed jump from `level` and at
least `ISOLATION` times as far as `noise`. A market that really fell is unsettled around its low; a misprint is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.validators.bar_rules import BoolArray, Rows

NEIGHBOURS = 5
"""Closes on either side that say where the price was and where it came back to."""
FEWEST_NEIGHBOURS = 3
"""With fewer on one side nothing shows that the price came back: the move counts as a jump."""
LONGEST_TICK = 3
"""Bars that a bad tick may last; what stays longer is a jump."""
ISOLATION = 5.0
"""How many times further than any neighbour a bad tick lies. Ten closes of a quiet market deviate by up to about two
of its standard deviations, so this asks for ten."""
CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Ticks:
    """Bad ticks: rows `first` to `last` (exclusive), the level around them and the farthest price; shapes (k,)."""

    first: IntArray
    last: IntArray
    level: FloatArray
    price: FloatArray

    def mask(self, count: int) -> BoolArray:
        """Rows that belong to one."""
        out = np.zeros(count, dtype=np.bool_)
        for a, b in zip(self.first, self.last, strict=True):
            out[a:b] = True
        return out


def jumps(close: FloatArray) -> FloatArray:
    """Relative move of each close from the last usable close before it, shape (n,); 0 where there is none.

    Closes that are not finite and positive are skipped on both sides: they break rules of their own.
    """
    moves = np.zeros(close.shape[0], dtype=np.float64)
    usable = _usable(close)
    moves[usable[1:]] = close[usable[1:]] / close[usable[:-1]] - 1.0
    return moves


def tell_moves(rows: Rows, moves: FloatArray, max_jump: float) -> tuple[BoolArray, Ticks]:
    """Rows whose close jumped and stayed, and the bad ticks; a move into or out of a bad tick is no jump.

    Args:
        moves: of `jumps`.
        max_jump: largest allowed relative move between closes.
    """
    usable = _usable(rows.close)
    log_close, far = np.log(rows.close[usable]), np.abs(moves[usable]) > max_jump
    jumped = np.abs(moves) > max_jump
    first, bars, level, noise = _excursions(log_close, np.flatnonzero(far), np.log1p(max_jump))
    for n in range(LONGEST_TICK + 1):
        # Into it, within it, and out of it with the first close after it.
        jumped[usable[first[bars >= n] + n]] = False
    begin, end = usable[first], usable[first + bars - 1] + 1
    after = np.minimum(end, len(rows) - 1)
    carried = _away(rows.open[after], level, noise, np.log1p(max_jump)) & (end < len(rows))
    closes = Ticks(begin, end + carried, np.exp(level), rows.close[begin])
    return jumped, _joined(closes, _spikes(rows, usable, log_close, closes, max_jump))


def _excursions(
    log_close: FloatArray, candidates: IntArray, limit: float
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """First position, bars, level and noise of closes that leave and come back; candidates are moves too far."""
    found = []
    for n in range(1, LONGEST_TICK + 1):
        level, noise = _surroundings(log_close, candidates, n)
        inside = candidates[:, None] + np.arange(n)
        away = np.abs(log_close[np.minimum(inside, len(log_close) - 1)] - level[:, None]).min(axis=1, initial=np.inf)
        hit = (away > limit) & (away >= ISOLATION * noise)
        found.append((candidates[hit], np.full(np.count_nonzero(hit), n), level[hit], noise[hit]))
        taken = np.concatenate([candidates[hit] + i for i in range(n + 1)])
        candidates = candidates[~np.isin(candidates, taken)]
    first, bars, level, noise = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(first, kind="stable")
    return first[order], bars[order], level[order], noise[order]


def _surroundings(log_close: FloatArray, at: IntArray, bars: int) -> tuple[FloatArray, FloatArray]:
    """Median and largest deviation of the closes around `bars` rows from `at`; NaN with too few on one side."""
    level, noise = np.full(len(at), np.nan), np.full(len(at), np.nan)
    offsets = np.concatenate([np.arange(-NEIGHBOURS, 0), np.arange(bars, bars + NEIGHBOURS)])
    for begin in range(0, len(at), CHUNK):
        around = at[begin : begin + CHUNK, None] + offsets
        there = (around >= 0) & (around < len(log_close))
        enough = (there[:, :NEIGHBOURS].sum(axis=1) >= FEWEST_NEIGHBOURS) & (
            there[:, NEIGHBOURS:].sum(axis=1) >= FEWEST_NEIGHBOURS
        )
        values = np.where(there, log_close[np.clip(around, 0, len(log_close) - 1)], np.nan)[enough]
        if len(values):
            middle = np.nanmedian(values, axis=1)
            level[begin : begin + CHUNK][enough] = middle
            noise[begin : begin + CHUNK][enough] = np.nanmax(np.abs(values - middle[:, None]), axis=1)
    return level, noise


def _spikes(rows: Rows, usable: IntArray, log_close: FloatArray, closes: Ticks, max_jump: float) -> Ticks:
    """Bars whose high or low is a bad tick that neither open nor close follows."""
    upper, lower = np.maximum(rows.open, rows.close), np.minimum(rows.open, rows.close)
    wide = (rows.high > upper * (1 + max_jump)) | (rows.low * (1 + max_jump) < lower)
    wide &= (rows.low > 0) & np.isfinite(rows.high) & ~closes.mask(len(rows))
    at = np.flatnonzero(wide[usable])
    row, limit = usable[at], float(np.log1p(max_jump))
    level, noise = _surroundings(log_close, at, 1)
    up, down = np.log(rows.high[row]) - level, level - np.log(rows.low[row])
    hit = _away(np.where(up > down, rows.high[row], rows.low[row]), level, noise, limit)
    for price in (rows.open[row], rows.close[row]):
        hit &= np.abs(np.log(np.where(price > 0, price, np.inf)) - level) <= limit
    row, level, up, down = row[hit], level[hit], up[hit], down[hit]
    return Ticks(row, row + 1, np.exp(level), np.where(up > down, rows.high[row], rows.low[row]))


def _away(price: FloatArray, level: FloatArray, noise: FloatArray, limit: float) -> BoolArray:
    """Prices that are isolated from their surroundings; false for prices that are not positive."""
    distance = np.abs(np.log(np.where(price > 0, price, np.nan)) - level)
    return np.asarray((distance > limit) & (distance >= ISOLATION * noise))


def _joined(a: Ticks, b: Ticks) -> Ticks:
    order = np.argsort(np.concatenate([a.first, b.first]), kind="stable")
    return Ticks(
        np.concatenate([a.first, b.first])[order], np.concatenate([a.last, b.last])[order],
        np.concatenate([a.level, b.level])[order], np.concatenate([a.price, b.price])[order],
    )  # fmt: skip


def _usable(close: FloatArray) -> IntArray:
    return np.flatnonzero(np.isfinite(close) & (close > 0)).astype(np.int64)
