"""Bars out of the lake as plain files: one a symbol, defects and order included, so that they can be imported again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe, iso
from include.market_data.lake import ParquetLake
from include.market_data.series import Series
from include.ports import Progress, no_progress

ROWS_AT_ONCE = 1 << 18


class FileFormat(StrEnum):
    """What can be written."""

    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export; without bounds the whole series.

    Attributes:
        path: a folder, which gets a file a symbol; or, for one symbol, the file itself (by its ending).
    """

    venue: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    format: FileFormat
    path: Path
    start: datetime | None = None
    end: datetime | None = None

    def series(self) -> tuple[Series, ...]:
        """One a symbol. Raises ConfigurationError when a symbol is named twice."""
        found = tuple(Series.named(self.venue, symbol, self.timeframe) for symbol in self.symbols)
        if len(set(found)) < len(found):
            raise ConfigurationError("--symbol: the same symbol is named twice")
        return found

    def target(self, series: Series, start: datetime, end: datetime) -> Path:
        """The file of one series.

        Raises:
            ConfigurationError: a file for several symbols, or one of the other format.
        """
        if self.path.suffix in {f".{other.value}" for other in FileFormat if other is not self.format}:
            raise ConfigurationError(f"{self.path}: not a name for --format {self.format.value}; make them agree")
        if self.path.suffix == f".{self.format.value}":
            if len(self.symbols) > 1:
                raise ConfigurationError(f"{self.path}: one file holds one symbol; name a folder")
            return self.path
        return self.path / f"{series.symbol}-{series.timeframe}-{_compact(start)}-{_compact(end)}.{self.format.value}"


@dataclass(frozen=True, slots=True)
class Exported:
    """One file that was written, and what its bars are in the lake."""

    series: Series
    start: datetime
    end: datetime
    rows: int
    path: Path
    fingerprint: str

    def document(self) -> dict[str, Any]:
        return {
            "venue": self.series.venue, "symbol": self.series.symbol, "timeframe": str(self.series.timeframe),
            "from": iso(self.start), "to": iso(self.end), "rows": self.rows, "path": str(self.path),
            "fingerprint": self.fingerprint,
        }  # fmt: skip


def export_bars(
    lake: ParquetLake, request: ExportRequest, *, force: bool = False, progress: Progress = no_progress
) -> tuple[Exported, ...]:
    """Write one file for every symbol, one symbol in memory at a time; each file appears whole or not at all.

    Args:
        force: replace files that are there.

    Raises:
        ConfigurationError: a file is there already, or one file for several symbols; nothing was written.
        DataError: a symbol has no bars there, they changed meanwhile, or the disk refused; files before it stay.
    """
    plans = [_plan(lake, request, series) for series in request.series()]
    for plan in plans:
        if plan.path.exists() and not force:
            raise ConfigurationError(f"{plan.path}: is there already; name another --path, or replace it with --force")
    written = []
    for index, plan in enumerate(plans):

        def step(done: float, message: str, index: int = index) -> None:
            progress((index + done) / len(plans), message)

        written.append(_export(lake, plan, request.format, step))
    return tuple(written)


@dataclass(frozen=True, slots=True)
class _Plan:
    series: Series
    start: datetime
    end: datetime
    path: Path


def _plan(lake: ParquetLake, request: ExportRequest, series: Series) -> _Plan:
    first, last = lake.span(series.venue, series.symbol, series.timeframe)
    start, end = request.start or first, request.end or last + series.timeframe.delta
    if start >= end:
        raise ConfigurationError(f"{series}: nothing to export from {iso(start)} to {iso(end)}")
    return _Plan(series, start, end, request.target(series, start, end))


def _export(lake: ParquetLake, plan: _Plan, form: FileFormat, progress: Progress) -> Exported:
    series, window = plan.series, (plan.series.timeframe, plan.start, plan.end)
    progress(0.0, f"{series.symbol} reading")
    fingerprint = lake.fingerprint(series.venue, [series.symbol], *window)
    table = lake.rows(series.venue, series.symbol, *window)
    if lake.fingerprint(series.venue, [series.symbol], *window) != fingerprint:
        raise DataError(f"{series}: changed while it was read; export it again when the import is done")
    if not len(table):
        raise DataError(f"{series}: no bars from {iso(plan.start)} to {iso(plan.end)}; see `airlock data show`")
    with _whole(plan.path) as beside, _writer(form, beside, table.schema) as writer:
        for begin in range(0, len(table), ROWS_AT_ONCE):
            progress(begin / len(table), f"{series.symbol} to {plan.path.name}")
            writer.write_table(table.slice(begin, ROWS_AT_ONCE))
    progress(1.0, plan.path.name)
    return Exported(series, plan.start, plan.end, len(table), plan.path, fingerprint)


def _writer(form: FileFormat, path: Path, schema: pa.Schema) -> Any:
    if form is FileFormat.CSV:
        return pacsv.CSVWriter(path, schema)
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name beside the target to write to; synced and renamed when all went well, removed otherwise."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):  # where it could not be written, it cannot be removed
            beside.unlink(missing_ok=True)


def _compact(moment: datetime) -> str:
    """20240131, with the time of day where there is one."""
    return f"{moment:%Y%m%d}" if moment.time() == time() else f"{moment:%Y%m%dT%H%M%S}"
