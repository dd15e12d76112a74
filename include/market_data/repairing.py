"""Repairs of stored series: the base series is read and never changed, the result is a series of its own.

`bitfinex` repaired as `repaired` becomes `bitfinex~repaired`, whose manifests name the base's fingerprint and the
policies. One derived series is one repair: the same again changes nothing, another base, window or policy is refused.
A report of every change, and the rows that were taken out, are written before the result is published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import DERIVED
from include.domain.times import Timeframe, iso, to_ms
from include.market_data.lake import ParquetLake
from include.market_data.partitions import to_columns, to_table
from include.market_data.publishing import IngestBatch
from include.market_data.series import Series
from include.ports import UNFINISHED_BARS, Progress, no_progress
from include.validators.repair_policies import Policy
from include.validators.repairs import FILLED, Change, Repaired, repair

DEFAULT_NAME = "repaired"


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What to repair, how, and under which name; without bounds the whole series."""

    venue: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    policies: tuple[Policy, ...]
    name: str = DEFAULT_NAME
    start: datetime | None = None
    end: datetime | None = None

    @property
    def derived_venue(self) -> str:
        return f"{self.venue}{DERIVED}{self.name}"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """Exactly what was changed in one series."""

    base: Series
    base_fingerprint: str
    derived: Series
    policies: tuple[str, ...]
    start: datetime
    end: datetime
    rows_before: int
    rows_after: int
    filled: int
    """Bars of the result that were filled in, which the gate does not count."""
    changes: tuple[Change, ...]
    quarantine_file: str
    """Name of the Parquet file with the rows taken out, beside the report; empty when there are none."""
    rows_added: int
    """Rows that the lake did not hold yet; 0 when the repair had been done before, or was only tried."""

    def document(self) -> dict[str, Any]:
        """Plain JSON form. Does not say what the lake held before, so the same repair gives the same report."""
        return {
            "base": str(self.base), "base_fingerprint": self.base_fingerprint, "series": str(self.derived),
            "venue": self.derived.venue, "symbol": self.derived.symbol, "timeframe": str(self.derived.timeframe),
            "policies": list(self.policies), "from": iso(self.start), "to": iso(self.end),
            "rows_before": self.rows_before, "rows_after": self.rows_after, "filled": self.filled,
            "quarantine_file": self.quarantine_file, "changes": [change.document() for change in self.changes],
        }  # fmt: skip


def repair_series(
    lake: ParquetLake,
    request: RepairRequest,
    *,
    folder: Path,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = no_progress,
) -> tuple[RepairReport, ...]:
    """Repair every symbol of a request; all are published, or none.

    Args:
        folder: where reports and quarantine files go, in a folder of the derived venue's name.
        now: time of the repair, aware.
        dry_run: say what would be changed and write nothing.

    Raises:
        ConfigurationError: the base is itself a repaired series.
        DataError: the series is not in the lake, cannot be repaired by these policies, changed meanwhile, or the
            name is taken by another repair. Nothing is published.
        RetryableError: another process is writing to this lake.
    """
    if DERIVED in request.venue:
        raise ConfigurationError(f"venue {request.venue!r}: is repaired already; repair the venue it comes from")
    if dry_run:
        return tuple(_work(lake, request, symbol, now).report() for symbol in _told(request, progress))
    with lake.batch() as batch:
        reports = []
        for symbol in _told(request, progress):
            work = _work(lake, request, symbol, now)
            reports.append(work.report(rows_added=work.stage(lake, batch, now)))
            work.record(folder / request.derived_venue)
        batch.publish()
    progress(1.0, "done")
    return tuple(reports)


def _told(request: RepairRequest, progress: Progress) -> Iterator[str]:
    """The symbols one by one, each announced."""
    for index, symbol in enumerate(request.symbols):
        progress(index / len(request.symbols), f"{request.venue} {symbol}")
        yield symbol


def _work(lake: ParquetLake, request: RepairRequest, symbol: str, now: datetime) -> _Work:
    """Read one symbol's base rows and repair them in memory."""
    base = Series.named(request.venue, symbol, request.timeframe)
    first, last = lake.span(request.venue, symbol, request.timeframe)
    start, end = request.start or first, request.end or last + request.timeframe.delta

    def fingerprint() -> str:
        return lake.fingerprint(request.venue, [symbol], request.timeframe, start, end)

    before = fingerprint()
    table = lake.rows(request.venue, symbol, request.timeframe, start, end)
    if not len(table):
        raise DataError(f"{base}: no bars from {iso(start)} to {iso(end)}")
    if fingerprint() != before:
        raise DataError(f"{base}: changed while it was read; repair it again when the import is done")
    unfinished = json.loads((table.schema.metadata or {}).get(UNFINISHED_BARS, b"[]"))
    try:
        outcome = repair(
            to_columns(table), request.policies, request.timeframe, unfinished=unfinished, now_ms=to_ms(now)
        )
    except DataError as error:
        raise DataError(f"{base}: {error}") from None
    return _Work(request, base, before, start, end, len(table), outcome)


@dataclass(frozen=True, slots=True)
class _Work:
    """One symbol, repaired in memory."""

    request: RepairRequest
    base: Series
    fingerprint: str
    start: datetime
    end: datetime
    rows_before: int
    outcome: Repaired

    @property
    def derived(self) -> Series:
        return Series.named(self.request.derived_venue, self.base.symbol, self.base.timeframe)

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(str(policy) for policy in self.request.policies)

    @property
    def stem(self) -> str:
        return f"{self.base.symbol}-{self.base.timeframe}-{self.fingerprint[:12]}"

    def report(self, rows_added: int = 0) -> RepairReport:
        columns = self.outcome.columns
        return RepairReport(
            base=self.base, base_fingerprint=self.fingerprint, derived=self.derived, policies=self.policies,
            start=self.start, end=self.end, rows_before=self.rows_before, rows_after=len(columns["open_time"]),
            filled=int(columns[FILLED].sum()) if FILLED in columns else 0, changes=self.outcome.changes,
            quarantine_file=f"{self.stem}.quarantine.parquet" if len(self.outcome.quarantined["row"]) else "",
            rows_added=rows_added,
        )  # fmt: skip

    def stage(self, lake: ParquetLake, batch: IngestBatch, now: datetime) -> int:
        """Put the result into the batch; returns how many of its rows the lake did not hold."""
        source = f"repair:{self.base.venue}@{self.fingerprint}:{';'.join(self.policies)}"
        if lake.holds(self.derived):
            others = [known for known in lake.summary(self.derived).sources if known != source]
            if others:
                raise DataError(
                    f"{self.derived}: was made by {others[0]}, this would be {source}; base, window or policies"
                    " differ: repair under another name (--as), or remove the old series first"
                )
        added = batch.add(self.derived, self.outcome.columns, source=source, now=now, repairs=self.policies)
        return added.rows_added

    def record(self, folder: Path) -> None:
        """Write report and quarantine; the same repair writes the same files."""
        report, taken = self.report(), self.outcome.quarantined
        if report.quarantine_file:
            columns = {name: values for name, values in taken.items() if name not in ("row", "rules")}
            table = to_table(columns).append_column("row", pa.array(taken["row"]))
            table = table.append_column("rules", pa.array(taken["rules"], pa.string()))
            _replace(folder / report.quarantine_file, lambda path: pq.write_table(table, path, compression="zstd"))
        text = json.dumps(report.document(), indent=1, allow_nan=False)
        _replace(folder / f"{self.stem}.json", lambda path: path.write_text(text, encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); nothing was published") from None
