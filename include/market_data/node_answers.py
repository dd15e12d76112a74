"""Bars of a window as a stream of bytes, a month at a time: memory does not grow with the window."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from include.domain.bars import BAR_COLUMNS
from include.market_data.lake import ParquetLake
from include.market_data.node_protocol import FINISHED, Form, calendar_months
from include.market_data.partitions import OPEN_TIME, extras_of
from include.market_data.series import Series
from include.ports import REPAIRS, UNFINISHED_BARS


@dataclass(frozen=True, slots=True)
class Window:
    """What a window of one series holds; `unfinished` are open times in epoch milliseconds."""

    lake: ParquetLake
    series: Series
    start: datetime
    end: datetime
    rows: int
    extras: tuple[str, ...]
    unfinished: tuple[int, ...]
    repairs: tuple[str, ...]
    fingerprint: str

    def stream(self, form: Form) -> Iterator[bytes]:
        """The bars in stored order, as an Arrow IPC stream or as CSV with a header line."""
        return self._arrow() if form is Form.ARROW else self._csv()

    # --- inside --------------------------------------------------------------------------------------------

    def _tables(self) -> Iterator[pa.Table]:
        for table in _months(self.lake, self.series, self.start, self.end):
            missing = pa.array(np.full(len(table), np.nan))
            names = (*BAR_COLUMNS, *self.extras)
            columns = [table.column(name) if name in table.column_names else missing for name in names]
            yield pa.table(columns, schema=self._schema())

    def _schema(self) -> pa.Schema:
        fields = [("open_time", OPEN_TIME), *((n, pa.float64()) for n in (*BAR_COLUMNS[1:], *self.extras))]
        marks = {UNFINISHED_BARS: json.dumps(self.unfinished), REPAIRS: json.dumps(self.repairs)}
        return pa.schema(fields, marks)

    def _arrow(self) -> Iterator[bytes]:
        sink = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, self._schema(), options=options) as writer:
            for table in self._tables():
                writer.write_table(table)
                yield _drained(sink)
        yield _drained(sink)

    def _csv(self) -> Iterator[bytes]:
        sink = io.BytesIO()
        unfinished = np.array(self.unfinished, dtype=np.int64)
        pa.csv.write_csv(self._with_finished(self._schema().empty_table(), unfinished), sink, _csv_options(head=True))
        yield _drained(sink)
        for table in self._tables():
            pa.csv.write_csv(self._with_finished(table, unfinished), sink, _csv_options(head=False))
            yield _drained(sink)

    @staticmethod
    def _with_finished(table: pa.Table, unfinished: Any) -> pa.Table:
        times = table.column("open_time").cast(pa.int64())
        finished = pa.array((~np.isin(times.to_numpy(), unfinished)).astype(np.int8))
        return table.set_column(0, "open_time", times).append_column(FINISHED, finished)


def open_window(lake: ParquetLake, series: Series, start: datetime, end: datetime) -> Window:
    """Measure a window before its first byte is sent.

    Raises:
        DataError: the series is not in the lake, or its files cannot be read.
    """
    summary = lake.summary(series)
    # Clipped to what is stored, so that a window of centuries costs no more than the history there is.
    start, end = max(start, summary.first), min(end, summary.last + series.timeframe.delta)
    rows, extras, unfinished, repairs = 0, set[str](), list[int](), dict[str, None]()
    for table in _months(lake, series, start, end):
        rows += len(table)
        extras |= set(extras_of(table.column_names))
        unfinished += json.loads(table.schema.metadata[UNFINISHED_BARS])
        repairs |= dict.fromkeys(json.loads(table.schema.metadata[REPAIRS]))
    fingerprint = lake.fingerprint(series.venue, [series.symbol], series.timeframe, start, max(start, end))
    return Window(lake, series, start, end, rows, tuple(sorted(extras)), tuple(unfinished), tuple(repairs), fingerprint)


def _months(lake: ParquetLake, series: Series, start: datetime, end: datetime) -> Iterator[pa.Table]:
    for first, last in calendar_months(start, end):
        yield lake.rows(series.venue, series.symbol, series.timeframe, first, last)


def _csv_options(*, head: bool) -> Any:
    return pa.csv.WriteOptions(include_header=head, quoting_style="none", quoting_header="none")


def _drained(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece
