"""What both loops of the kernel share: their results, and the small steps of the rule in integers."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from include.backtesting.exact import PARTS, Scale, bankruptcy_ticks, half_even, liquidation_ticks, ticks_of
from include.backtesting.fills import LIQUIDATION, TAKE_PROFIT, ByteArray
from include.domain.bars import FloatArray, IntArray


class Funding(NamedTuple):
    """Rows at whose open funding is due, increasing, with the number of bars behind them as a sentinel; the rate of
    each in `RATE_STEP`s.
    """

    row: IntArray
    rate: IntArray


class Played(NamedTuple):
    """What a loop gives back.

    Attributes:
        fills: rows of (bar, side, lots, price in ticks, purpose).
        funding: rows of (bar, units held, rate in `RATE_STEP`s).
        exact: false where a sum did not fit; nothing of it may be used then.
    """

    fills: IntArray
    funding: IntArray
    exact: bool


class Columns(NamedTuple):
    """Bars and signals of one symbol; `trailing`, `hold` and `add` are empty where no row has one."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    target: FloatArray
    weight: FloatArray
    stop: FloatArray
    take_profit: FloatArray
    open_time: IntArray
    trailing: FloatArray
    hold: FloatArray
    add: FloatArray


class Bar(NamedTuple):
    """One bar in ticks."""

    row: int
    open: int
    high: int
    low: int
    close: int


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def bar_at(c: Columns, t: int, s: Scale) -> Bar:
    return Bar(t, ticks_of(c.open[t], s), ticks_of(c.high[t], s), ticks_of(c.low[t], s), ticks_of(c.close[t], s))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def columns_of(
    rows: IntArray, s: Scale
) -> tuple[ByteArray, IntArray, FloatArray, FloatArray, FloatArray, ByteArray]:  # fmt: skip
    """Side, lots, price, quantity, fee and purpose of the fills."""
    n = rows.shape[0]
    side, purpose, lots = np.empty(n, np.int8), np.empty(n, np.int8), np.empty(n, np.int64)
    price, quantity, fee = np.empty(n), np.empty(n), np.empty(n)
    position, entered, value = 0, 0, 0
    for i in range(n):
        side[i], lots[i], purpose[i] = rows[i, 1], rows[i, 2], rows[i, 4]
        price[i] = rows[i, 3] * s.tick_num / s.tick_den
        quantity[i] = rows[i, 2] * s.lot_num / s.lot_den
        fee[i] = quantity[i] * price[i] * (fee_rate(rows[i, 4], s) / PARTS)
        if rows[i, 4] == LIQUIDATION:  # at most what is left of the margin
            bankruptcy = bankruptcy_ticks(-rows[i, 1], half_even(value, entered), s)
            fee[i] = min(fee[i], quantity[i] * (abs(rows[i, 3] - bankruptcy) * s.tick_num / s.tick_den))
        if position == 0:
            entered, value = 0, 0
        if position * rows[i, 1] >= 0:
            entered, value = entered + rows[i, 2], value + rows[i, 2] * rows[i, 3]
        position += rows[i, 1] * rows[i, 2]
    return side, lots, price, quantity, fee, purpose


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def fee_rate(purpose: int, s: Scale) -> int:
    """In `RATE_STEP`s (rule 17)."""
    if purpose == TAKE_PROFIT:
        return s.maker
    return s.liquidation if purpose == LIQUIDATION else s.taker


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def with_room(rows: IntArray, count: int) -> IntArray:
    """The rows, doubled when what one bar can add might not fit."""
    return np.concatenate((rows, np.empty_like(rows))) if count + 8 > rows.shape[0] else rows


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def note(rows: IntArray, count: int, bar: int, side: int, lots: int, price: int, purpose: int) -> int:
    """Write a fill; the count with it."""
    rows[count, 0], rows[count, 1], rows[count, 2], rows[count, 3] = bar, side, lots, price
    rows[count, 4] = purpose
    return count + 1


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def last_row(open_time: IntArray, first: int, hold: float, bar_ms: int) -> int:
    """Row on whose close a position first filled at `first` has been held for `hold` bars' time; beyond the end where
    it never is, also for a `hold` of NaN.
    """
    n = int(open_time.shape[0])
    if np.isnan(hold):
        return n
    bars = min(int(np.rint(hold)), 2**62 // bar_ms - 1)
    end = open_time[first] + (bars - 1) * bar_ms
    low, high = first, min(first + bars - 1, n)  # bars come no closer than their length
    while low < high:
        middle = (low + high) // 2
        if open_time[middle] >= end:
            high = middle
        else:
            low = middle + 1
    return low


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def next_wish(target: FloatArray, t: int) -> int:
    """First row from `t` on whose target is a side."""
    while t < target.shape[0] and abs(target[t]) != 1.0:
        t += 1
    return t


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def bounds(sign: int, stop: int, profit: int, entry: int, s: Scale) -> tuple[float, float]:
    """While a bar stays strictly between these prices, nothing can be met; a tick wider than the levels are."""
    ruin = liquidation_ticks(sign, entry, s)
    if sign > 0:
        worst = max(stop, ruin)
        return (worst + 1) * s.tick if worst else -np.inf, (profit - 1) * s.tick if profit else np.inf
    worst = min(stop, ruin) if stop else ruin
    return (profit + 1) * s.tick if profit else -np.inf, (worst - 1) * s.tick
