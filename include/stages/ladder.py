"""The rule of the ladder: which evidence must be PASS before what, and who must have signed what.

One pure rule (`evaluate_authorisation`) decides whether a candidate may trade real capital. Sign-off verification,
promotion and the trader's check before a live start all ask it, so no click and no edit can satisfy one of
them and not the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from include.domain.approvals import Approval, Decision
from include.domain.deployments import Deployment
from include.domain.enums import Role, Stage
from include.domain.errors import ConfigurationError, FatalError, RejectedError
from include.domain.reason_codes import SignOffCode
from include.ports import RecordedEvidence, UnitOfWork
from include.qualification.candidate import Candidate, source_digest
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict


def required_before(stage: Stage, profile: Profile) -> tuple[Stage, ...]:
    """Stages whose latest evidence must be PASS before a candidate may enter `stage`.

    The data gate and the measurements on history ask for nothing: all issues are listed at once. The qualification
    check asks for nothing either; it reads whatever evidence there is and says what is missing.
    """
    measured = profile.measured_stages
    if stage is Stage.SIMULATION:
        return measured[: measured.index(Stage.SIMULATION)]
    if stage in (Stage.SIGN_OFF, Stage.PROMOTION, Stage.LIVE):
        return (*measured, Stage.QUALIFICATION)
    return ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why the ladder does not let a candidate on."""

    code: SignOffCode
    context: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.context}"


def evaluate_stages(stages: Iterable[Stage], latest: Mapping[Stage, RecordedEvidence | None]) -> tuple[Refusal, ...]:
    """Refusals for every stage whose latest evidence is absent or not PASS."""
    refusals = []
    for stage in stages:
        evidence = latest.get(stage)
        if evidence is None:
            refusals.append(Refusal(SignOffCode.EVIDENCE_MISSING, f"stage={stage.value}"))
        elif evidence.verdict is not Verdict.PASS:
            refusals.append(
                Refusal(SignOffCode.EVIDENCE_NOT_PASS, f"stage={stage.value} verdict={evidence.verdict.value}")
            )
    return tuple(refusals)


def evaluate_candidate(measured: Candidate, source_now: str, now: Candidate | None = None) -> tuple[Refusal, ...]:
    """Refusals when what would run differs from what was measured.

    Args:
        measured: the candidate as recorded when it was measured.
        source_now: digest of the strategy's source on disk now.
        now: the candidate file as it reads now, where there is one.
    """
    if source_now != measured.source_digest:
        return (Refusal(SignOffCode.CANDIDATE_CHANGED, f"strategy={measured.strategy} source={source_now[:12]}"),)
    if now is not None and now.id != measured.id:
        return (Refusal(SignOffCode.CANDIDATE_CHANGED, f"candidate={measured.id[:12]} file={now.id[:12]}"),)
    return ()


def evaluate_authorisation(
    *,
    candidate: Candidate,
    profile: Profile,
    latest: Mapping[Stage, RecordedEvidence | None],
    approvals: Sequence[Approval],
    holders: Mapping[Role, frozenset[str]],
    broken_chains: Sequence[str],
) -> tuple[Refusal, ...]:
    """Every reason why the sign-offs do not cover the candidate's present evidence; empty means authorised.

    Args:
        latest: latest evidence by stage for this candidate and this profile's hash.
        approvals: the candidate's approvals, oldest first; the newest of each role counts.
        holders: user ids that hold each role.
        broken_chains: lines of `Audit.verify_chains`.
    """
    required = required_before(Stage.PROMOTION, profile)
    refusals = [Refusal(SignOffCode.CHAIN_BROKEN, line) for line in broken_chains]
    refusals += evaluate_stages(required, latest)
    newest: dict[Role, Approval] = {approval.role: approval for approval in approvals}
    evidence = [item for stage in required if (item := latest.get(stage)) is not None]
    seen: set[str] = set()
    for role in profile.promotion.roles:
        approval = newest.get(role)
        if approval is None:
            refusals.append(Refusal(SignOffCode.RESPONSE_MISSING, f"role={role.value}"))
            continue
        refusals += _evaluate_person(approval, candidate, holders.get(role, frozenset()), seen)
        refusals += _evaluate_answer(approval, profile, evidence)
        seen.add(approval.person)
    return tuple(refusals)


def _evaluate_person(
    approval: Approval, candidate: Candidate, holders: frozenset[str], seen: set[str]
) -> list[Refusal]:
    who = f"role={approval.role.value} person={approval.person}"
    if not approval.person:
        return [Refusal(SignOffCode.RESPONDER_UNKNOWN, f"role={approval.role.value}")]
    refusals = []
    if approval.person not in holders:
        refusals.append(Refusal(SignOffCode.RESPONDER_NOT_ASSIGNED, who))
    if approval.person in seen:
        refusals.append(Refusal(SignOffCode.RESPONDER_REPEATED, who))
    if approval.person == candidate.owner:
        refusals.append(Refusal(SignOffCode.RESPONDER_IS_OWNER, who))
    return refusals


def _evaluate_answer(approval: Approval, profile: Profile, evidence: Sequence[RecordedEvidence]) -> list[Refusal]:
    who = f"role={approval.role.value} person={approval.person}"
    refusals = []
    if approval.decision is not Decision.APPROVE:
        refusals.append(Refusal(SignOffCode.RESPONSE_REJECTED, who))
    if approval.answered_at > approval.asked_at + timedelta(hours=profile.promotion.response_timeout_hours):
        refusals.append(Refusal(SignOffCode.RESPONSE_LATE, who))
    if any(approval.answered_at < item.recorded_at for item in evidence):
        refusals.append(Refusal(SignOffCode.RESPONSE_STALE, who))
    if approval.profile_hash != profile.hash:
        refusals.append(Refusal(SignOffCode.PROFILE_CHANGED, f"{who} profile={profile.name}"))
    if set(approval.evidence_digests) != {item.digest for item in evidence}:
        refusals.append(Refusal(SignOffCode.EVIDENCE_CHANGED, who))
    return refusals


def latest_evidence(work: UnitOfWork, candidate_id: str, profile: Profile) -> dict[Stage, RecordedEvidence | None]:
    """Latest evidence of every stage for a candidate under the profile's present content."""
    return {stage: work.evidence.latest(candidate_id, stage, profile.hash) for stage in Stage}


def recorded_profile(work: UnitOfWork, deployment: Deployment) -> Profile:
    """The profile a deployment was declared under, with exactly the content it had then.

    Raises:
        FatalError: the ledger does not hold it.
    """
    profile = work.profiles.get(deployment.profile_hash)
    if profile is None:
        raise FatalError(f"deployment {deployment.short_id}: its profile {deployment.profile} is not in the ledger")
    return profile


def require_passed(work: UnitOfWork, candidate_id: str, profile: Profile, stage: Stage) -> None:
    """Refuse to enter `stage` unless everything required before it is PASS.

    Raises:
        RejectedError: every missing or failed stage in one line, with the code of the first.
    """
    refusals = evaluate_stages(required_before(stage, profile), latest_evidence(work, candidate_id, profile))
    raise_if_refused(refusals, f"candidate {candidate_id[:12]} may not enter {stage.value}")


def require_unchanged(candidate: Candidate, now: Candidate | None = None) -> None:
    """Refuse a candidate whose source, or file, differs from what was measured.

    Raises:
        RejectedError: code CANDIDATE_CHANGED.
    """
    try:
        source_now = source_digest(candidate.strategy.split(":")[0])
    except ConfigurationError:
        source_now = "missing"
    raise_if_refused(evaluate_candidate(candidate, source_now, now), f"candidate {candidate.name}")


def raise_if_refused(refusals: Sequence[Refusal], subject: str) -> None:
    """Turn refusals into one RejectedError; nothing happens when there are none."""
    if refusals:
        raise RejectedError(f"{subject}: " + "; ".join(map(str, refusals)), code=refusals[0].code.value)
