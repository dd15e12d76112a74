"""The data-quality gate: rows of every symbol in, scores and listed violations out. Nothing is repaired.

Formulas and rules are in `docs/data-quality.md`. Entry points: `measure_symbol` for one symbol's rows (one symbol in
memory at a time), then `symbols_compared.compare_symbols` and `combine` over all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from include.validators.bar_rules import BoolArray, Rows, in_time_order, row_masks
from include.validators.cross_check import CrossCheck
from include.validators.expectations import ExpectationResult
from include.validators.findings import MINUTE_MS, Findings
from include.validators.moves import jumps
from include.validators.presence import Presence, presence
from include.validators.time_zones import HalfHours, block_edges, half_hours
from include.validators.violations import Count, Scope, Violation

__all__ = [
    "JUDGED_TWICE", "Count", "Scope", "SymbolQuality", "Violation", "combine", "measure_symbol", "require_agreement",
]  # fmt: skip

# Rules that Great Expectations judges too: both implementations must say the same.
JUDGED_TWICE = (
    DataRule.NON_FINITE,
    DataRule.NON_POSITIVE_PRICE,
    DataRule.NEGATIVE_VOLUME,
    DataRule.OHLC_INCONSISTENT,
    DataRule.DUPLICATE_TIME,
    DataRule.OUT_OF_ORDER,
)


@dataclass(frozen=True, slots=True)
class SymbolQuality:
    """What was measured about one symbol in the window. Scores are fractions; None where nothing can be said."""

    symbol: str
    rows: int
    presence: Presence
    halted: BoolArray
    """Slots in zero-volume halts, for telling exchange-wide halts from one symbol's."""
    half_hours: HalfHours
    """Samples for telling a wrong time zone."""
    rows_by_block: IntArray
    """Rows, and rows that break a rule, in each block of `time_zones.block_edges`."""
    bad_by_block: IntArray
    first: datetime | None
    last: datetime | None
    completeness: float
    quality: float
    history_days: float
    max_gap_minutes: float | None
    max_jump: float | None
    violations: tuple[Violation, ...]
    counts: Mapping[DataRule, Count]
    cross_checks: tuple[CrossCheck, ...]
    expectations: tuple[ExpectationResult, ...] = ()
    repairs: tuple[str, ...] = ()
    """Policies by which these rows were made; empty for data as it came."""
    filled: int = 0
    """Bars that such a policy filled in: no data, so no score counts them."""

    @property
    def compatibility(self) -> float:
        return min(self.completeness, self.quality)

    @property
    def completeness_with_filled(self) -> float:
        """What completeness would be if filled bars were data; for the eye, never for a criterion."""
        return (self.presence.count + self.filled) / self.presence.expected

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
    *,
    unfinished: Sequence[int],
    now: datetime,
    coarser: Mapping[Timeframe, Mapping[str, NDArray[Any]]] | None = None,
) -> SymbolQuality:
    """Judge the stored rows of one symbol in [start, end) by our own rules.

    Args:
        columns: `open_time` int64 epoch milliseconds, prices and volume float64, shape (n,) each, in stored order.
        unfinished: open times of bars that were ingested before they had closed.
        coarser: columns of stored coarser timeframes of the same series, which the rows must add up to.

    Raises:
        DataError: no bar of the timeframe opens in the window.
    """
    window = to_ms(start), to_ms(end)
    rows = in_time_order(columns)
    present = presence(rows.open_time, timeframe, *window)
    if present.expected == 0:
        raise DataError(f"{symbol}: no bar of {timeframe} opens between {iso(start)} and {iso(end)}; widen the window")
    sampled = half_hours(symbol, rows.open_time, rows.close, timeframe, *window)
    if not len(rows):
        return _empty(symbol, present, sampled, start, end)
    listed = Findings(symbol, rows)
    listed.window(present, min(window[1], to_ms(now)), rules)
    masks = row_masks(rows, timeframe, rules, np.array(sorted(unfinished), dtype=np.int64), to_ms(now))
    for rule, mask in masks.items():
        listed.masked(rule, mask)
    moves = jumps(rows.close)
    listed.moves(moves, rules.max_jump_fraction)
    listed.swapped(masks[DataRule.OHLC_INCONSISTENT])
    checks = tuple(
        listed.mismatches(symbol, timeframe, stored, other) for other, stored in sorted((coarser or {}).items())
    )
    bad = reduce(np.logical_or, masks.values(), listed.bad)
    edges = block_edges(*window)
    at = np.searchsorted(rows.open_time, edges)
    bad_before = np.concatenate([[0], np.cumsum(bad)])
    holes = present.holes()[1]
    return SymbolQuality(
        symbol=symbol, rows=len(rows), presence=present,
        halted=presence(rows.open_time[masks[DataRule.ZERO_VOLUME_HALT]], timeframe, *window).held,
        half_hours=sampled, rows_by_block=np.diff(at), bad_by_block=np.diff(bad_before[at]),
        first=from_ms(int(rows.open_time[0])), last=from_ms(int(rows.open_time[-1])),
        completeness=present.count / present.expected,
        quality=1.0 - int(np.count_nonzero(bad)) / len(rows),
        history_days=_history_days(rows, timeframe),
        max_gap_minutes=float(holes.max(initial=0)) * timeframe.ms / MINUTE_MS if present.count > 1 else None,
        max_jump=float(np.abs(moves).max()) if len(rows) > 1 else None,
        violations=tuple(listed.violations), counts=dict(listed.counts), cross_checks=checks,
    )  # fmt: skip


def combine(symbols: Iterable[SymbolQuality]) -> dict[str, Measurement]:
    """Metrics of the whole data set: each the worst symbol's; unknown for one symbol is unknown for all."""
    measured = [s.measurements() for s in symbols]
    return {
        name: _worst([m[name] for m in measured], smallest=name not in ("max_gap_minutes", "max_jump"))
        for name in (measured[0] if measured else ())
    }


def require_agreement(quality: SymbolQuality, expectations: Sequence[ExpectationResult]) -> None:
    """Two implementations of a rule that disagree mean that neither can be trusted.

    Raises:
        DataError: Great Expectations and our own rules say different things about a rule of `JUDGED_TWICE`.
    """
    if not quality.rows:
        return
    for rule in JUDGED_TWICE:
        expected = all(e.success for e in expectations if e.rule is rule)
        if expected != (rule not in quality.counts):
            raise DataError(
                f"{quality.symbol}: Great Expectations and our own check disagree on {rule.value}; report this"
            )


# --- inside ------------------------------------------------------------------------------------------------


def _worst(measurements: Sequence[Measurement], *, smallest: bool) -> Measurement:
    values = [m.value for m in measurements if m.value is not None]
    samples = min((m.samples or 0) for m in measurements)
    if len(values) < len(measurements):
        return Measurement(None, samples=samples)
    return Measurement(min(values) if smallest else max(values), samples=samples)


def _history_days(rows: Rows, timeframe: Timeframe) -> float:
    return (int(rows.open_time[-1] - rows.open_time[0]) + timeframe.ms) / DAY_MS


def _empty(symbol: str, present: Presence, sampled: HalfHours, start: datetime, end: datetime) -> SymbolQuality:
    blocks = np.zeros(len(block_edges(to_ms(start), to_ms(end))) - 1, dtype=np.int64)
    violation = Violation(DataRule.EMPTY, symbol, Scope.SYMBOL, start, end, 0, ())
    return SymbolQuality(
        symbol=symbol, rows=0, presence=present, halted=np.zeros(present.expected, dtype=np.bool_), half_hours=sampled,
        rows_by_block=blocks, bad_by_block=blocks, first=None, last=None, completeness=0.0, quality=0.0,
        history_days=0.0, max_gap_minutes=None, max_jump=None, violations=(violation,),
        counts={DataRule.EMPTY: Count(1, 0)}, cross_checks=(),
    )  # fmt: skip
