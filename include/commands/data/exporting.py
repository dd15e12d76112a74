"""`airlock data export`: bars out of the lake as plain files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import (
    AsJson,
    Symbols,
    TimeframeText,
    Venue,
    configured_lake,
    open_window_of,
    print_table,
)
from include.domain.times import Timeframe

app = typer.Typer()


@app.command("export")
def export_files(
    venue: Venue,
    symbol: Symbols,
    path: Annotated[Path, typer.Option(help="Folder; for one symbol also a file ending in .parquet or .csv.")],
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    timeframe: TimeframeText = "1m",
    start: Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive; all by default.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, UTC, exclusive; all by default.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one file a symbol, rows as stored; imported again with the default mapping it has the same fingerprint."""
    from include.domain.errors import ConfigurationError
    from include.market_data.exporting import ExportRequest, FileFormat, export_bars

    if file_format not in list(FileFormat):
        raise ConfigurationError(f"--format {file_format!r}: use {' or '.join(FileFormat)}")
    request = ExportRequest(
        venue, tuple(symbol), Timeframe.parse(timeframe), FileFormat(file_format), path,
        *open_window_of(start, end),
    )  # fmt: skip
    with progress_bar("exporting") as progress:
        written = export_bars(configured_lake(), request, force=force, progress=progress)
    if as_json:
        print_json({"exported": [one.document() for one in written]})
        return
    print_table(
        "Exported", ("series", "rows", "file", "fingerprint"),
        [(str(one.series), f"{one.rows:,}", str(one.path), one.fingerprint) for one in written],
    )  # fmt: skip
