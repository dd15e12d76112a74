"""`airlock exchange`: a sandbox exchange on loopback that replays the lake and speaks Binance USD-M and spot."""

from __future__ import annotations

import logging
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from include.domain.times import Timeframe, parse_utc

app = typer.Typer()

DEFAULT_BALANCE = Decimal(800_000)
"""First deposit of an account, quote currency: the initial capital of the shipped profiles."""


@app.command()
def exchange(
    venue: Annotated[str, typer.Option("--venue", help="Venue name in the lake whose bars are replayed.")],
    symbols: Annotated[list[str], typer.Option("--symbol", help="BTC/USDT or BTCUSDT; repeat for more.")],
    start: Annotated[str, typer.Option("--from", help="First replayed open time, UTC, inclusive.")],
    end: Annotated[str, typer.Option("--to", help="End, UTC, exclusive.")],
    speed: Annotated[str, typer.Option(help="Market seconds per wall second, `max`, or `step` (lockstep).")] = "60",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless told otherwise.")] = "127.0.0.1",
    timeframe: Annotated[str, typer.Option(help="Length of the replayed bars.")] = "1m",
    accounts: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help="NAME (keys in AIRLOCK_ACCOUNT_<NAME>_KEY and _SECRET), NAME:APIKEY:SECRET\\[:BALANCE], or "
            "NAME:new\\[:BALANCE] for keys that are made up and printed once; repeat for more.",
        ),
    ] = None,
    balances: Annotated[
        list[str] | None, typer.Option("--balance", help="First deposit; one for all accounts or one for each.")
    ] = None,
    accounts_file: Annotated[Path | None, typer.Option("--accounts", help="YAML file of accounts.")] = None,
    faults: Annotated[Path | None, typer.Option("--faults", help="YAML file of faults on purpose.")] = None,
    brackets: Annotated[
        Path | None, typer.Option("--brackets", help="YAML file of leverage brackets; else one from each instrument.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Where the state is kept; one that is there is gone on from.")
    ] = None,
    rate_limits: Annotated[
        bool | None,
        typer.Option(
            "--rate-limits/--no-rate-limits",
            help="Refuse too many requests with 429 and 418; unless told, only where --speed is a number.",
        ),
    ] = None,
) -> None:
    """Serve until stopped. Prints one JSON line with its address and process id once it accepts requests."""
    from include import bootstrap
    from include.config.settings import load_settings

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    bootstrap.run_exchange(
        load_settings(),
        venue=venue,
        symbols=tuple(symbols),
        timeframe=Timeframe.parse(timeframe),
        start=parse_utc(start),
        end=parse_utc(end),
        accounts=accounts or [],
        balances=balances or [],
        default_balance=DEFAULT_BALANCE,
        accounts_file=accounts_file,
        faults=faults,
        brackets=brackets,
        state=state,
        rate_limits=rate_limits,
        speed=speed,
        host=host,
        port=port,
    )
