"""Trading metrics from trades and equity. Conventions and formulas: `docs/metrics.md`.

A metric that the sample cannot answer (no trades, no losses, zero variance) has the value None, never NaN or infinity;
a criterion on it is INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from include.backtesting.equity import DailyEquity, ProfitCurve, daily_equity, largest_loss
from include.backtesting.trades import Trades
from include.domain.bars import FloatArray
from include.domain.times import DAY_MS, Timeframe
from include.qualification.criterion import Measurement

DAYS_PER_YEAR = 365
RUNNING_TRADES = 100
"""The running win rate is looked at once this many trades are closed (requirement S-1)."""
Z_95 = 1.959963984540054
RECENT_DAYS = 30
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """What a run did, ready to be measured.

    `turnover` is the traded notional and `exposed_bars`/`bars` are summed over the symbols.
    """

    capital: float
    timeframe: Timeframe
    trades: Trades
    curve: ProfitCurve
    bars: int
    notional: float
    fees: float


class Interval(NamedTuple):
    low: float
    high: float


def measure_trading(account: Account, *, seed: int = 0) -> Mapping[str, Measurement]:
    """Every trading metric of `qualification.metrics.METRICS`, with 95 % intervals where one is defined.

    Args:
        seed: of the bootstrap; the same run and seed give the same intervals.
    """
    daily = daily_equity(account.curve, account.capital)
    return {
        **_trade_metrics(account.trades),
        **_equity_metrics(account, daily, seed),
        **_recent_metrics(account, daily_returns(daily, account.capital)),
    }


def wilson_interval(successes: int, n: int, z: float = Z_95) -> Interval | None:
    """Score interval of a proportion (Wilson 1927; Newcombe 1998, method 3); None without samples."""
    if n == 0:
        return None
    p, z2 = successes / n, z * z
    centre, half = p + z2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At 0 and 1 the bound is the proportion itself; rounding must not move it past.
    return Interval(min(p, (centre - half) / (1 + z2 / n)), max(p, (centre + half) / (1 + z2 / n)))


def running_win_rate(pnl: FloatArray) -> float | None:
    """Lowest share of wins so far, from the `RUNNING_TRADES`th closed trade on; None with fewer trades."""
    if len(pnl) < RUNNING_TRADES:
        return None
    counts = np.arange(1, len(pnl) + 1)
    return float(np.min((np.cumsum(pnl > 0) / counts)[RUNNING_TRADES - 1 :]))


def profit_factor(pnl: FloatArray) -> float | None:
    """Sum of wins over sum of losses; None without a loss."""
    return _ratio(float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum()))


def daily_returns(daily: DailyEquity, capital: float) -> FloatArray:
    """Simple returns from day to day, the first against the initial capital; empty once equity is not positive."""
    equity = np.concatenate(([capital], daily.equity))
    return equity[1:] / equity[:-1] - 1 if np.all(equity > 0) else np.empty(0)


def sharpe_ratio(returns: FloatArray) -> float | None:
    """Mean over sample standard deviation (ddof 1), annualised by sqrt(365); risk-free rate 0."""
    if len(returns) < 2:
        return None
    deviation = float(np.std(returns, ddof=1))
    return float(np.mean(returns)) / deviation * math.sqrt(DAYS_PER_YEAR) if deviation > _noise(returns) else None


def sortino_ratio(returns: FloatArray) -> float | None:
    """Mean over the root of the mean squared negative return (over all days), annualised; None without a loss."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(np.mean(returns)) / downside * math.sqrt(DAYS_PER_YEAR) if downside > 0 else None


def bootstrap_days(days: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows of a stationary bootstrap (Politis and Romano 1994), shape (resamples, days).

    Blocks have geometric lengths with mean days^(1/3) and wrap around the end, so clustered days stay together.
    """
    random = np.random.default_rng(seed)
    fresh = random.random((resamples, days)) < 1 / max(1.0, days ** (1 / 3))
    fresh[:, 0] = True
    starts = random.integers(0, days, (resamples, days))
    columns = np.broadcast_to(np.arange(days), (resamples, days))
    begun = np.maximum.accumulate(np.where(fresh, columns, 0), axis=1)  # where the block of each cell began
    return (np.take_along_axis(starts, begun, axis=1) + columns - begun) % days


def bootstrap_intervals(returns: FloatArray, seed: int) -> tuple[Interval | None, Interval | None]:
    """95 % percentile intervals of the Sharpe ratio and of the mean daily return."""
    if sharpe_ratio(returns) is None:
        return None, None
    sample = returns[bootstrap_days(len(returns), seed)]
    mean, deviation = sample.mean(axis=1), sample.std(axis=1, ddof=1)
    usable = deviation > _noise(returns)
    sharpe = mean[usable] / deviation[usable] * math.sqrt(DAYS_PER_YEAR)
    return _percentiles(sharpe) if usable.all() else None, _percentiles(mean)


def _percentiles(values: FloatArray) -> Interval:
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(float(low), float(high))


def _noise(returns: FloatArray) -> float:
    """Deviation below this is rounding of the float equity, not variance."""
    return 1e-12 * max(1.0, float(np.max(np.abs(returns))))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _bounded(value: float | None, interval: Interval | None, samples: int) -> Measurement:
    low, high = interval or (None, None)
    return Measurement(value, low, high, samples)


def _trade_metrics(trades: Trades) -> dict[str, Measurement]:
    pnl, n = trades.pnl, len(trades)
    wins = int(np.count_nonzero(pnl > 0))
    return {
        "trades": Measurement(n, samples=n),
        "win_rate": _bounded(_ratio(wins, n), wilson_interval(wins, n), n),
        "win_rate_throughout": Measurement(running_win_rate(pnl), samples=n),
        "profit_factor": Measurement(profit_factor(pnl), samples=n),
        "expectancy": Measurement(_ratio(float(pnl.sum()), n), samples=n),
    }


def _equity_metrics(account: Account, daily: DailyEquity, seed: int) -> dict[str, Measurement]:
    capital, profit = account.capital, account.curve.profit
    bars = len(profit)
    net = float(profit[-1]) if bars else None
    fraction = float(daily.drawdown.max()) if bars else None
    money = float(largest_loss(profit, capital)) if bars else None
    returns = daily_returns(daily, capital)
    sharpe_interval, mean_interval = bootstrap_intervals(returns, seed)
    days = len(returns)
    annual = _annual_return(account)
    mean = float(np.mean(returns)) if days else None
    return {
        "net_profit": Measurement(net, samples=bars),
        "total_return": Measurement(_ratio(net, capital), samples=bars),
        "annual_return": Measurement(annual, samples=days),
        "max_drawdown": Measurement(fraction, samples=bars),
        "sharpe": _bounded(sharpe_ratio(returns), sharpe_interval, days),
        "sortino": Measurement(sortino_ratio(returns), samples=days),
        "calmar": Measurement(_ratio(annual, fraction), samples=days),
        "recovery_factor": Measurement(_ratio(net, money), samples=bars),
        "exposure": Measurement(_ratio(account.curve.exposed_bars, account.bars), samples=account.bars),
        "turnover": Measurement(account.notional / capital, samples=len(account.trades)),
        "fees": Measurement(account.fees, samples=len(account.trades)),
        "daily_return_mean": _bounded(mean, mean_interval, days),
    }


def _recent_metrics(account: Account, returns: FloatArray) -> dict[str, Measurement]:
    """Metrics of the last 30 UTC days and of the last 100 trades; no value while the run is shorter than that."""
    trades, times = account.trades, account.curve.open_time
    days = min(len(returns), RECENT_DAYS)
    last = trades.pnl[-RUNNING_TRADES:]
    since = (int(times[-1]) // DAY_MS - RECENT_DAYS + 1) * DAY_MS if len(times) else 0
    recent = trades.pnl[trades.exit_ms >= since]
    whole = days == RECENT_DAYS
    wins = int(np.count_nonzero(last > 0))
    interval = wilson_interval(wins, len(last))
    return {
        "sharpe_30d": Measurement(sharpe_ratio(returns[-RECENT_DAYS:]) if whole else None, samples=days),
        "win_rate_100": _bounded(wins / RUNNING_TRADES if len(last) == RUNNING_TRADES else None, interval, len(last)),
        "profit_factor_30d": Measurement(profit_factor(recent) if whole else None, samples=len(recent)),
    }


def _annual_return(account: Account) -> float | None:
    """Compound growth over the exact span of the bars; total loss is -1, less than a day is not annualised."""
    times = account.curve.open_time
    if not len(times):
        return None
    days = (int(times[-1]) - int(times[0]) + account.timeframe.ms) / DAY_MS
    growth = 1 + float(account.curve.profit[-1]) / account.capital
    if days < 1:
        return None
    if growth <= 0:
        return -1.0
    exponent = DAYS_PER_YEAR / days * math.log(growth)
    return math.expm1(exponent) if exponent < 700 else None
