"""Buy and hold of the same symbols with the same capital: what doing nothing would have earned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from include.backtesting.equity import DailyEquity
from include.backtesting.metrics import daily_returns, sharpe_ratio
from include.backtesting.portfolio import Market, PortfolioRun, run_portfolio
from include.domain.bars import Bars, FloatArray, Signals
from include.domain.times import from_ms, iso
from include.qualification.criterion import Measurement


class BuyAndHold:
    """Long from the first bar on, never out; trades by the same fill rule and at the same costs as any strategy."""

    warmup = 1

    def signals(self, bars: Bars) -> Signals:
        nowhere = np.full(len(bars), np.nan)
        return Signals(np.ones(len(bars)), np.ones(len(bars)), nowhere, nowhere)


@dataclass(frozen=True, slots=True)
class BenchmarkStudy:
    """The candidate beside buy and hold, on daily returns of the same days.

    Attributes:
        total_return, sharpe, max_drawdown: of buy and hold; Sharpe is None without variance.
        beta: slope of the candidate's returns on the benchmark's (ordinary least squares).
        alpha_annual: intercept times 365.
        correlation: of daily returns; None without variance on either side.
        excess_sharpe: Sharpe ratio of the difference of daily returns (information ratio).
    """

    capital: float
    total_return: float
    sharpe: float | None
    max_drawdown: float
    beta: float | None
    alpha_annual: float | None
    correlation: float | None
    excess_sharpe: float | None
    daily: DailyEquity

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        days = len(self.daily.day_ms)
        return {
            "excess_sharpe": Measurement(self.excess_sharpe, samples=days),
            "benchmark_beta": Measurement(self.beta, samples=days),
            "benchmark_correlation": Measurement(self.correlation, samples=days),
        }

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report; equity as a multiple of the capital."""
        return {
            "total_return": self.total_return, "sharpe": self.sharpe, "max_drawdown": self.max_drawdown,
            "beta": self.beta, "alpha_annual": self.alpha_annual, "correlation": self.correlation,
            "excess_sharpe": self.excess_sharpe,
            "equity": {
                "day": [iso(from_ms(int(day)))[:10] for day in self.daily.day_ms],
                "value": (self.daily.equity / self.capital).round(6).tolist(),
            },
        }  # fmt: skip


def compare_with_holding(market: Market, capital: Decimal, own: PortfolioRun) -> BenchmarkStudy:
    """Hold every symbol of the market from its first bar to its last with an equal share of the capital.

    Without leverage, whatever the candidate's: held with borrowed money it would be liquidated and easily beaten.
    """
    held = run_portfolio(BuyAndHold(), market.with_instruments(lambda one: replace(one, leverage=1)), capital)
    returns, mine = daily_returns(held.daily, float(capital)), own.returns
    beta, alpha, correlation = regress_returns(mine, returns) if len(mine) == len(returns) else (None, None, None)
    excess = sharpe_ratio(mine - returns) if len(mine) == len(returns) else None
    return BenchmarkStudy(
        capital=float(capital), total_return=float(held.curve.profit[-1]) / float(capital),
        sharpe=sharpe_ratio(returns), max_drawdown=float(held.daily.drawdown.max()), beta=beta, alpha_annual=alpha,
        correlation=correlation, excess_sharpe=excess, daily=held.daily,
    )  # fmt: skip


def regress_returns(mine: FloatArray, benchmark: FloatArray) -> tuple[float | None, float | None, float | None]:
    """Slope, intercept times 365 and correlation; None without variance."""
    if len(mine) < 3 or float(np.std(benchmark)) == 0.0:
        return None, None, None
    slope = float(np.cov(mine, benchmark, ddof=1)[0, 1] / np.var(benchmark, ddof=1))
    intercept = float(np.mean(mine) - slope * np.mean(benchmark)) * 365
    if float(np.std(mine)) == 0.0:
        return slope, intercept, None
    return slope, intercept, float(np.corrcoef(mine, benchmark)[0, 1])
