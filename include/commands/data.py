"""`airlock data`: fill the lake, look into it, and judge what it holds.

With `--json` one document goes to standard output and nothing else; progress and messages always go to standard error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.commands.console import print_json, progress_bar
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe, iso, parse_utc
from include.ports import Progress

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake, SeriesSummary
    from include.market_data.mappings import Mapping
    from include.market_data.publishing import IngestReport
    from include.stages.data_gate import DataGateResult

app = typer.Typer(help="Market data: import, list, show and judge it.", no_args_is_help=True)

SHOWN_OF_EACH = 5
"""Violations of each rule and symbol that the table shows."""


class Source(StrEnum):
    """Where bars come from."""

    PARQUET = "parquet"
    CSV = "csv"
    DUMP = "dump"
    SYNTHETIC = "synthetic"


Venue = Annotated[str, typer.Option("--venue", help="Venue name in the lake, as declared in venues.yaml.")]
Symbols = Annotated[list[str], typer.Option("--symbol", help="BTC/USDT or BTCUSDT; repeat for more.")]
TimeframeText = Annotated[str, typer.Option("--timeframe", help="1m, 5m, 1h, ...")]
From = Annotated[str, typer.Option("--from", help="First open time, UTC, inclusive.")]
To = Annotated[str, typer.Option("--to", help="End, UTC, exclusive.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


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
    lake = _lake()
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
    _print_table(
        "Imported", ("series", "rows added", "already there", "months written", "first", "last"),
        [(d["series"], f"{d['rows_added']:,}", f"{d['rows_known']:,}", str(len(d["partitions"])), d["first"], d["last"])
         for d in document],
    )  # fmt: skip


@app.command()
def gate(
    venue: Venue, symbol: Symbols, start: From, end: To, profile: Annotated[str, typer.Option(help="Profile.")],
    timeframe: TimeframeText = "1m", as_json: AsJson = False,
) -> None:  # fmt: skip
    """Judge stored bars by a profile's data rules. Exit 0 PASS, 1 FAIL, 3 INCONCLUSIVE."""
    from include.config.files import find_profile
    from include.qualification.verdict import EXIT_CODES
    from include.stages.data_gate import gate_data

    lake, rules = _lake(), find_profile(profile)
    with progress_bar("data gate") as progress:
        result = gate_data(
            venue, symbol, Timeframe.parse(timeframe), parse_utc(start), parse_utc(end), rules, lake,
            now=datetime.now(UTC), progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(result.document())
    else:
        _print_gate(result)
    raise typer.Exit(int(EXIT_CODES[result.verdict]))


@app.command("list")
def list_series(as_json: AsJson = False) -> None:
    """All series in the lake."""
    lake = _lake()
    summaries = lake.summaries()
    if as_json:
        print_json({"lake": str(lake.root), "series": [_summary_document(s) for s in summaries]})
        return
    _print_table(
        f"Lake {lake.root}", ("venue", "symbol", "timeframe", "rows", "first", "last", "months"),
        [(s.series.venue, s.series.symbol, str(s.series.timeframe), f"{s.rows:,}", iso(s.first), iso(s.last),
          str(s.partitions)) for s in summaries],
    )  # fmt: skip


@app.command()
def show(venue: Venue, symbol: Annotated[str, typer.Option(help="BTC/USDT or BTCUSDT.")],
         timeframe: TimeframeText = "1m", as_json: AsJson = False) -> None:  # fmt: skip
    """One series: rows, span, sources, and the fingerprint of all of it."""
    from include.market_data.series import Series

    lake, frame = _lake(), Timeframe.parse(timeframe)
    summary = lake.summary(Series.named(venue, symbol, frame))
    whole = lake.fingerprint(venue, [symbol], frame, summary.first, summary.last + frame.delta)
    document = {**_summary_document(summary), "fingerprint": whole}
    if as_json:
        print_json(document)
        return
    _print_table(str(summary.series), ("what", "value"), [(key, _text(value)) for key, value in document.items()])


@app.command()
def fingerprint(
    venue: Venue, symbol: Symbols, start: From, end: To, timeframe: TimeframeText = "1m", as_json: AsJson = False
) -> None:
    """Content fingerprint of a window: equal bars give equal fingerprints, however they are stored."""
    found = _lake().fingerprint(venue, symbol, Timeframe.parse(timeframe), parse_utc(start), parse_utc(end))
    if as_json:
        print_json({"fingerprint": found})
    else:
        typer.echo(found)


# --- inside ------------------------------------------------------------------------------------------------


def _lake() -> ParquetLake:
    from include.bootstrap import open_lake
    from include.config.settings import load_settings

    return open_lake(load_settings())


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


def _summary_document(summary: SeriesSummary) -> dict[str, Any]:
    return {
        "venue": summary.series.venue, "symbol": summary.series.symbol, "timeframe": str(summary.series.timeframe),
        "rows": summary.rows, "first": iso(summary.first), "last": iso(summary.last),
        "partitions": summary.partitions, "sources": list(summary.sources),
    }  # fmt: skip


def _print_gate(result: DataGateResult) -> None:
    from include.stages.data_gate import bounded

    _print_table(
        f"Data gate: {result.verdict.value}",
        ("symbol", "verdict", "completeness", "quality", "compatibility", "days", "longest gap", "largest jump"),
        [(name, d["verdict"], f"{d['completeness']:.2%}", f"{d['quality']:.2%}", f"{d['compatibility']:.2%}",
          f"{d['history_days']:.1f}", _optional(d["max_gap_minutes"], "{:g} min"), _optional(d["max_jump"], "{:.2%}"))
         for name, d in ((name, gated.document()) for name, gated in result.symbols.items())],
    )  # fmt: skip
    _print_table("Criteria", ("verdict", "reason"), [(r.verdict.value, r.reason) for r in result.results])
    violations = bounded(result.violations, limit=SHOWN_OF_EACH)
    if violations:
        _print_table(
            f"Violations: {len(violations)} of {len(result.violations)} (all with --json)",
            ("rule", "symbol", "scope", "first", "last", "bars", "sample"),
            [(v.rule.value, v.symbol, v.scope.value, iso(v.first), iso(v.last), str(v.count), _text(list(v.sample)))
             for v in violations],
        )  # fmt: skip
    typer.echo(f"fingerprint {result.fingerprint}")


def _print_table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    wide = Console()
    # A pipe has no width: print whole cells there instead of cutting them to 80 columns.
    (wide if wide.is_terminal else Console(width=200)).print(table)


def _optional(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)


def _text(value: Any) -> str:
    return (
        ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in value)
        if isinstance(value, list)
        else str(value)
    )
