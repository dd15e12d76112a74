"""A plain moving-average trend follower."""

from __future__ import annotations

import numba
import numpy as np

from include.domain.bars import Bars, FloatArray, Signals
from include.strategies.rolling import rolling_mean

TIE = 1e-9
"""Averages closer than this share of the price are equal: floats of equal averages differ by about 1e-13."""


class MovingAverageTrend:
    """Long while the fast average is above the slow one, short while it is below; never flat after the first cross.

    Equal averages are no cross: the side before the tie is kept, and a cross counts on the first bar on which the
    averages differ again. There is no stop; the opposite cross reverses the position.

    Args:
        fast, slow: bars of the two averages, fast < slow.
        weight: share of the symbol's allocation used for an entry.

    Raises:
        ValueError: a parameter outside its range.
    """

    def __init__(self, *, fast: int, slow: int, weight: float) -> None:
        if not 1 <= fast < slow:
            raise ValueError("fast must be at least 1 bar and below slow")
        if not 0 < weight <= 1:
            raise ValueError("weight must be above 0 and at most 1")
        self.warmup = slow
        self._fast, self._weight = fast, weight

    def signals(self, bars: Bars) -> Signals:
        """Signals for each row; the first `warmup` - 1 have no opinion."""
        target = np.empty(len(bars))
        _follow(rolling_mean(bars.close, self._fast), rolling_mean(bars.close, self.warmup), target)
        nowhere = np.full(len(bars), np.nan)
        return Signals(target, np.full(len(bars), self._weight), stop=nowhere, take_profit=nowhere)


@numba.njit(cache=True, nogil=True)
def _follow(fast: FloatArray, slow: FloatArray, target: FloatArray) -> None:
    """Fill `target` row by row; rows whose slow average is NaN compare false and get no opinion."""
    for t in range(target.shape[0]):
        gap = fast[t] - slow[t]
        target[t] = np.sign(gap) if abs(gap) > TIE * slow[t] else np.nan
