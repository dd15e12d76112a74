"""The data-quality gate: rows of every symbol in, scores and listed violations out. Nothing is repaired.

Formulas and rules are in `docs/data-quality.md`. Entry points: `measure_symbol` for one symbol's rows (one symbol in
memory at a time), then `mark_exchange_wide` and `combine` over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import IntArray
from include.domain.errors import DataError
from include.domain.reason_codes import DataRule
from include.domain.times import DAY_MS, Timeframe, from_ms, iso, to_ms
from include.qualification.criterion import Measurement
from include.qualification.profile import DataRules
from include.validators.bar_rules import (
    BoolArray,
    Presence,
    Rows,
    in_time_order,
    jumps,
    presence,
    row_masks,
    runs,
)
from include.validators.expectations import ExpectationResult, ExpectationSuite

MAX_LISTED = 100_000
"""Violations listed for each rule of a symbol, earliest first: a bound on memory; counts always cover all of them."""
MINUTE_MS = 60_000

# Rules that Great Expectations judges too: both implementations must say the same.
JUDGED_TWICE = (
    DataRule.NON_FINITE,
    DataRule.NON_POSITIVE_PRICE,
    DataRule.NEGATIVE_VOLUME,
    DataRule.OHLC_INCONSISTENT,
    DataRule.DUPLICATE_TIME,
    DataRule.OUT_OF_ORDER,
)


class Scope(StrEnum):
    """Whether one symbol is concerned or all of them lack the same bars."""

    SYMBOL = "symbol"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Violation:
    """One event: consecutive bars that break one rule. `first` and `last` are open times, `count` is bars.

    A GAP runs from the bar before the hole to the bar after it, and counts the bars missing between them.
    """

    rule: DataRule
    symbol: str
    scope: Scope
    first: datetime
    last: datetime
    count: int
    sample: tuple[float | str, ...]
    """Values at `first`; what they are depends on the rule (`docs/data-quality.md`)."""

    def document(self) -> dict[str, Any]:
        return {
            "rule": self.rule.value, "symbol": self.symbol, "scope": self.scope.value, "first": iso(self.first),
            "last": iso(self.last), "count": self.count, "sample": list(self.sample),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Count:
    """How often a rule was broken: events, and bars in them."""

    events: int
    bars: int


@dataclass(frozen=True, slots=True)
class SymbolQuality:
    """What was measured about one symbol in the window. Scores are fractions; None where nothing can be said."""

    symbol: str
    rows: int
    presence: Presence
    halted: IntArray
    """Slots in zero-volume halts, for telling exchange-wide halts from one symbol's."""
    first: datetime | None
    last: datetime | None
    completeness: float
    quality: float
    history_days: float
    max_gap_minutes: float | None
    max_jump: float | None
    violations: tuple[Violation, ...]
    counts: Mapping[DataRule, Count]
    expectations: tuple[ExpectationResult, ...]

    @property
    def compatibility(self) -> float:
        return min(self.completeness, self.quality)

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        bars = self.presence.expected
        return {
            "completeness": Measurement(self.completeness, samples=bars),
            "quality": Measurement(self.quality, samples=self.rows),
            "compatibility": Measurement(self.compatibility, samples=bars),
            "history_days": Measurement(self.history_days, samples=self.rows),
            "max_gap_minutes": Measurement(self.max_gap_minutes, samples=self.rows),
            "max_jump": Measurement(self.max_jump, samples=self.rows),
        }


def measure_symbol(
    symbol: str,
    columns: Mapping[str, NDArray[Any]],
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    rules: DataRules,
    suite: ExpectationSuite,
    *,
    unfinished: Sequence[int],
    now: datetime,
) -> SymbolQuality:
    """Judge the stored rows of one symbol in [start, end).

    Args:
        columns: `open_time` int64 epoch milliseconds, prices and volume float64, shape (n,) each, in stored order.
        unfinished: open times of bars that were ingested before they had closed.

    Raises:
        DataError: Great Expectations and our own rules disagree, or an expectation could not be evaluated.
    """
    rows = in_time_order(columns)
    present = presence(rows.open_time, timeframe, to_ms(start), to_ms(end))
    if present.expected == 0:
        raise DataError(f"{symbol}: no bar of {timeframe} opens between {iso(start)} and {iso(end)}; widen the window")
    expectations = suite.validate(columns)
    if not len(rows):
        return _empty(symbol, present, start, end, expectations)
    masks = row_masks(rows, timeframe, rules, np.array(sorted(unfinished), dtype=np.int64), to_ms(now))
    _require_agreement(symbol, masks, expectations)
    history_days = (int(rows.open_time[-1] - rows.open_time[0]) + timeframe.ms) / DAY_MS
    listed = _Lister(symbol)
    listed.missing_bars(present, rules.max_gap_minutes)
    if history_days < rules.min_history_days:
        listed.add(DataRule.HISTORY_LENGTH, int(rows.open_time[0]), int(rows.open_time[-1]), len(rows), history_days)
    for rule, mask in masks.items():
        listed.rows(rule, mask, rows)
    bad = reduce(np.logical_or, masks.values())
    holes = present.holes()[1]
    halted = presence(rows.open_time[masks[DataRule.ZERO_VOLUME_HALT]], timeframe, to_ms(start), to_ms(end)).present
    return SymbolQuality(
        symbol=symbol, rows=len(rows), presence=present, halted=halted,
        first=from_ms(int(rows.open_time[0])), last=from_ms(int(rows.open_time[-1])),
        completeness=len(present.present) / present.expected,
        quality=1.0 - float(np.count_nonzero(bad)) / len(rows),
        history_days=history_days,
        max_gap_minutes=float(holes.max(initial=0)) * timeframe.ms / MINUTE_MS if len(present.present) > 1 else None,
        max_jump=float(np.abs(jumps(rows.close)).max()) if len(rows) > 1 else None,
        violations=tuple(listed.violations), counts=dict(listed.counts), expectations=expectations,
    )  # fmt: skip


def mark_exchange_wide(symbols: Sequence[SymbolQuality]) -> tuple[SymbolQuality, ...]:
    """Set the scope of gaps and halts that all symbols share: every bar of it is missing (halted) in each of them.

    With a single symbol nothing can be shared, and the scope stays `symbol`.
    """
    if len(symbols) < 2:
        return tuple(symbols)
    shared = {
        DataRule.GAP: reduce(np.intersect1d, [s.presence.missing for s in symbols]),
        DataRule.ZERO_VOLUME_HALT: reduce(np.intersect1d, [s.halted for s in symbols]),
    }
    return tuple(replace(s, violations=tuple(_scoped(v, s.presence, shared) for v in s.violations)) for s in symbols)


def combine(symbols: Iterable[SymbolQuality]) -> dict[str, Measurement]:
    """Metrics of the whole data set: each the worst symbol's; unknown for one symbol is unknown for all."""
    measured = [s.measurements() for s in symbols]
    return {
        name: _worst([m[name] for m in measured], smallest=name not in ("max_gap_minutes", "max_jump"))
        for name in (measured[0] if measured else ())
    }


def _worst(measurements: Sequence[Measurement], *, smallest: bool) -> Measurement:
    values = [m.value for m in measurements if m.value is not None]
    samples = min((m.samples or 0) for m in measurements)
    if len(values) < len(measurements):
        return Measurement(None, samples=samples)
    return Measurement(min(values) if smallest else max(values), samples=samples)


def _scoped(violation: Violation, present: Presence, shared: Mapping[DataRule, IntArray]) -> Violation:
    if violation.rule not in shared:
        return violation
    slots = shared[violation.rule]
    first, last = present.slot(to_ms(violation.first)), present.slot(to_ms(violation.last))
    if violation.rule is DataRule.GAP:
        first, last = first + 1, last - 1
    common = np.searchsorted(slots, last, side="right") - np.searchsorted(slots, first, side="left")
    return replace(violation, scope=Scope.EXCHANGE if common == last - first + 1 else Scope.SYMBOL)


def _require_agreement(
    symbol: str, masks: Mapping[DataRule, BoolArray], expectations: Sequence[ExpectationResult]
) -> None:
    """Two implementations of a rule that disagree mean that neither can be trusted."""
    for rule in JUDGED_TWICE:
        expected = all(e.success for e in expectations if e.rule is rule)
        if expected != (not masks[rule].any()):
            raise DataError(f"{symbol}: Great Expectations and our own check disagree on {rule.value}; report this")


def _empty(
    symbol: str, present: Presence, start: datetime, end: datetime, expectations: tuple[ExpectationResult, ...]
) -> SymbolQuality:
    nothing = np.empty(0, dtype=np.int64)
    violation = Violation(DataRule.EMPTY, symbol, Scope.SYMBOL, start, end, 0, ())
    return SymbolQuality(
        symbol=symbol, rows=0, presence=present, halted=nothing, first=None, last=None, completeness=0.0, quality=0.0,
        history_days=0.0, max_gap_minutes=None, max_jump=None, violations=(violation,),
        counts={DataRule.EMPTY: Count(1, 0)}, expectations=expectations,
    )  # fmt: skip


class _Lister:
    """Gathers the violations of one symbol: all counted, the first `MAX_LISTED` of each rule listed."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self.violations: list[Violation] = []
        self.counts: dict[DataRule, Count] = {}

    def add(self, rule: DataRule, first_ms: int, last_ms: int, count: int, *sample: float | str) -> None:
        """List one event; the caller keeps `counts` when it may leave some out."""
        self.counts.setdefault(rule, Count(1, count))
        self.violations.append(
            Violation(rule, self._symbol, Scope.SYMBOL, from_ms(first_ms), from_ms(last_ms), count, _plain(sample))
        )

    def missing_bars(self, present: Presence, max_gap_minutes: float) -> None:
        """COMPLETENESS over the whole window when a bar is missing, GAP for every hole that is too long."""
        missing = present.expected - len(present.present)
        if missing:
            slots = present.missing
            share = len(present.present) / present.expected
            self.add(DataRule.COMPLETENESS, present.time(int(slots[0])), present.time(int(slots[-1])), missing, share)
        first, size = present.holes()
        minutes = size * present.step_ms / MINUTE_MS
        long = np.flatnonzero(minutes > max_gap_minutes)
        if len(long):
            self.counts[DataRule.GAP] = Count(len(long), int(size[long].sum()))
        for i in long[:MAX_LISTED]:
            a, b = int(first[i]) - 1, int(first[i] + size[i])
            self.add(DataRule.GAP, present.time(a), present.time(b), int(size[i]), float(minutes[i]))

    def rows(self, rule: DataRule, mask: BoolArray, rows: Rows) -> None:
        """One event for each run of consecutive rows; every jump is an event of its own."""
        if not mask.any():
            return
        if rule is DataRule.JUMP:
            first = np.flatnonzero(mask).astype(np.int64)
            last = first + 1
        else:
            first, last = runs(mask)
        self.counts[rule] = Count(len(first), int(np.count_nonzero(mask)))
        for a, b in zip(first[:MAX_LISTED].tolist(), last[:MAX_LISTED].tolist(), strict=True):
            self.add(rule, int(rows.open_time[a]), int(rows.open_time[b - 1]), b - a, *_sample(rule, rows, a))


def _sample(rule: DataRule, rows: Rows, at: int) -> tuple[float | str, ...]:
    if rule is DataRule.JUMP:
        usable = at - 1
        while not (np.isfinite(rows.close[usable]) and rows.close[usable] > 0):
            usable -= 1
        before, after = float(rows.close[usable]), float(rows.close[at])
        return before, after, after / before - 1.0
    values = (rows.open[at], rows.high[at], rows.low[at], rows.close[at], rows.volume[at])
    return tuple(float(v) for v in values)


def _plain(sample: Iterable[float | str]) -> tuple[float | str, ...]:
    """NaN and infinities as text: JSON has no number for them."""
    return tuple(v if isinstance(v, str) or math.isfinite(v) else str(v) for v in sample)
