"""Metrics of a backtest against independent implementations: empyrical where it has one, plain loops elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from include.backtesting.equity import ProfitCurve
from include.backtesting.metrics import Account, measure_trading
from include.backtesting.trades import Trades
from include.domain.bars import FloatArray
from include.domain.times import DAY_MS, Timeframe
from include.qualification.metrics import METRICS
from include.validators.benchmark import regress_returns

CAPITAL = 800_000.0
DAY, HOUR = Timeframe(86_400), Timeframe(3_600)
TRADING = (
    "trades", "win_rate", "net_profit", "total_return", "annual_return", "max_drawdown", "sharpe", "sortino", "calmar",
    "profit_factor", "recovery_factor", "expectancy", "exposure", "turnover", "fees", "daily_return_mean",
)  # fmt: skip
"""What requirement B-1 lists, and the returns behind it."""


def drawn(seed: int, days: int = 400) -> FloatArray:
    """Daily returns with a drift, fat tails and spells of volatility."""
    random = np.random.default_rng(seed)
    level = np.exp(np.cumsum(random.normal(0, 0.15, days)) * 0.3)
    return np.clip(random.standard_t(4, days) * 0.008 * level + random.normal(0, 0.002), -0.5, 0.5)


def trades_of(pnl: FloatArray, exit_ms: FloatArray) -> Trades:
    n = len(pnl)
    times, ones, zeros = exit_ms.astype(np.int64), np.ones(n), np.zeros(n)
    return Trades(
        symbols=("X/USDT",), symbol=times * 0, entry_ms=times, exit_ms=times, side=ones.astype(np.int8), quantity=ones,
        entry_price=ones, exit_price=ones, fees=zeros, pnl=pnl, open_trades=0,
    )  # fmt: skip


def measured(seed: int) -> tuple[dict[str, float | None], FloatArray, FloatArray]:
    """Metrics, daily returns and trades' profits of an account whose bars are days."""
    returns = drawn(seed)
    profit = CAPITAL * (np.cumprod(1 + returns) - 1)
    pnl = np.random.default_rng(seed + 100).normal(40, 900, 700)
    times = np.arange(len(returns), dtype=np.int64) * DAY_MS
    trades = trades_of(pnl, np.sort(np.random.default_rng(seed).integers(0, times[-1], len(pnl))))
    account = Account(CAPITAL, DAY, trades, ProfitCurve(times, profit, 123), len(profit), notional=5e6, fees=321.5)
    return {name: found.value for name, found in measure_trading(account).items()}, returns, pnl


@pytest.mark.parametrize("seed", range(4))
def test_ratios_of_daily_returns_are_those_of_empyrical(seed: int) -> None:
    import empyrical

    found, returns, _ = measured(seed)
    assert found["sharpe"] == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365))
    assert found["sortino"] == pytest.approx(empyrical.sortino_ratio(returns, annualization=365))
    assert found["max_drawdown"] == pytest.approx(-empyrical.max_drawdown(returns))
    assert found["annual_return"] == pytest.approx(empyrical.annual_return(returns, annualization=365))
    assert found["calmar"] == pytest.approx(empyrical.calmar_ratio(returns, annualization=365))
    assert found["total_return"] == pytest.approx(empyrical.cum_returns_final(returns))
    assert found["daily_return_mean"] == pytest.approx(returns.mean())
    assert found["sharpe_30d"] == pytest.approx(empyrical.sharpe_ratio(returns[-30:], annualization=365))


@pytest.mark.parametrize("seed", range(4))
def test_regression_on_the_benchmark_is_that_of_empyrical(seed: int) -> None:
    import empyrical

    market = drawn(seed + 50)
    mine = 0.4 * market + drawn(seed)
    beta, alpha, correlation = regress_returns(mine, market)
    assert beta == pytest.approx(empyrical.beta(mine, market))
    # empyrical compounds the daily intercept; here it is multiplied, which is what a regression estimates.
    daily = alpha / 365 if alpha is not None else math.nan
    assert (1 + daily) ** 365 - 1 == pytest.approx(empyrical.alpha(mine, market, annualization=365))
    assert correlation == pytest.approx(np.corrcoef(mine, market)[0, 1])


@pytest.mark.parametrize("seed", range(4))
def test_trades_and_money_are_what_a_plain_loop_counts(seed: int) -> None:
    found, returns, pnl = measured(seed)
    wins = losses = 0.0
    won = 0
    for profit in pnl:
        won += profit > 0
        wins, losses = wins + max(profit, 0.0), losses - min(profit, 0.0)
    equity = peak = CAPITAL
    fall = 0.0
    for daily in returns:
        equity *= 1 + daily
        peak = max(peak, equity)
        fall = max(fall, peak - equity)
    assert found["trades"] == len(pnl) and found["win_rate"] == won / len(pnl)
    assert found["profit_factor"] == pytest.approx(wins / losses)
    assert found["expectancy"] == pytest.approx((wins - losses) / len(pnl))
    assert found["net_profit"] == pytest.approx(equity - CAPITAL)
    assert found["recovery_factor"] == pytest.approx((equity - CAPITAL) / fall)
    assert found["win_rate_100"] == sum(profit > 0 for profit in pnl[-100:]) / 100
    assert (found["exposure"], found["turnover"], found["fees"]) == (123 / 400, 5e6 / CAPITAL, 321.5)


def test_drawdown_within_a_day_counts_although_the_daily_closes_do_not_show_it() -> None:
    """What daily libraries miss: 100 up, 40 down and 40 up again within one day."""
    profit = np.zeros(72)
    profit[24:48] = np.concatenate((np.linspace(0, 100, 12), np.linspace(60, 100, 12)))
    profit[48:] = 100.0
    times = np.arange(72, dtype=np.int64) * HOUR.ms
    account = Account(1_000.0, HOUR, trades_of(np.empty(0), np.empty(0)), ProfitCurve(times, profit, 24), 72, 0.0, 0.0)
    found = measure_trading(account)
    assert found["max_drawdown"].value == pytest.approx(40 / 1_100)
    assert found["recovery_factor"].value == pytest.approx(100 / 40)


def test_every_metric_of_the_requirements_is_measured_and_described() -> None:
    found, _, _ = measured(0)
    assert {name for name in TRADING if found[name] is None} == set()
    assert all(METRICS[name].meaning and METRICS[name].unit for name in TRADING)
