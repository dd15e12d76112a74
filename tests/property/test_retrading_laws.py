"""Laws of the fast paths: to the last digit what the plain ones give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from include.backtesting.portfolio import Market, run_portfolio
from include.backtesting.retrading import Retrading
from include.backtesting.sweep import run_sweep
from include.domain.bars import Bars, FloatArray, Signals
from include.domain.errors import DataError
from include.strategies.protocol import StrategyError, checked_signals, first_broken_row, load_strategy
from include.strategies.rolling import SharedStatistics, rolling_deviation, rolling_mean, share_statistics
from include.validators.costs import scaled
from tests.hourly_market import HOUR, START, bars_of, instrument, market

NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
LEVELS = st.sampled_from([np.nan, 100.0, 0.0, -1.0, np.inf, -np.inf])


@dataclass(slots=True)
class Fickle:
    """Wishes that depend on the bar alone, dense enough that positions are open over holes and ends."""

    seed: int
    weight: float
    warmup: int = 3

    def signals(self, bars: Bars) -> Signals:
        random = np.random.default_rng(self.seed)
        n = len(bars)
        stop = np.where(random.random(n) < 0.3, bars.close * random.choice([0.98, 1.02], n), np.nan)
        take_profit = np.where(random.random(n) < 0.3, bars.close * random.choice([0.99, 1.01], n), np.nan)
        target = random.choice([1.0, -1.0, 0.0, np.nan], n, p=[0.1, 0.1, 0.1, 0.7])
        return Signals(target, np.full(n, self.weight), stop, take_profit)


@st.composite
def ragged_markets(draw: st.DrawFn) -> Market:
    """Symbols that begin and end at different hours and have holes of hours and days."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    swing = draw(st.sampled_from([0.004, 0.2]))  # the larger one uses up accounts
    histories = []
    for name in NAMES[: draw(st.integers(1, 3))]:
        hours = draw(st.integers(30, 240))
        begin = START + int(random.integers(-20, 48)) * HOUR.delta
        bars = bars_of(100 * np.exp(np.cumsum(swing * random.standard_normal(hours))).clip(1e-2, 1e4), name, begin)
        kept = np.ones(hours, dtype=np.bool_)
        first = int(random.integers(1, hours))
        kept[first : first + draw(st.sampled_from([0, 1, 30, 100]))] = False
        kept[-1] = True
        histories.append(_rows(bars, kept))
    return Market(tuple(histories), tuple(instrument(bars.symbol) for bars in histories), START)


def _rows(bars: Bars, kept: NDArray[np.bool_]) -> Bars:
    columns = {n: getattr(bars, n)[kept] for n in ("open_time", "open", "high", "low", "close", "volume")}
    return replace(bars, **columns)


@settings(max_examples=150, deadline=None)
@given(ragged_markets(), st.integers(0, 2**32), st.sampled_from([0.1, 1.0]), st.sampled_from(["0", "1", "40"]))
def test_retrading_gives_the_days_and_trades_of_a_whole_run(
    ragged: Market, seed: int, weight: float, costs: str
) -> None:
    strategy, capital = Fickle(seed, weight), Decimal(10_000)
    dearer = ragged.with_instruments(lambda one: scaled(one, Decimal(costs)))
    whole = run_portfolio(strategy, dearer, capital)
    retrading = Retrading(ragged, capital)
    decisions = tuple(retrading.decide(strategy))
    for _ in range(2):  # nothing is used up by trading it
        outcome = retrading.trade(decisions, dearer.instruments)
        assert np.array_equal(retrading.day_ms, whole.daily.day_ms)
        assert np.array_equal(outcome.returns, whole.returns)
        assert np.array_equal(float(capital) + outcome.profit, whole.daily.equity)
        assert (outcome.trades, outcome.net_profit) == (len(whole.trades), float(whole.curve.profit[-1]))


def test_retrading_refuses_what_a_whole_run_refuses() -> None:
    with pytest.raises(DataError, match="without symbols"):
        Retrading(Market((), (), START), Decimal(100))
    bars = bars_of(np.full(48, 100.0))
    broken = replace(bars, high=np.where(np.arange(48) == 7, 99.0, bars.high))
    for history, start, what in ((broken, START, "row 7"), (bars, START + timedelta(days=9), "no bars from")):
        alone = Market((history,), (instrument(),), start)
        with pytest.raises(DataError, match=what):
            Retrading(alone, Decimal(100))
        with pytest.raises(DataError, match=what):
            run_portfolio(Fickle(1, 0.5), alone, Decimal(100))


def test_a_sweep_over_shared_windows_gives_what_each_point_alone_gives() -> None:
    name = "include.strategies.mean_reversion:MeanReversionScalper"
    fixed = {"take_profit_fraction": 0.3, "stop_bps": 300.0, "exit_sigma": 0.05, "weight": 0.5}
    points = [
        {**fixed, "window": window, "entry_sigma": sigma, "min_deviation_bps": bps}
        for window in (5, 24) for sigma in (1.0, 2.0) for bps in (1.0, 90.0)
    ]  # fmt: skip
    found, capital = market(3, NAMES, days=40), Decimal(10_000)
    sweep = run_sweep(name, points, found, capital)
    assert [trial.index for trial in sweep.trials] == list(range(len(points)))
    for point, trial in zip(points, sweep.trials, strict=True):
        alone = run_portfolio(load_strategy(name, point), found, capital)
        assert np.array_equal(trial.returns, alone.returns)
        assert (trial.trades, trial.net_profit) == (len(alone.trades), float(alone.curve.profit[-1]))
    assert len({trial.trades for trial in sweep.trials}) > 4


@dataclass(slots=True)
class Fixed:
    """The same signals whatever the bars."""

    answer: Signals
    warmup: int = 1

    def signals(self, bars: Bars) -> Signals:
        return self.answer


@given(
    st.lists(
        st.tuples(
            st.sampled_from([np.nan, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf]),
            st.sampled_from([0.5, 1.0, 5e-324, 0.0, -0.1, 1.1, np.nan, np.inf]),
            LEVELS,
            LEVELS,
        ),
        max_size=6,
    )
)
def test_one_pass_over_signals_refuses_exactly_what_the_rules_refuse(rows: list[tuple[float, ...]]) -> None:
    signals = Signals(*(np.array([row[i] for row in rows], dtype=np.float64) for i in range(4)))
    bars = bars_of(np.full(len(rows), 100.0)) if rows else bars_of(np.full(1, 100.0)).window(0, 0)
    broken = first_broken_row(signals)
    if broken is None:
        assert checked_signals(Fixed(signals), bars) is signals
    else:
        with pytest.raises(StrategyError, match=f"at row {broken[0]} "):
            checked_signals(Fixed(signals), bars)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 1_200))
def test_rolling_statistics_add_the_window_from_its_oldest_value_on(seed: int, window: int, rows: int) -> None:
    values = 100 * np.exp(0.01 * np.random.default_rng(seed).standard_normal(rows))
    mean = rolling_mean(values, window)
    deviation = rolling_deviation(values, mean, window)
    for row in sorted({window - 1, window, 511 + window, rows - 1} & set(range(window - 1, rows))):
        total = squares = np.float64(0.0)
        for value in values[row + 1 - window : row + 1]:
            total += value
        assert mean[row] == total / window  # the same float, not a close one
        for value in values[row + 1 - window : row + 1]:
            squares += (value - mean[row]) * (value - mean[row])
        assert deviation[row] == np.sqrt(squares / window)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20), st.sampled_from([0.0, 1.0])), max_size=30),
    st.integers(0, 9_000),
)
def test_shared_statistics_are_those_that_a_strategy_would_compute(
    asked: list[tuple[int, int, float]], most: int
) -> None:
    """Also about a centre that is not the mean, with too little room for all, and when results are written into."""
    arrays: list[FloatArray] = [np.random.default_rng(i).random(50 + i) for i in range(3)]

    def answers() -> list[FloatArray]:
        found: list[FloatArray] = []
        for which, window, off in asked:
            mean = rolling_mean(arrays[which], window)
            deviation = rolling_deviation(arrays[which], mean + off, window)
            found += [mean.copy(), deviation.copy()]
            mean[:] = deviation[:] = -1.0
        return found

    plain = answers()
    share_statistics(SharedStatistics(arrays[:2], most))
    try:
        for found, expected in zip(answers(), plain, strict=True):
            assert np.array_equal(found, expected, equal_nan=True)
    finally:
        share_statistics(None)
