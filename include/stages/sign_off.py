"""Sign-offs (P-3): what people are shown, and the check of what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.domain.approvals import Approval
from include.domain.enums import Role, Stage
from include.domain.errors import RejectedError
from include.domain.reason_codes import SignOffCode
from include.ports import Ledger, RecordedEvidence
from include.qualification.candidate import Candidate
from include.qualification.profile import Profile
from include.qualification.wording import format_interval, format_metric, wanted_text
from include.stages.ladder import (
    Refusal,
    evaluate_authorisation,
    latest_evidence,
    raise_if_refused,
    require_passed,
    require_unchanged,
    required_before,
)


@dataclass(frozen=True, slots=True)
class SignOffRequest:
    """What a person is asked to sign: a candidate, a profile's exact content, exact evidence."""

    candidate_id: str
    candidate_name: str
    profile: str
    profile_hash: str
    evidence_digests: tuple[str, ...]
    body: str
    """Readable Markdown: verdict, criteria table, digests."""


def request_sign_offs(
    ledger: Ledger, candidate: Candidate, profile: Profile, *, report_url: str = ""
) -> SignOffRequest:
    """Build the request, refusing candidates that have nothing to be signed.

    Args:
        report_url: where people find the candidate's report; named in the text, not part of what is signed.

    Raises:
        RejectedError: evidence of a required stage is missing or not PASS, or the candidate has changed.
    """
    require_unchanged(candidate)
    with ledger.begin() as work:
        require_passed(work, candidate.id, profile, Stage.SIGN_OFF)
        latest = latest_evidence(work, candidate.id, profile)
    evidence = [item for stage in required_before(Stage.SIGN_OFF, profile) if (item := latest[stage]) is not None]
    return SignOffRequest(
        candidate.id, candidate.name, profile.name, profile.hash, tuple(item.digest for item in evidence),
        render_request(candidate, profile, evidence, report_url=report_url),
    )  # fmt: skip


def render_request(
    candidate: Candidate, profile: Profile, evidence: Sequence[RecordedEvidence], *, report_url: str = ""
) -> str:
    """Markdown a person can decide on without leaving the page."""
    synthetic = any(item.document["synthetic"] for item in evidence)
    lines = [
        f"### {candidate.name} under profile {profile.name} v{profile.version}",
        "",
        f"Strategy `{candidate.strategy}`, {', '.join(candidate.symbols)} at {candidate.timeframe}; "
        f"candidate `{candidate.id[:16]}`.",
        "",
    ]
    if synthetic:
        lines += [
            "**Measured on synthetic market data: it shows that the machinery works, not that there is an edge.**",
            "",
        ]
    lines += ["| Stage | Criterion | Measured | 95 % interval | Verdict |", "|---|---|---|---|---|"]
    for item in evidence:
        lines += [_criterion_row(item.stage, row) for row in item.document["criteria"]]
    steps = ", ".join(f"{step:.0%}" for step in profile.promotion.capital_steps)
    lines += [
        "",
        f"Capital on promotion: {profile.promotion.capital_steps[0]:.0%} of {profile.initial_capital:,.0f} "
        f"(steps {steps}).",
        *(["", f"[The report on everything measured]({report_url})"] if report_url else []),
        "",
        "Your answer covers exactly this evidence; any change to code, params, profile or evidence voids it:",
        "",
        *(f"- {item.stage.value} `{item.digest}`" for item in evidence),
        f"- profile `{profile.hash}`",
    ]
    return "\n".join(lines)


def _criterion_row(stage: Stage, row: Mapping[str, Any]) -> str:
    metric, value = str(row["metric"]), row["value"]
    wanted = wanted_text(metric, str(row["op"]), row["threshold"])
    measured = "not measured" if value is None else format_metric(metric, value)
    interval = format_interval(metric, row["low"], row["high"])
    return f"| {stage.value} | {wanted} | {measured} | {interval} | {row['verdict']} |"


def verify_sign_offs(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    responses: Sequence[Approval],
    holders: Mapping[Role, frozenset[str]],
    *,
    candidate_now: Candidate | None = None,
) -> tuple[Refusal, ...]:
    """Copy the recorded responses into the ledger, then check that they authorise the candidate.

    Rejections are recorded too: the ledger keeps what Airflow forgets when a task is cleared. Copying the
    same response twice adds nothing.

    Args:
        responses: answers re-read from where people gave them, never from the flow of tasks.
        candidate_now: the candidate file as it reads now.

    Returns:
        Reasons why not; empty when every role approved exactly the present evidence.
    """
    with ledger.begin() as work:
        known = {_key(row.approval) for row in work.approvals.of_candidate(candidate.id)}
        for response in responses:
            if response.candidate_id == candidate.id and _key(response) not in known:
                work.approvals.record(response)
        work.commit()
    return check_authorisation(ledger, candidate, profile, holders, candidate_now=candidate_now)


def check_authorisation(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    holders: Mapping[Role, frozenset[str]],
    *,
    candidate_now: Candidate | None = None,
) -> tuple[Refusal, ...]:
    """Every reason why a candidate may not trade real capital now, from the ledger and the disk alone."""
    with ledger.begin() as work:
        refusals = evaluate_authorisation(
            candidate=candidate,
            profile=profile,
            latest=latest_evidence(work, candidate.id, profile),
            approvals=[row.approval for row in work.approvals.of_candidate(candidate.id)],
            holders=holders,
            broken_chains=work.audit.verify_chains(),
        )
    try:
        require_unchanged(candidate, candidate_now)
    except RejectedError as error:
        refusals += (Refusal(SignOffCode.CANDIDATE_CHANGED, str(error)),)
    return refusals


def require_authorised(
    ledger: Ledger,
    candidate: Candidate,
    profile: Profile,
    holders: Mapping[Role, frozenset[str]],
    *,
    candidate_now: Candidate | None = None,
) -> None:
    """Raise RejectedError with every reason unless the candidate may trade real capital now."""
    refusals = check_authorisation(ledger, candidate, profile, holders, candidate_now=candidate_now)
    raise_if_refused(refusals, f"candidate {candidate.name} is not authorised")


def _key(approval: Approval) -> tuple[str, ...]:
    return (
        approval.role.value, approval.person, approval.decision.value, approval.profile_hash,
        approval.answered_at.isoformat(), *sorted(approval.evidence_digests),
    )  # fmt: skip
