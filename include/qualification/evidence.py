"""Evidence: what a stage measured about a candidate, with everything needed to check or repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from include.domain.enums import BATTERY, Stage
from include.domain.errors import ConfigurationError
from include.domain.ids import digest
from include.domain.times import iso, parse_utc
from include.qualification.candidate import Candidate
from include.qualification.criterion import (
    Comparison,
    Criterion,
    CriterionResult,
    DecideOn,
    Measurement,
    evaluate_criterion,
)
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict, worst


@dataclass(frozen=True, slots=True)
class Evidence:
    """Result of one stage for one candidate under one profile.

    `verdict` is derived from the results by `evaluate_stage`; nobody hands it in. `details` holds what the
    reports show (violations, window, seeds); `artefacts` maps a file's name to its SHA-256.
    """

    candidate_id: str
    stage: Stage
    profile: str
    profile_hash: str
    fingerprint: str
    """Content fingerprint of the market data that was measured."""
    measured_at: datetime
    metrics: Mapping[str, Measurement]
    results: tuple[CriterionResult, ...]
    verdict: Verdict
    synthetic: bool
    """True when the market data is synthetic; shown wherever the result shows."""
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    artefacts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def document(self) -> dict[str, Any]:
        """Plain JSON form: what the ledger stores and the digest covers."""
        return {
            "candidate_id": self.candidate_id,
            "stage": self.stage.value,
            "profile": self.profile,
            "profile_hash": self.profile_hash,
            "fingerprint": self.fingerprint,
            "measured_at": iso(self.measured_at),
            "metrics": {name: asdict(m) for name, m in sorted(self.metrics.items())},
            "criteria": [criterion_document(result) for result in self.results],
            "verdict": self.verdict.value,
            "synthetic": self.synthetic,
            "details": dict(self.details),
            "artefacts": dict(self.artefacts),
        }

    @property
    def digest(self) -> str:
        return digest(self.document())

    @property
    def is_demanded(self) -> bool:
        """False for a robustness check that the profile gives no criteria: measured, shown, never judged."""
        return self.stage not in BATTERY or bool(self.results)


def criterion_document(result: CriterionResult) -> dict[str, Any]:
    """One row of the criteria table, as the command line contract and the reports show it."""
    c, m = result.criterion, result.measurement
    return {
        "metric": c.metric, "op": c.op.value, "threshold": c.threshold, "min_samples": c.min_samples,
        "on": c.on.value, "window": c.window,
        "value": m.value if m else None, "low": m.low if m else None, "high": m.high if m else None,
        "samples": m.samples if m else None, "verdict": result.verdict.value, "reason": result.reason,
    }  # fmt: skip


def rebuild_evidence(document: Mapping[str, Any]) -> Evidence:
    """Evidence from its stored document, for reports; nothing is measured or judged again.

    Raises:
        ConfigurationError: the document says something else than the evidence that it would give.
    """
    metrics = {name: Measurement(**values) for name, values in document["metrics"].items()}
    results = tuple(
        CriterionResult(
            Criterion(
                row["metric"], Comparison(row["op"]), row["threshold"], row["min_samples"], DecideOn(row["on"]),
                row["window"],
            ),
            metrics.get(row["metric"]), Verdict(row["verdict"]), row["reason"],
        )
        for row in document["criteria"]
    )  # fmt: skip
    evidence = Evidence(
        document["candidate_id"], Stage(document["stage"]), document["profile"], document["profile_hash"],
        document["fingerprint"], parse_utc(document["measured_at"]), MappingProxyType(metrics), results,
        Verdict(document["verdict"]), document["synthetic"], MappingProxyType(dict(document["details"])),
        MappingProxyType(dict(document["artefacts"])),
    )  # fmt: skip
    if evidence.digest != digest(document):
        raise ConfigurationError(f"evidence of {evidence.stage.value}: its stored document is not in this form")
    return evidence


def evaluate_stage(
    criteria: tuple[Criterion, ...], measured: Mapping[str, Measurement], notes: Mapping[str, str] | None = None
) -> tuple[tuple[CriterionResult, ...], Verdict]:
    """All criteria of a stage and the worst of their verdicts; no criteria is INCONCLUSIVE.

    Args:
        notes: by metric, what is behind its value in one line; added to the reason of a criterion that does not pass.
    """
    results = tuple(_noted(evaluate_criterion(criterion, measured), notes or {}) for criterion in criteria)
    return results, worst(result.verdict for result in results)


def _noted(result: CriterionResult, notes: Mapping[str, str]) -> CriterionResult:
    note = notes.get(result.criterion.metric, "")
    return result if result.verdict is Verdict.PASS or not note else replace(result, reason=f"{result.reason}; {note}")


def build_evidence(
    *,
    candidate: Candidate,
    stage: Stage,
    profile: Profile,
    fingerprint: str,
    measured_at: datetime,
    metrics: Mapping[str, Measurement],
    synthetic: bool,
    details: Mapping[str, Any] | None = None,
    artefacts: Mapping[str, str] | None = None,
    error: str = "",
    notes: Mapping[str, str] | None = None,
) -> Evidence:
    """Judge measured metrics by the profile. The only maker of evidence.

    Args:
        error: when not empty the measurement itself broke: the verdict is ERROR whatever the metrics say.
        notes: of `evaluate_stage`.
    """
    results, verdict = evaluate_stage(profile.stage_criteria(stage, candidate.timeframe), metrics, notes)
    extra = dict(details or {})
    if error:
        verdict, extra = Verdict.ERROR, {**extra, "error": error}
    return Evidence(
        candidate.id, stage, profile.name, profile.hash, fingerprint, measured_at, MappingProxyType(dict(metrics)),
        results, verdict, synthetic, MappingProxyType(extra), MappingProxyType(dict(artefacts or {})),
    )  # fmt: skip
