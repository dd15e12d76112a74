"""Rolling statistics that do not remember: each row is computed from its own window alone.

Running sums would carry rounding from row to row, so a decision over the last `warmup` bars would differ in the last
digit from the same decision over all of history, and digits decide trades. Here both are the same floats: every row
adds the same values in the same order, oldest first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar

import numba
import numpy as np

from include.domain.bars import FloatArray

_BLOCK = 512
"""Rows worked on together, so that the inner loop runs over neighbours in the cache (four times faster)."""


class SharedStatistics:
    """Rolling statistics of a few arrays, each computed once while many parameter points ask for them again.

    In use only where a sweep puts it into effect with `share_statistics`, for arrays that nobody writes to meanwhile.
    When `most_bytes` are full the newest gives way, not the oldest: a grid asks for its windows in turn, and the oldest
    is the one that it wants next. Answers are copies, which the caller may change.
    """

    def __init__(self, arrays: Iterable[FloatArray], most_bytes: int) -> None:
        self._arrays = {id(array): array for array in arrays}  # referenced, so that no id is given away
        self._room = most_bytes
        self._known: dict[tuple[str, int, int], FloatArray] = {}
        self._lock = threading.Lock()

    def mean(self, values: FloatArray, window: int) -> FloatArray:
        """`rolling_mean`."""
        return self._answer(("mean", id(values), window), lambda: _mean(values, window))

    def deviation(self, values: FloatArray, mean: FloatArray, window: int) -> FloatArray:
        """`rolling_deviation`; shared only about the rolling mean itself, since a caller may pass another centre."""
        centre = self._known.get(("mean", id(values), window))
        if centre is None or not np.array_equal(centre[window - 1 :], mean[window - 1 :]):
            return _deviation(values, mean, window)
        return self._answer(("deviation", id(values), window), lambda: _deviation(values, mean, window))

    def _answer(self, key: tuple[str, int, int], compute: Callable[[], FloatArray]) -> FloatArray:
        known = self._known.get(key)
        if known is not None:
            return known.copy()
        found = compute()
        if key[1] in self._arrays:
            kept = found.copy()
            with self._lock:
                self._keep(key, kept)
        return found

    def _keep(self, key: tuple[str, int, int], kept: FloatArray) -> None:
        if key in self._known:  # another thread was faster
            return
        while self._room < kept.nbytes and self._known:
            self._room += self._known.popitem()[1].nbytes
        if self._room >= kept.nbytes:
            self._room -= kept.nbytes
            self._known[key] = kept


_shared: ContextVar[SharedStatistics | None] = ContextVar("shared rolling statistics", default=None)


def share_statistics(shared: SharedStatistics | None) -> None:
    """Let rolling statistics be answered from here in the calling thread (context) from now on; None ends it."""
    _shared.set(shared)


def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of the last `window` values, shape (n,); NaN for the first window - 1 rows."""
    shared = _shared.get()
    return _mean(values, window) if shared is None else shared.mean(values, window)


def rolling_deviation(values: FloatArray, mean: FloatArray, window: int) -> FloatArray:
    """Population standard deviation of the last `window` values about `mean` (two passes), shape (n,)."""
    shared = _shared.get()
    return _deviation(values, mean, window) if shared is None else shared.deviation(values, mean, window)


def _mean(values: FloatArray, window: int) -> FloatArray:
    out = _unknown(len(values), window)
    _add_values(values, window, out)
    return out


def _deviation(values: FloatArray, mean: FloatArray, window: int) -> FloatArray:
    out = _unknown(len(values), window)
    _add_squares(values, mean, window, out)
    return out


def _unknown(rows: int, window: int) -> FloatArray:
    """Rows to be filled, NaN where the window does not fit. numpy's large arrays take few page faults, numba's many."""
    out = np.empty(rows)
    out[: window - 1] = np.nan
    return out


@numba.njit(cache=True, nogil=True)
def _add_values(values: FloatArray, window: int, out: FloatArray) -> None:
    """Eight ages at a time: the sums are loaded and stored once for eight additions, whose order stays."""
    for begin in range(window - 1, values.shape[0], _BLOCK):
        rows = out[begin : begin + _BLOCK]
        size = rows.shape[0]
        rows[:] = 0.0
        age = window - 1
        while age >= 7:
            v = values[begin - age : begin - age + size + 7]
            for i in range(size):
                rows[i] = rows[i] + v[i] + v[i + 1] + v[i + 2] + v[i + 3] + v[i + 4] + v[i + 5] + v[i + 6] + v[i + 7]
            age -= 8
        while age >= 0:
            v = values[begin - age : begin - age + size]
            for i in range(size):
                rows[i] += v[i]
            age -= 1
        for i in range(size):
            rows[i] /= window


@numba.njit(cache=True, nogil=True)
def _add_squares(values: FloatArray, mean: FloatArray, window: int, out: FloatArray) -> None:
    for begin in range(window - 1, values.shape[0], _BLOCK):
        rows, centre = out[begin : begin + _BLOCK], mean[begin : begin + _BLOCK]
        size = rows.shape[0]
        rows[:] = 0.0
        age = window - 1
        while age >= 3:
            v = values[begin - age : begin - age + size + 3]
            for i in range(size):
                a, b, c, d = v[i] - centre[i], v[i + 1] - centre[i], v[i + 2] - centre[i], v[i + 3] - centre[i]
                rows[i] = rows[i] + a * a + b * b + c * c + d * d
            age -= 4
        while age >= 0:
            v = values[begin - age : begin - age + size]
            for i in range(size):
                rows[i] += (v[i] - centre[i]) * (v[i] - centre[i])
            age -= 1
        for i in range(size):
            rows[i] = np.sqrt(rows[i] / window)
