"""The use cases: what an Airflow task or a command calls. Ids and names in, ids and verdicts out; safe to call twice.

Each opens the services it needs through `bootstrap`, calls one stage, records its evidence and tells people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import Settings
from include.domain.approvals import Approval, Decision
from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import DesiredState, Role, Severity, Stage, TradingState
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.times import iso, parse_utc
from include.ports import Ledger, Notice, Progress, no_progress
from include.qualification.candidate import Candidate
from include.qualification.evidence import Evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.ladder import Refusal, require_unchanged
from include.stages.sign_off import SignOffRequest

LIVE_ACCOUNT = "live"


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage concluded, small enough to pass between tasks."""

    candidate_id: str
    stage: Stage
    verdict: Verdict
    digest: str
    reasons: tuple[str, ...]
    """The criteria that did not pass, one line each; the error where the measurement broke."""

    def document(self) -> dict[str, Any]:
        return {
            "candidate_id": self.candidate_id,
            "stage": self.stage.value,
            "verdict": self.verdict.value,
            "digest": self.digest,
            "reasons": list(self.reasons),
        }


def _now() -> datetime:
    return datetime.now(UTC)


def _outcome(evidence: Evidence) -> StageOutcome:
    reasons = [r.reason for r in evidence.results if r.verdict is not Verdict.PASS]
    if error := evidence.details.get("error"):
        reasons.insert(0, str(error))
    return StageOutcome(evidence.candidate_id, evidence.stage, evidence.verdict, evidence.digest, tuple(reasons))


def _recorded_candidate(ledger: Ledger, candidate_id: str) -> Candidate:
    with ledger.begin() as work:
        candidate = work.candidates.get(candidate_id)
    if candidate is None:
        raise ConfigurationError(f"candidate {candidate_id[:12]}: not in the ledger; register it first")
    return candidate


def recorded_deployment(ledger: Ledger, deployment_id: str) -> Deployment:
    """A deployment by its id.

    Raises:
        ConfigurationError: the ledger has none with this id.
    """
    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
    if deployment is None:
        raise ConfigurationError(f"deployment {deployment_id[:12]}: not in the ledger")
    return deployment


def _record(ledger: Ledger, evidence: Evidence, *, family: str = "") -> None:
    """Record evidence; a backtest is also logged as one trial of its strategy family."""
    with ledger.begin() as work:
        work.evidence.record(evidence)
        if family:
            sharpe = evidence.metrics.get("sharpe")
            work.trials.record(family, evidence.candidate_id, evidence.fingerprint, sharpe.value if sharpe else None)
        work.commit()


def tell(settings: Settings, title: str, lines: Sequence[str], severity: Severity = Severity.INFO) -> None:
    """Send a notice; a notifier that fails stops nothing."""
    bootstrap.build_notifier(settings).send(Notice(severity, title, tuple(lines)))


def _tell_verdict(settings: Settings, name: str, outcome: StageOutcome, synthetic: bool) -> None:
    label = " (synthetic data)" if synthetic else ""
    severity = Severity.INFO if outcome.verdict is Verdict.PASS else Severity.WARNING
    tell(settings, f"{name}: {outcome.stage.value} {outcome.verdict.value}{label}", outcome.reasons, severity)


# --- qualification -----------------------------------------------------------------------------------------


def register(settings: Settings, candidate_ref: str, profile_ref: str) -> str:
    """Register the candidate as its file and its code read now; returns its id.

    Raises:
        ConfigurationError: candidate or profile do not validate.
    """
    candidate = find_candidate(candidate_ref)
    find_profile(profile_ref)
    ledger = bootstrap.open_ledger(settings)
    with ledger.begin() as work:
        if work.candidates.register(candidate):
            work.audit.record("airlock", "candidate.registered", candidate.id, {"name": candidate.name})
        work.commit()
    return candidate.id


def measure_data_gate(
    settings: Settings, *, candidate_id: str, profile_ref: str, start: str, end: str, progress: Progress = no_progress
) -> StageOutcome:
    """Stage DATA_GATE over [start, end)."""
    from include.stages.data_gate import run_data_gate

    ledger, profile = bootstrap.open_ledger(settings), find_profile(profile_ref)
    candidate = _recorded_candidate(ledger, candidate_id)
    evidence = run_data_gate(
        candidate, profile, parse_utc(start), parse_utc(end), bootstrap.open_lake(settings),
        now=_now(), progress=progress, report_dir=bootstrap.report_folder(settings, candidate.name),
    )  # fmt: skip
    _record(ledger, evidence)
    outcome = _outcome(evidence)
    _tell_verdict(settings, candidate.name, outcome, evidence.synthetic)
    return outcome


def measure_backtest(
    settings: Settings, *, candidate_id: str, profile_ref: str, start: str, end: str, progress: Progress = no_progress
) -> StageOutcome:
    """Stage BACKTEST over [start, end); logs the trial and writes the qualification report."""
    from include.reporting.qualification import write_qualification_report
    from include.stages.backtest import run_backtest

    ledger, profile = bootstrap.open_ledger(settings), find_profile(profile_ref)
    candidate = _recorded_candidate(ledger, candidate_id)
    require_unchanged(candidate)
    folder = bootstrap.report_folder(settings, candidate.name)
    result = run_backtest(
        candidate, profile, parse_utc(start), parse_utc(end), bootstrap.open_lake(settings),
        now=_now(), progress=progress, report_dir=folder,
    )  # fmt: skip
    _record(ledger, result.evidence, family=candidate.strategy)
    with ledger.begin() as work:
        gate = work.evidence.latest(candidate_id, Stage.DATA_GATE, profile.hash)
    gates = [gate.document] if gate else []
    write_qualification_report(folder, candidate, profile, [*gates, result.evidence.document()], result)
    outcome = _outcome(result.evidence)
    _tell_verdict(settings, candidate.name, outcome, result.evidence.synthetic)
    return outcome


def start_simulation(
    settings: Settings, *, candidate_id: str, profile_ref: str, start: str, days: float, session_key: str, by: str
) -> str:
    """Declare a simulation of `days` from `start`; the trader runs it. Returns the deployment's id.

    Raises:
        RejectedError: the data gate or the backtest has no PASS evidence, or the candidate has changed.
    """
    from include.stages.simulation import start_simulation as declare

    ledger, profile = bootstrap.open_ledger(settings), find_profile(profile_ref)
    candidate = _recorded_candidate(ledger, candidate_id)
    require_unchanged(candidate)
    deployment = declare(
        ledger, candidate, profile, bootstrap.open_lake(settings),
        start=parse_utc(start), days=days or profile.simulation.days, session_key=session_key, by=by, now=_now(),
    )  # fmt: skip
    return deployment.id


def measure_simulation(settings: Settings, deployment_id: str) -> StageOutcome:
    """Stage SIMULATION of a completed deployment, read from the ledger."""
    from include.stages.simulation import measure_simulation as measure

    ledger = bootstrap.open_ledger(settings)
    deployment = recorded_deployment(ledger, deployment_id)
    candidate, profile = _recorded_candidate(ledger, deployment.candidate_id), _profile_of(deployment)
    evidence = measure(
        ledger, deployment_id, candidate, profile, bootstrap.open_lake(settings),
        now=_now(), report_dir=bootstrap.report_folder(settings, candidate.name),
    )  # fmt: skip
    _record(ledger, evidence)
    outcome = _outcome(evidence)
    _tell_verdict(settings, candidate.name, outcome, evidence.synthetic)
    return outcome


def check_qualification(settings: Settings, candidate_id: str, profile_ref: str) -> StageOutcome:
    """Stage QUALIFICATION: the evidence of every stage together."""
    from include.stages.qualification import check_qualification as check

    ledger, profile = bootstrap.open_ledger(settings), find_profile(profile_ref)
    candidate = _recorded_candidate(ledger, candidate_id)
    evidence = check(ledger, candidate, profile, now=_now())
    outcome = _outcome(evidence)
    _tell_verdict(settings, candidate.name, outcome, evidence.synthetic)
    return outcome


# --- sign-off and promotion --------------------------------------------------------------------------------


def request_sign_offs(settings: Settings, candidate_id: str, profile_ref: str) -> SignOffRequest:
    """What people are asked to sign. Raises RejectedError when there is nothing that may be signed."""
    from include.stages.sign_off import request_sign_offs as request

    ledger = bootstrap.open_ledger(settings)
    asked = request(ledger, _recorded_candidate(ledger, candidate_id), find_profile(profile_ref))
    tell(
        settings, f"{asked.candidate_name}: sign-off requested", [f"evidence {d[:12]}" for d in asked.evidence_digests]
    )
    return asked


def build_approval(
    *, candidate_id: str, profile_hash: str, role: Role, person: str, approved: bool, comment: str,
    evidence_digests: Sequence[str], asked_at: datetime, answered_at: datetime, source: Mapping[str, Any],
) -> Approval:  # fmt: skip
    """An approval from a response that was re-read where the person gave it."""
    return Approval(
        candidate_id, profile_hash, role, person, Decision.APPROVE if approved else Decision.REJECT, comment,
        tuple(evidence_digests), asked_at, answered_at, source,
    )  # fmt: skip


def verify_sign_offs(
    settings: Settings, candidate_ref: str, candidate_id: str, profile_ref: str, responses: Sequence[Approval]
) -> tuple[Refusal, ...]:
    """Record the responses and say why they do not authorise the candidate; empty when they do."""
    from include.stages.sign_off import verify_sign_offs as verify

    ledger = bootstrap.open_ledger(settings)
    candidate = _recorded_candidate(ledger, candidate_id)
    refusals = verify(
        ledger, candidate, find_profile(profile_ref), responses, bootstrap.role_holders(),
        candidate_now=find_candidate(candidate_ref),
    )  # fmt: skip
    word = "refused" if refusals else "complete"
    tell(settings, f"{candidate.name}: sign-off {word}", [str(refusal) for refusal in refusals])
    return refusals


def promote(
    settings: Settings, *, candidate_ref: str, candidate_id: str, profile_ref: str, session_key: str, by: str,
    exchange_url: str,
) -> str:  # fmt: skip
    """Create the live deployment at the first capital step, stopped and halted. Returns its id.

    Raises:
        RejectedError: every reason why the candidate is not authorised.
    """
    from include.stages.promotion import promote as create

    ledger, profile = bootstrap.open_ledger(settings), find_profile(profile_ref)
    candidate = _recorded_candidate(ledger, candidate_id)
    connection = VenueConnection(VenueKind.SANDBOX, candidate.venue, LIVE_ACCOUNT, url=exchange_url)
    deployment = create(
        ledger, candidate, profile, bootstrap.role_holders(), connection,
        session_key=session_key, by=by, now=_now(), candidate_now=find_candidate(candidate_ref),
    )  # fmt: skip
    tell(settings, f"{candidate.name}: promoted", [f"capital {deployment.capital} ({deployment.capital_fraction:.0%})"])
    return deployment.id


# --- live --------------------------------------------------------------------------------------------------


def _profile_of(deployment: Deployment) -> Profile:
    profile = find_profile(deployment.profile)
    if profile.hash != deployment.profile_hash:
        raise RejectedError(
            f"deployment {deployment.short_id}: profile {profile.name} has changed since it was declared",
            code="PROFILE_CHANGED",
        )
    return profile


def authorise_live(settings: Settings, deployment_id: str) -> Deployment:
    """The live deployment, if the ladder authorises it at this moment.

    Raises:
        FatalError: it does not; every reason in one line.
    """
    from include.stages.promotion import require_promoted

    ledger = bootstrap.open_ledger(settings)
    deployment = recorded_deployment(ledger, deployment_id)
    require_promoted(ledger, deployment, _profile_of(deployment), bootstrap.role_holders())
    return deployment


def request_state(settings: Settings, deployment_id: str, desired: DesiredState, by: str, reason: str) -> None:
    """Ask the trader to run or stop a deployment."""
    if desired is DesiredState.RUNNING:
        ledger = bootstrap.open_ledger(settings)
        if recorded_deployment(ledger, deployment_id).mode.value == "LIVE":
            authorise_live(settings, deployment_id)
    ledger = bootstrap.open_ledger(settings)
    with ledger.begin() as work:
        work.deployments.request(deployment_id, desired, by, reason)
        work.commit()


def release(settings: Settings, deployment_id: str, response: Approval) -> None:
    """Lift the halt a new live deployment starts with, in the name of the person who released it.

    Raises:
        RejectedError: the response is no approval, or the person does not hold TRADING_OPERATIONS.
    """
    deployment = authorise_live(settings, deployment_id)
    holders = bootstrap.role_holders()[Role.TRADING_OPERATIONS]
    if response.decision is not Decision.APPROVE or response.person not in holders:
        raise RejectedError(
            f"deployment {deployment.short_id}: release by {response.person or 'nobody'} "
            f"({response.decision.value}) is not an approval by trading operations",
            code="RESPONDER_NOT_ASSIGNED",
        )
    ledger = bootstrap.open_ledger(settings)
    with ledger.begin() as work:
        work.approvals.record(response)
        work.trading_states.set(
            f"deployment:{deployment.id}", TradingState.ACTIVE, response.person, response.comment or "released to trade"
        )
        work.commit()
    tell(
        settings, f"deployment {deployment.short_id} released", [f"by {response.person} at {iso(response.answered_at)}"]
    )


def latest_report(settings: Settings, candidate_name: str) -> Path:
    """Where a candidate's qualification report lies.

    Raises:
        ConfigurationError: none has been written.
    """
    path = settings.reports / candidate_name / "qualification.html"
    if not path.is_file():
        raise ConfigurationError(f"{path}: no report yet; run airlock qualify {candidate_name} first")
    return path


def simulation_window(end: str, days: float, profile_ref: str) -> tuple[datetime, datetime]:
    """The simulation follows the backtest: [end, end + days)."""
    start = parse_utc(end)
    return start, start + timedelta(days=days or find_profile(profile_ref).simulation.days)
