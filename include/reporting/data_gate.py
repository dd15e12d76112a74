"""The report of a data gate: `data-gate.json`, a page with the timeline, and Great Expectations' Data Docs.

Rendered from the gate's result alone; it decides nothing. The page needs no network: Plotly's script is part of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.domain.enums import Stage
from include.domain.errors import ConfigurationError
from include.domain.times import iso
from include.qualification.criterion import Comparison, Criterion, CriterionResult
from include.qualification.evidence import evaluate_stage
from include.qualification.metrics import METRICS
from include.qualification.verdict import Verdict
from include.reporting.data_docs import DATA_DOCS, write_data_docs
from include.reporting.gate_findings import GateRun, RuleFindings, result_findings, sample_text, whom
from include.reporting.gate_timeline import build_timeline
from include.reporting.replacing import replace_file
from include.reporting.templates import render_template
from include.stages.data_gate import DataGateResult, WriteReport
from include.validators.violations import Violation

JSON_FILE = "data-gate.json"
PAGE_FILE = "data-gate.html"
SHOWN = 12
"""Worst events of each rule in the page's table; `data-gate.json` has the rest."""
HEADLINES: Mapping[Verdict, str] = {
    Verdict.PASS: "good enough to measure on",
    Verdict.FAIL: "REFUSED",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE: a person must decide",
    Verdict.ERROR: "ERROR: the measurement broke",
}


@dataclass(frozen=True, slots=True)
class GateReport:
    """What was written: the page, and the digests of the files that evidence names."""

    page: Path
    data_docs: Path | None
    artefacts: Mapping[str, str]
    """SHA-256 by file name. Data Docs carry random element ids, so they have none."""


def write_gate_report(result: DataGateResult, run: GateRun, folder: Path, *, data_docs: bool = True) -> GateReport:
    """Write the report into `folder`, in place of an earlier one; each file is complete or not there.

    Raises:
        ConfigurationError: the folder cannot be written.
        DataError: the Data Docs could not be rendered.
    """
    document = json.dumps(report_document(result, run), allow_nan=False).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        docs = write_data_docs(result, run, folder) if data_docs else None
        files = {JSON_FILE: document, PAGE_FILE: render_gate(result, run, data_docs=data_docs).encode()}
        for name, content in files.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: report cannot be written ({error.strerror}); check space and rights"
        ) from None
    return GateReport(
        folder / PAGE_FILE, docs, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )


def gate_reporter(run: GateRun, folder: Path, *, data_docs: bool = True) -> WriteReport:
    """The same as `run_data_gate` asks for it: digests out."""
    return lambda result: write_gate_report(result, run, folder, data_docs=data_docs).artefacts


def report_document(result: DataGateResult, run: GateRun) -> dict[str, Any]:
    """The JSON of `airlock data gate` with what was judged and every expectation's result."""
    return {
        "window": {
            "from": iso(run.start), "to": iso(run.end), "venue": run.venue, "symbols": list(result.symbols),
            "timeframe": str(run.timeframe),
        },
        "profile": {"name": run.profile.name, "hash": run.profile.hash},
        "synthetic": run.synthetic,
        **result.document(),
        "expectations": {
            symbol: [e.document() for e in gated.quality.expectations] for symbol, gated in result.symbols.items()
        },
    }  # fmt: skip


def render_gate(result: DataGateResult, run: GateRun, *, data_docs: bool = True) -> str:
    """The page as HTML text without external resources."""
    from plotly.offline import get_plotlyjs

    timeline = build_timeline(result, run)
    findings = result_findings(result, SHOWN)
    by_symbol = symbol_results(result, run)
    headline = HEADLINES.get(result.verdict, result.verdict.value)
    files = [(JSON_FILE, JSON_FILE), ("Data Docs of Great Expectations", f"{DATA_DOCS}/index.html")]
    return render_template(
        "data_gate.html.j2",
        title=f"Data gate {run.venue}: {headline}",
        run=run,
        verdict=result.verdict.value,
        headline=headline,
        symbols=list(result.symbols),
        window=f"{iso(run.start)} to {iso(run.end)}",
        reasons=[r.reason for r in result.results if r.verdict is not Verdict.PASS],
        heads=[
            {"metric": c.metric, "wanted": f"{c.op.value} {score_text(c, c.threshold)}"}
            for c in run.profile.stage_criteria(Stage.DATA_GATE, run.timeframe)
        ],
        scores=[_score_row(result, symbol, results) for symbol, results in by_symbol.items()],
        bucket=timeline.bucket,
        findings=finding_rows(findings),
        violation_total=f"events: {sum(f.events for f in findings):,}, rules broken: {len(findings)}, the worst first",
        repairs=[f"{symbol}: {', '.join(policies)}" for symbol, policies in result.repairs().items()],
        checks=_comparisons(result),
        fingerprint=result.fingerprint,
        files=[{"name": name, "href": href} for name, href in files[: 2 if data_docs else 1]],
        # "<" would end the script element; in JSON its escape means the same.
        figure=json.dumps(timeline.figure, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        plotly=get_plotlyjs(),
        measured_at=iso(run.measured_at),
    )


def symbol_results(result: DataGateResult, run: GateRun) -> dict[str, tuple[CriterionResult, ...]]:
    """The profile's criteria of the gate, judged for each symbol alone."""
    criteria = run.profile.stage_criteria(Stage.DATA_GATE, run.timeframe)
    return {s: evaluate_stage(criteria, gated.quality.measurements())[0] for s, gated in result.symbols.items()}


def score_text(criterion: Criterion, value: float | None) -> str:
    """A score as people read it, rounded against the data: 94.999 % must not read as the 95 % that it misses."""
    if value is None:
        return "unknown"
    if METRICS[criterion.metric].unit != "fraction":
        return f"{value:,.6g}"
    wants_more = criterion.op in (Comparison.GE, Comparison.GT)
    # The tolerance keeps 0.95 * 10,000, which is no whole number in binary, from being rounded a step too far.
    steps = math.floor(value * 10_000 + 1e-6) if wants_more else math.ceil(value * 10_000 - 1e-6)
    return f"{steps / 100:g} %"


def finding_rows(findings: Sequence[RuleFindings]) -> list[dict[str, Any]]:
    """Broken rules and their worst events as texts, for `violations.html.j2`."""
    return [
        {
            "rule": found.rule.value, "meaning": found.rule.description, "total": found.total,
            "more": f"{found.more:,}" if found.more else "", "rows": [_event_row(v) for v in found.worst],
        }
        for found in findings
    ]  # fmt: skip


# --- inside ------------------------------------------------------------------------------------------------


def _event_row(v: Violation) -> dict[str, str]:
    return {
        "symbol": whom(v), "scope": v.scope.value, "first": iso(v.first),
        "last": "" if v.last == v.first else iso(v.last), "bars": f"{v.count:,}", "sample": sample_text(v.sample),
    }  # fmt: skip


def _comparisons(result: DataGateResult) -> list[str]:
    """What the data was compared with, one line each."""
    lines = [
        f"{symbol}: {check.bars:,} bars of {check.timeframe} added up, {check.differing:,} differ in price, "
        f"{check.volume_differing:,} in volume alone, {check.incomplete:,} could not be compared"
        for symbol, gated in result.symbols.items()
        for check in gated.quality.cross_checks
    ]
    return [*lines, *(f"times compared with {name}" for name in result.references)]


def _score_row(result: DataGateResult, symbol: str, results: Sequence[CriterionResult]) -> dict[str, Any]:
    gated = result.symbols[symbol]
    quality = gated.quality
    return {
        "symbol": symbol, "verdict": gated.verdict.value, "fingerprint": gated.fingerprint,
        "rows": f"{quality.rows:,} rows, {quality.presence.count:,} of {quality.presence.expected:,} bars present",
        "span": f"{iso(quality.first)} to {iso(quality.last)}" if quality.first and quality.last else "",
        "cells": [
            {
                "value": score_text(r.criterion, r.measurement.value if r.measurement else None),
                "verdict": r.verdict.value, "reason": r.reason,
            }
            for r in results
        ],
    }  # fmt: skip
