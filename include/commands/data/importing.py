"""`airlock data import`: bring bars into the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json, progress_bar
from include.commands.data.options import AsJson, TimeframeText, configured_lake, print_table
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe, iso, parse_utc
from include.ports import Progress

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake
    from include.market_data.mappings import Mapping
    from include.market_data.publishing import IngestReport

app = typer.Typer()


class Source(StrEnum):
    """Where bars come from."""

    PARQUET = "parquet"
    CSV = "csv"
    DUMP = "dump"
    SYNTHETIC = "synthetic"


@app.command("import")
def import_bars(
    source: Annotated[Source, typer.Option(help="Kind of source.")],
    path: Annotated[Path | None, typer.Option(help="File or folder; not for synthetic.")] = None,
    venue: Annotated[str, typer.Option(help="Venue name in the lake; `synthetic` for the synthetic market.")] = "",
    symbol: Annotated[list[str] | None, typer.Option(help="BTC/USDT or BTCUSDT; repeat for more.")] = None,
    timeframe: TimeframeText = "1m",
    mapping: Annotated[str, typer.Option(help="Column mapping: a shipped name or a YAML file.")] = "",
    start: Annotated[str, typer.Option("--from", help="Synthetic only: first open time.")] = "",
    end: Annotated[str, typer.Option("--to", help="Synthetic only: end, exclusive.")] = "",
    seed: Annotated[int | None, typer.Option(help="Synthetic only: another market for another seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add bars to the lake. A repeat changes nothing; bars that contradict stored ones are refused, all or nothing."""
    lake = configured_lake()
    with progress_bar("importing") as progress:
        if source is Source.SYNTHETIC:
            _refuse(source, path=path, mapping=mapping)
            reports = _import_synthetic(lake, venue, symbol, Timeframe.parse(timeframe), (start, end), seed, progress)
        else:
            _refuse(source, **{"from": start, "to": end, "seed": seed})
            reports = _import_files(lake, source, path, venue, symbol, Timeframe.parse(timeframe), mapping, progress)
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


def _refuse(source: Source, **options: Any) -> None:
    """Options that a source does not take are a mistake, not noise."""
    given = [f"--{name}" for name, value in options.items() if value not in (None, "")]
    if given:
        raise ConfigurationError(f"{', '.join(given)}: not for --source {source.value}")


def _import_synthetic(
    lake: ParquetLake, venue: str, symbols: list[str] | None, timeframe: Timeframe, window: tuple[str, str],
    seed: int | None, progress: Progress,
) -> tuple[IngestReport, ...]:  # fmt: skip
    from include.market_data import synthetic
    from include.market_data.importing import import_synthetic

    if timeframe != synthetic.TIMEFRAME:
        raise ConfigurationError(f"--timeframe {timeframe}: the synthetic market has {synthetic.TIMEFRAME} bars only")
    return import_synthetic(
        lake, symbols or synthetic.SYMBOLS,
        parse_utc(window[0]) if window[0] else synthetic.DEFAULT_START,
        parse_utc(window[1]) if window[1] else synthetic.DEFAULT_END,
        seed=synthetic.DEFAULT_SEED if seed is None else seed, now=datetime.now(UTC),
        venue=venue or synthetic.VENUE, progress=progress,
    )  # fmt: skip


def _import_files(
    lake: ParquetLake, source: Source, path: Path | None, venue: str, symbols: list[str] | None, timeframe: Timeframe,
    mapping: str, progress: Progress,
) -> tuple[IngestReport, ...]:  # fmt: skip
    from include.market_data.importing import FileSource, ImportRequest, import_files

    for name, value in (("--path", path), ("--venue", venue), ("--symbol", symbols)):
        if not value:
            raise ConfigurationError(f"{name}: needed with --source {source.value}")
    usual = "binance-dump" if source is Source.DUMP else "default"
    request = ImportRequest(
        FileSource(source.value), path or Path(), venue, tuple(symbols or ()), timeframe, _mapping(mapping or usual)
    )
    return import_files(lake, request, now=datetime.now(UTC), progress=progress)


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
        "partitions": list(report.partitions), "first": iso(summary.first), "last": iso(summary.last),
    }  # fmt: skip
