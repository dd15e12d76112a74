"""What the DAGs' tasks call: one function a task, ids in, an id out. Running any of them twice changes nothing more.

Each function loads what it needs by id, calls one use-case of `include.stages` or `include.trading`, and tells people.
A stage whose verdict is not PASS raises RejectedError with every reason, after its evidence is in the ledger: so
nothing behind it runs, and if somebody makes it run, the next stage refuses for itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import Settings, load_settings
from include.domain.deployments import Deployment
from include.domain.enums import DesiredState, Role, Severity, Stage
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.times import iso, parse_utc
from include.operations import answers as recorded
from include.operations.airflow_client import HumanAnswer
from include.operations.people import holders_of
from include.operations.progress import ProgressFile
from include.ports import Ledger, Notice
from include.qualification.candidate import Candidate
from include.qualification.evidence import Evidence, rebuild_evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict

if TYPE_CHECKING:
    from include.stages.backtest import Played

RELEASE_TIMEOUT = timedelta(hours=72)
_log = logging.getLogger(__name__)


# --- measuring ---------------------------------------------------------------------------------------------------


def measure_data(candidate_file: str, profile_name: str, start: str, end: str) -> str:
    """Stage DATA_GATE; registers the candidate and returns its id."""
    from include.stages.data_gate import run_data_gate

    settings, candidate, profile = load_settings(), find_candidate(candidate_file), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.commit()
    evidence = run_data_gate(
        candidate, profile, parse_utc(start), parse_utc(end), bootstrap.open_lake(settings), now=datetime.now(UTC),
        progress=ProgressFile(settings.run, candidate.id, Stage.DATA_GATE),
        report_dir=_folder(settings, candidate, profile),
    )  # fmt: skip
    _record(ledger, evidence)
    return _judge(settings, candidate, evidence)


def measure_backtest(candidate_id: str, candidate_file: str, profile_name: str, start: str, end: str) -> str:
    """Stage BACKTEST; every run counts as a trial of the strategy's family. Returns the candidate's id."""
    from include.stages.backtest import run_backtest
    from include.stages.ladder import require_unchanged

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    require_unchanged(candidate, find_candidate(candidate_file))
    result = run_backtest(
        candidate, profile, parse_utc(start), parse_utc(end), bootstrap.open_lake(settings), now=datetime.now(UTC),
        progress=ProgressFile(settings.run, candidate.id, Stage.BACKTEST),
        report_dir=_folder(settings, candidate, profile),
    )  # fmt: skip
    evidence = result.evidence
    _record(ledger, evidence)
    with ledger.begin() as work:
        sharpe = evidence.metrics.get("sharpe")
        work.trials.record(candidate.strategy, candidate.id, evidence.fingerprint, sharpe.value if sharpe else None)
        work.commit()
    _write_report(settings, ledger, candidate, profile, result.played)
    return _judge(settings, candidate, evidence)


def start_simulation(candidate_id: str, profile_name: str, start: str, days: int, run_id: str) -> str:
    """Declare the simulation that follows the backtest; returns the deployment's id. The trader runs it."""
    from include.stages.simulation import start_simulation as declare

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    deployment = declare(
        ledger, candidate, profile, bootstrap.open_lake(settings), start=parse_utc(start), days=days,
        session_key=run_id, by="airflow", now=datetime.now(UTC),
    )  # fmt: skip
    return deployment.id


def measure_simulation(candidate_id: str, deployment_id: str, profile_name: str) -> str:
    """Stage SIMULATION of a finished session; returns the candidate's id."""
    from include.stages.simulation import measure_simulation as measure

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    evidence = measure(
        ledger, deployment_id, candidate, profile, bootstrap.open_lake(settings), now=datetime.now(UTC),
        report_dir=_folder(settings, candidate, profile),
    )  # fmt: skip
    _record(ledger, evidence)
    return _judge(settings, candidate, evidence)


def check_qualification(candidate_id: str, profile_name: str) -> str:
    """Stage QUALIFICATION; returns the candidate's id."""
    from include.stages.qualification import check_qualification as check

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    evidence = check(ledger, candidate, profile, now=datetime.now(UTC))
    _write_report(settings, ledger, candidate, profile, None)
    return _judge(settings, candidate, evidence)


# --- people ------------------------------------------------------------------------------------------------------


def build_sign_off_question(candidate_id: str, profile_name: str, role_name: str) -> dict[str, Any] | None:
    """Text and people of a sign-off; None when the profile does not ask for the role.

    Raises:
        RejectedError: there is nothing to be signed: evidence is missing or not PASS, or the candidate changed.
    """
    from include.stages.sign_off import request_sign_offs

    settings, profile, role = load_settings(), find_profile(profile_name), Role(role_name)
    if role not in profile.promotion.roles:
        return None
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    request = request_sign_offs(ledger, candidate, profile)
    people = holders_of(role)
    subject = f"{_words(role)}: promote {candidate.name} under {profile.name}?"
    _tell(settings, Severity.INFO, f"Sign-off asked: {subject}", [f"asked of {', '.join(people.values())}"])
    hours = profile.promotion.response_timeout_hours
    return {"subject": subject, "body": request.body, "people": people, "timeout_hours": hours}


def verify_sign_offs(
    candidate_id: str, candidate_file: str, profile_name: str, dag_id: str, answers: Sequence[HumanAnswer]
) -> str:
    """Copy the recorded answers into the ledger and refuse unless they authorise the candidate. Returns its id.

    Args:
        answers: of this run, as re-read from Airflow's public API.
    """
    from include.stages.ladder import raise_if_refused
    from include.stages.sign_off import verify_sign_offs as verify

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    approvals = recorded.build_approvals(candidate.id, dag_id, answers)
    refusals = verify(
        ledger, candidate, profile, approvals, bootstrap.role_holders(), candidate_now=find_candidate(candidate_file)
    )
    if refusals:
        _tell(settings, Severity.WARNING, f"{candidate.name} is not authorised", [str(r) for r in refusals])
    raise_if_refused(refusals, f"candidate {candidate.name} is not authorised")
    _tell(settings, Severity.INFO, f"{candidate.name} is signed off", [f"{a.role}: {a.person}" for a in approvals])
    return candidate.id


def promote(candidate_id: str, candidate_file: str, profile_name: str, run_id: str) -> str:
    """Stage PROMOTION; returns the live deployment's id. The same run promotes to the same deployment."""
    from include.stages.promotion import promote as create

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = _candidate(ledger, candidate_id)
    deployment = create(
        ledger, candidate, profile, bootstrap.role_holders(), bootstrap.live_connection(settings, candidate),
        session_key=run_id, by="airflow", now=datetime.now(UTC), candidate_now=find_candidate(candidate_file),
    )  # fmt: skip
    lines = [f"deployment {deployment.short_id}", f"capital {deployment.capital} ({deployment.capital_fraction:.0%})"]
    _tell(settings, Severity.INFO, f"{candidate.name} is promoted", lines)
    return deployment.id


def check_go_live(deployment_id: str) -> str:
    """Stage LIVE, before the release: authorised, unchanged, and everything it needs works at the venue.

    Raises:
        RejectedError: every check that failed, in one line. Nothing is left at the venue.
    """
    from include.stages.live import check_go_live as check

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = _authorised(ledger, deployment_id)
    candidate = _candidate(ledger, deployment.candidate_id)
    checks = asyncio.run(check(ledger, deployment, candidate, bootstrap.build_venue(settings, deployment)))
    for item in checks:
        _log.info("%-4s %s: %s", "ok" if item.passed else "FAIL", item.name, item.detail)
    failed = [f"{item.name}: {item.detail}" for item in checks if not item.passed]
    if failed or not checks:
        _tell(settings, Severity.WARNING, f"Deployment {deployment.short_id} may not go live", failed)
        raise RejectedError(f"deployment {deployment.short_id} may not go live: {'; '.join(failed)}", code="GO_LIVE")
    return deployment.id


def build_release_question(deployment_id: str, role_name: str) -> dict[str, Any]:
    """Text and people of a release to the market."""
    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = _authorised(ledger, deployment_id)
    candidate = _candidate(ledger, deployment.candidate_id)
    people = holders_of(Role(role_name))
    where = deployment.connection
    subject = f"Release {candidate.name} to {where.dataset} ({where.kind.value.lower()})?"
    lines = [
        f"### {subject}",
        "",
        f"Capital {deployment.capital:,} ({deployment.capital_fraction:.0%}), account {where.account} at {where.url}.",
        "",
        "The deployment is halted until you release it. It then trades by itself, within the limits of profile "
        f"{deployment.profile}, until it is stopped.",
    ]
    _tell(settings, Severity.INFO, f"Release asked: {subject}", [f"asked of {', '.join(people.values())}"])
    return {
        "subject": subject, "body": recorded.render_release(deployment.id, lines), "people": people,
        "timeout_hours": RELEASE_TIMEOUT.total_seconds() / 3600,
    }  # fmt: skip


def release(deployment_id: str, answers: Sequence[HumanAnswer]) -> str:
    """Lift the halt in the name of the person whose recorded answer says so, then ask the trader to run it.

    Raises:
        RejectedError: there is no such answer, or the ladder does not authorise the deployment now.
    """
    from include.trading.kill_switch import deployment_scope, resume

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = _authorised(ledger, deployment_id)
    holders = bootstrap.role_holders()[Role.TRADING_OPERATIONS]
    answer = recorded.require_release(deployment.id, answers, holders, RELEASE_TIMEOUT)
    reason = recorded.comment_of(answer) or f"released in {answer.run_id}"
    resume(ledger, scope=deployment_scope(deployment.id), by=answer.person, reason=reason)
    with ledger.begin() as work:
        work.deployments.request(deployment.id, DesiredState.RUNNING, answer.person, reason)
        work.commit()
    _tell(settings, Severity.INFO, f"Deployment {deployment.short_id} is released", [f"by {answer.person}: {reason}"])
    return deployment.id


def emergency_stop(scope: str, by: str, reason: str, *, flatten: bool) -> str:
    """Halt a scope in a person's name, cancel its orders, flatten if asked; returns what was done in one line.

    Raises:
        RetryableError: the ledger does not answer; nothing was done.
        FatalError: halted, but something at a venue could not be done; says what.
    """
    from include.domain.errors import FatalError
    from include.trading.kill_switch import halt

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    result = asyncio.run(
        halt(
            ledger, lambda deployment: bootstrap.build_venue(settings, deployment), scope=scope, by=by, reason=reason,
            flatten=flatten,
        )
    )  # fmt: skip
    done = f"{scope} is HALTED; {len(result.canceled)} orders cancelled, {len(result.flattened)} positions closed"
    _tell(settings, Severity.CRITICAL, f"Emergency stop by {by}: {done}", [reason, *result.failures])
    if result.failures:
        raise FatalError(f"{done}; could not do: {'; '.join(result.failures)}")
    return done


# --- helpers -----------------------------------------------------------------------------------------------------


def _candidate(ledger: Ledger, candidate_id: str) -> Candidate:
    with ledger.begin() as work:
        candidate = work.candidates.get(candidate_id)
    if candidate is None:
        raise ConfigurationError(f"candidate {candidate_id[:12]} is not in the ledger; run its data gate first")
    return candidate


def _authorised(ledger: Ledger, deployment_id: str) -> Deployment:
    """A live deployment that the ladder authorises at this moment."""
    from include.stages.promotion import require_promoted

    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
    if deployment is None:
        raise RejectedError(f"deployment {deployment_id[:12]} was never promoted; refused", code="PROMOTION_MISSING")
    require_promoted(ledger, deployment, find_profile(deployment.profile), bootstrap.role_holders())
    return deployment


def _record(ledger: Ledger, evidence: Evidence) -> None:
    with ledger.begin() as work:
        work.evidence.record(evidence)
        work.commit()


def _folder(settings: Settings, candidate: Candidate, profile: Profile) -> Path:
    """Where this candidate's reports under this profile lie; the command line writes to the same place."""
    return settings.reports / f"{candidate.name}-{candidate.id[:12]}" / profile.name


def _write_report(
    settings: Settings, ledger: Ledger, candidate: Candidate, profile: Profile, played: Played | None
) -> None:
    """The page on everything measured so far; the one with the backtest's charts keeps a place of its own."""
    from include.reporting.qualification import ReportInput, write_qualification
    from include.stages.ladder import latest_evidence

    with ledger.begin() as work:
        latest = latest_evidence(work, candidate.id, profile)
    found = [rebuild_evidence(item.document) for stage in Stage if (item := latest[stage]) is not None]
    folder = _folder(settings, candidate, profile)
    report = ReportInput(
        candidate, profile, found, datetime.now(UTC), f"airlock qualify {candidate.name} --profile {profile.name}",
        profile.initial_capital, played.trades if played else None, played.daily if played else None,
    )  # fmt: skip
    write_qualification(report, folder if played else folder / "ladder")


def _judge(settings: Settings, candidate: Candidate, evidence: Evidence) -> str:
    """Announce a verdict; the candidate's id when it is PASS, a refusal with every reason otherwise."""
    failed = [result.reason for result in evidence.results if result.verdict is not Verdict.PASS]
    reasons = [str(evidence.details["error"]), *failed] if "error" in evidence.details else failed
    title = f"{candidate.name}: {evidence.stage.value} {evidence.verdict.value}"
    _log.info("%s (evidence %s)", title, evidence.digest)
    for result in evidence.results:
        _log.info("%-12s %s", result.verdict.value, result.reason)
    if evidence.verdict is Verdict.PASS:
        _tell(settings, Severity.INFO, title, [f"profile {evidence.profile}", f"measured {iso(evidence.measured_at)}"])
        return candidate.id
    _tell(settings, Severity.WARNING, title, reasons)
    raise RejectedError(f"{title}: {'; '.join(reasons)}", code=evidence.verdict.value)


def _tell(settings: Settings, severity: Severity, title: str, lines: Sequence[str]) -> None:
    bootstrap.build_notifier(settings).send(Notice(severity, title, tuple(lines)))


def _words(role: Role) -> str:
    return role.value.replace("_", " ").capitalize()
