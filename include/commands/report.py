"""`airlock report`: what happened, as a page to read and as JSON to process."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from include.commands.console import print_json
from include.domain.errors import ConfigurationError

app = typer.Typer(help="Reports on what the ledger recorded.", no_args_is_help=True)


@app.callback()
def report() -> None:
    """Reports on what the ledger recorded."""


@app.command()
def daily(
    day: Annotated[
        str, typer.Option("--date", metavar="YYYY-MM-DD", help="Day of the ledger's clock; today when not given.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Write the report of a day to the reports folder. A day that still runs is reported up to now."""
    from include.config.settings import load_settings
    from include.operations.daily import make_daily_report, report_day
    from include.reporting.daily_page import daily_document, headline

    settings, now = load_settings(), datetime.now(UTC)
    wanted = _parse_day(day) if day else report_day(settings, now)
    made, path = make_daily_report(settings, wanted, now=now)
    if as_json:
        print_json({**daily_document(made), "report": str(path)})
        return
    typer.echo(f"{wanted}: {headline(made)}")
    typer.echo(f"report: {path}")


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--date {text}: not a date; write for example 2024-01-31") from None
