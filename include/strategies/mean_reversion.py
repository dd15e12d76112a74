"""A scalper that fades short dislocations from a rolling mean."""

from __future__ import annotations

import numba
import numpy as np

from include.domain.bars import Bars, FloatArray, Signals
from include.strategies.rolling import rolling_deviation, rolling_mean


class MeanReversionScalper:
    """Buys a close far below its rolling mean and sells one far above it; leaves at a modest take-profit.

    An entry needs a deviation of `entry_sigma` rolling standard deviations and of at least `min_deviation_bps`, which
    must be well above the cost of a round trip. The take-profit lies `take_profit_fraction` of the way back to the
    mean, the stop `stop_bps` away from the deciding close. A position whose take-profit the mean has left behind is
    given up when the close is back within `exit_sigma` deviations of the mean; the opposite signal reverses it.

    Args:
        window: bars of the rolling mean and deviation.
        weight: share of the symbol's allocation used for an entry.

    Raises:
        ValueError: a parameter outside its range.
    """

    def __init__(
        self,
        *,
        window: int,
        entry_sigma: float,
        min_deviation_bps: float,
        take_profit_fraction: float,
        stop_bps: float,
        exit_sigma: float,
        weight: float,
    ) -> None:
        if window < 2:
            raise ValueError("window must be at least 2 bars")
        if not 0 <= exit_sigma < entry_sigma:
            raise ValueError("exit_sigma must be at least 0 and below entry_sigma")
        if not 0 < take_profit_fraction <= 1 or not 0 < weight <= 1:
            raise ValueError("take_profit_fraction and weight must be above 0 and at most 1")
        if min_deviation_bps <= 0 or not 0 < stop_bps < 10_000:
            raise ValueError("min_deviation_bps must be above 0, stop_bps above 0 and below 10,000")
        self.warmup = window
        self._entry_sigma, self._exit_sigma = entry_sigma, exit_sigma
        self._min_deviation, self._stop = min_deviation_bps / 10_000, stop_bps / 10_000
        self._take_profit_fraction, self._weight = take_profit_fraction, weight

    def signals(self, bars: Bars) -> Signals:
        """Signals for each row; the first `warmup` - 1 have no opinion."""
        close = bars.close
        mean = rolling_mean(close, self.warmup)
        deviation = rolling_deviation(close, mean, self.warmup)
        target, stop, take_profit = (np.empty(len(bars)) for _ in range(3))
        _fade(
            close, mean, deviation, self._entry_sigma, self._exit_sigma, self._min_deviation, self._stop,
            self._take_profit_fraction, target, stop, take_profit,
        )  # fmt: skip
        return Signals(target, np.full(len(bars), self._weight), stop, take_profit)


@numba.njit(cache=True, nogil=True)
def _fade(
    close: FloatArray, mean: FloatArray, deviation: FloatArray, entry_sigma: float, exit_sigma: float,
    min_deviation: float, stop_fraction: float, take_profit_fraction: float,
    target: FloatArray, stop: FloatArray, take_profit: FloatArray,
) -> None:  # fmt: skip
    """Fill the last three row by row; rows whose mean is NaN compare false and get no opinion."""
    for t in range(close.shape[0]):
        gap = close[t] - mean[t]
        side = np.sign(gap)
        far = (abs(gap) >= entry_sigma * deviation[t]) & (abs(gap) >= min_deviation * close[t])
        otherwise = 0.0 if abs(gap) <= exit_sigma * deviation[t] else np.nan
        target[t] = -side if far else otherwise
        stop[t] = close[t] * (1 + side * stop_fraction) if far else np.nan
        take_profit[t] = close[t] - take_profit_fraction * gap if far else np.nan
