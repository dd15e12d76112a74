"""Writing to the lake: stage everything first, then publish by renaming; a failure before that changes nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from include.domain.errors import DataError, RetryableError
from include.domain.times import from_ms, iso, to_ms
from include.market_data.merging import Conflict, merge_rows
from include.market_data.partitions import (
    Columns,
    Manifest,
    content_digest,
    extras_of,
    month_name,
    month_of,
    read_partition,
    write_partition,
)
from include.market_data.series import Series

STAGING = ".staging"
LOCK = ".write-lock"


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one series gained: rows added, rows that were already there, partitions written."""

    series: Series
    rows_added: int
    rows_known: int
    partitions: tuple[str, ...]


class IngestBatch:
    """Rows staged for one or more series; `publish` moves them into the lake, leaving without it drops them."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root, self._staging = root, staging
        self._staged: dict[Path, Path] = {}
        self._series: set[Series] = set()

    def add(self, series: Series, columns: Columns, *, source: str, now: datetime) -> IngestReport:
        """Stage the rows of one series, merged month by month with what the lake holds.

        Args:
            source: where the rows come from; kept in the manifests of the partitions they change.
            now: time of ingestion, aware; bars that close later are recorded as unfinished.

        Raises:
            DataError: no rows, the series is in the batch already, or a row contradicts a stored one. Nothing is
                published.
        """
        if series in self._series:
            raise DataError(f"{series}: given twice in one import; put all its files into one source")
        self._series.add(series)
        times = columns["open_time"]
        if not len(times):
            raise DataError(f"{series}: {source} holds no rows")
        months = month_of(times)
        written: list[str] = []
        added = 0
        for month in range(int(months.min()), int(months.max()) + 1):
            rows = np.flatnonzero(months == month)
            if not len(rows):
                continue
            part = {name: values[rows] for name, values in columns.items()}
            gained = self._stage_month(series, month_name(month), part, source, now)
            added += gained
            if gained:
                written.append(month_name(month))
        return IngestReport(series, added, len(times) - added, tuple(written))

    def _stage_month(self, series: Series, month: str, part: Columns, source: str, now: datetime) -> int:
        target = series.folder(self._root) / f"{month}.parquet"
        rows, fresh, sources, unfinished = part, part["open_time"], [source], []
        if target.exists():
            stored, manifest = read_partition(target)
            if set(stored) != set(part):
                raise DataError(
                    f"{series} {month}: stored with extra columns {_names(stored)}, source {source} has {_names(part)};"
                    " import the same columns or another venue name"
                )
            outcome = merge_rows(stored, part)
            if isinstance(outcome, Conflict):
                raise DataError(
                    f"{series}: bar {iso(from_ms(outcome.open_time))} is stored with {outcome.column}="
                    f"{outcome.stored!r}, {source} has {outcome.incoming!r}; nothing was changed"
                )
            rows, fresh, unfinished = outcome.columns, outcome.new_times, manifest.unfinished
            sources = list(dict.fromkeys([*manifest.sources, source]))
        if not len(fresh):
            return 0
        late = fresh[fresh + series.timeframe.ms > to_ms(now)]
        manifest = Manifest(
            rows=len(rows["open_time"]), sha256=content_digest(rows), sources=sources, ingested_at=iso(now),
            first_open_time=int(rows["open_time"].min()), last_open_time=int(rows["open_time"].max()),
            unfinished=sorted({*unfinished, *(int(t) for t in late)}),
        )  # fmt: skip
        staged = self._staging / f"{len(self._staged):06d}.parquet"
        write_partition(staged, rows, manifest)
        self._staged[target] = staged
        return len(fresh)

    def publish(self) -> None:
        """Move every staged partition into place.

        Each move is atomic; a crash between two leaves whole partitions, and the same import run again completes it.

        Raises:
            DataError: the disk refused.
        """
        folders = {target.parent for target in self._staged}
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            for target, staged in self._staged.items():
                staged.replace(target)
            for folder in folders:
                _sync(folder)
        except OSError as error:
            raise DataError(f"{self._root}: cannot publish ({error.strerror or error}); run the import again") from None
        self._staged.clear()


@contextmanager
def open_batch(root: Path) -> Iterator[IngestBatch]:
    """The one writer of a lake. What a killed writer left in staging is removed.

    Raises:
        RetryableError: another process is writing to this lake.
        DataError: the folder cannot be used.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / LOCK).open("w")
    except OSError as error:
        raise DataError(f"{root}: cannot be used as a lake ({error.strerror or error})") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RetryableError(f"{root}: another import is writing to this lake; try again when it is done") from None
        shutil.rmtree(root / STAGING, ignore_errors=True)
        staging = root / STAGING / uuid.uuid4().hex
        try:
            yield IngestBatch(root, staging)
        finally:
            shutil.rmtree(root / STAGING, ignore_errors=True)


def _names(columns: Columns) -> str:
    return ", ".join(extras_of(list(columns))) or "none"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
