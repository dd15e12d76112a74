"""The stationary bootstrap against the arch package, against the metrics it resamples, and against known truths."""

import math

import numpy as np
import pytest

from include.backtesting.bootstrap import (
    DailyIntervals,
    TradeIntervals,
    block_length,
    daily_intervals,
    draw_rows,
    mean_and_deviation,
    optimal_block_length,
    trade_intervals,
    walk_days,
)
from include.backtesting.daily_moves import DailyMoves, daily_moves
from include.backtesting.equity import ProfitCurve, daily_equity, falls
from include.backtesting.metrics import daily_returns, sharpe_ratio
from include.domain.times import DAY_MS


def autoregressive(n: int, rho: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.01, n)
    for i in range(1, n):
        noise[i] += rho * noise[i - 1]
    return noise


@pytest.mark.parametrize("n", [12, 30, 365, 1826])
@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.95])
def test_block_lengths_are_those_of_the_arch_package(n: int, rho: float) -> None:
    reference = pytest.importorskip("arch.bootstrap").optimal_block_length
    for seed in range(3):
        values = autoregressive(n, rho, seed)
        theirs = float(reference(values)["stationary"].iloc[0])
        assert optimal_block_length(values) == pytest.approx(max(1.0, theirs), rel=1e-9)


def test_the_bootstrap_distribution_is_that_of_the_arch_package() -> None:
    reference = pytest.importorskip("arch.bootstrap")
    returns = 0.001 + autoregressive(500, 0.4, 1)
    block = round(block_length(returns))
    resamples = reference.StationaryBootstrap(block, returns, seed=np.random.default_rng(2)).bootstrap(4000)
    theirs = np.percentile([sharpe_ratio(data[0]) for data, _ in resamples], (2.5, 97.5))
    ours = daily_intervals(DailyMoves.of_returns(returns), seed=3, resamples=4000).sharpe
    assert ours == pytest.approx(theirs, abs=0.06 * (theirs[1] - theirs[0]))


@pytest.mark.parametrize("values", [np.full(100, 0.1), np.zeros(100), np.arange(5.0), np.empty(0)])
def test_without_variance_or_values_blocks_are_single_rows(values: np.ndarray) -> None:
    assert block_length(values) == 1.0


def test_blocks_are_at_most_a_third_of_the_rows() -> None:
    assert block_length(np.arange(60.0)) <= 20


def test_blocks_are_longer_where_only_the_volatility_clusters() -> None:
    random = np.random.default_rng(1)
    volatility = np.repeat([0.002, 0.03], 250)
    assert block_length(random.normal(0, volatility)) > 3 * block_length(random.normal(0, 0.01, 500))


def test_rows_are_stretches_of_following_days_in_a_circle() -> None:
    rows = np.empty(50_000, np.int64)
    draw_rows(np.random.default_rng(3), rows, 1000, 10.0)
    follows = np.diff(rows) % 1000 == 1
    assert rows.min() == 0 and rows.max() == 999
    assert follows.mean() == pytest.approx(1 - 1 / 10, abs=0.01)
    begun = rows[1:][~follows]  # where a block starts, every row is as likely
    assert np.histogram(begun, bins=10, range=(0, 1000))[0] == pytest.approx(len(begun) / 10, rel=0.15)


def test_days_in_the_order_they_came_give_the_metrics_of_the_run() -> None:
    """Bar-level drawdown exactly, although only four numbers a day are kept."""
    random = np.random.default_rng(6)
    times = np.sort(random.choice(24 * 40, 500, replace=False)).astype(np.int64) * (DAY_MS // 24)
    curve = ProfitCurve(times, np.cumsum(random.normal(0, 20, 500)), 0)
    moves, wealth = daily_moves(curve, 1000.0), np.empty(40)
    rows = np.arange(len(moves))
    deepest = walk_days(moves.low, moves.high, moves.fall, moves.close, rows, wealth[: len(moves)])
    returns = daily_returns(daily_equity(curve, 1000.0), 1000.0)
    assert deepest == pytest.approx(falls(curve.profit, 1000.0).max())
    assert moves.close == pytest.approx(returns)
    assert wealth[len(moves) - 1] == pytest.approx(1 + curve.profit[-1] / 1000)
    mean, deviation = mean_and_deviation(moves.close, rows)
    assert mean / deviation * math.sqrt(365) == pytest.approx(sharpe_ratio(returns))


def test_equity_at_zero_leaves_no_moves_to_resample() -> None:
    curve = ProfitCurve(np.arange(3, dtype=np.int64) * DAY_MS, np.array([0.0, -1000.0, 5.0]), 0)
    assert len(daily_moves(curve, 1000.0)) == 0
    assert len(daily_moves(ProfitCurve(np.empty(0, np.int64), np.empty(0), 0), 1000.0)) == 0


def test_intervals_are_seeded_and_cover_the_estimate() -> None:
    returns = np.random.default_rng(5).normal(0.002, 0.01, 400)
    moves = DailyMoves.of_returns(returns)
    found = daily_intervals(moves, seed=1)
    assert found == daily_intervals(moves, seed=1)
    assert found != daily_intervals(moves, seed=2)
    assert found.sharpe is not None and found.mean is not None
    assert found.sharpe.low < sharpe_ratio(returns) < found.sharpe.high  # type: ignore[operator]
    # The interval of a mean of independent draws is close to the textbook one.
    error = 1.96 * returns.std(ddof=1) / math.sqrt(400)
    assert found.mean.low == pytest.approx(returns.mean() - error, abs=0.25 * error)


def test_trades_that_cluster_have_a_wider_interval_than_independent_ones() -> None:
    random = np.random.default_rng(9)
    streaks = np.repeat(np.where(random.random(60) < 0.8, 1.0, -1.0), 20)
    together, apart = trade_intervals(streaks, 1).win_rate, trade_intervals(random.permutation(streaks), 1).win_rate
    assert together is not None and apart is not None
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_what_some_resample_cannot_answer_has_no_interval() -> None:
    wins = trade_intervals(np.full(50, 3.0), 1)
    assert wins.profit_factor is None and wins.win_rate == (1.0, 1.0) and wins.expectancy == (3.0, 3.0)
    rare = trade_intervals(np.array([-1.0] + [1.0] * 30), 1)
    assert rare.profit_factor is None and rare.win_rate is not None
    days = daily_intervals(DailyMoves.of_returns(np.full(50, 0.01)), 1)
    assert days.sharpe is None and days.sortino is None
    assert days.mean == pytest.approx((0.01, 0.01)) and days.max_drawdown == (0.0, 0.0)


def test_too_few_days_or_trades_have_no_interval() -> None:
    few = np.array([1.0, -1.0, 2.0])
    assert daily_intervals(DailyMoves.of_returns(few / 100), 1) == DailyIntervals(None, None, None, None)
    assert trade_intervals(few, 1) == TradeIntervals(None, None, None)
