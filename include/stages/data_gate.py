"""Stage DATA_GATE: is the market data of a window good enough to measure a candidate on?

`gate_data` judges any symbols; `run_data_gate` does it for a candidate and returns evidence. Both fail closed: a
symbol without rows scores zero, and data that cannot be read at all is an ERROR, never a PASS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from include.domain.enums import Stage
from include.domain.errors import AirlockError, DataError
from include.domain.instruments import symbol_id
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, iso, to_ms
from include.ports import MarketData, Progress, no_progress
from include.qualification.candidate import Candidate
from include.qualification.criterion import CriterionResult, Measurement
from include.qualification.evidence import Evidence, build_evidence, criterion_document, evaluate_stage
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.gate_measuring import Measuring
from include.validators.data_quality import SymbolQuality, combine
from include.validators.symbols_compared import compare_symbols
from include.validators.time_zones import block_edges
from include.validators.violations import EVERY_SYMBOL, Violation, count_of, shared_once, worst_first

LISTED_IN_EVIDENCE = 50
"""Violations of each rule and symbol that evidence carries; the report file has all that the validator listed."""
NAMED_IN_REASON = 3
"""Violations that the reason of a failed criterion names, worst first."""
_MISSING = (DataRule.GAP, DataRule.STALE_END, DataRule.OFF_GRID, DataRule.EMPTY)
_MOVES = (DataRule.UNIT_CHANGE, DataRule.JUMP, DataRule.BAD_TICK)
_BROKEN = tuple(r for r in DataRule if r not in (*_MISSING[:2], DataRule.HISTORY_LENGTH, DataRule.COMPLETENESS,
                                                 DataRule.UNEVEN_END))  # fmt: skip
CAUSES: Mapping[str, tuple[DataRule, ...]] = MappingProxyType({
    "history_days": (DataRule.HISTORY_LENGTH, DataRule.EMPTY), "completeness": _MISSING, "quality": _BROKEN,
    "compatibility": (*_MISSING, *_BROKEN), "max_gap_minutes": (DataRule.GAP,), "max_jump": _MOVES,
})  # fmt: skip
"""Rules whose violations lie behind each score."""


@dataclass(frozen=True, slots=True)
class GatedSymbol:
    """One symbol's measurement, its own verdict by the same criteria and its own fingerprint."""

    quality: SymbolQuality
    verdict: Verdict
    fingerprint: str

    def document(self) -> dict[str, Any]:
        q = self.quality
        return {
            "verdict": self.verdict.value, "completeness": q.completeness, "quality": q.quality,
            "compatibility": q.compatibility, "fingerprint": self.fingerprint, "rows": q.rows,
            "expected": q.presence.expected, "missing": q.presence.expected - q.presence.count,
            "filled": q.filled, "completeness_with_filled": q.completeness_with_filled,
            "history_days": q.history_days, "max_gap_minutes": q.max_gap_minutes, "max_jump": q.max_jump,
            "first": iso(q.first) if q.first else None, "last": iso(q.last) if q.last else None,
            "violation_counts": {r.value: {"events": c.events, "bars": c.bars} for r, c in sorted(q.counts.items())},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataGateResult:
    """Verdict on a whole data set with everything it rests on."""

    verdict: Verdict
    metrics: Mapping[str, Measurement]
    results: tuple[CriterionResult, ...]
    fingerprint: str
    symbols: Mapping[str, GatedSymbol]
    violations: tuple[Violation, ...]
    """All listed violations, worst first; what the exchange is to blame for appears once, under `EVERY_SYMBOL`."""
    references: tuple[str, ...] = ()
    """Other series whose times were compared."""

    def document(self) -> dict[str, Any]:
        """The JSON of `airlock data gate`."""
        shared = count_of(v for v in self.violations if v.symbol == EVERY_SYMBOL)
        return {
            "verdict": self.verdict.value,
            **{name: self.metrics[name].value for name in ("completeness", "quality", "compatibility")},
            "fingerprint": self.fingerprint,
            "symbols": {symbol: gated.document() for symbol, gated in self.symbols.items()},
            "repairs": self.repairs(),
            "exchange": {"violation_counts": {r.value: asdict(c) for r, c in sorted(shared.items())}},
            "criteria": [criterion_document(result) for result in self.results],
            "violations": [violation.document() for violation in self.violations],
            **self.comparisons(),
        }

    def repairs(self) -> dict[str, list[str]]:
        """Policies by which the rows of a symbol were made; symbols whose data is as it came are left out."""
        return {s: list(gated.quality.repairs) for s, gated in self.symbols.items() if gated.quality.repairs}

    def comparisons(self) -> dict[str, Any]:
        """What the data was compared with: coarser timeframes of its own and other series."""
        return {
            "cross_checks": [c.document(s) for s, gated in self.symbols.items() for c in gated.quality.cross_checks],
            "references": list(self.references),
        }

    def notes(self) -> dict[str, str]:
        """The worst violations behind each score, in one line by metric."""
        return _notes(self.violations)


WriteReport = Callable[[DataGateResult], Mapping[str, str]]
"""Writes a report of a result; returns SHA-256 by file name."""


def gate_data(
    venue: str,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    profile: Profile,
    market_data: MarketData,
    *,
    now: datetime,
    progress: Progress = no_progress,
) -> DataGateResult:
    """Judge the stored rows of `symbols` in [start, end) by the profile; at most two symbols in memory at a time.

    Raises:
        DataError: no symbols, one of them twice, an empty window, a symbol that is not in the lake, an unreadable
            partition, data that changed meanwhile, or a check that could not be evaluated.
    """
    if not symbols or start >= end:
        raise DataError(f"{venue}: nothing to judge (symbols: {list(symbols)}, from {iso(start)} to {iso(end)})")
    if len({symbol_id(symbol) for symbol in symbols}) < len(symbols):
        # Beside itself, a symbol's own holes would pass for the whole exchange's.
        raise DataError(f"{venue}: a symbol is named twice ({', '.join(symbols)}); name each once")
    run = Measuring(venue, timeframe, start, end, profile.data, market_data, now)
    fingerprint, measured, references = run.measure(symbols, progress)
    if market_data.fingerprint(venue, symbols, timeframe, start, end) != fingerprint:
        raise DataError(f"{venue}: the data changed while it was judged; run the gate again when the import is done")
    progress(1.0, "done")
    edges = block_edges(to_ms(start), to_ms(end))
    measured = list(compare_symbols(measured, references, edges))
    criteria = profile.stage_criteria(Stage.DATA_GATE, timeframe)
    gated = {
        q.symbol: GatedSymbol(
            q, evaluate_stage(criteria, q.measurements())[1],
            market_data.fingerprint(venue, [q.symbol], timeframe, start, end),
        )
        for q in measured
    }  # fmt: skip
    violations = worst_first(shared_once(v for q in measured for v in q.violations))
    metrics = combine(measured)
    results, verdict = evaluate_stage(criteria, metrics, _notes(violations))
    return DataGateResult(
        verdict, MappingProxyType(metrics), results, fingerprint, MappingProxyType(gated), violations,
        tuple(r.name for r in references),
    )  # fmt: skip


def run_data_gate(
    candidate: Candidate,
    profile: Profile,
    start: datetime,
    end: datetime,
    market_data: MarketData,
    *,
    now: datetime,
    progress: Progress = no_progress,
    report: WriteReport | None = None,
) -> Evidence:
    """Evidence of stage DATA_GATE for a candidate over [start, end).

    Never raises for the data's sake: data that cannot be judged gives verdict ERROR and the reason in `details.error`.

    Args:
        report: writes everything that was found for people to read; the files it names become artefacts.
    """
    window = {"from": iso(start), "to": iso(end), "venue": candidate.venue, "symbols": list(candidate.symbols)}
    synthetic = market_data.is_synthetic(candidate.venue)
    try:
        result = gate_data(
            candidate.venue, candidate.symbols, candidate.timeframe, start, end, profile, market_data,
            now=now, progress=progress,
        )  # fmt: skip
    except AirlockError as error:
        return build_evidence(
            candidate=candidate, stage=Stage.DATA_GATE, profile=profile, fingerprint="", measured_at=now,
            metrics={}, synthetic=synthetic, details={"window": window}, error=str(error),
        )  # fmt: skip
    details = {
        "window": window,
        "symbols": {symbol: gated.document() for symbol, gated in result.symbols.items()},
        "violations": [v.document() for v in bounded(result.violations)],
        "violations_listed": len(result.violations),
        "repairs": result.repairs(),
        **result.comparisons(),
    }
    return build_evidence(
        candidate=candidate, stage=Stage.DATA_GATE, profile=profile, fingerprint=result.fingerprint,
        measured_at=now, metrics=result.metrics, synthetic=synthetic, details=details,
        artefacts=report(result) if report else {}, notes=result.notes(),
    )  # fmt: skip


def bounded(violations: Sequence[Violation], limit: int = LISTED_IN_EVIDENCE) -> list[Violation]:
    """The first `limit` violations of each rule and symbol."""
    seen: dict[tuple[DataRule, str], int] = defaultdict(int)
    kept = []
    for violation in violations:
        seen[violation.rule, violation.symbol] += 1
        if seen[violation.rule, violation.symbol] <= limit:
            kept.append(violation)
    return kept


# --- inside ------------------------------------------------------------------------------------------------


def _notes(violations: Sequence[Violation]) -> dict[str, str]:
    """In order of `violations`, which come worst first."""
    notes = {}
    for metric, rules in CAUSES.items():
        named = [v.text for v in violations if v.rule in rules][:NAMED_IN_REASON]
        if named:
            notes[metric] = f"worst: {'; '.join(named)}"
    return notes
