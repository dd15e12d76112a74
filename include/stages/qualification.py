"""The qualification check (P-1): collects the evidence of every stage; no data means not qualified."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from include.domain.enums import Stage
from include.domain.ids import digest
from include.ports import Ledger, RecordedEvidence
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.ladder import latest_evidence


def check_qualification(ledger: Ledger, candidate: Candidate, profile: Profile, *, now: datetime) -> Evidence:
    """Judge the recorded evidence of a candidate and record the outcome as evidence of its own.

    Returns:
        Evidence of stage QUALIFICATION; its details name each stage's verdict and digest, so a signature on
        this digest covers all of them.
    """
    with ledger.begin() as work:
        latest = latest_evidence(work, candidate.id, profile)
        evidence = evaluate_qualification(candidate, profile, latest, work.audit.verify_chains(), now=now)
        work.evidence.record(evidence)
        work.commit()
    return evidence


def evaluate_qualification(
    candidate: Candidate,
    profile: Profile,
    latest: Mapping[Stage, RecordedEvidence | None],
    broken_chains: object,
    *,
    now: datetime,
) -> Evidence:
    """Pure part of `check_qualification`. A stage without evidence leaves `stages_passed` unmeasured."""
    found = {stage: latest.get(stage) for stage in profile.measured_stages}
    present = [item for item in found.values() if item is not None]
    metrics: dict[str, Measurement] = {}
    if len(present) == len(found):
        passed = sum(item.verdict is Verdict.PASS for item in present)
        metrics["stages_passed"] = Measurement(passed / len(found), samples=len(found))
    errors = [f"{item.stage.value} is ERROR" for item in present if item.verdict is Verdict.ERROR]
    if broken_chains:
        errors.append("the evidence chain does not verify")
    return build_evidence(
        candidate=candidate,
        stage=Stage.QUALIFICATION,
        profile=profile,
        fingerprint=digest([item.document["fingerprint"] for item in present]),
        measured_at=now,
        metrics=metrics,
        synthetic=any(item.document["synthetic"] for item in present),
        details={
            "stages": {
                stage.value: {"verdict": item.verdict.value, "digest": item.digest} if item else None
                for stage, item in found.items()
            }
        },
        error="; ".join(errors),
    )
