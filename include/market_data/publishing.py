"""Writing to the lake: stage everything first, then publish file by file; a failure before that changes nothing."""

from __future__ import annotations

import fcntl
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.domain.errors import DataError, RetryableError
from include.domain.instruments import DERIVED
from include.domain.times import from_ms, iso, to_ms
from include.market_data.merging import Conflict, Merged, merge_rows
from include.market_data.partitions import (
    Columns,
    Manifest,
    content_digest,
    load_partition,
    month_name,
    month_of,
    read_partition,
    require_content,
    without_empty_extras,
    write_partition,
)
from include.market_data.series import PARTITIONS, Series
from include.market_data.storage import STAGING, Storage

LOCK = ".write-lock"


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one series gained: new rows, rows that were there already, partitions written.

    Attributes:
        rows_enriched: of the known rows, those that gained a value in an extra column.
    """

    series: Series
    rows_added: int
    rows_known: int
    partitions: tuple[str, ...]
    rows_enriched: int = 0


class IngestBatch:
    """Rows staged for one or more series; `publish` moves them into the lake, leaving without it drops them."""

    def __init__(self, storage: Storage, staging: Path) -> None:
        self._storage, self._staging = storage, staging
        self._staged: dict[str, Path] = {}
        self._stored: dict[Series, dict[str, str]] = {}

    def add(
        self, series: Series, columns: Columns, *, source: str, now: datetime, repairs: Sequence[str] = ()
    ) -> IngestReport:
        """Stage the rows of one series, merged month by month with what the lake holds (`merging.merge_rows`).

        Args:
            source: where the rows come from; kept in the manifests of the partitions they change.
            now: time of ingestion, aware; bars that close later are recorded as unfinished.
            repairs: policies that made these rows, kept in the same manifests.

        Raises:
            DataError: no rows, the series is in the batch already, or a row contradicts a stored one. Nothing is
                published.
        """
        if series in self._stored:
            raise DataError(f"{series}: given twice in one import; put all its files into one source")
        if DERIVED in series.venue and not repairs:
            raise DataError(f"{series}: is made by `airlock data repair` alone; import into its base venue")
        times = columns["open_time"]
        if not len(times):
            raise DataError(f"{series}: {source} holds no rows")
        self._stored[series] = self._storage.versions(f"{series.folder}/{PARTITIONS}")
        origin = _Origin(series, source, now, tuple(repairs))
        months = month_of(times)
        written: list[str] = []
        added = enriched = 0
        for month in range(int(months.min()), int(months.max()) + 1):
            rows = np.flatnonzero(months == month)
            if not len(rows):
                continue
            part = without_empty_extras({name: values[rows] for name, values in columns.items()})
            gained = self._stage_month(origin, month_name(month), part)
            added, enriched = added + len(gained.new_times), enriched + gained.enriched
            if len(gained.new_times) or gained.enriched:
                written.append(month_name(month))
        return IngestReport(series, added, len(times) - added, tuple(written), enriched)

    def _stage_month(self, origin: _Origin, month: str, part: dict[str, NDArray[Any]]) -> Merged:
        key = f"{origin.series.folder}/{month}.parquet"
        version = self._stored[origin.series].get(key)
        if version is None:
            merged, manifest = Merged(part, part["open_time"], 0), None
        else:
            stored = load_partition(self._storage, key, version)
            rows, manifest = read_partition(self._storage, stored), stored.manifest
            require_content(self._storage, stored, content_digest(rows))  # or the new manifest would vouch for it
            outcome = merge_rows(rows, part)
            if isinstance(outcome, Conflict):
                raise DataError(
                    f"{origin.series}: bar {iso(from_ms(outcome.open_time))} is stored with {outcome.column}="
                    f"{outcome.stored!r}, {origin.source} has {outcome.incoming!r}; nothing was changed"
                )
            merged = outcome
        if len(merged.new_times) or merged.enriched:
            staged = self._staging / f"{len(self._staged):06d}.parquet"
            write_partition(staged, merged.columns, origin.manifest(merged, manifest))
            self._staged[key] = staged
        return merged

    def publish(self) -> None:
        """Move every staged partition into place.

        Each move is atomic; a crash between two leaves whole partitions, and the same import run again completes it.

        Raises:
            DataError: the disk refused.
            RetryableError: another machine changed a partition since it was merged, or the store does not answer.
        """
        for series, before in self._stored.items():
            now = self._storage.versions(f"{series.folder}/{PARTITIONS}")
            if changed := [key for key in self._staged if series.owns(key) and now.get(key) != before.get(key)]:
                raise RetryableError(
                    f"{self._storage.where(changed[0])}: was changed by another writer meanwhile; run the import again"
                )
        self._storage.publish(self._staged)
        self._staged.clear()


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the rows of one series come from, for the manifests they change."""

    series: Series
    source: str
    now: datetime
    repairs: tuple[str, ...]

    def manifest(self, merged: Merged, before: Manifest | None) -> Manifest:
        times, fresh = merged.columns["open_time"], merged.new_times
        late = fresh[fresh + self.series.timeframe.ms > to_ms(self.now)]
        return Manifest(
            rows=len(times), sha256=content_digest(merged.columns), ingested_at=iso(self.now),
            first_open_time=int(times.min()), last_open_time=int(times.max()),
            sources=list(dict.fromkeys([*(before.sources if before else ()), self.source])),
            unfinished=sorted({*(before.unfinished if before else ()), *(int(t) for t in late)}),
            repairs=list(dict.fromkeys([*(before.repairs if before else ()), *self.repairs])),
            series=str(self.series),
        )  # fmt: skip


@contextmanager
def open_batch(storage: Storage) -> Iterator[IngestBatch]:
    """The one writer of a lake on this machine. What a killed writer left in staging is removed.

    Raises:
        RetryableError: another process is writing to this lake, or the store does not answer.
        DataError: the local folder cannot be used.
    """
    folder = storage.state
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise DataError(f"{folder}: cannot be used as a lake ({error.strerror or error})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RetryableError(
                f"{storage.name}: another import is writing to this lake; try again when it is done"
            ) from None
        shutil.rmtree(folder / STAGING, ignore_errors=True)
        storage.sweep()
        try:
            yield IngestBatch(storage, folder / STAGING / uuid.uuid4().hex)
        finally:
            shutil.rmtree(folder / STAGING, ignore_errors=True)
