"""Trading metrics from trades and equity. Conventions and formulas: `docs/metrics.md`.

A metric that the sample cannot answer (no trades, no losses, zero variance) has the value None, never NaN or infinity;
a criterion on it is INCONCLUSIVE.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.backtesting.bootstrap import DailyIntervals, daily_intervals, rounding_noise, trade_intervals
from include.backtesting.daily_moves import daily_moves
from include.backtesting.equity import DailyEquity, ProfitCurve, daily_equity, largest_loss
from include.backtesting.intervals import Interval, always_valid_interval, wilson_interval
from include.backtesting.trades import Trades
from include.domain.bars import FloatArray
from include.domain.times import DAY_MS, DAYS_PER_YEAR, Timeframe
from include.qualification.criterion import Measurement

RUNNING_TRADES = 100
"""The running win rate is looked at once this many trades are closed (requirement S-1)."""
RECENT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Account:
    """What a run did, ready to be measured.

    `turnover` is the traded notional and `exposed_bars`/`bars` are summed over the symbols. `funding` (paid, quote
    currency) and `liquidations` are None where whoever ran it does not know them.
    """

    capital: float
    timeframe: Timeframe
    trades: Trades
    curve: ProfitCurve
    bars: int
    notional: float
    fees: float
    funding: float | None = None
    liquidations: int | None = None


def measure_trading(account: Account, *, seed: int = 0) -> Mapping[str, Measurement]:
    """Every trading metric of `qualification.metrics.METRICS`, with 95 % intervals where one is defined.

    Args:
        seed: of the bootstrap; the same run and seed give the same intervals.
    """
    daily = daily_equity(account.curve, account.capital)
    return {
        **_trade_metrics(account.trades, seed),
        **_equity_metrics(account, daily, daily_intervals(daily_moves(account.curve, account.capital), seed)),
        **_recent_metrics(account, daily_returns(daily, account.capital)),
    }


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
    return returns_of(daily.equity, capital)


def returns_of(equity: FloatArray, capital: float) -> FloatArray:
    """`daily_returns` of equity at the end of each day, shape (days,)."""
    equity = np.concatenate(([capital], equity))
    return equity[1:] / equity[:-1] - 1 if np.all(equity > 0) else np.empty(0)


def sharpe_ratio(returns: FloatArray) -> float | None:
    """Mean over sample standard deviation (ddof 1), annualised by sqrt(365); risk-free rate 0."""
    if len(returns) < 2:
        return None
    deviation = float(np.std(returns, ddof=1))
    if deviation <= rounding_noise(returns):
        return None
    return float(np.mean(returns)) / deviation * math.sqrt(DAYS_PER_YEAR)


def sortino_ratio(returns: FloatArray) -> float | None:
    """Mean over the root of the mean squared negative return (over all days), annualised; None without a loss."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(np.mean(returns)) / downside * math.sqrt(DAYS_PER_YEAR) if downside > 0 else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _bounded(value: float | None, interval: Interval | None, samples: int) -> Measurement:
    low, high = interval or (None, None)
    return Measurement(value, low, high, samples)


def _trade_metrics(trades: Trades, seed: int) -> dict[str, Measurement]:
    pnl, n = trades.pnl, len(trades)
    wins = int(np.count_nonzero(pnl > 0))
    rate, resampled = _ratio(wins, n), trade_intervals(pnl, seed)
    return {
        "trades": Measurement(n, samples=n),
        "win_rate": _bounded(rate, wilson_interval(wins, n), n),
        "win_rate_clustered": _bounded(rate, resampled.win_rate, n),
        "win_rate_always_valid": _bounded(rate, always_valid_interval(wins, n), n),
        "win_rate_throughout": Measurement(running_win_rate(pnl), samples=n),
        "profit_factor": _bounded(profit_factor(pnl), resampled.profit_factor, n),
        "expectancy": _bounded(_ratio(float(pnl.sum()), n), resampled.expectancy, n),
    }


def _equity_metrics(account: Account, daily: DailyEquity, intervals: DailyIntervals) -> dict[str, Measurement]:
    capital, profit = account.capital, account.curve.profit
    bars = len(profit)
    net = float(profit[-1]) if bars else None
    fraction = float(daily.drawdown.max()) if bars else None
    money = float(largest_loss(profit, capital)) if bars else None
    returns = daily_returns(daily, capital)
    days = len(returns)
    annual = _annual_return(account)
    mean = float(np.mean(returns)) if days else None
    return {
        "net_profit": Measurement(net, samples=bars),
        "total_return": Measurement(_ratio(net, capital), samples=bars),
        "annual_return": Measurement(annual, samples=days),
        "max_drawdown": _bounded(fraction, intervals.max_drawdown, bars),
        "sharpe": _bounded(sharpe_ratio(returns), intervals.sharpe, days),
        "sortino": _bounded(sortino_ratio(returns), intervals.sortino, days),
        "calmar": Measurement(_ratio(annual, fraction), samples=days),
        "recovery_factor": Measurement(_ratio(net, money), samples=bars),
        "exposure": Measurement(_ratio(account.curve.exposed_bars, account.bars), samples=account.bars),
        "turnover": Measurement(account.notional / capital, samples=len(account.trades)),
        "fees": Measurement(account.fees, samples=len(account.trades)),
        "funding": Measurement(account.funding, samples=len(account.trades)),
        "liquidations": Measurement(account.liquidations, samples=len(account.trades)),
        "daily_return_mean": _bounded(mean, intervals.mean, days),
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
