"""Strategies for tests: cheap, causal, and busy enough to reach every path of the fill rule."""

from __future__ import annotations

import numpy as np

from include.domain.bars import Bars, Signals


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
