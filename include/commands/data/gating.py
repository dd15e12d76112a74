"""`airlock data gate`: judge stored bars."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import (
    AsJson,
    From,
    Symbols,
    TimeframeText,
    To,
    Venue,
    cell,
    configured_lake,
    print_table,
)
from include.domain.times import Timeframe, iso, parse_utc

if TYPE_CHECKING:
    from include.stages.data_gate import DataGateResult

app = typer.Typer()

SHOWN_OF_EACH = 5
"""Violations of each rule and symbol that the table shows."""


@app.command()
def gate(
    venue: Venue, symbol: Symbols, start: From, end: To, profile: Annotated[str, typer.Option(help="Profile.")],
    timeframe: TimeframeText = "1m", as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge stored bars by a profile's data rules. Exit 0 PASS, 1 FAIL, 3 INCONCLUSIVE."""
    from include.config.files import find_profile
    from include.qualification.verdict import EXIT_CODES
    from include.stages.data_gate import gate_data

    lake, rules = configured_lake(), find_profile(profile)
    with progress_bar("data gate") as progress:
        result = gate_data(
            venue, symbol, Timeframe.parse(timeframe), parse_utc(start), parse_utc(end), rules, lake,
            now=datetime.now(UTC), progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(result.document())
    else:
        _print_gate(result)
    raise typer.Exit(int(EXIT_CODES[result.verdict]))


# --- inside ------------------------------------------------------------------------------------------------


def _print_gate(result: DataGateResult) -> None:
    from include.stages.data_gate import bounded

    print_table(
        f"Data gate: {result.verdict.value}",
        ("symbol", "verdict", "completeness", "quality", "compatibility", "days", "longest gap", "largest jump"),
        [(name, d["verdict"], f"{d['completeness']:.2%}", f"{d['quality']:.2%}", f"{d['compatibility']:.2%}",
          f"{d['history_days']:.1f}", _optional(d["max_gap_minutes"], "{:g} min"), _optional(d["max_jump"], "{:.2%}"))
         for name, d in ((name, gated.document()) for name, gated in result.symbols.items())],
    )  # fmt: skip
    print_table("Criteria", ("verdict", "reason"), [(r.verdict.value, r.reason) for r in result.results])
    violations = bounded(result.violations, limit=SHOWN_OF_EACH)
    if violations:
        print_table(
            f"Violations: {len(violations)} of {len(result.violations)} (all with --json)",
            ("rule", "symbol", "scope", "first", "last", "bars", "sample"),
            [(v.rule.value, v.symbol, v.scope.value, iso(v.first), iso(v.last), str(v.count), cell(list(v.sample)))
             for v in violations],
        )  # fmt: skip
    typer.echo(f"fingerprint {result.fingerprint}")


def _optional(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
