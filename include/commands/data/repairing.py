"""`airlock data repair`: repair stored bars by explicit policies, into a series of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import AsJson, Symbols, TimeframeText, Venue, configured_lake, print_table
from include.domain.times import Timeframe, parse_utc

if TYPE_CHECKING:
    from include.market_data.repairing import RepairReport

app = typer.Typer()

SHOWN_EVENTS = 50
"""Events of each change in the printed JSON; the report file has more."""


@app.command("repair")
def repair_bars(
    venue: Venue,
    symbol: Symbols,
    policy: Annotated[
        list[str],
        typer.Option(
            help="drop-duplicates, sort, forward-fill:BARS, quarantine or quarantine:RULE,...; repeat for more."
        ),
    ],
    timeframe: TimeframeText = "1m",
    start: Annotated[str, typer.Option("--from", help="First open time, UTC; else all there is.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, UTC, exclusive; else all there is.")] = "",
    name: Annotated[str, typer.Option("--as", help="The result is stored as VENUE~NAME.")] = "repaired",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Repair stored bars by explicit policies. The series itself is never changed: the result is VENUE~NAME."""
    from include.config.settings import load_settings
    from include.market_data.repairing import RepairRequest, repair_series
    from include.validators.repair_policies import parse_policies

    request = RepairRequest(
        venue, tuple(symbol), Timeframe.parse(timeframe), parse_policies(policy), name,
        parse_utc(start) if start else None, parse_utc(end) if end else None,
    )  # fmt: skip
    folder = load_settings().reports / "repairs"
    lake = configured_lake()
    with progress_bar("repairing") as progress:
        reports = repair_series(
            lake, request, folder=folder, now=datetime.now(UTC), dry_run=dry_run, progress=progress
        )  # fmt: skip
    documents = [_document(lake, report, dry_run) for report in reports]
    if as_json:
        print_json({"dry_run": dry_run, "reports": str(folder / request.derived_venue), "repaired": documents})
        return
    _print(documents, dry_run)
    if not dry_run:
        typer.echo(f"reports in {folder / request.derived_venue}")


# --- inside ------------------------------------------------------------------------------------------------


def _document(lake: Any, report: RepairReport, dry_run: bool) -> dict[str, Any]:
    window = ([report.derived.symbol], report.derived.timeframe, report.start, report.end)
    document = report.document()
    return {
        **document,
        "changes": [{**change, "events": change["events"][:SHOWN_EVENTS]} for change in document["changes"]],
        "rows_added": report.rows_added,
        "fingerprint": None if dry_run else lake.fingerprint(report.derived.venue, *window),
    }


def _print(documents: list[dict[str, Any]], dry_run: bool) -> None:
    print_table(
        "Would be repaired" if dry_run else "Repaired",
        ("series", "rows", "rows after", "of these filled", "rows added", "fingerprint"),
        [(d["series"], f"{d['rows_before']:,}", f"{d['rows_after']:,}", f"{d['filled']:,}", f"{d['rows_added']:,}",
          (d["fingerprint"] or "not written")[:16]) for d in documents],
    )  # fmt: skip
    print_table(
        "Changes", ("series", "policy", "rows", "events", "first", "last", "detail"),
        [(d["series"], c["policy"], f"{c['count']:,}", f"{c['event_count']:,}", c["first"] or "", c["last"] or "",
          ", ".join(f"{k}={v}" for k, v in c["detail"].items())) for d in documents for c in d["changes"]],
    )  # fmt: skip
