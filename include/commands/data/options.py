"""Options and output that the data commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake

Venue = Annotated[str, typer.Option("--venue", help="Venue name in the lake, as declared in venues.yaml.")]
Symbols = Annotated[list[str], typer.Option("--symbol", help="BTC/USDT or BTCUSDT; repeat for more.")]
TimeframeText = Annotated[str, typer.Option("--timeframe", help="1m, 5m, 1h, ...")]
From = Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive.")]
To = Annotated[str, typer.Option("--to", help="End, UTC, exclusive.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


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
