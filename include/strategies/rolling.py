"""Rolling statistics that do not remember: each row is computed from its own window alone.

Running sums would carry rounding from row to row, so a decision over the last `warmup` bars would differ in the last
digit from the same decision over all of history, and digits decide trades. Here both are the same floats: every row
adds the same values in the same order, oldest first.
"""

from __future__ import annotations

import numba
import numpy as np

from include.domain.bars import FloatArray

_BLOCK = 1024
"""Rows worked on together, so that the inner loop runs over neighbours in the cache (four times faster)."""


@numba.njit(cache=True, nogil=True)
def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of the last `window` values, shape (n,); NaN for the first window - 1 rows."""
    n = values.shape[0]
    out = np.full(n, np.nan)
    for begin in range(window - 1, n, _BLOCK):
        rows = out[begin : begin + _BLOCK]
        rows[:] = 0.0
        for age in range(window - 1, -1, -1):
            old = values[begin - age : begin - age + rows.shape[0]]
            for i in range(rows.shape[0]):
                rows[i] += old[i]
        for i in range(rows.shape[0]):
            rows[i] /= window
    return out


@numba.njit(cache=True, nogil=True)
def rolling_deviation(values: FloatArray, mean: FloatArray, window: int) -> FloatArray:
    """Population standard deviation of the last `window` values about `mean` (two passes), shape (n,)."""
    n = values.shape[0]
    out = np.full(n, np.nan)
    for begin in range(window - 1, n, _BLOCK):
        rows, centre = out[begin : begin + _BLOCK], mean[begin : begin + _BLOCK]
        rows[:] = 0.0
        for age in range(window - 1, -1, -1):
            old = values[begin - age : begin - age + rows.shape[0]]
            for i in range(rows.shape[0]):
                rows[i] += (old[i] - centre[i]) * (old[i] - centre[i])
        for i in range(rows.shape[0]):
            rows[i] = np.sqrt(rows[i] / window)
    return out
