"""`airlock qualify` and `airlock backtest`: stage 1 of a candidate on this machine, without Airflow.

With `--json` one document goes to standard output and nothing else; progress, and what a strategy prints while it is
measured, always go to standard error.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json, progress_bar
from include.domain.errors import ConfigurationError
from include.domain.times import iso, parse_utc

if TYPE_CHECKING:
    from rich.table import Table

    from include.config.settings import Settings
    from include.ports import MarketData
    from include.qualification.candidate import Candidate
    from include.qualification.evidence import Evidence
    from include.qualification.profile import Profile
    from include.qualification.verdict import Verdict
    from include.stages.backtest import BacktestResult

app = typer.Typer()

CandidateName = Annotated[str, typer.Argument(metavar="CANDIDATE", help="Shipped name or path of a YAML file.")]
ProfileName = Annotated[str, typer.Option("--profile", help="Shipped name or path of a YAML file.")]
Venue = Annotated[str, typer.Option("--venue", help="Lake venue; the candidate's own when not given.")]
From = Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive; all there is when not given.")]
To = Annotated[str, typer.Option("--to", help="End, UTC, exclusive; all there is when not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@dataclass(frozen=True, slots=True)
class _Run:
    """A command's arguments, looked up."""

    reference: str
    settings: Settings
    candidate: Candidate
    profile: Profile
    start: datetime
    end: datetime
    lake: MarketData
    now: datetime

    @property
    def folder(self) -> Path:
        """Where this candidate's reports under this profile lie."""
        return self.settings.report_folder(self.candidate.name, self.candidate.id, self.profile.name)

    @property
    def window(self) -> str:
        return f"--venue {self.candidate.venue} --from {iso(self.start)} --to {iso(self.end)}"


@app.command()
def qualify(
    candidate: CandidateName, profile: ProfileName, venue: Venue = "", start: From = "", end: To = "",
    full: Annotated[bool, typer.Option("--full", help="Every robustness check, also those not demanded.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Data gate, backtest and the robustness checks that the profile demands. Says QUALIFIES or lists the issues.

    Exit 0 PASS, 1 FAIL, 3 INCONCLUSIVE or ERROR.
    """
    from include.qualification.verdict import Verdict
    from include.reporting.data_gate import gate_reporter
    from include.reporting.gate_findings import GateRun
    from include.stages.data_gate import run_data_gate

    run = _look_up(candidate, profile, venue, start, end)
    judged = GateRun.of_candidate(
        run.candidate, run.profile, run.start, run.end, now=run.now,
        synthetic=run.lake.is_synthetic(run.candidate.venue),
    )  # fmt: skip
    with progress_bar("data gate") as progress:
        gate = run_data_gate(
            run.candidate, run.profile, run.start, run.end, run.lake, now=run.now, progress=progress,
            report=gate_reporter(judged, run.folder),
        )  # fmt: skip
    evidence, traded = [gate], None
    # After a gate that failed everything else is measured too, so that all issues show at once; on data that could not
    # even be judged, and for a strategy that could not be traded, it would mean nothing.
    if gate.verdict is not Verdict.ERROR:
        traded = _backtest(run)
        evidence.append(traded.evidence)
        if traded.evidence.verdict is not Verdict.ERROR:
            evidence += _battery(run, full=full)
    _finish("qualify" + (" --full" if full else ""), run, evidence, traded, as_json)


@app.command()
def backtest(
    candidate: CandidateName, profile: ProfileName, venue: Venue = "", start: From = "", end: To = "",
    trades: Annotated[Path | None, typer.Option(help="Write the trades to this Parquet file.")] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The backtest alone, judged by the profile's backtest criteria. Exit codes as for qualify."""
    run = _look_up(candidate, profile, venue, start, end)
    result = _backtest(run)
    if trades is not None and result.played is not None:
        from include.backtesting.trades import write_trades

        try:
            write_trades(result.played.trades, trades)
        except OSError as error:
            raise ConfigurationError(f"--trades {trades}: cannot be written ({error.strerror})") from None
    _finish("backtest", run, [result.evidence], result, as_json)


# --- inside ------------------------------------------------------------------------------------------------


def _look_up(candidate: str, profile: str, venue: str, start: str, end: str) -> _Run:
    from include.bootstrap import open_lake
    from include.config.files import find_candidate, find_profile
    from include.config.settings import load_settings

    settings = load_settings()
    found = find_candidate(candidate)
    found = replace(found, venue=venue) if venue else found
    lake = open_lake(settings)
    spans = [lake.span(found.venue, symbol, found.timeframe) for symbol in found.symbols]
    first = parse_utc(start) if start else max(span[0] for span in spans)
    last = parse_utc(end) if end else min(span[1] for span in spans) + found.timeframe.delta
    if first >= last:
        raise ConfigurationError(
            f"window {iso(first)} to {iso(last)} is empty; check --from, --to and `airlock data list`"
        )
    return _Run(candidate, settings, found, find_profile(profile), first, last, lake, datetime.now(UTC))


def _backtest(run: _Run) -> BacktestResult:
    from include.stages.backtest import run_backtest

    with redirect_stdout(sys.stderr), progress_bar("backtest") as progress:
        return run_backtest(
            run.candidate, run.profile, run.start, run.end, run.lake, now=run.now, progress=progress,
            report_dir=run.folder,
        )  # fmt: skip


def _battery(run: _Run, *, full: bool) -> list[Evidence]:
    """Evidence of the robustness checks, in the order of the ladder."""
    from include.domain.enums import BATTERY
    from include.stages.robustness import blocks_of, run_battery

    blocks = blocks_of(BATTERY if full else run.profile.battery)
    found: list[Evidence] = []
    with redirect_stdout(sys.stderr), progress_bar("robustness") as progress:
        for number, block in enumerate(blocks):

            def report(done: float, what: str, number: int = number) -> None:
                progress((number + done) / len(blocks), what)

            found += run_battery(
                block, run.candidate, run.profile, run.start, run.end, run.lake, now=run.now, progress=report
            )
    return sorted(found, key=lambda item: BATTERY.index(item.stage))


def _finish(command: str, run: _Run, evidence: list[Evidence], backtest: BacktestResult | None, as_json: bool) -> None:
    from include.qualification.verdict import EXIT_CODES
    from include.reporting.qualification import ReportInput, overall_verdict, write_qualification

    played = backtest.played if backtest else None
    report = write_qualification(
        ReportInput(
            run.candidate, run.profile, evidence, run.now,
            f"airlock {command} {run.reference} --profile {run.profile.name} {run.window}", run.profile.initial_capital,
            played.trades if played else None, played.daily if played else None,
        ),
        run.folder,
    )  # fmt: skip
    if as_json:
        print_json(_document(run, evidence, report))
    else:
        _print_verdict(run, evidence, report)
    raise typer.Exit(int(EXIT_CODES[overall_verdict(evidence)]))


def _document(run: _Run, evidence: list[Evidence], report: Path) -> dict[str, Any]:
    """The stable JSON of the command line contract; keys may be added, never renamed."""
    from include.qualification.evidence import criterion_document
    from include.reporting.qualification import issues, overall_verdict

    return {
        "candidate_id": run.candidate.id,
        "candidate": run.candidate.name,
        "profile": run.profile.name,
        "profile_hash": run.profile.hash,
        "verdict": overall_verdict(evidence).value,
        "issues": issues(evidence),
        "synthetic": any(item.synthetic for item in evidence),
        "window": {"venue": run.candidate.venue, "from": iso(run.start), "to": iso(run.end)},
        "metrics": {name: m.value for item in evidence for name, m in item.metrics.items()},
        "stages": {
            item.stage.value: {
                "phase": item.verdict.value,
                "criteria": [criterion_document(result) for result in item.results],
                "error": item.details.get("error", ""),
                "demanded": item.is_demanded,
                "digest": item.digest,
            }
            for item in evidence
        },
        "fingerprint": evidence[-1].fingerprint,
        "report": str(report),
    }


def _print_verdict(run: _Run, evidence: list[Evidence], report: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    from include.reporting.qualification import PASSES_SO_FAR, headline, issues, overall_verdict
    from include.reporting.stage_views import NOT_DEMANDED

    terminal = Console()
    # A pipe has no width: print whole cells there instead of cutting them to 80 columns.
    console = terminal if terminal.is_terminal else Console(width=160)
    for item in evidence:
        if item.details.get("error"):
            console.print(f"{item.stage.value}: ERROR: {item.details['error']}", markup=False, highlight=False)
        else:
            console.print(f"{item.stage.value}: {item.verdict.value if item.is_demanded else NOT_DEMANDED}")
            console.print(_criteria_table(item) if item.is_demanded else _metrics_table(item))
    words = headline(evidence, run.profile)
    colour = "yellow" if words == PASSES_SO_FAR else _colour(overall_verdict(evidence))
    synthetic = " (synthetic data)" if any(item.synthetic for item in evidence) else ""
    console.print(f"[bold {colour}]{escape(run.candidate.name)}: {words}[/]{synthetic}")
    for line in issues(evidence):
        console.print(f"  - {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"report {report}", markup=False, highlight=False, soft_wrap=True)


def _criteria_table(item: Evidence) -> Table:
    from rich.table import Table

    from include.qualification.wording import format_interval, format_metric, format_threshold

    table = Table("criterion", "wanted", "measured", "95 % interval", "verdict")
    for result in item.results:
        c, m = result.criterion, result.measurement
        colour = _colour(result.verdict)
        table.add_row(
            c.metric, f"{c.op.value} {format_threshold(c.metric, c.threshold)}",
            format_metric(c.metric, m.value if m else None), format_interval(c.metric, m.low, m.high) if m else "",
            f"[{colour}]{result.verdict.value}[/{colour}]",
        )  # fmt: skip
    return table


def _metrics_table(item: Evidence) -> Table:
    """A stage that the profile demands nothing of: its numbers, without a verdict."""
    from rich.table import Table

    from include.qualification.wording import format_interval, format_metric

    table = Table("metric", "measured", "95 % interval")
    for name, m in item.metrics.items():
        table.add_row(name, format_metric(name, m.value), format_interval(name, m.low, m.high))
    return table


def _colour(verdict: Verdict) -> str:
    return {"PASS": "green", "FAIL": "red"}.get(verdict.value, "yellow")
