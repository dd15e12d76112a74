"""`airlock exchange`: a sandbox exchange on loopback that replays the lake and speaks Binance USD-M."""

from __future__ import annotations

import logging
import sys
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe, parse_utc

app = typer.Typer()

DEFAULT_BALANCE = "800000"
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
            "--account", help="Account name; keys in AIRLOCK_ACCOUNT_<NAME>_KEY and _SECRET; repeat for more."
        ),
    ] = None,
    balances: Annotated[
        list[str] | None, typer.Option("--balance", help="First deposit; one for all accounts or one for each.")
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
        accounts=_deposits(accounts or [], balances or []),
        speed=speed,
        host=host,
        port=port,
    )


def _deposits(names: list[str], balances: list[str]) -> dict[str, Decimal]:
    """First deposit by account name. Raises ConfigurationError."""
    if len(set(names)) != len(names):
        raise ConfigurationError(f"--account {' '.join(names)}: name each account once")
    if len(balances) > 1 and len(balances) != len(names):
        raise ConfigurationError(
            f"{len(balances)} --balance for {len(names)} --account: give one for all or one for each"
        )
    texts = balances if len(balances) == len(names) else (balances or [DEFAULT_BALANCE]) * len(names)
    return {name: _money(text) for name, text in zip(names, texts, strict=True)}


def _money(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and value > 0):
        raise ConfigurationError(f"--balance {text!r} is not a positive amount of money")
    return value
