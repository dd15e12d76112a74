"""`airlock data import`: bring bars into the lake."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import AsJson, TimeframeText, distinct, open_window_of, print_table
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe, iso
from include.ports import Progress

if TYPE_CHECKING:
    from include.config.settings import Settings
    from include.market_data.lake import ParquetLake
    from include.market_data.mappings import Mapping
    from include.market_data.publishing import IngestReport
    from include.market_data.sources.protocol import Source

app = typer.Typer()


class SourceKind(StrEnum):
    """Where bars come from."""

    PARQUET = "parquet"
    CSV = "csv"
    DUMP = "dump"
    CCXT = "ccxt"
    NODE = "node"
    SYNTHETIC = "synthetic"


_FILES = frozenset({SourceKind.PARQUET, SourceKind.CSV, SourceKind.DUMP})
_TAKEN = {
    "path": _FILES, "mapping": _FILES, "seed": {SourceKind.SYNTHETIC}, "url": {SourceKind.CCXT, SourceKind.NODE},
}  # fmt: skip
"""Options that only some sources take; with another one they are a mistake, not noise."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The command line, parsed."""

    kind: SourceKind
    venue: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    start: datetime | None
    end: datetime | None
    options: Dictionary[str, Any]


@app.command(
    "import",
    epilog="Example: airlock data import --source parquet --path ~/bars --venue binance-usdm --symbol BTC/USDT",
)
def import_command(
    source: Annotated[SourceKind, typer.Option(help="Files (dump: Binance's zips), network, or synthetic.")],
    path: Annotated[Path | None, typer.Option(help="File or folder: parquet, csv, dump.")] = None,
    venue: Annotated[str, typer.Option(help="Venue name in the lake; `synthetic` for the synthetic market.")] = "",
    symbol: Annotated[
        list[str] | None, typer.Option(help="BTC/USDT or BTCUSDT; repeat for more.", callback=distinct)
    ] = None,
    timeframe: TimeframeText = "1m",
    start: Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive; the source's first.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, UTC, exclusive; the source's last.")] = "",
    mapping: Annotated[str, typer.Option(help="Column mapping of files: a shipped name or a YAML file.")] = "",
    url: Annotated[str, typer.Option(help="node: its address, else HISTORICAL_NODE_URL; ccxt: another base.")] = "",
    seed: Annotated[int | None, typer.Option(help="synthetic: another market for another seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add bars to the lake. A repeat changes nothing; bars that contradict stored ones are refused.

    Files are imported all or nothing; an import over the network that was interrupted goes on where it was.
    """
    from include.bootstrap import open_lake
    from include.config.settings import load_settings

    wanted = _Wanted(
        source, venue, tuple(symbol or ()), Timeframe.parse(timeframe), *open_window_of(start, end),
        {"path": path, "mapping": mapping, "url": url, "seed": seed},
    )  # fmt: skip
    _check(wanted)
    settings = load_settings()
    lake = open_lake(settings)
    with progress_bar("importing") as progress:
        reports = _import(lake, settings, wanted, progress)
    document = [_report_document(lake, report) for report in reports]
    if as_json:
        print_json({"imported": document})
        return
    print_table(
        "Imported", ("series", "rows added", "already there", "months written", "first", "last"),
        [(d["series"], f"{d['rows_added']:,}", f"{d['rows_known']:,}", str(len(d["partitions"])), d["first"], d["last"])
         for d in document],
    )  # fmt: skip


# --- inside ------------------------------------------------------------------------------------------------


def _check(wanted: _Wanted) -> None:
    """Every contradiction of the command line in one line.

    Raises:
        ConfigurationError: an option the source does not take, or one that it needs.
    """
    kind = wanted.kind
    given = [name for name, value in wanted.options.items() if value not in (None, "")]
    if foreign := [f"--{name}" for name in given if kind not in _TAKEN[name]]:
        raise ConfigurationError(f"{', '.join(foreign)}: not for --source {kind.value}")
    needed: dict[str, Any] = {"path": wanted.options["path"]} if kind in _FILES else {}
    if kind is not SourceKind.SYNTHETIC:
        needed |= {"venue": wanted.venue, "symbol": wanted.symbols}
    if missing := [f"--{name}" for name, value in needed.items() if not value]:
        raise ConfigurationError(f"{', '.join(missing)}: needed with --source {kind.value}")


def _import(lake: ParquetLake, settings: Settings, wanted: _Wanted, progress: Progress) -> tuple[IngestReport, ...]:
    from include.market_data import synthetic
    from include.market_data.importing import import_bars, require_synthetic
    from include.market_data.sources.protocol import Request

    venue, symbols = wanted.venue, wanted.symbols
    if wanted.kind is SourceKind.SYNTHETIC:
        venue, symbols = venue or synthetic.VENUE, symbols or synthetic.SYMBOLS
        require_synthetic(lake, venue)
    requests = [Request(name, wanted.timeframe, wanted.start, wanted.end) for name in symbols]
    source = _source(settings, wanted)
    return import_bars(lake, source, venue, requests, now=datetime.now(UTC), progress=progress)


def _source(settings: Settings, wanted: _Wanted) -> Source:
    from include import bootstrap
    from include.market_data.sources.files import FileKind, FileSource
    from include.market_data.sources.synthetic import SyntheticSource

    kind, options = wanted.kind, wanted.options
    if kind is SourceKind.CCXT:
        return bootstrap.exchange_source(settings, wanted.venue, url=options["url"])
    if kind is SourceKind.NODE:
        return bootstrap.node_source(settings, wanted.venue, url=options["url"])
    if kind is SourceKind.SYNTHETIC:
        return SyntheticSource() if options["seed"] is None else SyntheticSource(options["seed"])
    usual = "binance-dump" if kind is SourceKind.DUMP else "default"
    return FileSource(FileKind(kind.value), options["path"], _mapping(options["mapping"] or usual), wanted.symbols)


def _mapping(reference: str) -> Mapping:
    from include.config.files import CONFIG
    from include.market_data.mappings import load_mapping

    folder = CONFIG / "mappings"
    shipped = folder / f"{reference}.yaml"
    path = shipped if "/" not in reference and shipped.is_file() else Path(reference)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ConfigurationError(f"mapping {reference!r} is neither a file nor one of: {known}")
    return load_mapping(path)


def _report_document(lake: ParquetLake, report: IngestReport) -> dict[str, Any]:
    summary = lake.summary(report.series)
    return {
        "series": str(report.series), "venue": report.series.venue, "symbol": report.series.symbol,
        "timeframe": str(report.series.timeframe), "rows_added": report.rows_added, "rows_known": report.rows_known,
        "rows_enriched": report.rows_enriched, "partitions": list(report.partitions),
        "first": iso(summary.first), "last": iso(summary.last),
    }  # fmt: skip
