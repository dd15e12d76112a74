"""Violations: what the data gate lists, how it counts, and which it names first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from include.domain.bars import IntArray
from include.domain.reason_codes import DataRule
from include.domain.times import from_ms, iso

MAX_LISTED = 100_000
"""Violations listed for each rule of a symbol, largest first: a bound on memory; counts always cover all of them."""
EVERY_SYMBOL = "*"
"""Stands for all symbols of a gate where something is the exchange's and none of them is to blame."""

WHOLE_WINDOW = (
    DataRule.EMPTY,
    DataRule.HISTORY_LENGTH,
    DataRule.COMPLETENESS,
    DataRule.COLUMNS_SWAPPED,
    DataRule.WRONG_ZONE,
    DataRule.STALE_END,
    DataRule.UNEVEN_END,
)
"""Rules that say something about the series as a whole, gravest first; they are named before any single event."""
MOVES = (DataRule.JUMP, DataRule.BAD_TICK)
"""Rules whose sample ends with a relative move: of two events of one bar, the farther one is worse."""

Value = float | str


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
    sample: tuple[Value, ...]
    """Values at `first`; what they are depends on the rule (`docs/data-quality.md`)."""

    def document(self) -> dict[str, Any]:
        return {
            "rule": self.rule.value, "symbol": self.symbol, "scope": self.scope.value, "first": iso(self.first),
            "last": iso(self.last), "count": self.count, "sample": list(self.sample),
        }  # fmt: skip

    @property
    def text(self) -> str:
        """One line for people: rule, whom it concerns, when, how many bars, values."""
        whom = "all symbols" if self.symbol == EVERY_SYMBOL else self.symbol
        when = iso(self.first) if self.first == self.last else f"{iso(self.first)} to {iso(self.last)}"
        values = ", ".join(v if isinstance(v, str) else f"{v:.6g}" for v in self.sample)
        bars = f"{self.count:,} bar{'' if self.count == 1 else 's'}"
        return f"{self.rule.value} {whom} {when} ({bars}{': ' + values if values else ''})"


@dataclass(frozen=True, slots=True)
class Count:
    """How often a rule was broken: events, and bars in them."""

    events: int
    bars: int


def worst_first(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Rules on the whole window, then by bars, then by how far a price moved, then by time."""
    return tuple(sorted(violations, key=_gravity))


def count_of(violations: Iterable[Violation]) -> dict[DataRule, Count]:
    """Counts of a complete list."""
    counts: dict[DataRule, Count] = {}
    for v in violations:
        before = counts.get(v.rule, Count(0, 0))
        counts[v.rule] = Count(before.events + 1, before.bars + v.count)
    return counts


def shared_once(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """What is the exchange's, once for all symbols (`EVERY_SYMBOL`) instead of once for each; the rest as it is.

    Where the symbols' samples differ, the merged one names each symbol with the first value of its own.
    """
    groups: dict[tuple[Any, ...], list[Violation]] = {}
    for v in violations:
        shared = v.scope is Scope.EXCHANGE
        groups.setdefault((v.rule, v.first, v.last, v.count) if shared else (id(v),), []).append(v)
    return tuple(_merged(group) for group in groups.values())


class Lister:
    """Gathers the violations of one symbol: all counted, the `MAX_LISTED` largest of each rule listed."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self.violations: list[Violation] = []
        self.counts: dict[DataRule, Count] = {}

    def add(self, rule: DataRule, first_ms: int, last_ms: int, count: int, *sample: Value) -> None:
        """List one event; `counts` is set by it only when nobody counted the rule before."""
        self.counts.setdefault(rule, Count(1, count))
        self.violations.append(
            Violation(rule, self._symbol, Scope.SYMBOL, from_ms(first_ms), from_ms(last_ms), count, _plain(sample))
        )

    def tally(self, rule: DataRule, sizes: IntArray) -> Sequence[int]:
        """Count events of `sizes` bars each and return the positions of those to be listed, in order of time."""
        if len(sizes):
            self.counts[rule] = Count(len(sizes), int(sizes.sum()))
        listed: list[int] = np.sort(np.argsort(-sizes, kind="stable")[:MAX_LISTED]).tolist()
        return listed


def _gravity(v: Violation) -> tuple[Any, ...]:
    rank = WHOLE_WINDOW.index(v.rule) if v.rule in WHOLE_WINDOW else len(WHOLE_WINDOW)
    move = v.sample[-1] if v.rule in MOVES and v.sample else 0.0
    # Down by nine tenths and up tenfold are as far; a move that is no finite number is farther than any other.
    far = abs(math.log1p(move)) if isinstance(move, float) and move > -1 else math.inf
    return rank, -v.count, -far, v.rule, v.first, v.symbol


def _merged(group: Sequence[Violation]) -> Violation:
    first = group[0]
    if first.scope is not Scope.EXCHANGE:
        return first
    if all(v.sample == first.sample for v in group):
        return replace(first, symbol=EVERY_SYMBOL)
    return replace(first, symbol=EVERY_SYMBOL, sample=tuple(x for v in group for x in (v.symbol, *v.sample[:1])))


def _plain(sample: Iterable[Value]) -> tuple[Value, ...]:
    """NaN and infinities as text: JSON has no number for them."""
    return tuple(v if isinstance(v, str) or math.isfinite(v) else str(v) for v in sample)
