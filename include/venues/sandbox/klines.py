"""Bars in every timeframe of the exchange that is a multiple of the replayed one, the unfinished one included.

A bar of a longer timeframe is finished when its time is over, not when its last replayed bar has closed: a hole in the
data at its end does not close it early. Volumes are added in whole lots, so no sum depends on the order of floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.domain.conversion import to_decimal
from include.domain.times import Timeframe
from include.venues.sandbox import errors
from include.venues.sandbox.prints import Prints
from include.venues.sandbox.replay import Replay
from include.venues.sandbox.tape import Tape

MONTH = "1M"
DAY_SECONDS = 86_400
INTERVALS: Mapping[str, Timeframe | None] = MappingProxyType(
    {
        **{text: Timeframe.parse(text) for text in (
            "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")},
        MONTH: None,
    }
)  # fmt: skip
"""The exchange's timeframes; a month has no fixed length."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of a tape has happened: its first `known` rows have closed, of row `current` only the open is known."""

    known: int
    current: int | None
    now: int

    @property
    def visible(self) -> int:
        return self.known + (self.current is not None)


def seen(replay: Replay, symbol: str) -> Seen:
    """What a symbol's market has shown so far."""
    return Seen(replay.known_rows(symbol), replay.current_row(symbol), replay.event_time)


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar of any timeframe; `first_id` and `last_id` are -1 when nothing traded."""

    interval: str
    open_time: int
    close_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: float
    trades: int
    taker_volume: float
    taker_quote_volume: float
    first_id: int
    last_id: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """The bars of one timeframe over a tape: where each begins and when it is over."""

    rows: IntArray
    """First row of each bar and, last, the number of rows: shape (bars + 1,)."""
    open_time: IntArray
    close_time: IntArray

    def bar_of(self, row: int) -> int:
        return int(np.searchsorted(self.rows, row, side="right")) - 1


@dataclass(frozen=True, slots=True)
class Part:
    """Columns of consecutive rows, shape (n,) each; `before` (trades before each row) has one more."""

    high: FloatArray
    low: FloatArray
    close: FloatArray
    lots: IntArray
    taken: FloatArray
    trades: FloatArray
    before: IntArray
    has_counts: bool

    def ending_at_open(self, price: float) -> Part:
        """The same with a last row of which only the open has happened."""
        high, low, close, lots = (self.high.copy(), self.low.copy(), self.close.copy(), self.lots.copy())
        high[-1] = low[-1] = close[-1] = price
        lots[-1] = 0
        taken, trades, before = self.taken.copy(), self.trades.copy(), self.before.copy()
        taken[-1] = trades[-1] = 0
        before[-1] = before[-2]
        return Part(high, low, close, lots, taken, trades, before, self.has_counts)


class Klines:
    """All timeframes of one tape."""

    def __init__(self, tape: Tape, prints: Prints) -> None:
        self.tape = tape
        self._prints = prints
        self._grids: dict[str, Grid] = {}

    def intervals(self) -> tuple[str, ...]:
        """The exchange's timeframes that the tape can be told in."""
        return tuple(interval for interval in INTERVALS if self._is_served(interval))

    def grid(self, interval: str) -> Grid:
        """Raises ApiError for a timeframe that the exchange or the replay does not have."""
        if interval not in self._grids:
            if not self._is_served(interval):
                raise errors.ApiError(errors.INVALID_INTERVAL)
            self._grids[interval] = _grid(self.tape.bars.open_time, INTERVALS[interval])
        return self._grids[interval]

    def page(
        self, interval: str, view: Seen, first_ms: int | None = None, last_ms: int | None = None, limit: int = 500
    ) -> list[Candle]:
        """Bars with first_ms <= open time <= last_ms: the first of them when `first_ms` is given, else the last."""
        grid = self.grid(interval)
        opened = grid.bar_of(view.visible - 1) + 1 if view.visible else 0
        times = grid.open_time[:opened]
        begin = 0 if first_ms is None else int(np.searchsorted(times, first_ms))
        end = opened if last_ms is None else int(np.searchsorted(times, last_ms, side="right"))
        if first_ms is None:
            begin = max(begin, end - limit)
        return self._candles(interval, grid, view, range(begin, min(end, begin + limit)))

    def at(self, interval: str, row: int, view: Seen) -> Candle:
        """The bar that a visible row belongs to, as far as it has happened."""
        grid = self.grid(interval)
        bar = grid.bar_of(row)
        return self._candles(interval, grid, view, range(bar, bar + 1))[0]

    def left_open(self, interval: str, row: int) -> bool:
        """Whether the bar before that of `row` was still unfinished when its last row closed: a hole ended it."""
        grid = self.grid(interval)
        bar = grid.bar_of(row)
        if not row or int(grid.rows[bar]) != row:
            return False
        last_close = int(self.tape.bars.open_time[row - 1]) + self.tape.interval_ms - 1
        return int(grid.close_time[bar - 1]) > last_close

    def _is_served(self, interval: str) -> bool:
        base = self.tape.bars.timeframe.seconds
        if interval == MONTH:
            return DAY_SECONDS % base == 0
        timeframe = INTERVALS.get(interval)
        return timeframe is not None and timeframe.seconds % base == 0

    def _candles(self, interval: str, grid: Grid, view: Seen, wanted: range) -> list[Candle]:
        if not wanted:
            return []
        first, stop = int(grid.rows[wanted.start]), min(int(grid.rows[wanted.stop]), view.visible)
        part = self._part(first, stop, view.current)
        begins = grid.rows[wanted.start : wanted.stop] - first
        ends = np.append(begins[1:], stop - first)
        lot = self.tape.instrument.lot_size
        high, low = np.maximum.reduceat(part.high, begins), np.minimum.reduceat(part.low, begins)
        lots, taken = np.add.reduceat(part.lots, begins), np.add.reduceat(part.taken, begins)
        quote = np.add.reduceat(part.lots * part.close, begins) * float(lot)
        taken_quote = np.add.reduceat(part.taken * part.close, begins)
        told = np.add.reduceat(part.trades, begins)
        candles = []
        for place, bar in enumerate(wanted):
            a, b = int(begins[place]), int(ends[place])
            first_id, last_id = int(part.before[a]) + 1, int(part.before[b])
            has_traded = last_id >= first_id
            candles.append(
                Candle(
                    interval=interval, open_time=int(grid.open_time[bar]), close_time=int(grid.close_time[bar]),
                    open=self._price(self.tape.bars.open[first + a]), high=self._price(high[place]),
                    low=self._price(low[place]), close=self._price(part.close[b - 1]),
                    volume=int(lots[place]) * lot, quote_volume=float(quote[place]),
                    trades=int(told[place]) if part.has_counts else last_id - first_id + 1,
                    taker_volume=float(taken[place]), taker_quote_volume=float(taken_quote[place]),
                    first_id=first_id if has_traded else -1, last_id=last_id if has_traded else -1,
                    finished=view.now >= int(grid.close_time[bar]),
                )
            )  # fmt: skip
        return candles

    def _part(self, first: int, stop: int, current: int | None) -> Part:
        """Rows first..stop-1; of the current one, if it is the last of them, only the open."""
        bars, cut = self.tape.bars, slice(first, stop)
        extras = bars.extras
        nothing = np.zeros(stop - first)
        part = Part(
            bars.high[cut], bars.low[cut], bars.close[cut], self.tape.lots[cut],
            extras["taker_buy_volume"][cut] if "taker_buy_volume" in extras else nothing,
            extras["trade_count"][cut] if "trade_count" in extras else nothing,
            self._prints.before[first : stop + 1], "trade_count" in extras,
        )  # fmt: skip
        return part if current != stop - 1 else part.ending_at_open(float(bars.open[current]))

    def _price(self, price: float) -> Decimal:
        return to_decimal(float(price), self.tape.instrument.tick_size)


def _grid(times: IntArray, timeframe: Timeframe | None) -> Grid:
    if timeframe is None:
        month = times.astype("datetime64[ms]").astype("datetime64[M]")
        opens = month.astype("datetime64[ms]").astype(np.int64)
        closes = (month + 1).astype("datetime64[ms]").astype(np.int64) - 1
    else:
        opens = times - (times - timeframe.anchor_ms) % timeframe.ms
        closes = opens + timeframe.ms - 1
    firsts = np.flatnonzero(np.diff(opens, prepend=opens[:1] - 1))
    return Grid(np.append(firsts, len(times)), opens[firsts], closes[firsts])
