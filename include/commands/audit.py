"""`airlock audit`: is the ledger's record of evidence, sign-offs and actions still what was written?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from include.commands.console import print_json
from include.domain.errors import ConfigurationError
from include.ports import ChainHead

app = typer.Typer(help="Checks of the tamper-evident records.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Checks of the tamper-evident records."""


@app.command()
def verify(
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known", metavar="CHAIN:ROW:VALUE",
            help="A chain's end as an earlier daily report shows it; finds rows that were cut off since. Repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:  # fmt: skip
    """Recompute the hash chains from their first row. Exit 0 intact, 1 broken."""
    from include import bootstrap
    from include.config.settings import load_settings

    heads = [_parse_head(text) for text in known or ()]
    with bootstrap.open_ledger(load_settings()).begin() as work:
        broken = work.audit.verify_chains(heads)
        now_at = work.audit.heads(datetime.now(UTC))
    if as_json:
        print_json(
            {
                "intact": not broken,
                "broken": list(broken),
                "chains": {head.name: {"sequence": head.sequence, "chain": head.chain} for head in now_at},
            }
        )
    else:
        for line in broken:
            typer.echo(f"BROKEN {line}")
        for head in now_at:
            typer.echo(f"{head.name}: {head.sequence} rows, ends {head.name}:{head.sequence}:{head.chain}")
        typer.echo("broken: see above" if broken else "intact")
    raise typer.Exit(1 if broken else 0)


def _parse_head(text: str) -> ChainHead:
    name, _, rest = text.partition(":")
    row, _, value = rest.partition(":")
    if name not in ("evidence", "approvals", "audit") or not row.isdigit() or len(value) != 64:
        raise ConfigurationError(f"--known {text}: write CHAIN:ROW:VALUE as in a daily report's last lines")
    return ChainHead(name, int(row), value)
