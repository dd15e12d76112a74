"""`airlock data list|show|fingerprint`: what the lake holds."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json
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
    window_of,
)
from include.domain.errors import DataError
from include.domain.times import Timeframe, from_ms, iso
from include.market_data.series import Series

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake, SeriesSummary
    from include.market_data.partitions import Partition

app = typer.Typer()


@app.command("list")
def list_series(as_json: AsJson = False) -> None:
    """All series in the lake."""
    lake = configured_lake()
    summaries = lake.summaries()
    if as_json:
        print_json({"lake": str(lake.root), "series": [_summary_document(s) for s in summaries]})
        return
    print_table(
        f"Lake {lake.root}", ("venue", "symbol", "timeframe", "rows", "first", "last", "months"),
        [(s.series.venue, s.series.symbol, str(s.series.timeframe), f"{s.rows:,}", iso(s.first), iso(s.last),
          str(s.partitions)) for s in summaries],
    )  # fmt: skip


@app.command()
def show(venue: Venue, symbol: Annotated[str, typer.Option(help="BTC/USDT or BTCUSDT.")],
         timeframe: TimeframeText = "1m",
         partitions: Annotated[bool, typer.Option("--partitions", help="With the manifest of every month.")] = False,
         as_json: AsJson = False) -> None:  # fmt: skip
    """One series: rows, span, sources, and the fingerprint of all of it."""
    lake, frame = configured_lake(), Timeframe.parse(timeframe)
    series = Series.named(venue, symbol, frame)
    summary = lake.summary(series)
    whole = lake.fingerprint(venue, [symbol], frame, summary.first, summary.last + frame.delta)
    document = {**_summary_document(summary), "fingerprint": whole}
    manifests = [_partition_document(part) for part in lake.partitions(series)] if partitions else []
    if as_json:
        print_json({**document, "manifests": manifests} if partitions else document)
        return
    print_table(str(summary.series), ("what", "value"), [(key, cell(value)) for key, value in document.items()])
    if partitions:
        _print_partitions(manifests)


@app.command()
def fingerprint(
    venue: Venue, symbol: Symbols, start: From, end: To, timeframe: TimeframeText = "1m", as_json: AsJson = False
) -> None:
    """Content fingerprint of a window: equal bars give equal fingerprints, however they are stored."""
    lake, frame, window = configured_lake(), Timeframe.parse(timeframe), window_of(start, end)
    for name in symbol:
        _require_inside(lake, Series.named(venue, name, frame), *window)
    found = lake.fingerprint(venue, symbol, frame, *window)
    if as_json:
        print_json({"fingerprint": found})
    else:
        typer.echo(found)


# --- inside ------------------------------------------------------------------------------------------------


def _require_inside(lake: ParquetLake, series: Series, start: datetime, end: datetime) -> None:
    """A window beside all bars has a fingerprint too, that of nothing; whoever asks for it has mistyped."""
    summary = lake.summary(series)
    if end <= summary.first or start > summary.last:
        raise DataError(
            f"{series}: no bars from {iso(start)} to {iso(end)}; stored {iso(summary.first)} to {iso(summary.last)}"
        )


def _print_partitions(manifests: list[dict[str, Any]]) -> None:
    print_table(
        f"{len(manifests)} partitions",
        ("month", "rows", "first", "last", "unfinished", "extras", "sha256", "ingested at", "sources", "repairs"),
        [(m["month"], f"{m['rows']:,}", m["first"], m["last"], str(len(m["unfinished"])), cell(m["extras"]),
          m["sha256"][:12], m["ingested_at"], cell(m["sources"]), cell(m["repairs"])) for m in manifests],
    )  # fmt: skip


def _partition_document(part: Partition) -> dict[str, Any]:
    from include.market_data.partitions import extras_of

    manifest = part.manifest
    return {
        "month": part.month, "file": part.key, "rows": manifest.rows, "first": iso(from_ms(manifest.first_open_time)),
        "last": iso(from_ms(manifest.last_open_time)), "sha256": manifest.sha256, "sources": manifest.sources,
        "ingested_at": manifest.ingested_at, "unfinished": [iso(from_ms(t)) for t in manifest.unfinished],
        "extras": list(extras_of(part.columns)), "repairs": manifest.repairs,
    }  # fmt: skip


def _summary_document(summary: SeriesSummary) -> dict[str, Any]:
    return {
        "venue": summary.series.venue, "symbol": summary.series.symbol, "timeframe": str(summary.series.timeframe),
        "rows": summary.rows, "first": iso(summary.first), "last": iso(summary.last),
        "partitions": summary.partitions, "sources": list(summary.sources),
    }  # fmt: skip
