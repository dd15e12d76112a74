"""Laws of the statistics over random samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from include.backtesting.bootstrap import block_length, daily_intervals, trade_intervals
from include.backtesting.daily_moves import DailyMoves, daily_moves
from include.backtesting.equity import ProfitCurve, falls
from include.backtesting.intervals import always_valid_interval, wilson_interval
from include.domain.times import DAY_MS
from include.validators.cscv import Overfitting, TrialReturns, probability_of_overfitting
from include.validators.monte_carlo import DayBootstrap, TradeReshuffle, bootstrap_days, reshuffle_trades
from include.validators.samples import Unanswered
from include.validators.sharpe_inference import (
    MinimumLength,
    SharpeEstimate,
    Trials,
    deflated_sharpe,
    effective_trials,
    estimate_sharpe,
    expected_maximum,
    minimum_track_record,
    probabilistic_sharpe,
)

sharpes = st.floats(-0.5, 0.5)
counts = st.integers(20, 5000)
samples = arrays(np.float64, st.integers(20, 120), elements=st.floats(-0.2, 0.2))
anything = arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_nan=True, allow_infinity=True))


def psr(estimate: SharpeEstimate, benchmark: float = 0.0) -> float:
    found = probabilistic_sharpe(estimate, benchmark)
    assert not isinstance(found, Unanswered)
    return found.value


@given(st.lists(sharpes, min_size=2, max_size=2, unique=True), counts)
def test_the_probabilistic_sharpe_grows_with_the_sharpe_ratio(pair: list[float], n: int) -> None:
    low, high = sorted(pair)
    assert psr(SharpeEstimate(low, n)) <= psr(SharpeEstimate(high, n))


@given(sharpes, counts, st.integers(1, 1000))
def test_more_observations_make_it_surer_on_whichever_side_of_the_benchmark(s: float, n: int, more: int) -> None:
    few, many = psr(SharpeEstimate(s, n)), psr(SharpeEstimate(s, n + more))
    assert few <= many if s >= 0 else few >= many


@given(samples, st.floats(1, 1e5), st.floats(0, 0.1))
def test_trials_only_ever_take_away(returns: np.ndarray, trials: float, variance: float) -> None:
    estimate = estimate_sharpe(returns)
    assume(isinstance(estimate, SharpeEstimate))
    assert isinstance(estimate, SharpeEstimate)
    found = deflated_sharpe(estimate, Trials(trials, variance))
    if isinstance(found, Unanswered):
        return
    assert 0 <= found.value <= psr(estimate) <= 1
    assert found.benchmark >= 0


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_more_trials_raise_the_bar(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert expected_maximum(low) <= expected_maximum(high) + 1e-12
    assert 1 <= effective_trials(0.3, math.ceil(high)) <= math.ceil(high)


@given(st.floats(0.01, 0.5), counts)
def test_a_track_record_is_covered_exactly_when_the_probability_reaches_the_confidence(s: float, n: int) -> None:
    estimate = SharpeEstimate(s, n, -0.5, 5.0)
    needed = minimum_track_record(estimate, confidence=0.95)
    assert isinstance(needed, MinimumLength)
    assume(abs(needed.coverage - 1) > 1e-9)
    assert (needed.coverage > 1) == (psr(estimate) > 0.95)


@given(anything)
@settings(max_examples=150, deadline=None)
def test_no_statistic_is_ever_nan(values: np.ndarray) -> None:
    estimate = estimate_sharpe(values)
    if isinstance(estimate, SharpeEstimate):
        found = probabilistic_sharpe(estimate)
        assert isinstance(found, Unanswered) or math.isfinite(found.value)
    for outcome in (
        reshuffle_trades(values, 1000.0, ruin_fraction=0.5, seed=1, paths=20),
        bootstrap_days(DailyMoves.of_returns(values), drawdown_limit=0.2, seed=1, paths=20),
    ):
        assert isinstance(outcome, Unanswered) or all(map(_sound, outcome.measurements().values()))


def _sound(measurement) -> bool:  # type: ignore[no-untyped-def]
    return all(math.isfinite(v) for v in (measurement.value, measurement.low, measurement.high))


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_for_every_look_holds_the_one_for_a_single_look(trades: tuple[int, int]) -> None:
    always, once = always_valid_interval(*trades), wilson_interval(*trades)
    assert always is not None and once is not None
    assert 0 <= always.low <= trades[0] / trades[1] <= always.high <= 1
    if trades[1] >= 100:  # Wilson's may reach further on the far side of a handful of trades
        assert always.low <= once.low + 1e-12 and once.high <= always.high + 1e-12


@given(st.floats(-0.05, 0.05), st.integers(30, 200))
@settings(max_examples=25, deadline=None)
def test_constant_returns_have_intervals_without_width(value: float, days: int) -> None:
    moves = DailyMoves.of_returns(np.full(days, value))
    found = daily_intervals(moves, seed=1, resamples=50)
    assert found.mean is not None and found.max_drawdown is not None
    assert found.mean.low == found.mean.high == pytest.approx(value)
    assert found.max_drawdown.low == found.max_drawdown.high
    assert found.sharpe is None
    paths = bootstrap_days(moves, drawdown_limit=0.2, seed=1, paths=50)
    assert isinstance(paths, DayBootstrap)
    assert np.ptp(list(paths.wealth.quantiles.values())) == pytest.approx(0, abs=1e-12)
    assert paths.wealth.realised_percentile == paths.drawdown.realised_percentile == 0.5


@given(samples, st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_resampled_rates_stay_within_what_was_seen(values: np.ndarray, seed: int) -> None:
    found = trade_intervals(values, seed, resamples=50)
    assert found.win_rate is not None and found.expectancy is not None
    assert 0 <= found.win_rate.low <= found.win_rate.high <= 1
    assert values.min() - 1e-12 <= found.expectancy.low <= found.expectancy.high <= values.max() + 1e-12
    assert 1 <= block_length(values) <= math.ceil(len(values) / 3)


@given(arrays(np.float64, st.integers(30, 150), elements=st.floats(-50, 50)), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_reshuffling_leaves_the_total_and_bounds_the_drawdown(pnl: np.ndarray, seed: int) -> None:
    found = reshuffle_trades(pnl, 10_000.0, ruin_fraction=0.5, seed=seed, paths=50)
    assert isinstance(found, TradeReshuffle)
    assert found.fan.levels[:, -1] == pytest.approx(1 + pnl.sum() / 10_000)
    # All losses first is the worst order there is.
    worst = float(falls(np.cumsum(np.sort(pnl)), 10_000.0).max())
    assert found.drawdown.quantiles[0.99] <= worst + 1e-12
    assert 0 <= found.drawdown.realised_percentile <= 1
    assert list(found.drawdown.quantiles.values()) == sorted(found.drawdown.quantiles.values())


@given(
    arrays(np.float64, st.integers(1, 80), elements=st.floats(-40, 40)),
    st.lists(st.integers(1, 30), min_size=1, max_size=80),
)
@settings(deadline=None)
def test_four_numbers_a_day_know_the_bar_level_drawdown(steps: np.ndarray, hours: list[int]) -> None:
    """Of the days in their own order; any other order is one the same rule walks."""
    times = np.cumsum(np.resize(np.array(hours, dtype=np.int64), len(steps))) * (DAY_MS // 24)
    curve = ProfitCurve(times, np.cumsum(steps), 0)
    moves = daily_moves(curve, 10_000.0)
    deepest, now, peak = 0.0, 1.0, 1.0
    for close, low, high, fall in zip(moves.close, moves.low, moves.high, moves.fall, strict=True):
        deepest = max(deepest, fall, 1 - now * (1 + low) / peak)
        peak, now = max(peak, now * (1 + high)), now * (1 + close)
    assert deepest == pytest.approx(float(falls(curve.profit, 10_000.0).max()), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=25, deadline=None)
def test_scale_does_not_change_who_is_overfit_and_a_dominating_trial_never_is(seed: int, count: int) -> None:
    returns = np.random.default_rng(seed).normal(0, 0.01, (80, count))
    days, names = np.arange(80, dtype=np.int64) * DAY_MS, tuple(map(str, range(count)))
    found, scaled = (
        probability_of_overfitting(TrialReturns(days, names, matrix), 8) for matrix in (returns, 10 * returns)
    )
    assert isinstance(found, Overfitting) and isinstance(scaled, Overfitting)
    assert scaled.logits == pytest.approx(found.logits)
    better = returns.copy()
    better[:, 0] = np.abs(returns).max(axis=1) + 0.05
    best = probability_of_overfitting(TrialReturns(days, names, better), 8)
    assert isinstance(best, Overfitting) and best.probability == 0.0
