"""A made-up order book around the replayed price: the lake knows no depth, and this is not the depth that was.

At every moment of a bar's path (`prints`) the book stands around the price: the best bid at or below it, the best ask
at or above it, half the instrument's assumed spread away, never crossed. Further levels lie on a fixed grid; their
sizes follow from the price of the level, the bar, and the volume of the bar before. Own orders are not in it and do not
move it.

Everything is a function of (row, moment), update ids included: whoever applies the diffs to a snapshot gets the next
snapshot exactly. A snapshot carries the first id of the diff that follows it, so that this diff is the one that both
the spot and the USD-M instructions for keeping a local book tell a client to start with.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from include.domain.enums import Side
from include.venues.sandbox.prints import MOMENTS, mix, moment_time, path_ticks
from include.venues.sandbox.tape import Tape

LEVELS = 50
"""Levels on each side; a client that asks for more gets these."""
GRID_BPS = Decimal("0.5")
IDS_PER_UPDATE = 10
VOLUME_SHARE = 40
"""The smallest level is about this part of the last bar's volume."""

Levels = list[tuple[int, int]]
"""(price in ticks, size in lots), best first."""


@dataclass(frozen=True, slots=True)
class Book:
    """The book after one moment. `first_id` and `last_id`: the update ids of the diff that led here."""

    first_id: int
    last_id: int
    at: int
    bids: Levels
    asks: Levels

    @property
    def snapshot_id(self) -> int:
        """`lastUpdateId` of a snapshot taken now."""
        return self.last_id + 1


class Depth:
    """The books of one tape."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        tick = tape.instrument.tick_size
        self._grid = max(1, int(tape.prices(0).open * GRID_BPS / 10_000 / tick)) if len(tape.bars) else 1

    def at(self, row: int, moment: int, levels: int = LEVELS) -> Book:
        """The book of a moment, 0 <= moment < MOMENTS; its first `levels` levels."""
        return self._book(row, moment, path_ticks(self.tape, row)[moment], self._sizes(row), levels)

    def through(self, row: int, levels: int = LEVELS) -> list[Book]:
        """The books of all moments of a bar, oldest first; their first `levels` levels."""
        sizes = self._sizes(row)
        ticks = path_ticks(self.tape, row)
        return [self._book(row, moment, price, sizes, levels) for moment, price in enumerate(ticks)]

    def _book(self, row: int, moment: int, price: int, sizes: _Sizes, levels: int) -> Book:
        bid, ask = self.best(price)
        number = row * MOMENTS + moment
        bids, asks = self._side(bid, -1, sizes, levels), self._side(ask, 1, sizes, levels)
        for side in (bids, asks):
            if side:  # the touch changes with every trade, what lies behind it from bar to bar
                side[0] = side[0][0], side[0][1] + mix(number) % (2 * sizes.scale)
        first_id = number * IDS_PER_UPDATE + 1
        return Book(first_id, first_id + IDS_PER_UPDATE - 1, moment_time(self.tape, row, moment), bids, asks)

    def _sizes(self, row: int) -> _Sizes:
        return _Sizes(max(1, int(self.tape.lots[max(0, row - 1)]) // VOLUME_SHARE), row)

    def best(self, price: int) -> tuple[int, int]:
        """Best bid and ask in ticks around a price in ticks: at least a tick apart."""
        instrument = self.tape.instrument
        money, half = price * instrument.tick_size, instrument.half_spread_bps / 10_000
        bid = int(instrument.worse_price(money * (1 - half), Side.SELL) / instrument.tick_size)
        ask = int(instrument.worse_price(money * (1 + half), Side.BUY) / instrument.tick_size)
        return bid, max(ask, bid + 1)

    def _side(self, best: int, sign: int, sizes: _Sizes, levels: int) -> Levels:
        step = sign * self._grid
        first = best + step - best % step  # the next grid line beyond the best price
        prices = (best, *range(first, first + step * (levels - 1), step))
        return [(price, sizes[price]) for price in prices if price > 0]


class _Sizes(dict[int, int]):
    """Sizes of levels in lots by price in ticks, through one bar: the same price has the same size."""

    def __init__(self, scale: int, row: int) -> None:
        super().__init__()
        self.scale = scale
        self._row = row

    def __missing__(self, price: int) -> int:
        spread = mix(price * 31 + self._row)
        self[price] = self.scale * (1 + spread % 5) + (spread >> 8) % 7
        return self[price]


def changes(before: Levels, after: Levels) -> Levels:
    """What turns one side into another: new sizes by price, zero for a level that is gone."""
    old, new = dict(before), dict(after)
    gone = [(price, 0) for price in old if price not in new]
    return gone + [(price, size) for price, size in after if old.get(price) != size]
