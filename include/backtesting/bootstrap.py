"""Stationary bootstrap (Politis and Romano 1994) of daily moves and of trades, with 95 % percentile intervals.

Blocks of geometric length that wrap around the end keep clustered days and trades together. Rows are drawn and used one
resample at a time, so memory does not grow with the number of resamples. `docs/statistics.md` has formulas and limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from include.backtesting.daily_moves import DailyMoves
from include.backtesting.intervals import Interval, percentile_interval
from include.domain.bars import FloatArray, IntArray
from include.domain.times import DAYS_PER_YEAR

RESAMPLES = 1000
MIN_SAMPLES = 10
"""Below this a resample is mostly copies of a few rows, and its spread says little."""


@dataclass(frozen=True, slots=True)
class DailyIntervals:
    """None where some resample has no value (no variance, no losing day)."""

    sharpe: Interval | None
    sortino: Interval | None
    mean: Interval | None
    max_drawdown: Interval | None


@dataclass(frozen=True, slots=True)
class TradeIntervals:
    """None where some resample has no value (no losing trade)."""

    win_rate: Interval | None
    profit_factor: Interval | None
    expectancy: Interval | None


def daily_intervals(moves: DailyMoves, seed: int, resamples: int = RESAMPLES) -> DailyIntervals:
    """Intervals of the annualised Sharpe and Sortino ratios, the mean daily return and the bar-level drawdown."""
    if len(moves) < MIN_SAMPLES:
        return DailyIntervals(None, None, None, None)
    random = np.random.default_rng(seed)
    noise = rounding_noise(moves.close)
    found = _resample_days(
        random, moves.close, moves.low, moves.high, moves.fall, block_length(moves.close), resamples, noise
    )
    found[:2] *= math.sqrt(DAYS_PER_YEAR)
    return DailyIntervals(*(_interval(row) for row in found))


def trade_intervals(pnl: FloatArray, seed: int, resamples: int = RESAMPLES) -> TradeIntervals:
    """Intervals of win rate, profit factor and mean profit, for trades in order of exit, shape (k,).

    Unlike Wilson's interval they hold when wins and losses come in clusters. Blocks have a mean length of k^(1/3) or
    more: the rate that theory asks for, also where the sample happens to show no dependence.
    """
    if len(pnl) < MIN_SAMPLES:
        return TradeIntervals(None, None, None)
    block = max(len(pnl) ** (1 / 3), block_length(pnl), optimal_block_length((pnl > 0).astype(np.float64)))
    columns = np.array([pnl > 0, pnl < 0, np.maximum(pnl, 0.0), np.maximum(-pnl, 0.0)], dtype=np.float64)
    # Any block, around the end too, is then the difference of two columns: work grows with blocks, not with trades.
    sums = np.cumsum(np.hstack([np.zeros((4, 1)), columns, columns]), axis=1)
    found = _resample_trades(np.random.default_rng(seed), np.ascontiguousarray(sums.T), block, resamples)
    return TradeIntervals(*(_interval(row) for row in found))


def block_length(values: FloatArray) -> float:
    """Mean block length for values and their squares (volatility clusters where values do not), at least 1."""
    scaled = _scaled(values)
    return (
        max(optimal_block_length(values), optimal_block_length((scaled - scaled.mean()) ** 2)) if len(values) else 1.0
    )


def optimal_block_length(values: FloatArray) -> float:
    """Mean block length of the stationary bootstrap that estimates the variance of a mean best, at least 1.

    Politis and White (2004) with the correction of Patton, Politis and White (2009); the numbers are those of
    `arch.bootstrap.optimal_block_length`, bounded by min(3 sqrt(n), n/3) like there. Importing arch takes three seconds
    (statsmodels, matplotlib), so it serves the tests only. Without variance, or with under `MIN_SAMPLES` values: 1.
    """
    n = len(values)
    scaled = _scaled(values)
    if n < MIN_SAMPLES or float(np.ptp(values)) <= 2 * rounding_noise(values):
        return 1.0
    deviations = scaled - scaled.mean()
    run = max(5, int(math.log10(n)))  # so many small autocorrelations in a row end the search
    longest = min(math.ceil(math.sqrt(n)) + run, n - 2)
    squares = np.cumsum(deviations**2)
    covariance: list[float] = []
    in_a_row, needed = 0, longest
    while len(covariance) <= needed:  # mostly a few lags of hundreds, each a pass over all values
        lag = len(covariance)
        covariance.append(float(deviations[lag:] @ deviations[: n - lag]) / n)
        # Each lag is scaled by the values that take part; the reference leaves one more out on either side.
        scale = math.sqrt((squares[-1] - squares[lag]) * squares[n - lag - 2])
        small = abs(covariance[lag]) * n < 2 * math.sqrt(math.log10(n) / n) * scale
        in_a_row = in_a_row + 1 if small else 0
        if in_a_row == run and needed == longest and lag < longest:
            needed = min(2 * max(lag + 1 - run, 1), longest)
    k = np.arange(1, needed + 1)
    weighted = 2 * np.minimum(1.0, 2 * (1 - k / needed)) * np.array(covariance[1 : needed + 1])
    variance = float(covariance[0] + weighted.sum())
    if variance == 0:
        return 1.0
    length = math.cbrt((float(k @ weighted) / variance) ** 2 * n)
    return min(max(1.0, length), math.ceil(min(3 * math.sqrt(n), n / 3)))


def _scaled(values: FloatArray) -> FloatArray:
    """Divided by the largest: block lengths do not depend on scale, squares of squares overflow."""
    largest = float(np.max(np.abs(values))) if len(values) else 0.0
    return values / largest if largest > 0 else values


def rounding_noise(returns: FloatArray) -> float:
    """Deviation below this is rounding of the float equity, not variance."""
    return 1e-12 * max(1.0, float(np.max(np.abs(returns)))) if len(returns) else 1e-12


@numba.njit(cache=True, nogil=True)
def draw_rows(random: np.random.Generator, rows: IntArray, n: int, block: float) -> None:
    """Fill `rows` with one resample of n rows: blocks of mean length `block`, in a circle."""
    row = int(random.random() * n)
    for i in range(rows.shape[0]):
        rows[i] = row
        chance = random.random() * block
        # Where a block ends (chance below 1), chance is itself uniform between 0 and 1 and says where the next begins.
        row = int(chance * n) if chance < 1 else (row + 1 if row + 1 < n else 0)


@numba.njit(cache=True, nogil=True)
def mean_and_deviation(values: FloatArray, rows: IntArray) -> tuple[float, float]:
    """Mean and sample standard deviation (ddof 1) of the chosen rows."""
    total = 0.0
    for row in rows:
        total += values[row]
    mean, squares = total / rows.shape[0], 0.0
    for row in rows:
        squares += (values[row] - mean) ** 2
    return mean, math.sqrt(squares / (rows.shape[0] - 1))


@numba.njit(cache=True, nogil=True)
def walk_days(
    low: FloatArray, high: FloatArray, fall: FloatArray, close: FloatArray, rows: IntArray, wealth: FloatArray
) -> float:
    """Compound the chosen days from 1 into `wealth` (after each day); returns the deepest fall, bar by bar."""
    now, peak, deepest = 1.0, 1.0, 0.0
    for i in range(rows.shape[0]):
        day = rows[i]
        deepest = max(deepest, fall[day], 1 - now * (1 + low[day]) / peak)
        peak = max(peak, now * (1 + high[day]))
        now *= 1 + close[day]
        wealth[i] = now
    return deepest


@numba.njit(cache=True, nogil=True)
def _resample_days(
    random: np.random.Generator, close: FloatArray, low: FloatArray, high: FloatArray, fall: FloatArray,
    block: float, resamples: int, noise: float,
) -> FloatArray:  # fmt: skip
    n = close.shape[0]
    rows, wealth, found = np.empty(n, np.int64), np.empty(n), np.full((4, resamples), np.nan)
    for k in range(resamples):
        draw_rows(random, rows, n, block)
        mean, deviation = mean_and_deviation(close, rows)
        squares = 0.0
        for row in rows:
            squares += min(close[row], 0.0) ** 2
        if deviation > noise:
            found[0, k] = mean / deviation
        if squares > 0:
            found[1, k] = mean / math.sqrt(squares / n)
        found[2, k] = mean
        found[3, k] = walk_days(low, high, fall, close, rows, wealth)
    return found


@numba.njit(cache=True, nogil=True)
def _resample_trades(random: np.random.Generator, sums: FloatArray, block: float, resamples: int) -> FloatArray:
    """Win rate, profit factor and mean profit of each resample, shape (3, resamples).

    `sums` has shape (2n + 1, 4): running sums of wins, losses, profit and loss of the trades, twice over.
    """
    n, found = (sums.shape[0] - 1) // 2, np.full((3, resamples), np.nan)
    ending, total = math.log1p(-1 / block), np.empty(4)
    for k in range(resamples):
        total[:] = 0.0
        filled = 0
        while filled < n:
            first = int(random.random() * n)
            length = min(n - filled, 1 + int(math.log1p(-random.random()) / ending))  # geometric
            total += sums[first + length] - sums[first]
            filled += length
        found[0, k] = total[0] / n
        if total[1] > 0 and total[3] > 0:
            found[1, k] = total[2] / total[3]
        found[2, k] = (total[2] - total[3]) / n
    return found


def _interval(values: FloatArray) -> Interval | None:
    return percentile_interval(values) if np.isfinite(values).all() else None
