"""Metrics against published and hand-worked numbers, and what they say when the sample cannot answer."""

import math
from dataclasses import replace

import numpy as np
import pytest

from include.backtesting.equity import ProfitCurve, daily_equity, falls, largest_loss, total_profit
from include.backtesting.metrics import (
    Account,
    measure_trading,
    running_win_rate,
    sharpe_ratio,
    sortino_ratio,
)
from include.backtesting.trades import Trades
from include.domain.times import DAY_MS, Timeframe
from include.qualification.metrics import METRICS

HOUR = Timeframe(3600)
DAY = Timeframe(86_400)


def trades_with(pnl: list[float]) -> Trades:
    n = len(pnl)
    whole, ones = np.arange(n, dtype=np.int64), np.ones(n)
    return Trades(
        ("X/USDT",), whole * 0, whole, whole, ones.astype(np.int8), ones, ones, ones, ones * 0, np.array(pnl), 0
    )


def account(profit: list[float], pnl: list[float], *, capital: float = 1000.0, timeframe: Timeframe = DAY) -> Account:
    times = np.arange(len(profit), dtype=np.int64) * timeframe.ms
    curve = ProfitCurve(times, np.array(profit, dtype=np.float64), 3)
    return Account(
        capital, timeframe, trades_with(pnl), curve, bars=max(1, len(profit)), notional=5000.0, fees=2.5,
        funding=-0.75, liquidations=1,
    )  # fmt: skip


def test_metrics_of_a_run_worked_out_by_hand() -> None:
    # Equity 1000 -> 1100 -> 990 -> 1089 -> 1197.9: returns +10 %, -10 %, +10 %, +10 %.
    m = measure_trading(account([100, -10, 89, 197.9], [100, -110, 99, 108.9]))
    returns = [0.1, -0.1, 0.1, 0.1]
    mean, deviation = 0.05, np.std(returns, ddof=1)
    assert m["sharpe"].value == pytest.approx(mean / deviation * math.sqrt(365))
    assert m["sortino"].value == pytest.approx(mean / math.sqrt(0.01 / 4) * math.sqrt(365))
    assert m["daily_return_mean"].value == pytest.approx(0.05)
    assert m["max_drawdown"].value == pytest.approx(0.1)
    assert m["net_profit"].value == pytest.approx(197.9)
    assert m["total_return"].value == pytest.approx(0.1979)
    assert m["annual_return"].value == pytest.approx(1.1979 ** (365 / 4) - 1)
    assert m["recovery_factor"].value == pytest.approx(197.9 / 110)
    assert m["calmar"].value == pytest.approx((1.1979 ** (365 / 4) - 1) / 0.1)
    assert m["win_rate"].value == pytest.approx(0.75)
    assert m["profit_factor"].value == pytest.approx(307.9 / 110)
    assert m["expectancy"].value == pytest.approx(197.9 / 4)
    assert m["exposure"].value == pytest.approx(3 / 4)
    assert m["turnover"].value == pytest.approx(5.0)
    assert m["fees"].value == pytest.approx(2.5)
    assert m["trades"].value == 4


def test_every_trading_metric_is_a_known_name() -> None:
    assert set(measure_trading(account([1.0], [1.0]))) <= set(METRICS)


RATES = {"win_rate", "win_rate_clustered", "win_rate_always_valid"}
EDGES = {
    "no trades": (([0.0, 0.0, 0.0], []), RATES | {"profit_factor", "expectancy", "sharpe", "sortino", "calmar",
                  "recovery_factor", "win_rate_throughout"}),
    "one winning trade": (([0.0, 5.0, 5.0], [5.0]), {"profit_factor", "sortino", "calmar", "recovery_factor",
                          "win_rate_throughout"}),
    "all losses": (([-5.0, -10.0, -20.0], [-5.0, -5.0, -10.0]), {"win_rate_throughout"}),
    "a single day": (([5.0], [5.0]), {"sharpe", "sortino", "profit_factor", "calmar", "recovery_factor",
                     "win_rate_throughout"}),
    "equity below zero": (([-500.0, -1500.0, -1200.0], [-1500.0, 300.0]), {"sharpe", "sortino", "daily_return_mean",
                          "win_rate_throughout"}),
    "no bars": (([], []), {"net_profit", "total_return", "annual_return", "max_drawdown", "sharpe", "sortino",
                "calmar", "recovery_factor", "daily_return_mean", *RATES, "profit_factor", "expectancy",
                "win_rate_throughout"}),
}  # fmt: skip


RECENT = {"sharpe_30d", "win_rate_100", "profit_factor_30d"}
"""All the cases are shorter than the windows of these."""


@pytest.mark.parametrize("name", EDGES)
def test_what_the_sample_cannot_answer_is_none_and_everything_else_is_finite(name: str) -> None:
    (profit, pnl), unanswered = EDGES[name]
    m = measure_trading(account(profit, pnl))
    assert {metric for metric, found in m.items() if found.value is None} == unanswered | RECENT
    for found in m.values():
        assert all(math.isfinite(v) for v in (found.value, found.low, found.high) if v is not None)


def test_funding_and_liquidations_are_measured_where_they_are_known_and_have_no_value_where_they_are_not() -> None:
    known = account([1.0], [1.0])
    m = measure_trading(known)
    assert (m["funding"].value, m["liquidations"].value) == (-0.75, 1)
    m = measure_trading(replace(known, funding=None, liquidations=None))
    assert (m["funding"].value, m["liquidations"].value) == (None, None)


def test_ratios_and_drawdown_have_intervals_around_them_once_there_are_enough_days_and_trades() -> None:
    pnl = np.random.default_rng(4).normal(4, 10, 300)
    m = measure_trading(account(np.cumsum(pnl).tolist(), pnl.tolist()), seed=1)
    bounded = ("sharpe", "sortino", "daily_return_mean", "profit_factor", "expectancy", *RATES)
    for found in (m[name] for name in bounded):
        assert found.low is not None and found.value is not None and found.high is not None
        assert found.low < found.value < found.high
    drawdown = m["max_drawdown"]
    assert drawdown.low is not None and drawdown.high is not None and 0 < drawdown.low < drawdown.high < 1


def test_recent_metrics_look_at_the_last_thirty_days_and_hundred_trades() -> None:
    daily_profit = np.concatenate((np.full(20, -10.0), np.tile([5.0, 1.0], 15)))
    whole = account(np.cumsum(daily_profit).tolist(), daily_profit.tolist())
    days = np.arange(50, dtype=np.int64) * DAY_MS
    m = measure_trading(replace(whole, trades=replace(whole.trades, entry_ms=days, exit_ms=days)))
    equity = 1000 + np.cumsum(daily_profit)
    returns = equity[20:] / equity[19:-1] - 1
    assert m["sharpe_30d"].value == pytest.approx(sharpe_ratio(returns))
    assert m["sharpe_30d"].samples == 30
    assert m["profit_factor_30d"].value is None and m["profit_factor_30d"].samples == 30  # no loss among them
    late = replace(whole.trades, entry_ms=days, exit_ms=days, pnl=np.where(np.arange(50) == 20, -2.0, daily_profit))
    assert measure_trading(replace(whole, trades=late))["profit_factor_30d"].value == pytest.approx((15 * 6 - 5) / 2)


def test_the_win_rate_of_the_last_hundred_trades_forgets_the_ones_before() -> None:
    pnl = [-1.0] * 100 + [1.0] * 60 + [-1.0] * 40
    assert measure_trading(account([1.0, 2.0], pnl))["win_rate_100"].value == 0.6
    assert measure_trading(account([1.0, 2.0], pnl[-99:]))["win_rate_100"].value is None


def test_a_loss_of_everything_is_a_yearly_return_of_minus_one() -> None:
    assert measure_trading(account([-500.0, -1500.0], [-1500.0]))["annual_return"].value == -1.0


def test_a_trade_of_zero_profit_is_no_win() -> None:
    m = measure_trading(account([0.0, 5.0], [0.0, 5.0]))
    assert m["win_rate"].value == 0.5


def test_the_running_win_rate_counts_from_the_hundredth_trade() -> None:
    assert running_win_rate(np.ones(99)) is None
    assert running_win_rate(np.array([-1.0] * 10 + [1.0] * 90)) == pytest.approx(0.9)
    late = np.array([1.0] * 100 + [-1.0] * 10 + [1.0] * 100)
    assert running_win_rate(late) == pytest.approx(100 / 110)


def test_constant_returns_have_no_ratio_whatever_the_rounding() -> None:
    assert sharpe_ratio(np.full(50, 0.1) + np.linspace(0, 1e-16, 50)) is None
    assert sortino_ratio(np.full(50, 0.1)) is None


def test_days_are_utc_days_and_missing_days_keep_the_last_equity() -> None:
    times = np.array([0, 23, 24, 96, 97], dtype=np.int64) * HOUR.ms
    daily = daily_equity(ProfitCurve(times, np.array([1.0, 2.0, -3.0, 8.0, 7.0]), 0), 10.0)
    assert (daily.day_ms // DAY_MS).tolist() == [0, 1, 2, 3, 4]
    assert daily.equity.tolist() == [12.0, 7.0, 7.0, 7.0, 17.0]
    assert daily.drawdown == pytest.approx([0, 5 / 12, 5 / 12, 5 / 12, 1 / 18])


def test_drawdown_starts_from_the_capital_and_money_and_fraction_have_their_own_maxima() -> None:
    profit = np.array([-50.0, 900.0, 800.0])
    assert falls(profit, 100.0).max() == pytest.approx(0.5)
    assert largest_loss(profit, 100.0) == pytest.approx(100.0)


def test_symbols_on_different_bars_are_summed_on_the_union_of_their_times() -> None:
    a = ProfitCurve(np.array([0, 2, 4], dtype=np.int64), np.array([1.0, 2.0, 3.0]), 2)
    b = ProfitCurve(np.array([1, 2, 5], dtype=np.int64), np.array([10.0, 20.0, 30.0]), 1)
    total = total_profit(total_profit(None, a), b)
    assert total.open_time.tolist() == [0, 1, 2, 4, 5]
    assert total.profit.tolist() == [1.0, 11.0, 22.0, 23.0, 33.0]
    assert total.exposed_bars == 3
