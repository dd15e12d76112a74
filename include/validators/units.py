"""Unit errors: prices or volumes that change by a power of ten from some row on, or in a stretch.

`price_exponents` and `volume_exponents` give for every row the power of ten by which it differs from the unit that most
rows are in; 0 everywhere for a series in one unit. Formulas are in `docs/data-quality.md`.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from include.domain.bars import FloatArray, IntArray
from include.validators.bar_rules import BoolArray, Rows

BLOCK_ROWS = 60
WINDOW_BLOCKS = 4
"""Volume is compared between the medians of four blocks of sixty traded rows on either side."""
SMALLEST_VOLUME_STEP = 2.5
"""Powers of ten: nearer to a thousandfold than to a hundredfold. Volume really rises a hundredfold within minutes, but
does not stay there for four hours of minutes; a thousandfold is what confusing a unit does."""


def price_exponents(rows: Rows, bad_ticks: BoolArray, max_jump: float) -> IntArray:
    """Powers of ten of the prices, shape (n,), int64.

    A step is a bar that opens *and* closes at a power of ten (not one) times the close before it, each within the
    largest allowed jump: a market that falls by nine tenths trades on the way down, a changed unit does not.

    Args:
        bad_ticks: rows that are left out; they take the exponent of the row before.
    """
    usable = np.flatnonzero(np.isfinite(rows.close) & (rows.close > 0) & (rows.open > 0) & ~bad_ticks)
    opened, closed = rows.open[usable], rows.close[usable]
    # Cheap before exact: hardly any bar opens beyond a factor of two.
    far = np.flatnonzero(np.abs(opened[1:] / closed[:-1] - 1.25) > 0.75) + 1
    by_close, by_open = (np.log10(price[far] / closed[far - 1]) for price in (closed, opened))
    power, tolerance = np.rint(by_close), np.log10(1 + max_jump)
    near = (np.abs(by_close - power) <= tolerance) & (np.abs(by_open - power) <= tolerance) & (power != 0)
    return _exponents(len(rows), usable[far[near]], power[near].astype(np.int64))


def volume_exponents(volume: FloatArray) -> IntArray:
    """Powers of ten of the volumes, shape (n,), int64; rows without volume are passed over.

    A step lies where the medians of log10 volume over `WINDOW_BLOCKS` blocks before and after differ by
    `SMALLEST_VOLUME_STEP` or more; its row is the one that best separates the two sides.
    """
    traded = np.flatnonzero(np.isfinite(volume) & (volume > 0))
    count = len(traded) // BLOCK_ROWS
    if count < 2 * WINDOW_BLOCKS:
        return np.zeros(len(volume), dtype=np.int64)
    logs = np.log10(volume[traded])
    blocks = np.median(logs[: count * BLOCK_ROWS].reshape(count, BLOCK_ROWS), axis=1)
    medians = np.median(sliding_window_view(blocks, WINDOW_BLOCKS), axis=1)
    change = medians[WINDOW_BLOCKS:] - medians[:-WINDOW_BLOCKS]
    rows, powers = [], []
    for boundary in _peaks(change):
        middle = (medians[boundary] + medians[boundary + WINDOW_BLOCKS]) / 2
        rows.append(traded[_split((logs > middle) == (change[boundary] > 0), int(boundary) + WINDOW_BLOCKS)])
        powers.append(int(np.rint(change[boundary])))
    return _exponents(len(volume), np.array(rows, dtype=np.int64), np.array(powers, dtype=np.int64))


def _peaks(change: FloatArray) -> IntArray:
    """Positions of the largest change of every group of neighbouring ones that are large and of one sign."""
    large = np.flatnonzero(np.abs(change) >= SMALLEST_VOLUME_STEP)
    if not len(large):
        return large
    new = (np.diff(large) > 1) | (np.sign(change[large[1:]]) != np.sign(change[large[:-1]]))
    groups = np.split(large, np.flatnonzero(new) + 1)
    return np.array([group[_middle_of_largest(np.abs(change[group]))] for group in groups], dtype=np.int64)


def _middle_of_largest(sizes: FloatArray) -> int:
    """Medians hardly change one block beside the step, so of several as good as the largest the middle one is meant."""
    best = np.flatnonzero(sizes >= sizes.max() - 0.5)
    return int(best[len(best) // 2])


def _split(after: BoolArray, block: int) -> int:
    """Row within two blocks of the start of `block` with fewest rows on the wrong side of it.

    Args:
        after: rows whose volume looks like the volume behind the step.
    """
    reach = WINDOW_BLOCKS // 2 * BLOCK_ROWS
    begin = block * BLOCK_ROWS - reach
    near = after[begin : begin + 2 * reach]
    wrong_before = np.concatenate([[0], np.cumsum(near)])
    wrong_after = np.count_nonzero(~near) - np.concatenate([[0], np.cumsum(~near)])
    return min(begin + int(np.argmin(wrong_before + wrong_after)), len(after) - 1)


def _exponents(count: int, at: IntArray, power: IntArray) -> IntArray:
    steps = np.zeros(count, dtype=np.int64)
    np.add.at(steps, at, power)
    if not len(at):
        return steps
    exponents = np.cumsum(steps)
    values, sizes = np.unique(exponents, return_counts=True)
    # The unit of most rows is taken as the right one.
    return np.asarray(exponents - values[np.argmax(sizes)], dtype=np.int64)
