"""Tasks of the robustness battery: which checks a profile demands, and measuring a block of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import load_settings
from include.domain.enums import Stage
from include.domain.errors import RejectedError
from include.domain.times import parse_utc
from include.operations.progress import ProgressFile
from include.operations.report_links import REPORT, Announce, report_id, unannounced
from include.operations.tasks.support import judge, load_candidate, record_evidence, write_report


def battery_blocks(profile_name: str) -> list[list[str]]:
    """Robustness checks that the profile demands, grouped by the work they share; one mapped task measures a group."""
    from include.stages.robustness import blocks_of

    return [[stage.value for stage in block] for block in blocks_of(find_profile(profile_name).battery)]


def measure_battery(
    candidate_id: str,
    candidate_file: str,
    profile_name: str,
    start: str,
    end: str,
    stages: Sequence[str],
    *,
    announce: Announce = unannounced,
) -> str:
    """Measure one block of checks; returns the candidate's id.

    Raises:
        RejectedError: the reasons of every check of the block that is not PASS; all evidence is in the ledger by then.
    """
    from include.stages.ladder import require_unchanged
    from include.stages.robustness import run_battery

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    require_unchanged(candidate, find_candidate(candidate_file))
    with ledger.begin() as work:
        logged = work.trials.sharpes(candidate.strategy)
    evidence = run_battery(
        tuple(Stage(stage) for stage in stages), candidate, profile, parse_utc(start), parse_utc(end),
        bootstrap.open_lake(settings), now=datetime.now(UTC), logged_sharpes=logged,
        progress=ProgressFile(settings.run, candidate.id, Stage(stages[0])),
    )  # fmt: skip
    for item in evidence:
        record_evidence(ledger, item)
    page = write_report(settings, ledger, candidate, profile, None)
    announce({REPORT: report_id(settings.reports, page)})
    refusals: list[str] = []
    for item in evidence:
        try:
            judge(settings, candidate, item)
        except RejectedError as refused:
            refusals.append(str(refused))
    if refusals:
        raise RejectedError(" | ".join(refusals), code="STAGE_NOT_PASS")
    return candidate.id
