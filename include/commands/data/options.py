"""Options and output that the data commands share."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.domain.errors import ConfigurationError
from include.domain.instruments import symbol_id
from include.domain.times import iso, parse_utc

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake


def distinct(symbols: list[str] | None) -> list[str] | None:
    """Refuse a market that is named twice, in whatever spelling: beside itself it would be counted as two."""
    keys = [symbol_id(symbol) for symbol in symbols or ()]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ConfigurationError(f"--symbol: {', '.join(twice)} named twice; name each market once")
    return symbols


Venue = Annotated[str, typer.Option("--venue", help="Venue name in the lake, as declared in venues.yaml.")]
Symbols = Annotated[
    list[str], typer.Option("--symbol", help="BTC/USDT or BTCUSDT; repeat for more.", callback=distinct)
]
TimeframeText = Annotated[str, typer.Option("--timeframe", help="Length of a bar: 1m, 5m, 1h, 1d, ...")]
From = Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive.")]
To = Annotated[str, typer.Option("--to", help="End, UTC, exclusive.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def window_of(start: str, end: str) -> tuple[datetime, datetime]:
    """`--from` and `--to`. Raises ConfigurationError: no times, or nothing between them."""
    first, last = parse_utc(start), parse_utc(end)
    _require_order(first, last)
    return first, last


def open_window_of(start: str, end: str) -> tuple[datetime | None, datetime | None]:
    """The same where either end may be left out: None then."""
    first, last = parse_utc(start) if start else None, parse_utc(end) if end else None
    _require_order(first, last)
    return first, last


def _require_order(first: datetime | None, last: datetime | None) -> None:
    if first is not None and last is not None and first >= last:
        raise ConfigurationError(f"--from {iso(first)}: not before --to {iso(last)}")


def configured_lake() -> ParquetLake:
    from include.bootstrap import open_lake
    from include.config.settings import load_settings

    return open_lake(load_settings())


def print_table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    wide = Console()
    # A pipe has no width: print whole cells there instead of cutting them to 80 columns.
    (wide if wide.is_terminal else Console(width=200)).print(table)


def cell(value: Any) -> str:
    return (
        ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in value)
        if isinstance(value, list)
        else str(value)
    )
