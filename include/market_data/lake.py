"""The lake: Parquet by venue, symbol, timeframe and month, in a folder or store. Implements `ports.MarketData`.

`venue=V/symbol=BTCUSDT/timeframe=1m/2024-01.parquet`; reading holds one symbol at a time; writing goes through
`batch` alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from include.domain.bars import BAR_COLUMNS, Bars
from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import Instrument, base_venue, symbol_id
from include.domain.times import Timeframe, from_ms, iso, to_ms
from include.market_data.partitions import (
    Columns,
    Partition,
    ReplacedError,
    chained_fingerprint,
    content_digest,
    extras_of,
    load_partition,
    month_name,
    month_of,
    read_partition,
    require_content,
    to_columns,
    to_table,
)
from include.market_data.publishing import IngestBatch, IngestReport, open_batch
from include.market_data.series import PARTITIONS, Series
from include.market_data.storage import in_parallel, open_storage
from include.ports import REPAIRS, UNFINISHED_BARS

T = TypeVar("T")
U = TypeVar("U")

_again_when_replaced = retry(retry=retry_if_exception_type(ReplacedError), stop=stop_after_attempt(3), reraise=True)
"""Reading goes on while an import publishes; a month that is replaced just then is listed and read again."""


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
    """Local or remote lake.

    Args:
        root: folder of the lake, or any fsspec URL (`s3://bucket/lake`); need not exist yet.
        venues: declared venues by name.
        state: local folder in which a remote lake gets one of its own; the temporary folder when not given.

    Attributes:
        root: the folder, or the URL.
        state: local folder for the write lock, staging and journals; for a local lake the root itself.

    Raises:
        ConfigurationError: an address that cannot be used, or a driver that is not installed.
        RetryableError: the store does not answer (from every method too).
    """

    def __init__(self, root: Path | str, venues: Mapping[str, VenueDeclaration], *, state: Path | None = None) -> None:
        self._storage = open_storage(root, state)
        self.state = self._storage.state
        self.root: Path | str = self.state if self._storage.name == str(self.state) else self._storage.name
        self._venues = venues
        self._known: dict[str, Partition] = {}
        self._digests: dict[str, tuple[str, str]] = {}

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

        Schema metadata `airlock.unfinished` lists the bars ingested before they had closed, `airlock.repairs` the
        policies that made the rows. Raises DataError when the symbol is not in the lake or a partition is unreadable.
        """
        series = Series.named(venue, symbol, timeframe)
        manifests = [p.manifest for p in self._partitions(series, start, end)]
        inside = [t for m in manifests for t in m.unfinished if to_ms(start) <= t < to_ms(end)]
        repairs = list(dict.fromkeys(policy for m in manifests for policy in m.repairs))
        marks = {UNFINISHED_BARS: json.dumps(inside).encode(), REPAIRS: json.dumps(repairs).encode()}
        return to_table(self._window(series, start, end), marks)

    def span(self, venue: str, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime]:
        """Open times of the first and last stored bar. Raises DataError when the symbol is not in the lake."""
        manifests = [p.manifest for p in self._partitions(Series.named(venue, symbol, timeframe))]
        return from_ms(min(m.first_open_time for m in manifests)), from_ms(max(m.last_open_time for m in manifests))

    def holdings(self, symbol: str) -> Sequence[tuple[str, Timeframe]]:
        """Venue and timeframe of every stored series of a symbol, in order; empty when there is none."""
        keys = self._storage.versions(f"venue=*/symbol={symbol_id(symbol)}/timeframe=*/{PARTITIONS}")
        found = {Series.at(key) for key in keys}
        return tuple((s.venue, s.timeframe) for s in sorted(series for series in found if series is not None))

    @_again_when_replaced
    def fingerprint(
        self, venue: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime, end: datetime
    ) -> str:
        """SHA-256 over the content of the window, independent of venue, partitioning and order of `symbols`.

        A digest per calendar month of each symbol (whatever files hold it), chained by symbol. Raises DataError when
        a symbol is not in the lake, or when a partition's content is not what its manifest says.
        """
        found: dict[str, list[tuple[str, str]]] = {}
        for symbol in sorted({symbol_id(s) for s in symbols}):
            parts = self._partitions(Series.named(venue, symbol, timeframe), start, end)
            digests = self._each(lambda part: self._month_digest(part, to_ms(start), to_ms(end)), parts)
            found[symbol] = [(part.month, digest) for part, digest in zip(parts, digests, strict=True)]
        return chained_fingerprint(timeframe, found)

    def instrument(self, venue: str, symbol: str) -> Instrument:
        """Steps, minimums, fees and cost assumptions. Raises ConfigurationError when nothing is declared."""
        return self._declared(venue).instrument(symbol)

    def is_synthetic(self, venue: str) -> bool:
        """True when the venue's data was generated; every result that used it must say so."""
        return self._declared(venue).synthetic

    def summaries(self) -> tuple[SeriesSummary, ...]:
        """All series in order of name, from the manifests alone."""
        found = {Series.at(key) for key in self._storage.versions(f"venue=*/symbol=*/timeframe=*/{PARTITIONS}")}
        return tuple(self.summary(series) for series in sorted(series for series in found if series is not None))

    def holds(self, series: Series) -> bool:
        """True when the lake has any bar of the series."""
        return bool(self._storage.versions(f"{series.folder}/{PARTITIONS}"))

    def partitions(self, series: Series) -> tuple[Partition, ...]:
        """Its partitions with their manifests, in order of month. Raises DataError when it is not in the lake."""
        return tuple(self._partitions(series))

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
        return open_batch(self._storage)

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
        if base_venue(venue) not in self._venues:
            known = ", ".join(sorted(self._venues)) or "none"
            raise ConfigurationError(f"venue {venue!r} is not declared in venues.yaml (known: {known})")
        return self._venues[base_venue(venue)]

    def _partitions(
        self, series: Series, start: datetime | None = None, end: datetime | None = None
    ) -> list[Partition]:
        """Partitions in order of month that may hold rows of the window; at least one file must exist at all."""
        versions = self._storage.versions(f"{series.folder}/{PARTITIONS}")
        if not versions:
            raise DataError(f"{series}: not in the lake {self.root}; see `airlock data list` and `airlock data import`")
        if start is not None and end is not None:
            first, last = (month_name(int(m)) for m in month_of(np.array([to_ms(start), to_ms(end) - 1])))
            low, high = f"{series.folder}/{first}.parquet", f"{series.folder}/{last}.parquet"
            versions = {key: version for key, version in versions.items() if low <= key <= high}
        return self._each(self._partition, list(versions.items()))

    def _partition(self, file: tuple[str, str]) -> Partition:
        """A partition's manifest, loaded once for each state of its file."""
        key, version = file
        known = self._known.get(key)
        if known is None or known.version != version:
            known = self._known[key] = load_partition(self._storage, key, version)
        return known

    @_again_when_replaced
    def _window(self, series: Series, start: datetime, end: datetime) -> dict[str, NDArray[Any]]:
        """All columns of a window, each month decoded straight into its place; NaN where a month lacks an extra."""
        parts, first, last = self._partitions(series, start, end), to_ms(start), to_ms(end)
        cuts = {p.key: _cut(self._read(p), first, last) for p in parts if not p.lies_in(first, last)}
        rows = [len(cuts[p.key]["open_time"]) if p.key in cuts else p.manifest.rows for p in parts]
        ends = np.cumsum([0, *rows]).tolist()
        extras = extras_of([name for part in parts for name in part.columns])
        window: dict[str, NDArray[Any]] = {name: np.empty(ends[-1]) for name in (*BAR_COLUMNS[1:], *extras)}
        window = {"open_time": np.empty(ends[-1], dtype=np.int64), **window}

        def fill(place: tuple[Partition, int, int]) -> None:
            part, begin, stop = place
            month = cuts.get(part.key) or self._read(part)
            for name, values in window.items():
                values[begin:stop] = month.get(name, np.nan)

        self._each(fill, list(zip(parts, ends[:-1], ends[1:], strict=True)))
        return window

    def _month_digest(self, part: Partition, first: int, end: int) -> str:
        """Digest of the rows of one partition inside the window; empty when there are none."""
        if not part.lies_in(first, end):
            cut = _cut(self._read(part), first, end)
            return content_digest(cut) if len(cut["open_time"]) else ""
        version, found = self._digests.get(part.key, ("", ""))
        if version != part.version:
            found = content_digest(self._read(part))
            require_content(self._storage, part, found)
            self._digests[part.key] = part.version, found
        return found

    def _read(self, part: Partition) -> Columns:
        return read_partition(self._storage, part)

    def _each(self, work: Callable[[T], U], items: Sequence[T]) -> list[U]:
        return in_parallel(work, items, self._storage.readers)

    def _stored(self, series: Series) -> str:
        summary = self.summary(series)
        return f"{iso(summary.first)} to {iso(summary.last)}"


def _cut(columns: Columns, first: int, end: int) -> Columns:
    inside = (columns["open_time"] >= first) & (columns["open_time"] < end)
    return {name: values[inside] for name, values in columns.items()}
