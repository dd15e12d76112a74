"""The importer: bars from any source into the lake.

A source whose chunks say where they may be cut (`Chunk.resume_at`: remote ones) is published at checkpoints, so that
memory does not grow and an import that was killed goes on where it last published. A source that cannot be cut (files)
is staged whole, all symbols, and published together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import ConfigurationError, DataError, RetryableError
from include.domain.times import from_ms, iso, to_ms
from include.market_data import synthetic
from include.market_data.journal import JOURNAL, Checkpoint, ImportJournal, ImportKey
from include.market_data.lake import ParquetLake
from include.market_data.partitions import Columns, extras_of, month_of
from include.market_data.publishing import IngestBatch, IngestReport
from include.market_data.series import Series
from include.market_data.sources.protocol import Chunk, Request, Source
from include.market_data.sources.synthetic import SyntheticSource
from include.ports import Progress, no_progress

CHECKPOINT_ROWS = 100_000
"""Most rows kept in memory between two checkpoints; a new calendar month is published too."""
LOCK_PATIENCE_SECS = 60.0
"""A checkpoint holds the lake's lock for a moment only, so imports of other series wait for each other."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def import_bars(
    lake: ParquetLake,
    source: Source,
    venue: str,
    requests: Sequence[Request],
    *,
    now: datetime,
    progress: Progress = no_progress,
) -> tuple[IngestReport, ...]:
    """Import every request of one source.

    A repeat changes nothing; a bar that contradicts a stored one is refused and named. A source without checkpoints
    changes nothing at all unless every request succeeds.

    Args:
        requests: one a symbol; a source cuts all of them into checkpoints, or none.
        now: time of ingestion, aware.

    Returns:
        A report for each request, in their order; rows that an earlier, killed run had published are in none.

    Raises:
        DataError: what the source or the lake holds cannot be used, or they contradict each other.
        ConfigurationError: the request makes no sense for the source.
        RetryableError: the source does not answer, or another import keeps the lake; run it again, it goes on.
    """
    with ExitStack() as stack:
        batch: IngestBatch | None = None
        reports: list[IngestReport] = []
        cut: list[_Import] = []
        for index, request in enumerate(requests):

            def step(done: float, what: str, index: int = index) -> None:
                progress((index + done) / len(requests), what)

            task = _Import(lake, source, Series.named(venue, request.symbol, request.timeframe), request, now)
            rest = task.read(step)
            if task.can_be_cut:
                cut.append(task)
                reports.append(task.finish(rest))
                continue
            batch = batch or stack.enter_context(lake.batch())
            reports.append(batch.add(task.series, joined(rest), source=source.name, now=now))
        if batch is not None:
            batch.publish()
    for task in cut:  # only now: an import killed at its last symbol does not begin with its first again
        task.forget()
    return tuple(reports)


def import_synthetic(
    lake: ParquetLake,
    symbols: Sequence[str],
    start: datetime,
    end: datetime,
    *,
    seed: int,
    now: datetime,
    venue: str = synthetic.VENUE,
    progress: Progress = no_progress,
) -> tuple[IngestReport, ...]:
    """Generate the synthetic market and store it.

    Raises:
        ConfigurationError: unknown symbol, or a venue that is not declared synthetic.
        DataError: the lake holds other bars for the same times (another seed).
    """
    require_synthetic(lake, venue)
    requests = [Request(symbol, synthetic.TIMEFRAME, start, end) for symbol in symbols]
    return import_bars(lake, SyntheticSource(seed), venue, requests, now=now, progress=progress)


def require_synthetic(lake: ParquetLake, venue: str) -> None:
    """Generated bars go to a venue that says so, and nowhere else.

    Raises:
        ConfigurationError: the venue is not declared synthetic.
    """
    if not lake.is_synthetic(venue):
        raise ConfigurationError(
            f"venue {venue!r} is not declared synthetic in venues.yaml; generated bars go nowhere else"
        )


class _Import:
    """One request on its way into the lake."""

    def __init__(self, lake: ParquetLake, source: Source, series: Series, request: Request, now: datetime) -> None:
        self.series = series
        self.can_be_cut = False
        self._cut: datetime | None = None
        self._lake, self._source, self._request, self._now = lake, source, request, now
        self._journal = ImportJournal(lake.state / JOURNAL)
        self._key = ImportKey(source.name, series, request.start, request.end)
        self._report = IngestReport(series, 0, 0, ())

    def read(self, step: Progress) -> list[Columns]:
        """Read the source to its end, publishing at checkpoints; returns the rows that are left.

        Raises:
            DataError: there are no rows at all, or rows that were not asked for.
        """
        resumed = self._resume_at()
        stream = self._stream(resumed)
        pending: list[Columns] = []
        rows = 0
        while (chunk := self._next(stream, pending)) is not None:
            self._require_inside(chunk)
            if count := len(chunk.columns["open_time"]):
                pending.append(chunk.columns)
                rows += count
            self._cut = chunk.resume_at
            self.can_be_cut |= self._cut is not None
            if self._cut is not None and pending and _is_due(pending, self._cut):
                self._publish(pending)
                pending = []
            step(chunk.done, f"{self.series.symbol} {chunk.what}{f', {rows:,} rows' if rows else ''}")
        if resumed is not None:
            self.can_be_cut = True  # the rest may be empty: killed between the last checkpoint and the end
        elif not rows:
            raise DataError(f"{self.series}: {self._source.name} holds no rows {_window(self._request)}")
        return pending

    def _stream(self, resumed: datetime | None) -> Iterator[Chunk]:
        if resumed is not None and self._request.end is not None and resumed >= self._request.end:
            return iter(())
        return self._source.chunks(replace(self._request, start=resumed or self._request.start))

    def _next(self, stream: Iterator[Chunk], pending: list[Columns]) -> Chunk | None:
        """The next chunk. When the source gives up, what it handed out stands: the next run goes on from there."""
        try:
            return next(stream, None)
        except (RetryableError, KeyboardInterrupt):
            if self._cut is not None and pending:
                self._publish(pending)
            raise

    def finish(self, rest: list[Columns]) -> IngestReport:
        """Publish the last rows."""
        if rest:
            self._publish(rest)
        return self._report

    def forget(self) -> None:
        """Let the next import of the same kind start over."""
        self._journal.forget(self._key)

    def _resume_at(self) -> datetime | None:
        """Where to go on; None to start over, also when the lake is not what it was at the checkpoint."""
        found = self._journal.find(self._key)
        if found is None:
            return None
        try:
            unchanged = self._fingerprint(found.resume_at) == found.fingerprint
        except DataError:
            return None
        return found.resume_at if unchanged else None

    def _publish(self, pending: list[Columns]) -> None:
        with ExitStack() as stack:
            batch = _patiently(lambda: stack.enter_context(self._lake.batch()))
            gained = batch.add(self.series, joined(pending), source=self._source.name, now=self._now)
            batch.publish()
        before = self._report
        self._report = IngestReport(
            self.series, before.rows_added + gained.rows_added, before.rows_known + gained.rows_known,
            tuple(dict.fromkeys((*before.partitions, *gained.partitions))), before.rows_enriched + gained.rows_enriched,
        )  # fmt: skip
        if self._cut is not None:
            self._journal.record(self._key, Checkpoint(resume_at=self._cut, fingerprint=self._fingerprint(self._cut)))

    def _fingerprint(self, until: datetime) -> str:
        series, start = self.series, self._request.start or _EARLIEST
        return self._lake.fingerprint(series.venue, [series.symbol], series.timeframe, start, until)

    def _require_inside(self, chunk: Chunk) -> None:
        times = chunk.columns["open_time"]
        for bound, wrong in ((self._request.start, np.less), (self._request.end, np.greater_equal)):
            if bound is not None and (outside := wrong(times, to_ms(bound))).any():
                at = from_ms(int(times[outside][0]))
                raise DataError(f"{self.series}: {self._source.name} gave a bar at {iso(at)}, which was not asked for "
                                f"({_window(self._request)}); its rows cannot be trusted")  # fmt: skip


def joined(chunks: Sequence[Columns]) -> Columns:
    """Chunks as one, in their order; NaN where a chunk does not have an extra column."""
    names = (*BAR_COLUMNS, *extras_of([name for chunk in chunks for name in chunk]))
    if len(chunks) == 1 and set(names) == set(chunks[0]):
        return chunks[0]
    return {
        name: np.concatenate(
            [c[name] if name in c else np.full(len(c["open_time"]), np.nan) for c in chunks]
        )
        for name in names
    }  # fmt: skip


def _is_due(pending: Sequence[Columns], resume_at: datetime) -> bool:
    """Enough rows, or a calendar month complete."""
    first, after = month_of(np.array([pending[0]["open_time"][0], to_ms(resume_at)]))
    return bool(after > first) or sum(len(columns["open_time"]) for columns in pending) >= CHECKPOINT_ROWS


def _patiently(open_batch: Callable[[], IngestBatch]) -> IngestBatch:
    retrying = Retrying(
        retry=retry_if_exception_type(RetryableError), stop=stop_after_delay(LOCK_PATIENCE_SECS),
        wait=wait_random_exponential(multiplier=0.05, max=1.0), reraise=True,
    )  # fmt: skip
    return retrying(open_batch)


def _window(request: Request) -> str:
    start = iso(request.start) if request.start else "its beginning"
    return f"from {start} to {iso(request.end) if request.end else 'its end'}"
