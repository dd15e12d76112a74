"""What only shows when symbols of a gate are compared: outages of the exchange, uneven ends, wrong time zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import reduce

import numpy as np

from include.domain.bars import IntArray
from include.domain.reason_codes import DataRule
from include.domain.times import from_ms, iso, to_ms
from include.validators.bar_rules import BoolArray
from include.validators.data_quality import SymbolQuality
from include.validators.presence import Presence
from include.validators.time_zones import HalfHours, Shift, find_shifts
from include.validators.violations import Scope, Violation, count_of

HOUR_MS = 3_600_000


def compare_symbols(
    symbols: Sequence[SymbolQuality], references: Sequence[HalfHours], edges: IntArray
) -> tuple[SymbolQuality, ...]:
    """Complete what was measured symbol by symbol.

    Args:
        symbols: measured over the same window and timeframe.
        references: other series of the same market to compare times with.
        edges: of `time_zones.block_edges`, for the window.
    """
    shifts = find_shifts([s.half_hours for s in symbols], references, edges)
    in_zone = [_in_zone(s, [x for x in shifts if x.name == s.symbol], edges) for s in symbols]
    return _with_uneven_ends(_with_scopes(in_zone))


# --- inside ------------------------------------------------------------------------------------------------


def _with_scopes(symbols: Sequence[SymbolQuality]) -> tuple[SymbolQuality, ...]:
    """Set the scope of gaps and halts that all symbols share: every bar of it is missing (halted) in each of them.

    With a single symbol nothing can be shared, and the scope stays `symbol`.
    """
    if len(symbols) < 2:
        return tuple(symbols)
    shared = {
        DataRule.GAP: _ranks(~reduce(np.logical_or, [s.presence.held for s in symbols])),
        DataRule.ZERO_VOLUME_HALT: _ranks(reduce(np.logical_and, [s.halted for s in symbols])),
    }
    return tuple(replace(s, violations=tuple(_scoped(v, s.presence, shared) for v in s.violations)) for s in symbols)


def _ranks(mask: BoolArray) -> IntArray:
    """How many slots before each one are in the mask, shape (n + 1,)."""
    return np.concatenate([[0], np.cumsum(mask)])


def _scoped(violation: Violation, present: Presence, shared: Mapping[DataRule, IntArray]) -> Violation:
    if violation.rule not in shared:
        return violation
    ranks = shared[violation.rule]
    first, last = present.slot(to_ms(violation.first)), present.slot(to_ms(violation.last))
    if violation.rule is DataRule.GAP:
        first, last = first + 1, last - 1
    common = int(ranks[last + 1] - ranks[first])
    return replace(violation, scope=Scope.EXCHANGE if common == last - first + 1 else Scope.SYMBOL)


def _with_uneven_ends(symbols: Sequence[SymbolQuality]) -> tuple[SymbolQuality, ...]:
    """UNEVEN_END for every symbol that begins after the first one or ends before the last one."""
    some = [s for s in symbols if s.first is not None and s.last is not None]
    if len(some) < 2:
        return tuple(symbols)
    earliest = min(some, key=lambda s: (s.first, s.symbol))
    latest = max(some, key=lambda s: (s.last, s.symbol))
    return tuple(_added(s, _uneven(s, earliest, latest)) for s in symbols)


def _uneven(own: SymbolQuality, earliest: SymbolQuality, latest: SymbolQuality) -> list[Violation]:
    if own.first is None or own.last is None or earliest.first is None or latest.last is None:
        return []
    step = timedelta(milliseconds=own.presence.step_ms)
    sides = [
        (earliest.first, own.first, f"begins {iso(own.first)}, {earliest.symbol} begins {iso(earliest.first)}"),
        (own.last, latest.last, f"ends {iso(own.last)}, {latest.symbol} ends {iso(latest.last)}"),
    ]
    return [
        Violation(DataRule.UNEVEN_END, own.symbol, Scope.SYMBOL, first, last, (last - first) // step, (text,))
        for first, last, text in sides
        if last > first
    ]


def _in_zone(symbol: SymbolQuality, shifts: Sequence[Shift], edges: IntArray) -> SymbolQuality:
    """WRONG_ZONE for the blocks in which the symbol is off; all of their rows count as bad."""
    if not shifts:
        return symbol
    found, bad = [], symbol.bad_by_block.copy()
    for shift in shifts:
        blocks = slice(shift.first_block, shift.last_block + 1)
        bad[blocks] = symbol.rows_by_block[blocks]
        hours = shift.lag_ms / HOUR_MS
        text = f"{abs(hours):g} h {'later' if hours > 0 else 'earlier'} than {shift.other}"
        first, end = int(edges[shift.first_block]), int(edges[shift.last_block + 1])
        span = from_ms(first), from_ms(end - symbol.presence.step_ms)
        count = int(symbol.rows_by_block[blocks].sum())
        sample = (text, round(shift.at_zero, 4), round(shift.at_lag, 4))
        found.append(Violation(DataRule.WRONG_ZONE, symbol.symbol, Scope.SYMBOL, *span, count, sample))
    quality = 1.0 - int(bad.sum()) / symbol.rows
    return replace(_added(symbol, found), quality=quality, bad_by_block=bad)


def _added(symbol: SymbolQuality, found: Sequence[Violation]) -> SymbolQuality:
    if not found:
        return symbol
    counts = {**symbol.counts, **count_of(found)}
    return replace(symbol, violations=(*symbol.violations, *found), counts=counts)
