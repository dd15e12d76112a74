"""`airlock data list|show|fingerprint`: what the lake holds."""

from __future__ import annotations

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
)
from include.domain.times import Timeframe, iso, parse_utc

if TYPE_CHECKING:
    from include.market_data.lake import SeriesSummary

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
         timeframe: TimeframeText = "1m", as_json: AsJson = False) -> None:  # fmt: skip
    """One series: rows, span, sources, and the fingerprint of all of it."""
    from include.market_data.series import Series

    lake, frame = configured_lake(), Timeframe.parse(timeframe)
    summary = lake.summary(Series.named(venue, symbol, frame))
    whole = lake.fingerprint(venue, [symbol], frame, summary.first, summary.last + frame.delta)
    document = {**_summary_document(summary), "fingerprint": whole}
    if as_json:
        print_json(document)
        return
    print_table(str(summary.series), ("what", "value"), [(key, cell(value)) for key, value in document.items()])


@app.command()
def fingerprint(
    venue: Venue, symbol: Symbols, start: From, end: To, timeframe: TimeframeText = "1m", as_json: AsJson = False
) -> None:
    """Content fingerprint of a window: equal bars give equal fingerprints, however they are stored."""
    found = configured_lake().fingerprint(venue, symbol, Timeframe.parse(timeframe), parse_utc(start), parse_utc(end))
    if as_json:
        print_json({"fingerprint": found})
    else:
        typer.echo(found)


# --- inside ------------------------------------------------------------------------------------------------


def _summary_document(summary: SeriesSummary) -> dict[str, Any]:
    return {
        "venue": summary.series.venue, "symbol": summary.series.symbol, "timeframe": str(summary.series.timeframe),
        "rows": summary.rows, "first": iso(summary.first), "last": iso(summary.last),
        "partitions": summary.partitions, "sources": list(summary.sources),
    }  # fmt: skip
