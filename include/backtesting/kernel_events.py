"""The fast loop of the fill rule: from event to event, for positions that only their levels, time and the target end.

It knows no trailing stop, scale-in or volume limit; `kernel_tracked.py` does. State is a few small tuples, which the
compiler keeps in registers.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from include.backtesting.exact import (
    Scale,
    booked,
    entry_lots,
    liquidated_at,
    liquidation_ticks,
    ruined,
    ticks_of,
    worsened,
)
from include.backtesting.fills import ENTRY, EXIT, LIQUIDATION, STOP, TAKE_PROFIT, TIME_EXIT
from include.backtesting.kernel_steps import (
    Bar,
    Columns,
    Funding,
    Played,
    bar_at,
    bounds,
    fee_rate,
    last_row,
    next_wish,
    note,
    with_room,
)
from include.domain.bars import FloatArray, IntArray


class _Held(NamedTuple):
    """The position: side 0 for none; prices in ticks, 0 for no level.

    Attributes:
        floor, ceiling: while a bar stays strictly between these prices, nothing can be met.
        last: row on whose close its time limit ends.
    """

    side: int
    lots: int
    entry: int
    stop: int
    profit: int
    floor: float
    ceiling: float
    last: int


class _Asked(NamedTuple):
    """What the next open fills: purpose of what leaves (-1 for nothing), side of an entry (0 for none)."""

    leaving: int
    side: int
    lots: int
    stop: float
    take_profit: float
    hold: float


class _Book(NamedTuple):
    """Money paid so far, in units and hundred-millionths of one; fills noted; whether the symbol was liquidated."""

    spent: int
    parts: int
    fills: int
    dead: bool


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _met(side: int, stop: int, profit: int, ruin: int, bar: Bar) -> tuple[int, int]:
    """(purpose, reference in ticks) of the resting order or liquidation that this bar meets first; purpose -1 for none.

    A level of 0 is no order. Prices are mirrored for shorts, so that stop and liquidation are always below.
    """
    near, far = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
    purpose, level = STOP, stop
    if ruin and (not stop or side * ruin >= side * stop):
        purpose, level = LIQUIDATION, ruin
    if level and side * bar.open <= side * level:
        return LIQUIDATION if ruin and side * bar.open <= side * ruin else STOP, bar.open
    if profit and side * bar.open >= side * profit:
        return TAKE_PROFIT, bar.open
    stopped = level != 0 and side * near <= side * level
    profited = profit != 0 and side * far >= side * profit
    # The path visits the low first when rising: the stop side for longs, the profit side for shorts.
    if stopped and (not profited or (bar.close >= bar.open) == (side > 0)):
        return purpose, level
    return (TAKE_PROFIT, profit) if profited else (-1, 0)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _leave(rows: IntArray, bar: Bar, held: _Held, purpose: int, price: int, book: _Book, s: Scale) -> _Book:
    value = held.lots * price
    spent, parts = booked(book.spent - held.side * value, book.parts, value, fee_rate(purpose, s))
    count = note(rows, book.fills, bar.row, -held.side, held.lots, price, purpose)
    return _Book(spent, parts, count, purpose == LIQUIDATION)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _leave_at_open(rows: IntArray, bar: Bar, held: _Held, purpose: int, book: _Book, s: Scale) -> _Book:
    """An exit, or the liquidation that the open has reached before it."""
    ruin = liquidation_ticks(held.side, held.entry, s)
    if ruin and held.side * bar.open <= held.side * ruin:
        purpose, price = LIQUIDATION, liquidated_at(held.side, held.entry, bar.open, bar.low, bar.high, s)
    else:
        price = worsened(bar.open, -held.side, bar.low, bar.high, s)
    left: _Book = _leave(rows, bar, held, purpose, price, book, s)
    return left


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _enter(rows: IntArray, bar: Bar, asked: _Asked, last: int, book: _Book, s: Scale) -> tuple[_Held, _Book]:
    price = worsened(bar.open, asked.side, bar.low, bar.high, s)
    value = asked.lots * price
    spent, parts = booked(book.spent + asked.side * value, book.parts, value, s.taker)
    count = note(rows, book.fills, bar.row, asked.side, asked.lots, price, ENTRY)
    stop = 0 if np.isnan(asked.stop) else ticks_of(asked.stop, s)
    profit = 0 if np.isnan(asked.take_profit) else ticks_of(asked.take_profit, s)
    floor, ceiling = bounds(asked.side, stop, profit, price, s)
    held = _Held(asked.side, asked.lots, price, stop, profit, floor, ceiling, last)
    return held, _Book(spent, parts, count, False)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _rest(rows: IntArray, bar: Bar, held: _Held, book: _Book, s: Scale) -> tuple[bool, _Book]:
    """Whether a resting order or a liquidation has ended the position in this bar."""
    ruin = liquidation_ticks(held.side, held.entry, s)
    purpose, reference = _met(held.side, held.stop, held.profit, ruin, bar)
    if purpose < 0:
        return False, book
    if purpose == TAKE_PROFIT:
        price = reference
    elif purpose == LIQUIDATION:
        price = liquidated_at(held.side, held.entry, reference, bar.low, bar.high, s)
    else:
        price = worsened(reference, -held.side, bar.low, bar.high, s)
    return True, _leave(rows, bar, held, purpose, price, book, s)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _decide(c: Columns, t: int, held: _Held, book: _Book, s: Scale) -> _Asked:
    """What is asked for on the close of a bar (2, 6)."""
    want, leaving, side, lots = c.target[t], -1, 0, 0
    if np.isnan(want) or want == held.side:
        if held.side != 0 and t >= held.last:
            leaving = TIME_EXIT
        return _Asked(leaving, 0, 0, np.nan, np.nan, np.nan)
    if held.side != 0:
        leaving = EXIT
    if want == 0:
        return _Asked(leaving, 0, 0, np.nan, np.nan, np.nan)
    # All that an entry needs is fetched at once: it lies apart in memory, and one wait is shorter than four.
    stop, take_profit, hold = c.stop[t], c.take_profit[t], c.hold[t] if c.hold.shape[0] else np.nan
    close = ticks_of(c.close[t], s)
    lots = entry_lots(c.weight[t], close, held.side * held.lots * close - book.spent, book.parts, s)
    side = int(want) if lots > 0 else 0
    return _Asked(leaving, side, lots, stop, take_profit, hold)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _next_event(low: FloatArray, high: FloatArray, target: FloatArray, held: _Held, t: int, due: int) -> int:
    """First row from `t` on where an order may be met, the target asks for a change, time is up or funding due."""
    if held.side == 0:
        return int(next_wish(target, t))
    side, end = float(held.side), min(held.last, due)
    while t < end and low[t] > held.floor and high[t] < held.ceiling and (target[t] == side or np.isnan(target[t])):
        t += 1
    return t


@numba.njit(cache=True, nogil=True, error_model="numpy")
def play_events(c: Columns, bar_ms: int, funding: Funding, s: Scale, first: int, n: int) -> Played:
    """Jump from event to event, over the rows from `first` on and before `n` as if there were no others."""
    payments, t = 0, first
    due = np.searchsorted(funding.row, first)
    rows = np.empty((min(1024, 16 + n - first), 5), dtype=np.int64)
    paid = np.empty((np.searchsorted(funding.row, n) - due, 3), dtype=np.int64)
    flat = _Held(0, 0, 0, 0, 0, -np.inf, np.inf, n)
    held, asked, book = flat, _Asked(-1, 0, 0, np.nan, np.nan, np.nan), _Book(0, 0, 0, False)
    while t < n:
        rows = with_room(rows, book.fills)
        if held.side != 0 and funding.row[due] == t:
            units = held.side * held.lots * ticks_of(c.open[t], s)
            spent, parts = booked(book.spent, book.parts, units, funding.rate[due])
            book = _Book(spent, parts, book.fills, False)
            paid[payments, 0], paid[payments, 1], paid[payments, 2] = t, units, funding.rate[due]
            payments += 1
        if asked.leaving >= 0:
            book = _leave_at_open(rows, bar_at(c, t, s), held, asked.leaving, book, s)
            held = flat
        if asked.side != 0 and not book.dead:
            held, book = _enter(rows, bar_at(c, t, s), asked, last_row(c.open_time, t, asked.hold, bar_ms), book, s)
        if held.side != 0 and (c.low[t] <= held.floor or c.high[t] >= held.ceiling):
            ended, book = _rest(rows, bar_at(c, t, s), held, book, s)
            held = flat if ended else held
        if book.dead or abs(book.spent) > s.most or t + 1 == n:
            break
        asked = _decide(c, t, held, book, s)
        if held.side == 0 and asked.side == 0 and ruined(book.spent, book.parts, s):
            break
        t += 1
        while funding.row[due] < t:
            due += 1
        if asked.leaving < 0 and asked.side == 0:
            t = _next_event(c.low, c.high, c.target, held, t, funding.row[due])
    return Played(rows[: book.fills].copy(), paid[:payments].copy(), abs(book.spent) <= s.most)
