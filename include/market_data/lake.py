"""The lake: Parquet by venue, symbol, timeframe and month under one folder. Implements `ports.MarketData`.

`venue=V/symbol=BTCUSDT/timeframe=1m/2024-01.parquet`; reading holds one symbol at a time; writing goes through
`batch` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.domain.bars import BAR_COLUMNS, Bars
from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import Instrument, symbol_id
from include.domain.times import Timeframe, from_ms, iso, to_ms
from include.market_data.partitions import (
    Columns,
    Manifest,
    Partition,
    content_digest,
    extras_of,
    month_name,
    month_of,
    read_manifest,
    read_partition,
    to_columns,
    to_table,
)
from include.market_data.publishing import IngestBatch, IngestReport, open_batch
from include.market_data.series import Series
from include.ports import UNFINISHED_BARS

T = TypeVar("T")
U = TypeVar("U")


class VenueDeclaration(Protocol):
    """What the lake needs to know of a venue; `config.venues` provides it."""

    @property
    def synthetic(self) -> bool: ...

    def instrument(self, symbol: str) -> Instrument: ...


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """What the manifests say about one series."""

    series: Series
    rows: int
    first: datetime
    last: datetime
    partitions: int
    sources: tuple[str, ...]


class ParquetLake:
    """Local lake.

    Args:
        root: folder of the lake; need not exist yet.
        venues: declared venues by name.
    """

    def __init__(self, root: Path, venues: Mapping[str, VenueDeclaration]) -> None:
        self.root = root
        self._venues = venues
        self._digests: dict[tuple[Path, int, int], str] = {}

    # --- reading (ports.MarketData) ---

    def bars(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Bars:
        """Bars of a window. Raises DataError when there are none or they are not strictly increasing."""
        series = Series.named(venue, symbol, timeframe)
        columns = self._window(series, start, end)
        times = columns["open_time"]
        if not len(times):
            raise DataError(f"{series}: no bars from {iso(start)} to {iso(end)}; stored {self._stored(series)}")
        growing = times[1:] > times[:-1]
        if not growing.all():
            at = from_ms(int(times[int(np.argmin(growing)) + 1]))
            raise DataError(f"{series}: bars repeat or go backwards at {iso(at)}; see `airlock data gate`")
        extras = {name: columns[name] for name in extras_of(list(columns))}
        return Bars(
            symbol, timeframe, times, columns["open"], columns["high"], columns["low"], columns["close"],
            columns["volume"], MappingProxyType(extras),
        )  # fmt: skip

    def rows(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> pa.Table:
        """The stored rows in stored order, defects and all; empty when the window holds none.

        Schema metadata `airlock.unfinished` lists the bars ingested before they had closed. Raises DataError when the
        symbol is not in the lake or a partition is unreadable.
        """
        series = Series.named(venue, symbol, timeframe)
        unfinished = [t for p in self._partitions(series, start, end) for t in p.manifest.unfinished]
        inside = [t for t in unfinished if to_ms(start) <= t < to_ms(end)]
        return to_table(self._window(series, start, end), {UNFINISHED_BARS: json.dumps(inside).encode()})

    def span(self, venue: str, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime]:
        """Open times of the first and last stored bar. Raises DataError when the symbol is not in the lake."""
        manifests = [p.manifest for p in self._partitions(Series.named(venue, symbol, timeframe))]
        return from_ms(min(m.first_open_time for m in manifests)), from_ms(max(m.last_open_time for m in manifests))

    def fingerprint(
        self, venue: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime, end: datetime
    ) -> str:
        """SHA-256 over the content of the window, independent of venue, partitioning and order of `symbols`.

        A digest per calendar month of each symbol (whatever files hold it), chained by symbol. Raises DataError when
        a symbol is not in the lake, or when a partition's content is not what its manifest says.
        """
        hasher = hashlib.sha256(f"airlock-bars-1\0{timeframe}\0".encode())
        for symbol in sorted({symbol_id(s): s for s in symbols}):
            series = Series.named(venue, symbol, timeframe)
            hasher.update(symbol.encode() + b"\0")
            parts = self._partitions(series, start, end)
            for part, found in zip(parts, _parallel(lambda p: self._month_digest(p, start, end), parts), strict=True):
                if found:
                    hasher.update(f"{part.path.stem}\0{found}\0".encode())
        return hasher.hexdigest()

    def instrument(self, venue: str, symbol: str) -> Instrument:
        """Steps, minimums, fees and cost assumptions. Raises ConfigurationError when nothing is declared."""
        return self._declared(venue).instrument(symbol)

    def is_synthetic(self, venue: str) -> bool:
        """True when the venue's data was generated; every result that used it must say so."""
        return self._declared(venue).synthetic

    def summaries(self) -> tuple[SeriesSummary, ...]:
        """All series in order of name, from the manifests alone."""
        found = (Series.at(folder) for folder in self.root.glob("venue=*/symbol=*/timeframe=*"))
        return tuple(self.summary(series) for series in sorted(s for s in found if s is not None))

    def summary(self, series: Series) -> SeriesSummary:
        """One series, from its manifests. Raises DataError when it is not in the lake."""
        manifests = [p.manifest for p in self._partitions(series)]
        return SeriesSummary(
            series, sum(m.rows for m in manifests), from_ms(min(m.first_open_time for m in manifests)),
            from_ms(max(m.last_open_time for m in manifests)), len(manifests),
            tuple(dict.fromkeys(s for m in manifests for s in m.sources)),
        )  # fmt: skip

    # --- writing ---

    def batch(self) -> AbstractContextManager[IngestBatch]:
        """Stage rows of several series and publish them together; see `publishing.open_batch`."""
        return open_batch(self.root)

    def ingest(
        self, venue: str, symbol: str, timeframe: Timeframe, table: pa.Table, *, source: str, now: datetime
    ) -> IngestReport:
        """Add the rows of one series; a repeat is a no-op, a contradiction a DataError that changes nothing."""
        with self.batch() as batch:
            report = batch.add(Series.named(venue, symbol, timeframe), to_columns(table), source=source, now=now)
            batch.publish()
        return report

    # --- inside ---

    def _declared(self, venue: str) -> VenueDeclaration:
        if venue not in self._venues:
            known = ", ".join(sorted(self._venues)) or "none"
            raise ConfigurationError(f"venue {venue!r} is not declared in venues.yaml (known: {known})")
        return self._venues[venue]

    def _partitions(
        self, series: Series, start: datetime | None = None, end: datetime | None = None
    ) -> list[Partition]:
        """Partitions in order of month that may hold rows of the window; at least one file must exist at all."""
        paths = sorted(series.folder(self.root).glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"))
        if not paths:
            raise DataError(f"{series}: not in the lake {self.root}; see `airlock data list` and `airlock data import`")
        if start is not None and end is not None:
            first, last = (month_name(int(m)) for m in month_of(np.array([to_ms(start), to_ms(end) - 1])))
            paths = [path for path in paths if first <= path.stem <= last]
        return [Partition(path, read_manifest(path)) for path in paths]

    def _window(self, series: Series, start: datetime, end: datetime) -> dict[str, NDArray[Any]]:
        parts = self._partitions(series, start, end)
        months = _parallel(lambda p: _cut(*_read(p), start, end), parts)
        names = dict.fromkeys([*BAR_COLUMNS, *sorted({n for month in months for n in extras_of(list(month))})])
        return dict(zip(names, _parallel(lambda name: _joined(name, months), list(names)), strict=True))

    def _month_digest(self, part: Partition, start: datetime, end: datetime) -> str:
        """Digest of the rows of one partition inside the window; empty when there are none."""
        manifest = part.manifest
        whole = to_ms(start) <= manifest.first_open_time and manifest.last_open_time < to_ms(end)
        if not whole:
            cut = _cut(*_read(part), start, end)
            return content_digest(cut) if len(cut["open_time"]) else ""
        state = part.path.stat()
        key = (part.path, state.st_mtime_ns, state.st_size)
        if key not in self._digests:
            found = content_digest(_read(part)[0])
            if found != manifest.sha256:
                raise DataError(f"{part.path}: content differs from its manifest; delete it and import the month again")
            self._digests[key] = found
        return self._digests[key]

    def _stored(self, series: Series) -> str:
        summary = self.summary(series)
        return f"{iso(summary.first)} to {iso(summary.last)}"


def _read(part: Partition) -> tuple[dict[str, NDArray[Any]], Manifest]:
    return read_partition(part.path)


def _cut(columns: Columns, manifest: Manifest, start: datetime, end: datetime) -> Columns:
    first, last = to_ms(start), to_ms(end)
    if first <= manifest.first_open_time and manifest.last_open_time < last:
        return columns
    inside = (columns["open_time"] >= first) & (columns["open_time"] < last)
    return {name: values[inside] for name, values in columns.items()}


def _joined(name: str, months: Sequence[Columns]) -> NDArray[Any]:
    """One column over all months; NaN where a month does not have it."""
    dtype = np.int64 if name == "open_time" else np.float64
    parts = [m[name] if name in m else np.full(len(m["open_time"]), np.nan) for m in months]
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def _parallel(work: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """Decompression releases the interpreter, so two threads read nearly twice as fast as one."""
    workers = min(4, os.cpu_count() or 1, len(items))
    if workers < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))
