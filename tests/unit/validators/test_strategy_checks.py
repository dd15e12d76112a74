"""Causality and warm-up: cheats and forgetful strategies are caught, honest ones are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from include.domain.bars import Bars, FloatArray, Signals
from include.strategies.protocol import Strategy, checked_signals
from include.strategies.trend import MovingAverageTrend
from include.validators.causality import check_causality
from include.validators.signal_rows import SAMPLES, differing_rows
from include.validators.warmup import check_warmup
from tests.adapters.memory_market import make_instrument, random_bars
from tests.adapters.strategies import Churn

BARS = random_bars("X/USDT", datetime(2024, 1, 1, tzinfo=UTC), 6_000, seed=11)
INSTRUMENT = make_instrument("X/USDT")


def targets(target: FloatArray) -> Signals:
    nowhere = np.full(len(target), np.nan)
    return Signals(target, np.ones(len(target)), nowhere, nowhere)


class NextClose:
    """Knows whether the next bar rises."""

    warmup = 2

    def signals(self, bars: Bars) -> Signals:
        following = np.append(bars.close[1:], bars.close[-1])
        return targets(np.sign(following - bars.close))


class WholeSample:
    """Compares with the mean of all bars, later ones included."""

    warmup = 2

    def signals(self, bars: Bars) -> Signals:
        return targets(np.sign(bars.close - bars.close.mean()))


class RarePeek:
    """Honest on most rows; now and then it asks for what the next bar will bring."""

    warmup = 2

    def signals(self, bars: Bars) -> Signals:
        following = np.append(bars.close[1:], bars.close[-1])
        rare = (bars.open_time // bars.timeframe.ms) % 50 == 0
        return targets(np.where(rare, np.sign(following - bars.close), np.nan))


class PeekingStop:
    """Its targets are honest, its stops lie just beyond the next bar's low."""

    warmup = 2

    def signals(self, bars: Bars) -> Signals:
        following = np.append(bars.low[1:], bars.low[-1])
        signals = targets(np.where(bars.close > bars.open, 1.0, 0.0))
        return Signals(signals.target, signals.weight, following * 0.999, signals.take_profit)


class Remembers:
    """Causal, but an exponential average never forgets: its decisions need more than `warmup` bars."""

    warmup = 10

    def signals(self, bars: Bars) -> Signals:
        average = np.empty(len(bars))
        level = bars.close[0]
        for t, close in enumerate(bars.close):
            level += 0.02 * (close - level)
            average[t] = level
        return targets(np.sign(bars.close - average))


@pytest.mark.parametrize(
    "cheat", [NextClose(), WholeSample(), RarePeek(), PeekingStop()], ids=lambda s: type(s).__name__
)
def test_looking_ahead_is_found(cheat: Strategy) -> None:
    check = check_causality(cheat, BARS, checked_signals(cheat, BARS), INSTRUMENT, seed=1)
    assert check.differing > 0
    assert "X/USDT 2024-01-" in check.examples[0]


def test_needing_more_than_the_declared_warm_up_is_found() -> None:
    strategy = Remembers()
    signals = checked_signals(strategy, BARS)
    assert check_warmup(strategy, BARS, signals, INSTRUMENT, seed=1).differing > 0
    assert check_causality(strategy, BARS, signals, INSTRUMENT, seed=1).differing == 0


@pytest.mark.parametrize("honest", [Churn(), MovingAverageTrend(fast=5, slow=30, weight=0.5)], ids=["churn", "trend"])
@pytest.mark.parametrize("seed", range(5))
def test_honest_strategies_pass_whatever_the_sample(honest: Strategy, seed: int) -> None:
    signals = checked_signals(honest, BARS)
    for check in (check_causality, check_warmup):
        outcome = check(honest, BARS, signals, INSTRUMENT, seed=seed)
        assert outcome.differing == 0
        assert outcome.compared >= SAMPLES // 2


def test_bars_too_few_to_check_compare_nothing() -> None:
    strategy = MovingAverageTrend(fast=5, slow=30, weight=0.5)
    bars = BARS.window(0, 20)
    signals = checked_signals(strategy, bars)
    assert check_warmup(strategy, bars, signals, INSTRUMENT, seed=1).compared == 0
    assert check_causality(strategy, bars, signals, INSTRUMENT, seed=1).compared == 0


def test_rounding_far_below_a_tick_is_no_difference_and_a_tick_is() -> None:
    def with_stop(stop: float) -> Signals:
        return Signals(np.array([1.0]), np.array([0.5]), np.array([stop]), np.array([np.nan]))

    assert not differing_rows(with_stop(99.94), with_stop(99.94 + 1e-11), INSTRUMENT)[0]
    assert differing_rows(with_stop(99.94), with_stop(99.96), INSTRUMENT)[0]
    assert differing_rows(with_stop(99.94), with_stop(np.nan), INSTRUMENT)[0]


class CountsBars:
    """Honest in everything but one column that was added to signals later."""

    warmup = 3

    def __init__(self, column: str, scale: float) -> None:
        self._column, self._scale = column, scale

    def signals(self, bars: Bars) -> Signals:
        seen = np.arange(len(bars)) % 7 + 1.0
        return replace(targets(np.ones(len(bars))), **{self._column: seen * self._scale})


@pytest.mark.parametrize(("column", "scale"), [("trailing", 0.01), ("hold", 1.0), ("add", 0.1)])
def test_every_column_of_the_signals_is_compared(column: str, scale: float) -> None:
    forgetful = CountsBars(column, scale)
    found = check_warmup(forgetful, BARS, checked_signals(forgetful, BARS), INSTRUMENT, seed=1)
    assert found.differing > 0


def test_a_column_that_is_there_only_on_longer_histories_differs() -> None:
    bare = targets(np.ones(4))
    assert differing_rows(replace(bare, trailing=np.full(4, 0.02)), bare, INSTRUMENT).all()
    assert not differing_rows(replace(bare, trailing=np.full(4, np.nan)), bare, INSTRUMENT).any()
