"""Strategies for tests: cheap, causal, and busy enough to reach every path of the fill rule."""

from __future__ import annotations

import numpy as np

from include.domain.bars import Bars, FloatArray, IntArray, Signals


class Churn:
    """Trades all the time: entries with near stops and take-profits, exits and reversals, from the last bars' shape."""

    def __init__(self, *, warmup: int = 5, weight: float = 0.4, distance: float = 0.002) -> None:
        self.warmup, self._weight, self._distance = warmup, weight, distance

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        previous = np.concatenate(([np.nan], bars.close[:-1]))
        move = bars.close / previous - 1
        phase = (bars.open_time // bars.timeframe.ms) % 7
        target = np.where(move > 0, 1.0, -1.0)
        target = np.where(phase == 3, 0.0, target)
        target = np.where((phase == 1) | (phase == 5) | np.isnan(move), np.nan, target)
        side = np.where(target == 0, 1.0, np.where(np.isnan(target), 1.0, target))
        stop = bars.close * (1 - side * self._distance)
        take_profit = bars.close * (1 + side * self._distance * 0.7)
        stop = np.where(phase == 2, np.nan, stop)
        take_profit = np.where(phase == 6, np.nan, take_profit)
        return Signals(target, np.full(n, self._weight), stop, take_profit)


class Idle:
    """Never has an opinion."""

    def __init__(self, *, warmup: int = 5) -> None:
        self.warmup = warmup

    def signals(self, bars: Bars) -> Signals:
        nothing = np.full(len(bars), np.nan)
        return Signals(nothing, np.ones(len(bars)), nothing, nothing)


class Steady:
    """Wants to be long, always, with a stop and a take-profit one percent away."""

    def __init__(self, *, warmup: int = 2, weight: float = 0.05) -> None:
        self.warmup, self._weight = warmup, weight

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        return Signals(np.ones(n), np.full(n, self._weight), bars.close * 0.99, bars.close * 1.01)


class Ladder:
    """Long, always, with a trailing stop; adds on every bar, and leaves when its bars have passed."""

    def __init__(self, *, warmup: int = 2, weight: float = 0.05, add: float = 0.05, hold: int = 1_000) -> None:
        self.warmup, self._weight, self._add, self._hold = warmup, weight, add, hold

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        nothing = np.full(n, np.nan)
        return Signals(
            np.ones(n), np.full(n, self._weight), nothing, nothing, trailing=np.full(n, 0.01),
            hold=np.full(n, float(self._hold)), add=np.full(n, self._add),
        )  # fmt: skip


class Trend:
    """Always in the market: long while the fast mean is above the slow one, else short. No protection."""

    def __init__(self, *, fast: int = 5, slow: int = 20, weight: float = 0.5) -> None:
        self.warmup, self._fast, self._slow, self._weight = slow, fast, slow, weight

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        fast, slow = _mean(bars.close, self._fast), _mean(bars.close, self._slow)
        target = np.where(np.isnan(slow), np.nan, np.where(fast > slow, 1.0, -1.0))
        nothing = np.full(n, np.nan)
        return Signals(target, np.full(n, self._weight), nothing, nothing)


class Trailer:
    """Follows the last move with a trailing stop, and on every other bar with a fixed stop that is nearer at first."""

    def __init__(self, *, warmup: int = 3, weight: float = 0.3, distance: float = 0.003) -> None:
        self.warmup, self._weight, self._distance = warmup, weight, distance

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        move = bars.close - _back(bars.close, 2)
        phase = _phase(bars)
        target = np.where(np.isnan(move) | (phase % 5 == 4), np.nan, np.where(move >= 0, 1.0, -1.0))
        stop = np.where(phase % 2 == 0, bars.close * (1 - np.sign(target) * self._distance / 2), np.nan)
        nothing = np.full(n, np.nan)
        return Signals(
            target, np.full(n, self._weight), stop, nothing, trailing=np.full(n, self._distance)
        )  # fmt: skip


class Stacker:
    """Builds positions in steps, holds them for a number of bars, and turns round now and then."""

    def __init__(
        self, *, warmup: int = 2, weight: float = 0.2, add: float = 0.15, hold: int = 11, trailing: float = 0.0
    ) -> None:
        self.warmup, self._weight, self._add, self._hold, self._trailing = warmup, weight, add, hold, trailing

    def signals(self, bars: Bars) -> Signals:
        n, phase = len(bars), _phase(bars)
        side = np.where(phase % 40 < 20, 1.0, -1.0)
        target = np.where(phase % 40 == 33, 0.0, np.where(phase % 4 == 1, np.nan, side))
        held = np.where(phase % 3 == 0, np.nan, float(self._hold))
        add = np.where(phase % 3 == 2, self._add, np.nan)
        profit = np.where(phase % 2 == 0, bars.close * (1 + side * 0.006), np.nan)
        trailing = np.where(phase % 2 == 1, self._trailing, np.nan) if self._trailing else None
        return Signals(
            target, np.full(n, self._weight), np.full(n, np.nan), profit, trailing=trailing, hold=held, add=add
        )  # fmt: skip


class Reckless:
    """Always on one side, turned round now and then, without a stop."""

    def __init__(self, *, warmup: int = 2, turn: int = 20, weight: float = 0.3) -> None:
        self.warmup, self._turn, self._weight = warmup, turn, weight

    def signals(self, bars: Bars) -> Signals:
        nothing = np.full(len(bars), np.nan)
        target = np.where(_phase(bars) % (2 * self._turn) < self._turn, 1.0, -1.0)
        return Signals(target, np.full(len(bars), self._weight), nothing, nothing)


def _phase(bars: Bars) -> IntArray:
    """Number of each bar since the epoch: the same whatever window of them is looked at."""
    return bars.open_time // bars.timeframe.ms


def _back(values: FloatArray, by: int) -> FloatArray:
    return np.concatenate((np.full(min(by, len(values)), np.nan), values[:-by]))


def _mean(values: FloatArray, of: int) -> FloatArray:
    """Mean of the last `of` values, from those alone: sums in another order would differ in the last digit."""
    rows = [_back(values, by) if by else values for by in range(of)]
    return np.sum(rows, axis=0) / of
