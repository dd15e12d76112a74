"""`airlock new`: a strategy of your own to start from."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from include.commands.console import print_json
from include.domain.times import Timeframe

app = typer.Typer()


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Words in lower case with dashes, for example my-breakout.")],
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="BTC/USDT; repeat for more.")] = None,
    timeframe: Annotated[str, typer.Option(help="1m, 5m, 1h, ...")] = "1m",
    venue: Annotated[str, typer.Option(help="Lake venue to measure on, as declared in venues.yaml.")] = "synthetic",
    owner: Annotated[str, typer.Option(help="Whose candidate it is; he cannot sign it off. You, by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """A strategy of your own: a few lines of code, a candidate file and a test, ready to be qualified."""
    from include.bootstrap import venue_facts
    from include.config.settings import load_settings
    from include.domain.errors import ConfigurationError
    from include.operations.scaffolding import Scaffold, write_scaffold

    facts, symbols = venue_facts(), tuple(symbol or ("BTC/USDT",))
    if venue not in facts:
        raise ConfigurationError(f"--venue {venue}: not declared in venues.yaml (known: {', '.join(sorted(facts))})")
    for wanted in symbols:
        facts[venue].instrument(wanted)
    settings = load_settings()
    scaffold = Scaffold(name, symbols, str(Timeframe.parse(timeframe)), venue, owner or getpass.getuser())
    folder = write_scaffold(scaffold, settings.strategies_root)
    candidate = folder / "candidate.yaml"
    if as_json:
        print_json({"folder": str(folder), "candidate": str(candidate)})
        return
    typer.echo(f"Wrote {folder}\n")
    typer.echo(f"  {folder / 'strategy.py'}       the idea; change it")
    typer.echo(f"  {candidate}    its parameters, symbols and venue")
    typer.echo(f"  {folder / 'test_strategy.py'}  python -m pytest {folder}\n")
    typer.echo(f"Then: airlock qualify {candidate} --profile five-year")
