"""One symbol's market as it stands: its klines, trades, book and last day, at any moment of the replay.

Everything that REST and streams of both protocols tell about a market is read from here, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from include.domain.conversion import to_decimal
from include.domain.fill_rule import FUNDING_EVERY_MS
from include.domain.times import DAY_MS
from include.venues.sandbox import errors
from include.venues.sandbox.depth import Book, Depth
from include.venues.sandbox.klines import Klines, Seen, seen
from include.venues.sandbox.prints import MOMENTS, Print, Prints
from include.venues.sandbox.replay import Replay
from include.venues.sandbox.tape import Tape


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding time that is over: what a long paid a short of the notional at `mark`."""

    at: int
    rate: Decimal
    mark: Decimal


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in a span of market time: prices in quote currency, volume in base currency."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    before: Decimal
    """The last price before the window; the window's first one when nothing is older."""
    volume: Decimal
    quote_volume: float
    first_id: int
    last_id: int
    last_quantity: Decimal
    open_time: int
    close_time: int

    @property
    def change(self) -> Decimal:
        return self.last - self.open

    @property
    def change_percent(self) -> str:
        return f"{self.change / self.open * 100:.3f}"

    @property
    def average(self) -> float:
        """Volume-weighted average price; the last price when nothing traded."""
        return self.quote_volume / float(self.volume) if self.volume else float(self.last)

    @property
    def trades(self) -> int:
        return max(0, self.last_id - self.first_id + 1)


class Market:
    """Views of one tape at the replay's present."""

    def __init__(self, tape: Tape, replay: Replay) -> None:
        self.tape = tape
        self.replay = replay
        self.prints = Prints(tape)
        self.klines = Klines(tape, self.prints)
        self.depth = Depth(tape)

    @property
    def seen(self) -> Seen:
        return seen(self.replay, self.tape.instrument.symbol)

    @property
    def last_row(self) -> int:
        """The youngest row of which anything is known. Raises ApiError before the first bar."""
        visible = self.seen.visible
        if not visible:
            raise errors.ApiError(errors.NO_MARKET_YET)
        return visible - 1

    @property
    def last_price(self) -> Decimal:
        """The current bar's open, else the last close. Raises ApiError before the first bar."""
        prices = self.tape.prices(self.last_row)
        return prices.close if self.seen.current is None else prices.open

    @property
    def book(self) -> Book:
        """The book as it stands. Raises ApiError before the first bar."""
        row = self.last_row
        return self.depth.at(row, MOMENTS - 1 if self.seen.current is None else 0)

    def last_trade_id(self) -> int:
        """Id of the youngest trade; 0 when there was none."""
        view = self.seen
        happened = int(self.prints.before[view.known])
        if view.current is None:
            return happened
        return happened + int(self.prints.before[view.current + 1] > happened)

    def trades_from(self, number: int, limit: int) -> list[Print]:
        """Trades of this id and later, oldest first."""
        number, last = max(1, number), self.last_trade_id()
        found: list[Print] = []
        row = self.prints.row_of(number)
        while number <= last and len(found) < limit:
            found += [trade for trade in self.prints.of(row) if number <= trade.id <= last]
            row += 1
            number = int(self.prints.before[row]) + 1
        return found[:limit]

    def last_trades(self, limit: int) -> list[Print]:
        """The youngest trades, oldest first."""
        return self.trades_from(self.last_trade_id() - limit + 1, limit)

    def trades_between(self, first_ms: int | None, last_ms: int | None, limit: int) -> list[Print]:
        """Trades with first_ms <= time <= last_ms: the oldest of them when `first_ms` is given, else the youngest."""
        times, interval = self.tape.bars.open_time, self.tape.interval_ms
        if first_ms is None:
            end = len(times) if last_ms is None else int(np.searchsorted(times, last_ms, side="right"))
            newest = min(self.last_trade_id(), int(self.prints.before[end]))
            found = self.trades_from(newest - limit - MOMENTS + 1, limit + MOMENTS)
            return [trade for trade in found if last_ms is None or trade.at <= last_ms][-limit:]
        row = int(np.searchsorted(times, first_ms - interval, side="right"))
        found = self.trades_from(int(self.prints.before[row]) + 1, limit + MOMENTS)
        return [t for t in found if t.at >= first_ms and (last_ms is None or t.at <= last_ms)][:limit]

    def window(self, span_ms: int = DAY_MS) -> Window:
        """The last `span_ms` of market time, of the bar in progress its open. Raises ApiError before the first bar."""
        view, bars, tick = self.seen, self.tape.bars, self.tape.instrument.tick_size
        last_row, lots = self.last_row, self.tape.lots
        now = view.now
        first = min(int(np.searchsorted(bars.open_time, now - span_ms, side="right")), last_row)
        known = slice(first, view.known)
        opened = float(bars.open[first])
        highs = [float(bars.high[known].max())] if first < view.known else []
        lows = [float(bars.low[known].min())] if first < view.known else []
        last = self.last_price
        volume = int(lots[known].sum()) * self.tape.instrument.lot_size
        quote = float((lots[known] * bars.close[known]).sum()) * float(self.tape.instrument.lot_size)
        newest = self.last_trade_id()
        youngest = self.trades_from(newest, 1) if newest else []
        before = self.tape.prices(first - 1).close if first else self.tape.prices(0).open
        return Window(
            to_decimal(opened, tick), max([*(to_decimal(h, tick) for h in highs), last]),
            min([*(to_decimal(low, tick) for low in lows), last]), last, before, volume, quote,
            int(self.prints.before[first]) + 1, newest, youngest[0].quantity if youngest else Decimal(0),
            max(now - span_ms, int(bars.open_time[0])), now,
        )  # fmt: skip

    # --- funding -------------------------------------------------------------------------------------------

    @property
    def next_funding_ms(self) -> int:
        return (self.replay.event_time // FUNDING_EVERY_MS + 1) * FUNDING_EVERY_MS

    def funding(self, row: int) -> Decimal:
        """Rate due at a bar's open: the bar's own where the data has it, else the instrument's."""
        own = self.tape.prices(row).funding_rate
        return self.tape.instrument.funding_rate if own is None else own

    def funding_history(self, first_ms: int | None, last_ms: int | None, limit: int) -> list[Funding]:
        """What has been due so far: from the first when `first_ms` is given, else the last."""
        times = self.tape.bars.open_time[: self.seen.visible]
        periods = times // FUNDING_EVERY_MS
        rows = np.flatnonzero(np.diff(periods, prepend=periods[:1]))
        due = periods[rows] * FUNDING_EVERY_MS
        begin = 0 if first_ms is None else int(np.searchsorted(due, first_ms))
        end = len(due) if last_ms is None else int(np.searchsorted(due, last_ms, side="right"))
        asked = range(begin, min(end, begin + limit)) if first_ms is not None else range(max(begin, end - limit), end)
        found = ((int(due[place]), int(rows[place])) for place in asked)
        return [Funding(at, self.funding(row), self.tape.prices(row).open) for at, row in found]
