"""Equity at every bar's close, open profit included, summed over symbols on the union of their time grids."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from include.backtesting.fills import Fills
from include.domain.bars import Bars, FloatArray, IntArray
from include.domain.times import DAY_MS


@dataclass(frozen=True, slots=True)
class ProfitCurve:
    """Net profit of one symbol (cash flow less fees and funding plus value of the position) after each bar's close.

    Attributes:
        open_time: shape (n,), open times of the bars, epoch milliseconds UTC.
        profit: shape (n,), quote currency; starts from zero.
        exposed_bars: bars that closed with an open position.
    """

    open_time: IntArray
    profit: FloatArray
    exposed_bars: int


@dataclass(frozen=True, slots=True)
class DailyEquity:
    """Equity at the end of each UTC calendar day from the first bar's day to the last one's, without holes.

    Attributes:
        day_ms: shape (d,), midnight that begins the day, epoch milliseconds UTC.
        equity: shape (d,), quote currency; a day without bars keeps the equity of the day before.
        drawdown: shape (d,), deepest fall below the peak so far at any bar of the day, as a fraction of that peak;
            a day without bars keeps the last bar's.
    """

    day_ms: IntArray
    equity: FloatArray
    drawdown: FloatArray


def profit_curve(bars: Bars, fills: Fills) -> ProfitCurve:
    """Value one symbol's fills at every close. Fills must lie on these bars."""
    bar, lots, flow = _flows(fills)
    lot_num, lot_den = fills.instrument.lot_size.as_integer_ratio()
    profit, exposed = _accumulate(bars.close, bar, lots, flow, lot_num / lot_den)
    return ProfitCurve(bars.open_time, profit, exposed)


def profit_at(bars: Bars, fills: Fills, rows: IntArray) -> FloatArray:
    """`profit_curve` at some rows only, to the last digit, without a pass over all bars.

    Args:
        rows: shape (k,), not decreasing; -1 for a time before the first bar, where nothing is gained yet.
    """
    bar, lots, flow = _flows(fills)
    lot_num, lot_den = fills.instrument.lot_size.as_integer_ratio()
    profit: FloatArray = _value_at(bars.close, bar, lots, flow, lot_num / lot_den, rows)
    return profit


def _flows(fills: Fills) -> tuple[IntArray, IntArray, FloatArray]:
    """Everything that moves money, in order: row of the bar, lots bought (signed), money paid."""
    bar, lots = fills.bar_index, fills.side * fills.lots
    flow = fills.side * fills.quantity * fills.price + fills.fee
    if not len(fills.funding_index):
        return bar, lots, flow
    order = np.argsort(np.concatenate((fills.funding_index, bar)), kind="stable")  # funding before fills of its bar
    return (
        np.concatenate((fills.funding_index, bar))[order],
        np.concatenate((np.zeros_like(fills.funding_index), lots))[order],
        np.concatenate((fills.funding_paid, flow))[order],
    )


def total_profit(total: ProfitCurve | None, part: ProfitCurve) -> ProfitCurve:
    """Add one symbol to a running sum; where grids differ, each symbol keeps its last profit in between.

    Adding one after the other keeps only two curves in memory, whatever the number of symbols.
    """
    if total is None:
        return part
    exposed = total.exposed_bars + part.exposed_bars
    if np.array_equal(total.open_time, part.open_time):
        return ProfitCurve(total.open_time, total.profit + part.profit, exposed)
    grid = np.union1d(total.open_time, part.open_time)
    return ProfitCurve(grid, _held(total, grid) + _held(part, grid), exposed)


def daily_equity(curve: ProfitCurve, capital: float) -> DailyEquity:
    """Last equity and deepest drawdown of every UTC day."""
    days = curve.open_time // DAY_MS
    if not len(days):
        return DailyEquity(days, np.empty(0), np.empty(0))
    first = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
    last = np.append(first[1:], len(days)) - 1
    fall = falls(curve.profit, capital)
    grid = np.arange(days[0], days[-1] + 1)
    row = np.searchsorted(days[last], grid, side="right") - 1
    empty = days[last][row] != grid
    deepest = np.where(empty, fall[last][row], np.maximum.reduceat(fall, first)[row])
    return DailyEquity(grid * DAY_MS, capital + curve.profit[last][row], deepest)


@numba.njit(cache=True, nogil=True)
def falls(profit: FloatArray, capital: float) -> FloatArray:
    """Fall of equity below its peak so far at every bar, as a fraction of that peak, shape (n,).

    The initial capital is the first peak, so a loss from the very start counts.
    """
    out = np.empty(profit.shape[0])
    peak = capital
    for i in range(profit.shape[0]):
        peak = max(peak, capital + profit[i])
        out[i] = (peak - capital - profit[i]) / peak
    return out


@numba.njit(cache=True, nogil=True)
def largest_loss(profit: FloatArray, capital: float) -> float:
    """Largest fall of equity from a peak in money; not always the one that is largest as a fraction."""
    peak, loss = capital, 0.0
    for i in range(profit.shape[0]):
        peak = max(peak, capital + profit[i])
        loss = max(loss, peak - capital - profit[i])
    return loss


def _held(curve: ProfitCurve, grid: IntArray) -> FloatArray:
    """The curve on a finer grid: last known value, zero before the first."""
    rows = np.searchsorted(curve.open_time, grid, side="right") - 1
    return np.where(rows >= 0, curve.profit[np.maximum(rows, 0)], 0.0)


@numba.njit(cache=True, nogil=True)
def _accumulate(
    close: FloatArray, bar: IntArray, lots: IntArray, flow: FloatArray, lot: float
) -> tuple[FloatArray, int]:
    """Profit after each close, and the number of bars that closed with a position (whole lots, so exact)."""
    profit = np.empty(close.shape[0])
    position, paid, fill, exposed = 0, 0.0, 0, 0
    for t in range(close.shape[0]):
        while fill < bar.shape[0] and bar[fill] == t:
            position += lots[fill]
            paid += flow[fill]
            fill += 1
        profit[t] = position * lot * close[t] - paid
        exposed += position != 0
    return profit, exposed


@numba.njit(cache=True, nogil=True)
def _value_at(
    close: FloatArray, bar: IntArray, lots: IntArray, flow: FloatArray, lot: float, rows: IntArray
) -> FloatArray:
    """`_accumulate` at rows that do not decrease."""
    profit = np.zeros(rows.shape[0])
    position, paid, fill = 0, 0.0, 0
    for i in range(rows.shape[0]):
        while fill < bar.shape[0] and bar[fill] <= rows[i]:
            position += lots[fill]
            paid += flow[fill]
            fill += 1
        if rows[i] >= 0:
            profit[i] = position * lot * close[rows[i]] - paid
    return profit
