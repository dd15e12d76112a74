"""What a data gate found, in the order in which people want to read it: rule by rule, the worst event first.

Shared by the page, the Data Docs and the terminal, so that all three name the same events.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, iso
from include.qualification.candidate import Candidate
from include.qualification.profile import Profile
from include.stages.data_gate import DataGateResult
from include.validators.violations import EVERY_SYMBOL, Count, Violation, count_of, worst_first


@dataclass(frozen=True, slots=True)
class GateRun:
    """What was judged, by what and when; a report cannot be repeated without it."""

    venue: str
    timeframe: Timeframe
    start: datetime
    end: datetime
    profile: Profile
    measured_at: datetime
    synthetic: bool
    reproduce: str
    """The command that gives the same result."""

    @classmethod
    def of_candidate(
        cls, candidate: Candidate, profile: Profile, start: datetime, end: datetime, *, now: datetime, synthetic: bool
    ) -> GateRun:
        """The run that stage DATA_GATE makes for a candidate."""
        command = gate_command(candidate.venue, candidate.symbols, candidate.timeframe, start, end, profile.name)
        return cls(candidate.venue, candidate.timeframe, start, end, profile, now, synthetic, command)


def gate_command(
    venue: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime, end: datetime, profile: str
) -> str:
    """The command line that judges the same bars by the same profile."""
    named = [part for symbol in symbols for part in ("--symbol", symbol)]
    return shlex.join([
        "airlock", "data", "gate", "--venue", venue, *named, "--timeframe", str(timeframe), "--from", iso(start),
        "--to", iso(end), "--profile", profile,
    ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleFindings:
    """Everything found under one rule: exact counts, and the worst of the listed events."""

    rule: DataRule
    events: int
    bars: int
    worst: tuple[Violation, ...]

    @property
    def more(self) -> int:
        """Events that `worst` leaves out."""
        return self.events - len(self.worst)

    @property
    def total(self) -> str:
        """Both counts in words."""
        return (
            f"{self.events:,} event{'' if self.events == 1 else 's'}, {self.bars:,} bar{'' if self.bars == 1 else 's'}"
        )


def result_findings(result: DataGateResult, shown: int) -> tuple[RuleFindings, ...]:
    """Broken rules of the whole gate, the gravest first; an outage of the exchange is one event, not one a symbol."""
    return _findings(result.violations, _counts(result), shown)


def symbol_findings(result: DataGateResult, symbol: str, shown: int) -> tuple[RuleFindings, ...]:
    """Broken rules of one symbol."""
    quality = result.symbols[symbol].quality
    return _findings(worst_first(quality.violations), quality.counts, shown)


def whom(violation: Violation) -> str:
    """The symbol concerned, in words."""
    return "all symbols" if violation.symbol == EVERY_SYMBOL else violation.symbol


def sample_text(sample: Sequence[float | str]) -> str:
    """Values of a violation as people read them."""
    return ", ".join(v if isinstance(v, str) else f"{v:.6g}" for v in sample)


# --- inside ------------------------------------------------------------------------------------------------


def _findings(
    violations: Iterable[Violation], counts: Mapping[DataRule, Count], shown: int
) -> tuple[RuleFindings, ...]:
    listed: dict[DataRule, list[Violation]] = defaultdict(list)
    for violation in violations:
        listed[violation.rule].append(violation)
    return tuple(
        RuleFindings(rule, counts[rule].events, counts[rule].bars, tuple(events[:shown]))
        for rule, events in listed.items()
    )


def _counts(result: DataGateResult) -> dict[DataRule, Count]:
    """Counts of all symbols, less what several of them have in common and `result.violations` lists once."""
    qualities = [gated.quality for gated in result.symbols.values()]
    once = count_of(result.violations)
    listed = count_of(v for q in qualities for v in q.violations)
    counts = {}
    for rule, merged in once.items():
        found = [q.counts[rule] for q in qualities if rule in q.counts]
        repeated = listed[rule].events - merged.events, listed[rule].bars - merged.bars
        counts[rule] = Count(sum(c.events for c in found) - repeated[0], sum(c.bars for c in found) - repeated[1])
    return counts
