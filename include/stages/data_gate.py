"""Stage DATA_GATE: is the market data of a window good enough to measure a candidate on?

`gate_data` judges any symbols; `run_data_gate` does it for a candidate and returns evidence. Both fail closed: a
symbol without rows scores zero, and data that cannot be read at all is an ERROR, never a PASS.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from include.domain.enums import Stage
from include.domain.errors import AirlockError, DataError
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, iso
from include.ports import UNFINISHED_BARS, MarketData, Progress, no_progress
from include.qualification.candidate import Candidate
from include.qualification.criterion import CriterionResult, Measurement
from include.qualification.evidence import Evidence, build_evidence, criterion_document, evaluate_stage
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.validators.data_quality import (
    SymbolQuality,
    Violation,
    combine,
    mark_exchange_wide,
    measure_symbol,
)
from include.validators.expectations import ExpectationSuite

LISTED_IN_EVIDENCE = 50
"""Violations of each rule and symbol that evidence carries; the report file has all that the validator listed."""
REPORT_FILE = "data-gate.json"


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
            "expected": q.presence.expected, "missing": q.presence.expected - len(q.presence.present),
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

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All listed violations, symbol by symbol in the order asked for."""
        return tuple(v for gated in self.symbols.values() for v in gated.quality.violations)

    def document(self) -> dict[str, Any]:
        """The JSON of `airlock data gate`."""
        return {
            "verdict": self.verdict.value,
            **{name: self.metrics[name].value for name in ("completeness", "quality", "compatibility")},
            "fingerprint": self.fingerprint,
            "symbols": {symbol: gated.document() for symbol, gated in self.symbols.items()},
            "criteria": [criterion_document(result) for result in self.results],
            "violations": [violation.document() for violation in self.violations],
        }


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
    """Judge the stored rows of `symbols` in [start, end) by the profile; one symbol in memory at a time.

    Raises:
        DataError: no symbols, an empty window, a symbol that is not in the lake, an unreadable partition, data that
            changed meanwhile, or a check that could not be evaluated.
    """
    if not symbols or start >= end:
        raise DataError(f"{venue}: nothing to judge (symbols: {list(symbols)}, from {iso(start)} to {iso(end)})")
    fingerprint = market_data.fingerprint(venue, symbols, timeframe, start, end)
    progress(0.0, "loading Great Expectations")
    suite = ExpectationSuite()
    measured: list[SymbolQuality] = []
    for done, symbol in enumerate(symbols):
        progress(done / len(symbols), f"{venue} {symbol}")
        table = market_data.rows(venue, symbol, timeframe, start, end)
        metadata = table.schema.metadata or {}
        measured.append(
            measure_symbol(
                symbol,
                _arrays(table),
                timeframe,
                start,
                end,
                profile.data,
                suite,
                unfinished=json.loads(metadata.get(UNFINISHED_BARS, b"[]")),
                now=now,
            )
        )
    if market_data.fingerprint(venue, symbols, timeframe, start, end) != fingerprint:
        raise DataError(f"{venue}: the data changed while it was judged; run the gate again when the import is done")
    progress(1.0, "done")
    criteria = profile.stage_criteria(Stage.DATA_GATE, timeframe)
    gated = {
        q.symbol: GatedSymbol(
            q, evaluate_stage(criteria, q.measurements())[1],
            market_data.fingerprint(venue, [q.symbol], timeframe, start, end),
        )
        for q in mark_exchange_wide(measured)
    }  # fmt: skip
    metrics = combine(measured)
    results, verdict = evaluate_stage(criteria, metrics)
    return DataGateResult(verdict, MappingProxyType(metrics), results, fingerprint, MappingProxyType(gated))


def run_data_gate(
    candidate: Candidate,
    profile: Profile,
    start: datetime,
    end: datetime,
    market_data: MarketData,
    *,
    now: datetime,
    progress: Progress = no_progress,
    report_dir: Path | None = None,
) -> Evidence:
    """Evidence of stage DATA_GATE for a candidate over [start, end).

    Never raises for the data's sake: data that cannot be judged gives verdict ERROR and the reason in `details.error`.

    Args:
        report_dir: where to write `data-gate.json`, the full list of violations and expectations; None writes nothing.
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
    }
    return build_evidence(
        candidate=candidate, stage=Stage.DATA_GATE, profile=profile, fingerprint=result.fingerprint,
        measured_at=now, metrics=result.metrics, synthetic=synthetic, details=details,
        artefacts=_write_report(report_dir, result, window),
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


def _arrays(table: Any) -> dict[str, Any]:
    """Columns of a lake table as arrays; open times as epoch milliseconds."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return {**columns, "open_time": columns["open_time"].astype("datetime64[ms]").astype("int64")}


def _write_report(folder: Path | None, result: DataGateResult, window: Mapping[str, Any]) -> dict[str, str]:
    if folder is None:
        return {}
    document = {
        "window": dict(window),
        **result.document(),
        "expectations": {
            symbol: [e.document() for e in gated.quality.expectations] for symbol, gated in result.symbols.items()
        },
    }
    content = json.dumps(document, indent=1, allow_nan=False).encode()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{REPORT_FILE}.partial"
    partial.write_bytes(content)
    partial.replace(folder / REPORT_FILE)
    return {REPORT_FILE: hashlib.sha256(content).hexdigest()}
