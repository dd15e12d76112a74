"""`airlock data gate`: judge stored bars and write the report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import AsJson, From, Symbols, TimeframeText, To, Venue, print_table, window_of
from include.domain.times import Timeframe, iso

if TYPE_CHECKING:
    from include.qualification.criterion import CriterionResult
    from include.reporting.data_gate import GateReport
    from include.reporting.gate_findings import GateRun
    from include.stages.data_gate import DataGateResult

app = typer.Typer()

SHOWN_OF_EACH = 10
"""Violations of each rule that the table shows, the worst first."""

Report = Annotated[
    Path | None,
    typer.Option("--report", help="Folder for the report; below AIRLOCK_HOME/reports/data-gate when not given."),
]
ProfileName = Annotated[
    str,
    typer.Option("--profile", help="Data rules and criteria: a shipped name (five-year, ...) or a file."),
]
Docs = Annotated[bool, typer.Option("--docs/--no-docs", help="Also render Great Expectations' Data Docs.")]


@app.command(
    epilog="Example: airlock data gate --venue binance-usdm --symbol BTC/USDT --from 2022-01-01 --to 2024-01-01"
    " --profile five-year",
)
def gate(
    venue: Venue, symbol: Symbols, start: From, end: To, profile: ProfileName,
    timeframe: TimeframeText = "1m", report: Report = None, docs: Docs = True, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge stored bars by a profile's data rules and write the report.

    Exit 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 2 when there is nothing to judge.
    """
    from include.bootstrap import open_lake
    from include.config.files import find_profile
    from include.config.settings import load_settings
    from include.qualification.verdict import EXIT_CODES
    from include.reporting.data_gate import write_gate_report
    from include.reporting.gate_findings import GateRun, gate_command
    from include.stages.data_gate import gate_data

    settings = load_settings()
    lake, rules, now = open_lake(settings), find_profile(profile), datetime.now(UTC)
    frame, window = Timeframe.parse(timeframe), window_of(start, end)
    run = GateRun(
        venue,
        frame,
        *window,
        rules,
        now,
        lake.is_synthetic(venue),
        gate_command(venue, symbol, frame, *window, profile),
    )
    with progress_bar("data gate") as progress:
        result = gate_data(venue, symbol, frame, *window, rules, lake, now=now, progress=progress)
        progress(1.0, "writing the report")
        folder = report or settings.reports / "data-gate" / _folder_name(result, run)
        written = write_gate_report(result, run, folder.resolve(), data_docs=docs)
    if as_json:
        print_json({**result.document(), "report": str(written.page)})
    else:
        _print_gate(result, run, written)
    raise typer.Exit(int(EXIT_CODES[result.verdict]))


# --- inside ------------------------------------------------------------------------------------------------


def _folder_name(result: DataGateResult, run: GateRun) -> str:
    """The same data, window and profile give the same folder, so that a repeated run replaces its report."""
    ends = (f"{at:%Y-%m-%d}" if at.hour == at.minute == 0 else f"{at:%Y-%m-%dT%H%M}" for at in (run.start, run.end))
    return f"{result.fingerprint[:12]}-{'-to-'.join(ends)}-{run.profile.name}"


def _print_gate(result: DataGateResult, run: GateRun, written: GateReport) -> None:
    from rich.markup import escape

    from include.reporting.data_gate import symbol_results
    from include.reporting.gate_findings import result_findings, sample_text, whom

    by_symbol = symbol_results(result, run)
    print_table(
        f"Data gate: {result.verdict.value}{'  (synthetic data)' if run.synthetic else ''}",
        ("symbol", "verdict", *(f"{r.criterion.metric} {_wanted(r)}" for r in next(iter(by_symbol.values())))),
        [(escape(symbol), result.symbols[symbol].verdict.value, *map(_score, results))
         for symbol, results in by_symbol.items()],
    )  # fmt: skip
    print_table("Criteria", ("verdict", "reason"), [(r.verdict.value, escape(r.reason)) for r in result.results])
    findings = result_findings(result, SHOWN_OF_EACH)
    if findings:
        rows: list[tuple[str, ...]] = []
        for found in findings:
            rows += [
                (v.rule.value, escape(whom(v)), v.scope.value, iso(v.first), iso(v.last), f"{v.count:,}",
                 escape(sample_text(v.sample))) for v in found.worst
            ]  # fmt: skip
            if found.more:
                rows.append((found.rule.value, f"and {found.more:,} more", "", "", "", "", ""))
        heads = ("rule", "symbol", "scope", "first", "last", "bars", "sample")
        print_table(f"Violations, worst first: {sum(f.events for f in findings):,} events", heads, rows)
    typer.echo(f"fingerprint {result.fingerprint}")
    typer.echo(f"report      {written.page}")
    if written.data_docs:
        typer.echo(f"Data Docs   {written.data_docs}")


def _wanted(result: CriterionResult) -> str:
    from include.reporting.data_gate import score_text

    return f"{result.criterion.op.value} {score_text(result.criterion, result.criterion.threshold)}"


def _score(result: CriterionResult) -> str:
    from include.qualification.verdict import Verdict
    from include.reporting.data_gate import score_text

    value = result.measurement.value if result.measurement else None
    return score_text(result.criterion, value) + ("" if result.verdict is Verdict.PASS else f" {result.verdict.value}")
