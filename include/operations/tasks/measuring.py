"""Tasks that measure a candidate: data gate, backtest, simulation, qualification.

A stage whose verdict is not PASS raises RejectedError with every reason, after its evidence is in the ledger: so
nothing behind it runs, and if somebody makes it run, the next stage refuses for itself.
"""

from __future__ import annotations

from datetime import UTC, datetime

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import load_settings
from include.domain.enums import Stage
from include.domain.times import parse_utc
from include.operations.progress import ProgressFile
from include.operations.report_links import DOCS, REPORT, Announce, report_id, unannounced
from include.operations.tasks.support import judge, load_candidate, log, record_evidence, write_report


def measure_data(
    candidate_file: str, profile_name: str, start: str, end: str, *, announce: Announce = unannounced
) -> str:
    """Stage DATA_GATE; registers the candidate and returns its id."""
    from include.reporting.data_docs import DATA_DOCS
    from include.reporting.data_gate import PAGE_FILE, gate_reporter
    from include.reporting.gate_findings import GateRun
    from include.stages.data_gate import run_data_gate

    settings, candidate, profile = load_settings(), find_candidate(candidate_file), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.commit()
    lake, window, now = bootstrap.open_lake(settings), (parse_utc(start), parse_utc(end)), datetime.now(UTC)
    run = GateRun.of_candidate(candidate, profile, *window, now=now, synthetic=lake.is_synthetic(candidate.venue))
    folder = settings.report_folder(candidate.name, candidate.id, profile.name)
    evidence = run_data_gate(
        candidate, profile, *window, lake, now=now, report=gate_reporter(run, folder),
        progress=ProgressFile(settings.run, candidate.id, Stage.DATA_GATE),
    )  # fmt: skip
    record_evidence(ledger, evidence)
    if PAGE_FILE in evidence.artefacts:
        page, docs = folder / PAGE_FILE, folder / DATA_DOCS / "index.html"
        log.info("data gate report: %s", page.resolve().as_uri())
        log.info("Data Docs: %s", docs.resolve().as_uri())
        announce({REPORT: report_id(settings.reports, page), DOCS: report_id(settings.reports, docs)})
    return judge(settings, candidate, evidence)


def measure_backtest(
    candidate_id: str, candidate_file: str, profile_name: str, start: str, end: str, *, announce: Announce = unannounced
) -> str:
    """Stage BACKTEST; every run counts as a trial of the strategy's family. Returns the candidate's id."""
    from include.stages.backtest import run_backtest
    from include.stages.ladder import require_unchanged

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    require_unchanged(candidate, find_candidate(candidate_file))
    result = run_backtest(
        candidate, profile, parse_utc(start), parse_utc(end), bootstrap.open_lake(settings), now=datetime.now(UTC),
        progress=ProgressFile(settings.run, candidate.id, Stage.BACKTEST),
        report_dir=settings.report_folder(candidate.name, candidate.id, profile.name),
    )  # fmt: skip
    evidence = result.evidence
    record_evidence(ledger, evidence)
    with ledger.begin() as work:
        sharpe = evidence.metrics.get("sharpe")
        work.trials.record(candidate.strategy, candidate.id, evidence.fingerprint, sharpe.value if sharpe else None)
        work.commit()
    page = write_report(settings, ledger, candidate, profile, result.played)
    announce({REPORT: report_id(settings.reports, page)})
    return judge(settings, candidate, evidence)


def start_simulation(candidate_id: str, profile_name: str, start: str, days: int, run_id: str) -> str:
    """Declare the simulation that follows the backtest; returns the deployment's id. The trader runs it."""
    from include.stages.simulation import start_simulation as declare

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    deployment = declare(
        ledger, candidate, profile, bootstrap.open_lake(settings), start=parse_utc(start), days=days,
        session_key=run_id, by="airflow", now=datetime.now(UTC),
    )  # fmt: skip
    return deployment.id


def measure_simulation(
    candidate_id: str, deployment_id: str, profile_name: str, *, announce: Announce = unannounced
) -> str:
    """Stage SIMULATION of a finished session; returns the candidate's id."""
    from include.stages.simulation import measure_simulation as measure

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    evidence = measure(
        ledger, deployment_id, candidate, profile, bootstrap.open_lake(settings), now=datetime.now(UTC),
        report_dir=settings.report_folder(candidate.name, candidate.id, profile.name),
    )  # fmt: skip
    record_evidence(ledger, evidence)
    page = write_report(settings, ledger, candidate, profile, None)
    announce({REPORT: report_id(settings.reports, page)})
    return judge(settings, candidate, evidence)


def check_qualification(candidate_id: str, profile_name: str, *, announce: Announce = unannounced) -> str:
    """Stage QUALIFICATION; returns the candidate's id."""
    from include.stages.qualification import check_qualification as check

    settings, profile = load_settings(), find_profile(profile_name)
    ledger = bootstrap.open_ledger(settings)
    candidate = load_candidate(ledger, candidate_id)
    evidence = check(ledger, candidate, profile, now=datetime.now(UTC))
    page = write_report(settings, ledger, candidate, profile, None)
    announce({REPORT: report_id(settings.reports, page)})
    return judge(settings, candidate, evidence)
