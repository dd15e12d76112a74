"""The loop of the fill rule for what needs to be looked at while it is held: trailing stops, scale-ins, volume limits.

A bar on which something is in work, or may be, is played in full; all others are skipped as in `kernel_events.py`. The
state is one row of integers, so that each step of the rule is a function of its own. Numbers in brackets are those of
the rule.

Most helpers are inlined by numba rather than left to LLVM: passing an array to a function counts its references, which
halves the speed of this loop.
"""

from __future__ import annotations

import numba
import numpy as np

from include.backtesting.exact import (
    Scale,
    added_lots,
    booked,
    entry_lots,
    half_even,
    liquidated_at,
    liquidation_ticks,
    nearest,
    ruined,
    ticks_of,
    worsened,
)
from include.backtesting.fills import (
    ENTRY,
    EXIT,
    LIQUIDATION,
    SCALE_IN,
    STOP,
    TAKE_PROFIT,
    TIME_EXIT,
    TRAILING_STOP,
)
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
from include.domain.bars import IntArray

# Fields of the state. A level or distance of 0 is none; prices in ticks, quantities in lots.
(
    SIDE, LOTS, ENTERED, VALUE, BEST, SHRUNK, STOP_AT, PROFIT_AT, DISTANCE, LAST, RUIN, AVERAGE,
    LEAVING, ASKED, ASKED_LOTS, ASKED_ROW, ADDING, ROOM, SPENT, PARTS, DEAD, COUNT,
) = range(22)  # fmt: skip
# SIDE +1, 0, -1; LAST the row on whose close the time limit ends; LEAVING the purpose of what leaves, -1 for nothing;
# ASKED the side of an entry in work, ADDING whether it is a scale-in; ROOM what the bar's volume still allows.
_NO_LIMIT = 2**62
_PER_MILLE = 1000  # `fill_rule.TRAILING_STEP`


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _room(volume: float, s: Scale) -> int:
    """`fill_rule.bar_capacity` in lots."""
    return nearest(volume, s.lot_num, s.lot_den) * s.volume_num // s.volume_den if s.volume_den else _NO_LIMIT


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _take(p: IntArray, wanted: int) -> int:
    taken = min(wanted, p[ROOM])
    p[ROOM] -= taken
    return int(taken)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _book(p: IntArray, units: int, rate: int) -> None:
    p[SPENT], p[PARTS] = booked(p[SPENT], p[PARTS], units, rate)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _withdraw(p: IntArray) -> None:
    """What is left of the position's own entry (7); that of a reversal waits for the position to be gone."""
    if p[ASKED] == p[SIDE]:
        p[ASKED] = 0


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _reduce(p: IntArray, rows: IntArray, bar: Bar, lots: int, price: int, purpose: int, s: Scale) -> None:
    if lots == 0:
        return
    p[COUNT] = note(rows, p[COUNT], bar.row, -p[SIDE], lots, price, purpose)
    p[SPENT] -= p[SIDE] * lots * price
    _book(p, lots * price, fee_rate(purpose, s))
    p[LOTS] -= lots
    p[SHRUNK] = 1
    _withdraw(p)
    if p[LOTS] == 0:
        p[SIDE], p[LEAVING] = 0, -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _liquidate(p: IntArray, rows: IntArray, bar: Bar, reference: int, s: Scale) -> None:
    """(14): whole, whatever the volume; nothing is traded afterwards."""
    price = liquidated_at(p[SIDE], p[AVERAGE], reference, bar.low, bar.high, s)
    _reduce(p, rows, bar, p[LOTS], price, LIQUIDATION, s)
    p[ASKED], p[DEAD] = 0, 1


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _ruined_at_open(p: IntArray, rows: IntArray, bar: Bar, s: Scale) -> None:
    if p[SIDE] != 0 and p[RUIN] and p[SIDE] * bar.open <= p[SIDE] * p[RUIN]:
        _liquidate(p, rows, bar, bar.open, s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_entry(p: IntArray, rows: IntArray, bar: Bar, c: Columns, bar_ms: int, s: Scale) -> None:
    lots = _take(p, p[ASKED_LOTS])
    if lots == 0:
        return
    side, price = p[ASKED], worsened(bar.open, p[ASKED], bar.low, bar.high, s)
    p[COUNT] = note(rows, p[COUNT], bar.row, side, lots, price, SCALE_IN if p[ADDING] else ENTRY)
    p[SPENT] += side * lots * price
    _book(p, lots * price, s.taker)
    if p[SIDE] == 0:
        _begin(p, bar.row, p[ASKED_ROW], c, bar_ms, s)
    p[SIDE] = side
    p[LOTS] += lots
    p[ENTERED] += lots
    p[VALUE] += lots * price
    p[BEST] = bar.open
    p[AVERAGE] = half_even(p[VALUE], p[ENTERED])
    p[RUIN] = liquidation_ticks(side, p[AVERAGE], s)
    p[ASKED_LOTS] -= lots
    if p[ASKED_LOTS] == 0:
        p[ASKED] = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _begin(p: IntArray, row: int, decided: int, c: Columns, bar_ms: int, s: Scale) -> None:
    """A new position with what protects it (4)."""
    p[LOTS], p[ENTERED], p[VALUE], p[SHRUNK] = 0, 0, 0, 0
    p[STOP_AT] = 0 if np.isnan(c.stop[decided]) else ticks_of(c.stop[decided], s)
    p[PROFIT_AT] = 0 if np.isnan(c.take_profit[decided]) else ticks_of(c.take_profit[decided], s)
    distance = c.trailing[decided] if c.trailing.shape[0] else np.nan
    p[DISTANCE] = 0 if np.isnan(distance) else nearest(distance, 1, _PER_MILLE)
    p[LAST] = last_row(c.open_time, row, c.hold[decided], bar_ms) if c.hold.shape[0] else c.open.shape[0]


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _fill_market_orders(p: IntArray, rows: IntArray, bar: Bar, c: Columns, bar_ms: int, s: Scale) -> None:
    """(8): what leaves comes first and takes the volume first."""
    if p[SIDE] != 0 and p[LEAVING] >= 0:
        price = worsened(bar.open, -p[SIDE], bar.low, bar.high, s)
        _reduce(p, rows, bar, _take(p, p[LOTS]), price, p[LEAVING], s)
    if p[ASKED] != 0 and (p[SIDE] == 0 or p[SIDE] == p[ASKED]):
        _fill_entry(p, rows, bar, c, bar_ms, s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meet(p: IntArray, rows: IntArray, bar: Bar, purpose: int, reference: int, s: Scale) -> None:
    """Fill what the price has met; what is left of a stop is in work from here on."""
    if p[SIDE] == 0:
        return
    if purpose == LIQUIDATION:
        _liquidate(p, rows, bar, reference, s)
        return
    price = reference
    if purpose != TAKE_PROFIT:
        price = worsened(reference, -p[SIDE], bar.low, bar.high, s)
        _withdraw(p)
        if p[LEAVING] < 0:
            p[LEAVING] = purpose
    _reduce(p, rows, bar, _take(p, p[LOTS]), price, purpose, s)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _trailing_level(side: int, best: int, distance: int) -> int:
    """`fill_rule.trailing_level` in ticks, for a position on `side`."""
    level = half_even(best * (_PER_MILLE - side * distance), _PER_MILLE)
    return int(min(level, best - 1) if side > 0 else max(level, best + 1))


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _meet_at_open(p: IntArray, rows: IntArray, bar: Bar, s: Scale) -> None:
    """(11), and (14) for what this open has brought."""
    side = p[SIDE]
    _ruined_at_open(p, rows, bar, s)
    if p[STOP_AT] and side * bar.open <= side * p[STOP_AT]:
        _meet(p, rows, bar, STOP, bar.open, s)
    if p[DISTANCE] and side * bar.open <= side * _trailing_level(side, p[BEST], p[DISTANCE]):
        _meet(p, rows, bar, TRAILING_STOP, bar.open, s)
    if p[PROFIT_AT] and side * bar.open >= side * p[PROFIT_AT]:
        _meet(p, rows, bar, TAKE_PROFIT, bar.open, s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meet_on_leg(p: IntArray, rows: IntArray, bar: Bar, start: int, end: int, s: Scale) -> None:
    """(12, 13): one straight move of the price. Only the side it goes to can be met, nearest first."""
    side = p[SIDE]
    if side * end > side * start:
        if p[PROFIT_AT] and side * end >= side * p[PROFIT_AT]:
            _meet(p, rows, bar, TAKE_PROFIT, p[PROFIT_AT], s)
        p[BEST] = max(p[BEST], end) if side > 0 else min(p[BEST], end)
        return
    trail = _trailing_level(side, p[BEST], p[DISTANCE]) if p[DISTANCE] else 0
    for _ in range(3):
        purpose, level = _nearest_below(p, trail)
        if p[SIDE] == 0 or purpose < 0 or side * end > side * level:
            return
        _meet(p, rows, bar, purpose, level, s)
        # Each is met once: what is left of it is in work.
        if purpose == STOP:
            p[STOP_AT] = 0
        else:
            trail = 0


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _nearest_below(p: IntArray, trail: int) -> tuple[int, int]:
    """(purpose, level) of what an adverse move meets first; at the same price in the order of (11)."""
    side, purpose, level = p[SIDE], -1, 0
    if p[RUIN]:
        purpose, level = LIQUIDATION, p[RUIN]
    if p[STOP_AT] and (purpose < 0 or side * p[STOP_AT] > side * level):
        purpose, level = STOP, p[STOP_AT]
    if trail and (purpose < 0 or side * trail > side * level):
        purpose, level = TRAILING_STOP, trail
    return purpose, level


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _meet_on_path(p: IntArray, rows: IntArray, bar: Bar, s: Scale) -> None:
    rising = bar.close >= bar.open
    p[BEST] = max(p[BEST], bar.open) if p[SIDE] > 0 else min(p[BEST], bar.open)
    first, second = (bar.low, bar.high) if rising else (bar.high, bar.low)
    _meet_on_leg(p, rows, bar, bar.open, first, s)
    if p[SIDE] != 0:
        _meet_on_leg(p, rows, bar, first, second, s)
    if p[SIDE] != 0:
        _meet_on_leg(p, rows, bar, second, bar.close, s)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _decide(p: IntArray, c: Columns, bar: Bar, s: Scale) -> None:
    """(2) to (7)."""
    if p[LEAVING] >= 0:
        return
    want = c.target[bar.row]
    known = not np.isnan(want)
    if known and (want == 0 or want == -p[ASKED]):
        p[ASKED] = 0
    if p[SIDE] != 0:
        if known and want != p[SIDE]:
            p[LEAVING], p[ASKED] = EXIT, 0
        elif bar.row >= p[LAST]:
            p[LEAVING], p[ASKED] = TIME_EXIT, 0
            return
    if known and want != 0 and p[ASKED] == 0:
        _ask(p, c, bar, int(want), s)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _ask(p: IntArray, c: Columns, bar: Bar, side: int, s: Scale) -> None:
    """Ask for an entry, or for more of what is held."""
    value = p[SIDE] * p[LOTS] * bar.close - p[SPENT]
    adding = p[SIDE] == side
    if not adding:
        lots = entry_lots(c.weight[bar.row], bar.close, value, p[PARTS], s)
    elif c.add.shape[0] and c.add[bar.row] > 0 and p[SHRUNK] == 0:
        lots = added_lots(c.add[bar.row], bar.close, p[LOTS], value, p[PARTS], s)
    else:
        return
    if lots == 0 and p[SIDE] == 0 and ruined(p[SPENT], p[PARTS], s):
        p[DEAD] = 1
    if lots > 0:
        p[ASKED], p[ASKED_LOTS], p[ASKED_ROW], p[ADDING] = side, lots, bar.row, int(adding)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _next_event(c: Columns, p: IntArray, t: int, due: int, s: Scale) -> int:
    """First row from `t` on that has to be played; the best price of a trailing stop is carried along.

    Args:
        due: row of the next funding.
    """
    if p[SIDE] == 0:
        return int(next_wish(c.target, t))
    held, end = float(p[SIDE]), min(p[LAST], due)
    floor, ceiling = bounds(p[SIDE], p[STOP_AT], p[PROFIT_AT], p[AVERAGE], s)
    adding = c.add.shape[0] > 0 and p[SHRUNK] == 0
    best, kept = p[BEST] * s.tick, 1 - p[SIDE] * p[DISTANCE] / _PER_MILLE
    while t < end and c.low[t] > floor and c.high[t] < ceiling:
        want = c.target[t]
        if not np.isnan(want) and (want != held or (adding and c.add[t] > 0)):
            break
        if p[DISTANCE]:
            best_now = max(best, c.high[t]) if held > 0 else min(best, c.low[t])
            level = best_now * kept  # a tick for its rounding and one for the bar's
            if (c.low[t] <= level + 2 * s.tick) if held > 0 else (c.high[t] >= level - 2 * s.tick):
                break
            best = best_now
        t += 1
    if p[DISTANCE]:
        p[BEST] = ticks_of(best, s)
    return t


@numba.njit(cache=True, nogil=True, error_model="numpy")
def play_tracked(c: Columns, bar_ms: int, funding: Funding, s: Scale) -> Played:
    """Play every bar that may do something, step by step in the order of (8)."""
    n = c.open.shape[0]
    rows, paid = np.empty((1024, 5), dtype=np.int64), np.empty((funding.rate.shape[0], 3), dtype=np.int64)
    payments, due, t = 0, 0, 0
    p = np.zeros(22, dtype=np.int64)
    p[LEAVING] = -1
    while t < n and not p[DEAD]:
        rows = with_room(rows, p[COUNT])
        bar = bar_at(c, t, s)
        p[ROOM] = _room(c.volume[t], s)
        while funding.row[due] < t:
            due += 1
        if p[SIDE] != 0 and funding.row[due] == t:
            held = p[SIDE] * p[LOTS] * bar.open
            _book(p, held, funding.rate[due])
            paid[payments, 0], paid[payments, 1], paid[payments, 2] = t, held, funding.rate[due]
            payments += 1
        _ruined_at_open(p, rows, bar, s)
        _fill_market_orders(p, rows, bar, c, bar_ms, s)
        if p[SIDE] != 0:
            _meet_at_open(p, rows, bar, s)
        if p[SIDE] != 0:
            _meet_on_path(p, rows, bar, s)
        if abs(p[SPENT]) > s.most:
            return Played(rows[:0], paid[:0], False)
        if t + 1 < n:
            _decide(p, c, bar, s)
        t += 1
        if p[LEAVING] < 0 and p[ASKED] == 0:
            while funding.row[due] < t:
                due += 1
            t = _next_event(c, p, t, funding.row[due], s)
    return Played(rows[: p[COUNT]].copy(), paid[:payments].copy(), True)
