"""Tasks around people's decisions: asking for sign-offs, verifying what was recorded, promoting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import load_settings
from include.domain.enums import Role, Severity
from include.operations import answers as recorded
from include.operations.airflow_client import HumanAnswer
from include.operations.notices import ui_buttons
from include.operations.people import holders_of
from include.operations.report_links import report_id, report_url
from include.operations.tasks.support import ladder_page, load_candidate, tell, words


def build_sign_off_question(
    candidate_id: str, profile_name: str, role_name: str, *, base_path: str = ""
) -> dict[str, Any] | None:
    """Text and people of a sign-off; None when the profile does not ask for the role.

    Args:
        base_path: path under which people reach Airflow, for the link to the report.

    Raises:
        RejectedError: there is nothing to be signed: evidence is missing or not PASS, or the candidate changed.
    """
    from include.stages.sign_off import request_sign_offs

    settings, profile, role = load_settings(), find_profile(profile_name), Role(role_name)
    if role not in profile.promotion.roles:
        return None
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    file = ladder_page(settings, candidate, profile)
    page = report_url(report_id(settings.reports, file), base_path)
    request = request_sign_offs(ledger, candidate, profile, report_url=page)
    people = holders_of(role)
    subject = f"{words(role)}: promote {candidate.name} under {profile.name}?"
    tell(
        settings, Severity.INFO, f"Sign-off asked: {subject}", [f"asked of {', '.join(people.values())}"],
        buttons=ui_buttons(os.environ, settings.reports, file, question=True),
    )  # fmt: skip
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
    candidate = load_candidate(ledger, candidate_id)
    approvals = recorded.build_approvals(candidate.id, dag_id, answers)
    refusals = verify(
        ledger, candidate, profile, approvals, bootstrap.role_holders(), candidate_now=find_candidate(candidate_file)
    )
    if refusals:
        tell(settings, Severity.WARNING, f"{candidate.name} is not authorised", [str(r) for r in refusals])
    raise_if_refused(refusals, f"candidate {candidate.name} is not authorised")
    tell(settings, Severity.INFO, f"{candidate.name} is signed off", [f"{a.role}: {a.person}" for a in approvals])
    return candidate.id


def promote(candidate_id: str, candidate_file: str, profile_name: str, run_id: str) -> str:
    """Stage PROMOTION; returns the live deployment's id. The same run promotes to the same deployment."""
    from include.stages.promotion import promote as create

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    deployment = create(
        ledger, candidate, profile, bootstrap.role_holders(), bootstrap.live_connection(settings, candidate),
        session_key=run_id, by="airflow", now=datetime.now(UTC), candidate_now=find_candidate(candidate_file),
    )  # fmt: skip
    lines = [f"deployment {deployment.short_id}", f"capital {deployment.capital} ({deployment.capital_fraction:.0%})"]
    tell(settings, Severity.INFO, f"{candidate.name} is promoted", lines)
    return deployment.id
