"""Candidates that look good and are not. Each is stopped by the gate that was built for its kind."""

from __future__ import annotations

import numpy as np

from include.domain.bars import Bars, FloatArray, Signals


def long_when(wanted: FloatArray, weight: float) -> Signals:
    """Long where `wanted` is 1, short at -1, flat elsewhere; no protective levels."""
    nowhere = np.full(len(wanted), np.nan)
    return Signals(wanted.astype(np.float64), np.full(len(wanted), weight), nowhere, nowhere)


class CentredWindow:
    """Smooths with bars on both sides of the one it decides on."""

    def __init__(self, *, window: int = 9, weight: float = 0.5) -> None:
        self.warmup, self._window, self._weight = window, window, weight

    def signals(self, bars: Bars) -> Signals:
        centred = np.convolve(bars.close, np.ones(self._window) / self._window, mode="same")
        return long_when(centred > bars.close, self._weight)


class NextClose:
    """Knows the close of the bar after."""

    def __init__(self, *, warmup: int = 2, weight: float = 0.5) -> None:
        self.warmup, self._weight = warmup, weight

    def signals(self, bars: Bars) -> Signals:
        return long_when(np.append(bars.close[1:], bars.close[-1]) > bars.close, self._weight)


class WholeSampleScore:
    """Compares the price with the mean of all of history, the later part included."""

    def __init__(self, *, warmup: int = 2, weight: float = 0.5) -> None:
        self.warmup, self._weight = warmup, weight

    def signals(self, bars: Bars) -> Signals:
        score = (bars.close - bars.close.mean()) / max(float(bars.close.std()), 1e-9)
        return long_when(score < -0.5, self._weight)


class WarmupLiar:
    """Says that it needs 5 bars and remembers the highest close of all of history."""

    def __init__(self, *, warmup: int = 5, weight: float = 0.5) -> None:
        self.warmup, self._weight = warmup, weight

    def signals(self, bars: Bars) -> Signals:
        return long_when(bars.close >= 0.98 * np.maximum.accumulate(bars.close), self._weight)


class Noise:
    """Long or short by a seeded coin each day; the best of many tosses looks like skill."""

    def __init__(self, *, seed: int, weight: float = 0.5) -> None:
        self.warmup, self._seed, self._weight = 1, seed, weight

    def signals(self, bars: Bars) -> Signals:
        day = bars.open_time // 86_400_000
        coins = np.random.default_rng(self._seed).choice((-1.0, 1.0), 40_000)  # one for each day since 1970
        return long_when(coins[day], self._weight)


class HourOfDay:
    """Long for `length` hours from hour `phase` of a cycle on; right for one phase only."""

    def __init__(self, *, phase: int, length: int, cycle: int, weight: float = 0.5) -> None:
        if not 0 <= phase < cycle:
            raise ValueError("phase must lie in the cycle")
        self.warmup, self._phase, self._length, self._cycle, self._weight = 1, phase, length, cycle, weight

    def signals(self, bars: Bars) -> Signals:
        hour = bars.open_time // bars.timeframe.ms % self._cycle
        return long_when((hour - self._phase) % self._cycle < self._length, self._weight)


class OneDay:
    """Trades on a single day of its life, the right one."""

    def __init__(self, *, day_ms: float, weight: float = 1.0) -> None:
        self.warmup, self._day, self._weight = 1, int(day_ms), weight

    def signals(self, bars: Bars) -> Signals:
        return long_when(bars.open_time // 86_400_000 == self._day // 86_400_000, self._weight)


class DipBuyer:
    """Buys every small dip with all it has, takes a small profit, and never admits a loss."""

    def __init__(self, *, window: int, dip: float, profit: float, weight: float = 1.0) -> None:
        self.warmup, self._dip, self._profit, self._weight = window, dip, profit, weight

    def signals(self, bars: Bars) -> Signals:
        kernel = np.ones(self.warmup) / self.warmup
        mean = np.convolve(bars.close, kernel)[: len(bars)]
        mean[: self.warmup - 1] = bars.close[: self.warmup - 1]
        target = np.where(bars.close < mean * (1 - self._dip), 1.0, np.nan)
        nowhere = np.full(len(bars), np.nan)
        return Signals(target, np.full(len(bars), self._weight), nowhere, bars.close * (1 + self._profit))


class Reverter:
    """Buys below the mean of the last bars and sells above it."""

    def __init__(self, *, window: int, weight: float = 0.5) -> None:
        self.warmup, self._weight = window, weight

    def signals(self, bars: Bars) -> Signals:
        mean = np.convolve(bars.close, np.ones(self.warmup) / self.warmup)[: len(bars)]
        mean[: self.warmup - 1] = bars.close[: self.warmup - 1]
        target = np.where(bars.close < mean, 1.0, np.where(bars.close > mean, -1.0, np.nan))
        nowhere = np.full(len(bars), np.nan)
        return Signals(target, np.full(len(bars), self._weight), nowhere, nowhere)
