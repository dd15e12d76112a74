"""`airlock venue check`: is a configured account fit to trade?"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from include.commands.console import print_json
from include.domain.errors import ConfigurationError

app = typer.Typer(help="Accounts at exchanges.", no_args_is_help=True)


@app.callback()
def venue() -> None:
    """Accounts at exchanges."""


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Account, as accounts.yaml declares it.")],
    symbols: Annotated[list[str] | None, typer.Option("--symbol", help="Markets to look at; repeat for more.")] = None,
    url: Annotated[str, typer.Option("--url", help="Address of a local sandbox exchange.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Place and cancel one smallest order on an account with real money.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Credentials, clock, permissions, markets, market data, account, and one smallest order far from the market that
    is placed and cancelled. Exit codes: 0 all passed, 1 something is wrong, 2 configuration, 3 not measurable."""
    from include import bootstrap
    from include.config.settings import load_settings

    settings = load_settings()
    account = bootstrap.declared_account(settings, name)
    if account.is_live and not yes:
        raise ConfigurationError(
            f"account {name!r} trades real money: the check places one smallest order 5 % below the market and cancels "
            "it; run again with --yes"
        )
    done = asyncio.run(bootstrap.check_account(settings, account, symbols=tuple(symbols or ()), url=url))
    if as_json:
        print_json(done.document())
    else:
        _print_table(done)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def _print_table(done: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{done.account} at {done.exchange}")
    for column in ("Check", "Verdict", "Seconds", "Detail"):
        table.add_column(column, justify="right" if column == "Seconds" else "left")
    for result in done.results:
        table.add_row(result.name, result.verdict.value, f"{result.secs:.2f}", result.detail)
    Console(width=None if Console().is_terminal else 160).print(table)
    typer.echo(f"{done.verdict.value}: account {done.account}")
