"""What equity did within each UTC day, relative to the close of the day before: days can then be put in another order.

Close, low, high and inner fall of a day are enough to know the bar-level drawdown of any sequence of days exactly: the
deepest fall either lies inside one day or goes from the high of an earlier day to the low of a later one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from include.backtesting.equity import ProfitCurve
from include.domain.bars import FloatArray, IntArray
from include.domain.times import DAY_MS


@dataclass(frozen=True, slots=True)
class DailyMoves:
    """Moves of equity by day, shape (d,) each, as fractions of equity at the close of the day before.

    Attributes:
        close: simple return of the day.
        low, high: lowest and highest equity of the day; never above and never below the day's start.
        fall: deepest fall from a peak inside the day (its start included), as a fraction of that peak.
    """

    close: FloatArray
    low: FloatArray
    high: FloatArray
    fall: FloatArray

    def __len__(self) -> int:
        return int(self.close.shape[0])

    @classmethod
    def of_returns(cls, returns: FloatArray) -> DailyMoves:
        """Moves known by their daily returns only, shape (d,): nothing happens within a day."""
        return cls(returns, np.minimum(returns, 0.0), np.maximum(returns, 0.0), np.maximum(-returns, 0.0))


def daily_moves(curve: ProfitCurve, capital: float) -> DailyMoves:
    """Moves of every UTC day from the first bar's to the last one's; days without bars have none.

    Empty once equity at the end of a day is not positive: returns are not defined from there on.
    """
    days = curve.open_time // DAY_MS
    count = int(days[-1] - days[0]) + 1 if len(days) else 0
    table = np.zeros((4, count))
    if count and not _measure(days - days[0], curve.profit, capital, table):
        table = np.zeros((4, 0))
    return DailyMoves(*table)


@numba.njit(cache=True, nogil=True)
def _measure(day: IntArray, profit: FloatArray, capital: float, table: FloatArray) -> bool:
    before, i = capital, 0
    while i < day.shape[0]:
        row, low, high, fall, equity = day[i], before, before, 0.0, before
        while i < day.shape[0] and day[i] == row:
            equity = capital + profit[i]
            low, high = min(low, equity), max(high, equity)
            fall = max(fall, (high - equity) / high)
            i += 1
        if equity <= 0:
            return False
        table[0, row], table[1, row], table[2, row] = equity / before - 1, low / before - 1, high / before - 1
        table[3, row] = fall
        before = equity
    return True
