"""The trades inside a bar: made up from the bar itself, always the same ones, and never at odds with it.

The lake knows bars, not trades. A bar with volume is told as up to thirteen trades along the path of the fill rule:
the first at the open, the last at the close, high and low touched, the rest on the straight lines between them, and
their quantities add up to the bar's volume exactly. A bar without volume has no trades. Nothing is drawn at random: a
trade is a function of its bar and its place in it, so REST and streams agree and a replay repeats itself byte for byte.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from include.domain import fill_rule
from include.domain.bars import IntArray
from include.venues.sandbox.tape import Tape

POINTS_PER_LEG = 4
MOMENTS = 1 + 3 * POINTS_PER_LEG
"""Points of the path at which something is told: the open, and four on each of the three legs."""
_CORNERS = range(0, MOMENTS, POINTS_PER_LEG)
_GOLDEN = 2_654_435_761
"""Knuth's multiplicative hash: spreads small integers, is no source of chance."""


class Print(NamedTuple):
    """One trade of the market. `buyer_is_maker`: the seller came to the buyer, told as `m` on the wire."""

    id: int
    price: Decimal
    quantity: Decimal
    at: int
    buyer_is_maker: bool


def mix(value: int) -> int:
    """A well-spread 32-bit number that depends on `value` only."""
    mixed = (value * _GOLDEN) & 0xFFFF_FFFF
    return ((mixed >> 15) ^ mixed) & 0x7FFF_FFFF


def path_ticks(tape: Tape, row: int) -> list[int]:
    """Prices of the bar's moments in ticks: open, the two extremes and close on every fourth place."""
    tick = tape.instrument.tick_size
    prices = tape.prices(row)
    corners = [int(p / tick) for p in fill_rule.path(prices.open, prices.high, prices.low, prices.close)]
    ticks = [corners[0]]
    for start, end in pairwise(corners):
        # truncation towards the leg's start keeps every point between its ends
        ticks += [start + int((end - start) * step / POINTS_PER_LEG) for step in range(1, POINTS_PER_LEG + 1)]
    return ticks


def moment_time(tape: Tape, row: int, moment: int) -> int:
    """Market time of a moment: the legs end after a quarter, a half and three quarters of the bar, as fills do."""
    return int(tape.bars.open_time[row]) + 3 * tape.interval_ms * moment // (4 * (MOMENTS - 1))


def counts(tape: Tape) -> IntArray:
    """Number of trades of every bar, shape (n,)."""
    lots, bars = tape.lots, tape.bars
    is_flat = (bars.high == bars.low) & (lots < len(_CORNERS))
    few = np.where(is_flat, lots, len(_CORNERS))
    return np.where(lots == 0, 0, np.where(lots >= MOMENTS, MOMENTS, few)).astype(np.int64)


class Prints:
    """The trades of one tape, numbered from 1 through the history and the replay."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._before: IntArray = np.zeros(0, dtype=np.int64)
        self._changes = -1

    @property
    def before(self) -> IntArray:
        """How many trades came before each row, shape (n + 1,)."""
        if self._changes != len(self.tape.changed):
            self._before = np.concatenate(([0], np.cumsum(counts(self.tape))))
            self._changes = len(self.tape.changed)
        return self._before

    def of(self, row: int) -> list[Print]:
        """Trades of a bar in the order in which they happened; the first of them stands at the open."""
        first, count = int(self.before[row]), int(self.before[row + 1] - self.before[row])
        if not count:
            return []
        tape, tick = self.tape, self.tape.instrument.tick_size
        ticks = path_ticks(tape, row)
        moments = moments_of(count)
        quantities = split(int(tape.lots[row]), count, row)
        is_falling = ticks[-1] < ticks[0]
        told, last = [], ticks[0]
        for place, (moment, quantity) in enumerate(zip(moments, quantities, strict=True)):
            if ticks[moment] != last:
                is_falling = ticks[moment] < last
            last = ticks[moment]
            at = moment_time(tape, row, moment)
            price, size = last * tick, quantity * tape.instrument.lot_size
            told.append(Print(first + place + 1, price, size, at, is_falling))
        return told

    def row_of(self, number: int) -> int:
        """The row whose bar holds the trade of this id."""
        return int(np.searchsorted(self.before, number, side="left")) - 1


def moments_of(count: int) -> range:
    """At which moments of the path the trades of a bar happen: all of them, or the corners that are needed."""
    return range(MOMENTS) if count == MOMENTS else _CORNERS[:count]


def split(lots: int, count: int, row: int) -> list[Decimal]:
    """`lots` in `count` parts above zero; parts of a lot only where there are fewer lots than parts."""
    unit = Decimal(1)
    while lots < count:
        lots, unit = lots * 10, unit / 10
    weights = [1 + mix(row * MOMENTS + place) % 9 for place in range(count)]
    spare, total = lots - count, sum(weights)
    parts = [1 + spare * weight // total for weight in weights]
    parts[-1] += lots - sum(parts)
    return [part * unit for part in parts]
