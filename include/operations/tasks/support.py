"""What the tasks share: loading by id, recording and announcing."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include import bootstrap
from include.config.settings import Settings
from include.domain.deployments import Deployment
from include.domain.enums import Mode, Role, Severity, Stage
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.times import iso
from include.operations.notices import criteria_table, ui_buttons
from include.ports import Ledger, Notice
from include.qualification.candidate import Candidate
from include.qualification.evidence import Evidence, rebuild_evidence
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict

if TYPE_CHECKING:
    from include.stages.backtest import Played

log = logging.getLogger("airlock.tasks")


def load_candidate(ledger: Ledger, candidate_id: str) -> Candidate:
    with ledger.begin() as work:
        candidate = work.candidates.get(candidate_id)
    if candidate is None:
        raise ConfigurationError(f"candidate {candidate_id[:12]} is not in the ledger; run its data gate first")
    return candidate


def load_authorised(ledger: Ledger, deployment_id: str) -> Deployment:
    """A live deployment that the ladder authorises at this moment."""
    from include.stages.promotion import require_promoted

    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
    if deployment is None:
        raise RejectedError(f"deployment {deployment_id[:12]} was never promoted; refused", code="PROMOTION_MISSING")
    if deployment.mode is not Mode.LIVE:
        raise RejectedError(
            f"deployment {deployment.short_id} is a {deployment.mode.value}; only promotion makes live ones",
            code="PROMOTION_MISSING",
        )
    require_promoted(ledger, deployment, bootstrap.role_holders())
    return deployment


def record_evidence(ledger: Ledger, evidence: Evidence) -> None:
    with ledger.begin() as work:
        work.evidence.record(evidence)
        work.commit()


def ladder_page(settings: Settings, candidate: Candidate, profile: Profile) -> Path:
    """Where the page on everything measured so far lies."""
    from include.reporting.qualification import FILE_NAME

    return settings.report_folder(candidate.name, candidate.id, profile.name) / "ladder" / FILE_NAME


def write_report(
    settings: Settings, ledger: Ledger, candidate: Candidate, profile: Profile, played: Played | None
) -> Path:
    """The page on everything measured so far; the one with the backtest's charts keeps a place of its own."""
    from include.reporting.qualification import ReportInput, write_qualification
    from include.stages.ladder import latest_evidence

    with ledger.begin() as work:
        latest = latest_evidence(work, candidate.id, profile)
    found = [rebuild_evidence(item.document) for stage in Stage if (item := latest[stage]) is not None]
    page = ladder_page(settings, candidate, profile)
    report = ReportInput(
        candidate, profile, found, datetime.now(UTC), f"airlock qualify {candidate.name} --profile {profile.name}",
        profile.initial_capital, played.trades if played else None, played.daily if played else None,
        artefacts_at="" if played else "../",
    )  # fmt: skip
    return write_qualification(report, page.parents[1] if played else page.parent)


def judge(settings: Settings, candidate: Candidate, evidence: Evidence) -> str:
    """Announce a verdict; the candidate's id when it is PASS, a refusal with every reason otherwise."""
    failed = [result.reason for result in evidence.results if result.verdict is not Verdict.PASS]
    reasons = [str(evidence.details["error"]), *failed] if "error" in evidence.details else failed
    title = f"{candidate.name}: {evidence.stage.value} {evidence.verdict.value}"
    log.info("%s (evidence %s)", title, evidence.digest)
    for result in evidence.results:
        log.info("%-12s %s", result.verdict.value, result.reason)
    from include.reporting.qualification import FILE_NAME

    page = settings.report_folder(candidate.name, candidate.id, evidence.profile) / "ladder" / FILE_NAME
    shown = {
        "verdict": evidence.verdict.value, "table": criteria_table(evidence),
        "buttons": ui_buttons(os.environ, settings.reports, page),
    }  # fmt: skip
    if evidence.verdict is Verdict.PASS:
        lines = [f"profile {evidence.profile}", f"measured {iso(evidence.measured_at)}"]
        tell(settings, Severity.INFO, title, lines, **shown)
        return candidate.id
    tell(settings, Severity.WARNING, title, reasons, **shown)
    raise RejectedError(f"{title}: {'; '.join(reasons)}", code=evidence.verdict.value)


def tell(settings: Settings, severity: Severity, title: str, lines: Sequence[str], **shown: Any) -> None:
    """Tell people; `shown` are further fields of `Notice`."""
    bootstrap.build_notifier(settings).send(Notice(severity, title, tuple(lines), **shown))


def words(role: Role) -> str:
    return role.value.replace("_", " ").capitalize().replace("Mlops", "MLOps")
