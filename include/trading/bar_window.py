"""The last bars of one symbol, kept as arrays so that a decision costs views and no copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from include.domain.bars import Bar, Bars
from include.domain.conversion import to_float
from include.domain.times import Timeframe, to_ms

_SPARE = 4
"""Room for this many windows before the newest one is moved to the front: one copy every few windows of bars."""


class BarWindow:
    """Rolling history of one symbol. Takes finished bars in strictly increasing open time and nothing else."""

    def __init__(self, symbol: str, timeframe: Timeframe, size: int) -> None:
        self.symbol, self.timeframe, self.size = symbol, timeframe, max(size, 1)
        self._times = np.zeros(self.size * _SPARE, dtype=np.int64)
        self._columns = np.zeros((5, self.size * _SPARE), dtype=np.float64)
        self._end = 0
        self.last: Bar | None = None

    def __len__(self) -> int:
        return min(self._end, self.size)

    def is_new(self, bar: Bar) -> bool:
        """True when the bar is later than everything seen; a repeat or a late one is not."""
        return self.last is None or bar.open_time > self.last.open_time

    def missing(self, bar: Bar) -> int:
        """How many bars should lie between the last one and this; at most as many as the window holds."""
        if self.last is None or not self.is_new(bar):
            return 0
        return min((bar.open_time - self.last.open_time) // self.timeframe.delta - 1, self.size)

    def append(self, bar: Bar) -> None:
        """Take the next bar.

        Raises:
            ValueError: the bar belongs to another symbol or is not later than the last one.
        """
        if bar.symbol != self.symbol or not self.is_new(bar):
            raise ValueError(f"{self.symbol}: bar {bar.symbol} {bar.open_time} does not follow {self.last}")
        if self._end == self._times.shape[0]:
            keep = slice(self._end - self.size, self._end)
            self._times[: self.size] = self._times[keep].copy()
            self._columns[:, : self.size] = self._columns[:, keep].copy()
            self._end = self.size
        self._times[self._end] = to_ms(bar.open_time)
        self._columns[:, self._end] = [to_float(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
        self._end += 1
        self.last = bar

    def fill(self, bars: Sequence[Bar], before: datetime | None = None) -> int:
        """Append those that are new and, if asked, older than `before`; returns how many were taken."""
        taken = 0
        for bar in bars:
            if self.is_new(bar) and (before is None or bar.open_time < before):
                self.append(bar)
                taken += 1
        return taken

    def is_warm(self) -> bool:
        """True once a decision has the history it needs."""
        return self._end >= self.size

    def bars(self) -> Bars:
        """The window as the strategy sees it: at most `size` rows, oldest first, as read-only views."""
        cut = slice(max(self._end - self.size, 0), self._end)
        window = self._columns[:, cut]
        window.flags.writeable = False
        open_, high, low, close, volume = window
        return Bars(self.symbol, self.timeframe, self._times[cut], open_, high, low, close, volume)
