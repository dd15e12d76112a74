"""Built-in strategies: what they ask for, at ties too, and that a window decides as all of history does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from include.config.files import find_candidate, shipped
from include.domain.bars import Bars, FloatArray, Signals
from include.domain.errors import ConfigurationError
from include.strategies.mean_reversion import MeanReversionScalper
from include.strategies.protocol import StrategyError, checked_signals, load_strategy
from include.strategies.rolling import rolling_deviation, rolling_mean
from include.strategies.trend import MovingAverageTrend
from tests.adapters.memory_market import MINUTE, random_bars

BARS = random_bars("X/USDT", datetime(2024, 1, 1, tzinfo=UTC), 3_000, seed=7)
SCALPER = MappingProxyType(
    {
        "window": 20, "entry_sigma": 2.0, "min_deviation_bps": 20.0, "take_profit_fraction": 0.5, "stop_bps": 200.0,
        "exit_sigma": 0.1, "weight": 0.5,
    }
)  # fmt: skip


def bars_of(closes: list[float]) -> Bars:
    close = np.array(closes)
    times = np.arange(len(close), dtype=np.int64) * MINUTE.ms
    return Bars("X/USDT", MINUTE, times, close, close, close, close, np.ones(len(close)))


@pytest.mark.parametrize("window", [2, 7, 45, 2_000])
def test_rolling_statistics_are_right_and_the_same_from_any_start(window: int) -> None:
    close = BARS.close
    mean = rolling_mean(close, window)
    deviation = rolling_deviation(close, mean, window)
    assert np.isnan(mean[: window - 1]).all() and np.isnan(deviation[: window - 1]).all()
    for row in (window - 1, 2_048, 2_999):
        cut = close[row + 1 - window : row + 1]
        assert mean[row] == pytest.approx(cut.mean(), rel=1e-12)
        assert deviation[row] == pytest.approx(cut.std(), rel=1e-9)
        assert rolling_mean(cut, window)[-1] == mean[row]  # the same float, not a close one
        for start in (max(0, row - window - 300), row + 1 - window):
            tail = close[start : row + 1]
            assert rolling_deviation(tail, rolling_mean(tail, window), window)[-1] == deviation[row]


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_rolling_statistics_of_fewer_rows_than_the_window_are_unknown(rows: int) -> None:
    mean = rolling_mean(np.ones(rows), 5)
    assert mean.shape == (rows,) and np.isnan(mean).all()
    assert np.isnan(rolling_deviation(np.ones(rows), mean, 5)).all()


def test_the_scalper_fades_a_dislocation_with_its_levels_on_the_right_sides() -> None:
    quiet = [100.0, 100.1] * 10
    for jump, side in ((-2.0, 1.0), (2.0, -1.0)):
        close = 100.05 + jump
        signals = MeanReversionScalper(**SCALPER).signals(bars_of([*quiet, close]))
        assert signals.target[-1] == side
        assert side * signals.take_profit[-1] > side * close > side * signals.stop[-1]
        assert abs(signals.take_profit[-1] - close) < abs(jump)
        assert signals.stop[-1] == pytest.approx(close * (1 - side * 0.02))


def test_the_scalper_leaves_small_deviations_alone_and_gives_up_at_the_mean() -> None:
    strategy = MeanReversionScalper(**SCALPER)
    small = strategy.signals(bars_of([100.0] * 19 + [100.01, 100.1]))
    assert np.isnan(small.target[-1]) and np.isnan(small.stop[-1])  # 2 sigma away, but below the minimum deviation
    assert strategy.signals(bars_of([99.0, 101.0] * 10 + [100.0])).target[-1] == 0.0
    assert np.isnan(strategy.signals(bars_of([100.0] * 19)).target).all()  # shorter than its warm-up


def test_a_cross_counts_when_the_averages_differ_and_a_tie_keeps_the_side_before() -> None:
    strategy = MovingAverageTrend(fast=1, slow=2, weight=1.0)
    target = strategy.signals(bars_of([10, 11, 11, 11, 10, 10, 12])).target
    assert np.isnan(target[0])
    assert target[1] == 1.0
    assert np.isnan(target[2:4]).all()  # equal averages: no opinion, so the side is kept
    assert target[4] == -1.0 and np.isnan(target[5]) and target[6] == 1.0


def test_averages_equal_in_decimals_but_not_in_floats_are_a_tie() -> None:
    closes = [0.1, 0.2, 0.3, 0.2, 0.1, 0.3] * 50
    strategy = MovingAverageTrend(fast=3, slow=6, weight=1.0)
    slow, fast = rolling_mean(np.array(closes), 6), rolling_mean(np.array(closes), 3)
    noise = (fast != slow) & (np.abs(fast - slow) < 1e-12)
    target = strategy.signals(bars_of(closes)).target
    assert np.isnan(target[np.abs(fast - slow) < 1e-12]).all()
    assert noise.any(), "the case holds no tie that floats get wrong"


@pytest.mark.parametrize("name", ["mean-reversion-scalper", "trend-follower"])
def test_shipped_candidates_load_and_decide_from_their_warm_up_alone(name: str) -> None:
    candidate = find_candidate(name)
    strategy = load_strategy(candidate.strategy, candidate.params)
    whole = checked_signals(strategy, BARS)
    for row in range(strategy.warmup - 1, len(BARS), 97):
        short = checked_signals(strategy, BARS.window(row + 1 - strategy.warmup, row + 1))
        for column in ("target", "weight", "stop", "take_profit"):
            assert np.array_equal(getattr(short, column)[-1:], getattr(whole, column)[row : row + 1], equal_nan=True)


def test_the_two_candidates_of_the_demo_are_shipped() -> None:
    assert {"mean-reversion-scalper", "trend-follower"} <= set(shipped("candidates"))


@pytest.mark.parametrize(
    ("name", "params", "reason"),
    [
        ("MeanReversionScalper", {**SCALPER, "window": 1}, "window"),
        ("MeanReversionScalper", {**SCALPER, "exit_sigma": 3.0}, "exit_sigma"),
        ("MeanReversionScalper", {**SCALPER, "weight": 0.0}, "weight"),
        ("MeanReversionScalper", {**SCALPER, "stop_bps": 10_000.0}, "stop_bps"),
        ("MeanReversionScalper", {**SCALPER, "surprise": 1}, "surprise"),
    ],
)
def test_wrong_parameters_are_refused_by_name(name: str, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_strategy(f"include.strategies.mean_reversion:{name}", params)


def test_fast_must_be_below_slow() -> None:
    with pytest.raises(ConfigurationError, match="fast"):
        load_strategy("include.strategies.trend:MovingAverageTrend", {"fast": 5, "slow": 5, "weight": 1.0})


class Odd:
    """Returns whatever it was given."""

    warmup = 1

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def signals(self, bars: Bars) -> Signals:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[no-any-return]


def row(target: float = 1.0, weight: float = 1.0, stop: float = np.nan, profit: float = np.nan) -> Signals:
    column = lambda value: np.array([np.nan, value])  # noqa: E731
    weights: FloatArray = np.array([1.0, weight])
    return Signals(column(target), weights, column(stop), column(profit))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ValueError("boom\nand more"), "raised ValueError: boom and more"),
        (None, "returned NoneType"),
        (Signals(*(np.ones(3),) * 4), "3 rows of signals for 2 bars"),
        (row(target=0.5), "target is not"),
        (row(target=np.inf), "target is not"),
        (row(weight=np.nan), "weight"),
        (row(weight=1.5), "weight"),
        (row(stop=np.inf), "stop"),
        (row(stop=-1.0), "stop"),
        (row(profit=0.0), "take_profit"),
        (replace(row(), trailing=np.array([np.nan, 0.0009])), "trailing is not from 0.001 to 0.1 at row 1"),
        (replace(row(), trailing=np.array([np.nan, 0.11])), "trailing"),
        (replace(row(), hold=np.array([np.nan, 0.0])), "hold is not a whole number of at least 1 at row 1"),
        (replace(row(), hold=np.array([np.nan, 2.5])), "hold"),
        (replace(row(), hold=np.array([np.nan, np.inf])), "hold"),
        (replace(row(), add=np.array([np.nan, 0.0])), "add is not above 0 and at most 1 at row 1"),
        (replace(row(), add=np.array([np.nan, 1.01])), "add"),
    ],
)
def test_signals_that_no_executor_could_obey_are_refused_with_the_reason(answer: Any, reason: str) -> None:
    with pytest.raises(StrategyError, match=reason):
        checked_signals(Odd(answer), bars_of([1.0, 2.0]))


def test_levels_and_weights_of_rows_without_an_entry_do_not_matter() -> None:
    signals = replace(row(target=0.0, weight=np.nan, stop=np.inf), hold=np.array([np.nan, -1.0]))
    assert checked_signals(Odd(signals), bars_of([1.0, 2.0])) is signals
