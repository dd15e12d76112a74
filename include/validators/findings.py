"""Lists what is wrong with the rows of one symbol, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import FloatArray, IntArray
from include.domain.reason_codes import DataRule
from include.domain.times import DAY_MS, Timeframe
from include.qualification.profile import DataRules
from include.validators.bar_rules import BoolArray, Rows, runs
from include.validators.column_order import find_swap
from include.validators.cross_check import CrossCheck, cross_check, rows_of
from include.validators.moves import Ticks, tell_moves
from include.validators.presence import Presence
from include.validators.units import price_exponents, volume_exponents
from include.validators.violations import Count, Lister, Value

MINUTE_MS = 60_000


class Findings(Lister):
    """Lists what is wrong with the rows of one symbol; `bad` gathers rows that break a rule beside the row masks."""

    def __init__(self, symbol: str, rows: Rows) -> None:
        super().__init__(symbol)
        self._rows = rows
        self.bad = np.zeros(len(rows), dtype=np.bool_)

    def window(self, present: Presence, end_ms: int, rules: DataRules) -> None:
        """HISTORY_LENGTH, COMPLETENESS and STALE_END of the window, GAP for every hole that is too long."""
        rows, step = self._rows, present.step_ms
        first, last = int(rows.open_time[0]), int(rows.open_time[-1])
        days = (last - first + step) / DAY_MS
        if days < rules.min_history_days:
            self.add(DataRule.HISTORY_LENGTH, first, last, len(rows), days)
        missing = present.missing
        if len(missing):
            share = present.count / present.expected
            span = present.time(int(missing[0])), present.time(int(missing[-1]))
            self.add(DataRule.COMPLETENESS, *span, len(missing), share)
        # Bars that could have closed by now and lie in the window, but come after the last row.
        behind = (end_ms - last) // step - 1
        if behind * step / MINUTE_MS > rules.max_gap_minutes:
            self.add(DataRule.STALE_END, last, last + behind * step, behind, behind * step / MINUTE_MS)
        slot, size = present.holes()
        long = size * step / MINUTE_MS > rules.max_gap_minutes
        slot, size = slot[long], size[long]
        for i in self.tally(DataRule.GAP, size):
            a, b = int(slot[i]) - 1, int(slot[i] + size[i])
            self.add(DataRule.GAP, present.time(a), present.time(b), int(size[i]), int(size[i]) * step / MINUTE_MS)

    def masked(self, rule: DataRule, mask: BoolArray) -> None:
        """One event for each run of consecutive rows, with the values of its first."""
        if mask.any():
            first, last = runs(mask)
            for i in self.tally(rule, last - first):
                self._event(rule, int(first[i]), int(last[i]), *self._values(int(first[i])))

    def moves(self, moves: FloatArray, max_jump: float) -> None:
        """JUMP, BAD_TICK and UNIT_CHANGE: what lies behind prices that move too far."""
        jumped, ticks = tell_moves(self._rows, moves, max_jump)
        tick_rows = ticks.mask(len(self._rows))
        prices = price_exponents(self._rows, tick_rows, max_jump)
        jumped[1:] &= prices[1:] == prices[:-1]
        at = np.flatnonzero(jumped)
        for i in self.tally(DataRule.JUMP, np.ones(len(at), dtype=np.int64)):
            row, move = int(at[i]), float(moves[at[i]])
            after = float(self._rows.close[row])
            self._event(DataRule.JUMP, row, row + 1, after / (1 + move), after, move)
        self._ticks(ticks)
        volumes = volume_exponents(self._rows.volume)
        self._units({"prices": (prices, self._rows.close), "volumes": (volumes, self._rows.volume)})
        self.bad |= jumped | tick_rows | (prices != 0) | (volumes != 0)

    def swapped(self, inconsistent: BoolArray) -> None:
        """COLUMNS_SWAPPED: one event over all rows that another order of columns explains."""
        swap = find_swap(self._rows, inconsistent)
        if swap is not None:
            at, times = np.flatnonzero(swap.rows), self._rows.open_time
            span = int(times[at[0]]), int(times[at[-1]])
            self.add(DataRule.COLUMNS_SWAPPED, *span, len(at), swap.hint, *self._values(int(at[0])))
            self.bad |= swap.rows

    def mismatches(
        self, symbol: str, timeframe: Timeframe, stored: Mapping[str, NDArray[Any]], coarser: Timeframe
    ) -> CrossCheck:
        """TIMEFRAME_MISMATCH against one coarser timeframe; counts are its bars."""
        check, found = cross_check(symbol, self._rows, timeframe, stored, coarser)
        before = self.counts.get(DataRule.TIMEFRAME_MISMATCH, Count(0, 0))
        for i in self.tally(DataRule.TIMEFRAME_MISMATCH, np.array([m.count for m in found], dtype=np.int64)):
            m = found[i]
            values = f"{coarser} {m.column}", m.added_up, m.stored
            self.add(DataRule.TIMEFRAME_MISMATCH, m.first_ms, m.last_ms, m.count, *values)
        if found:
            now = self.counts[DataRule.TIMEFRAME_MISMATCH]
            self.counts[DataRule.TIMEFRAME_MISMATCH] = Count(now.events + before.events, now.bars + before.bars)
        self.bad |= rows_of(found, self._rows.open_time, coarser)
        return check

    def _ticks(self, ticks: Ticks) -> None:
        for i in self.tally(DataRule.BAD_TICK, ticks.last - ticks.first):
            level, price = float(ticks.level[i]), float(ticks.price[i])
            self._event(DataRule.BAD_TICK, int(ticks.first[i]), int(ticks.last[i]), level, price, price / level - 1.0)

    def _units(self, series: Mapping[str, tuple[IntArray, FloatArray]]) -> None:
        events: list[tuple[int, int, str, int, float]] = []
        for name, (exponents, values) in series.items():
            breaks = np.diff(exponents, prepend=exponents[:1]) != 0
            for a, b in zip(*(edge.tolist() for edge in runs(exponents != 0, breaks)), strict=True):
                events.append((a, b, name, int(exponents[a]), float(values[a])))
        for i in self.tally(DataRule.UNIT_CHANGE, np.array([b - a for a, b, *_ in events], dtype=np.int64)):
            a, b, name, power, value = events[i]
            self._event(DataRule.UNIT_CHANGE, a, b, f"{name} times 1e{power}", value)

    def _event(self, rule: DataRule, first: int, last: int, *sample: Value) -> None:
        """Rows `first` to `last` (exclusive)."""
        times = self._rows.open_time
        self.add(rule, int(times[first]), int(times[last - 1]), last - first, *sample)

    def _values(self, row: int) -> tuple[float, ...]:
        r = self._rows
        return tuple(float(column[row]) for column in (r.open, r.high, r.low, r.close, r.volume))
