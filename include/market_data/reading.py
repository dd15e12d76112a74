"""Reading foreign files (Parquet, Feather, CSV, CSV in gzip or zip) into lake columns, in chunks, nothing repaired.

Every failure is a DataError in one line: the file, what was expected, what was found.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.domain.bars import PRICE_COLUMNS
from include.domain.errors import DataError
from include.market_data.mappings import Mapping, TimeMapping
from include.market_data.partitions import OPEN_TIME
from include.market_data.storage import first_line

CSV_BLOCK_BYTES = 8 << 20
BATCH_ROWS = 1 << 18
MAX_IMPOSSIBLE_SHARE = 0.5
"""Of the bars of a file without header: with more of them impossible, the declared order is wrong, not the market."""
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EARLIEST_S, LATEST_S = 978_307_200, 4_102_444_800
"""2001-01-01 and 2100-01-01: no market data lies outside, and inside them the size of a number tells its unit."""

Columns = dict[str, NDArray[Any]]


def read_file(path: Path, mapping: Mapping) -> Iterator[tuple[Columns, float]]:
    """Chunks of one file in its own order, each with the share of the file that has been read.

    `open_time` is int64 epoch milliseconds, everything else float64.

    Raises:
        DataError: missing, empty, truncated or unreadable file, missing columns, a cell that is no number, times that
            cannot be placed, columns in another order than the mapping says. Chunks handed out before that must be
            dropped by the caller.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    try:
        yield from _READERS.get(path.suffix.lower(), _csv)(path, mapping)
    except _UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({first_line(error)})") from None


def _parquet(path: Path, mapping: Mapping) -> Iterator[tuple[Columns, float]]:
    with pq.ParquetFile(path, memory_map=True) as file:
        matched = _matched(path, mapping, file.schema_arrow.names)
        batches = file.iter_batches(columns=list(dict.fromkeys(matched.values())), batch_size=BATCH_ROWS)
        rows, total = 0, max(1, file.metadata.num_rows)
        for batch in batches:
            rows += len(batch)
            yield _convert(path, pa.Table.from_batches([batch]), matched, mapping.time), rows / total


def _feather(path: Path, mapping: Mapping) -> Iterator[tuple[Columns, float]]:
    with pa.memory_map(str(path)) as stream, pa.ipc.open_file(stream) as file:
        matched = _matched(path, mapping, file.schema.names)
        wanted, batches = list(dict.fromkeys(matched.values())), file.num_record_batches
        for index in range(batches):
            table = pa.Table.from_batches([file.get_batch(index)]).select(wanted)
            yield _convert(path, table, matched, mapping.time), (index + 1) / batches


def _csv(path: Path, mapping: Mapping) -> Iterator[tuple[Columns, float]]:
    with _text(path) as stream:
        first, sample = _first_rows(stream)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        header = not _is_number(first[0])
        if not header and not mapping.order:
            raise DataError(f"{path}: no header row, and mapping {mapping.name!r} declares no column order")
        if not header and len(first) != len(mapping.order):
            raise DataError(f"{path}: {len(first)} columns without header, mapping {mapping.name!r} expects "
                            f"{len(mapping.order)} ({', '.join(mapping.order)})")  # fmt: skip
        names = first if header else mapping.order
        matched = _matched(path, mapping, names)
        row = (sample or first) if header else first
        time_cell = row[names.index(matched["open_time"])]
        types = {name: pa.float64() for name in matched.values()}
        types[matched["open_time"]] = _time_type(time_cell)
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                column_names=None if header else names, block_size=CSV_BLOCK_BYTES, use_threads=False
            ),
            convert_options=pacsv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
        for batch in reader:
            columns = _convert(path, pa.Table.from_batches([batch]), matched, mapping.time)
            if not header:
                _require_order(path, columns, mapping)
            yield columns, min(1.0, stream.tell() / size)


_READERS = {".parquet": _parquet, ".feather": _feather}
_UNREADABLE = (
    OSError, EOFError, UnicodeDecodeError, zlib.error, zipfile.BadZipFile, NotImplementedError, pa.ArrowException,
)  # fmt: skip


@contextmanager
def _text(path: Path) -> Iterator[IO[bytes]]:
    """The CSV bytes inside a plain, gzip or zip file; a zip must hold exactly one CSV."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            yield io.BytesIO(packed.read())
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(inside) != 1:
                raise DataError(
                    f"{path}: expected one CSV file inside, found {', '.join(archive.namelist()) or 'none'}"
                )
            yield io.BytesIO(archive.read(inside[0]))  # reading it whole verifies its checksum
    else:
        with path.open("rb") as plain:
            yield plain


def _first_rows(stream: IO[bytes]) -> tuple[list[str], list[str]]:
    """Cells of the first two lines; the second is empty when there is none."""
    lines = [stream.readline().decode("utf-8-sig").strip() for _ in range(2)]
    first, second = ([cell.strip().strip('"') for cell in line.split(",")] if line else [] for line in lines)
    return first or [""], second


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _matched(path: Path, mapping: Mapping, found: list[str]) -> dict[str, str]:
    matched, missing = mapping.find(found)
    if missing:
        wanted = ", ".join(
            f"{ours} ({' or '.join(names)})" for ours, names in mapping.names().items() if ours in missing
        )
        raise DataError(
            f"{path}: no column for {wanted} of mapping {mapping.name!r}; the file has {', '.join(found)}: choose or"
            " write another --mapping"
        )
    keys = [name.strip().lower() for name in found]
    if twice := [ours for ours, theirs in matched.items() if keys.count(theirs.strip().lower()) > 1]:
        raise DataError(
            f"{path}: has {', '.join(twice)} more than once; leave the right one in it, or name it in a mapping"
        )
    return matched


def _require_order(path: Path, columns: Columns, mapping: Mapping) -> None:
    """Refuse a column order that the rows contradict: nothing but the mapping says which column is which."""
    opened, high, low, close = (columns[name] for name in PRICE_COLUMNS)
    moved = ~((high == low) & (opened == close) & (opened == high))
    impossible = moved & ((high < np.fmax(opened, close)) | (low > np.fmin(opened, close)))
    share = int(np.count_nonzero(impossible)) / max(1, int(np.count_nonzero(moved)))
    if share > MAX_IMPOSSIBLE_SHARE:
        raise DataError(
            f"{path}: no header row, and in the order of mapping {mapping.name!r} {share:.0%} of the bars have a high "
            "or low that cannot be; check the mapping's order"
        )


def _time_type(cell: str) -> pa.DataType:
    """Type in which a CSV reader should take times: whole numbers exactly, everything else as text."""
    return pa.int64() if cell.lstrip("-").isdigit() else pa.string()


def _convert(path: Path, table: pa.Table, matched: dict[str, str], time: TimeMapping) -> Columns:
    raw = table.column(matched["open_time"])
    if raw.null_count:
        raise DataError(f"{path}: {raw.null_count} rows have no open time")
    columns: Columns = {"open_time": _milliseconds(path, raw, time)}
    for ours, theirs in matched.items():
        if ours != "open_time":
            values = table.column(theirs).cast(pa.float64()).to_numpy()
            columns[ours] = np.asarray(values, dtype=np.float64)
    return columns


def _milliseconds(path: Path, raw: pa.ChunkedArray, time: TimeMapping) -> NDArray[np.int64]:
    """Open times as epoch milliseconds, whatever form the file gives them in."""
    kind = raw.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        raw = _parsed(raw)
        kind = raw.type
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_epoch(path, raw.cast(pa.int64()).to_numpy(), time)
    if pa.types.is_date(kind):
        raw = raw.cast(pa.timestamp("ms"))
        kind = raw.type
    if not pa.types.is_timestamp(kind):
        raise DataError(f"{path}: open times are of type {kind}; expected a timestamp, ISO text or epoch numbers")
    if kind.tz is None:
        # Local times that a clock change makes ambiguous or impossible are refused, not guessed.
        raw = pc.assume_timezone(raw, time.zone)
    milliseconds: NDArray[np.int64] = raw.cast(OPEN_TIME).cast(pa.int64()).to_numpy()
    _require_plausible(path, milliseconds, 1_000, "read as they are")
    return milliseconds


def _parsed(raw: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps of ISO text; with a zone when the first value names one (then all must)."""
    first = raw[0].as_py()
    zoned = first.endswith("Z") or "+" in first[10:] or "-" in first[10:]
    return raw.cast(pa.timestamp("us", "UTC" if zoned else None))


def _from_epoch(path: Path, numbers: NDArray[np.int64], time: TimeMapping) -> NDArray[np.int64]:
    if time.unit == "iso":
        raise DataError(f"{path}: open times are numbers, the mapping declares ISO text")
    unit = _unit_by_size(path, numbers) if time.unit == "auto" else time.unit
    _require_plausible(path, numbers, UNITS_PER_SECOND[unit], f"read as epoch {unit}")
    if UNITS_PER_SECOND[unit] <= 1_000:
        return np.asarray(numbers * (1_000 // UNITS_PER_SECOND[unit]), dtype=np.int64)
    divisor = UNITS_PER_SECOND[unit] // 1_000
    if (numbers % divisor).any():
        raise DataError(f"{path}: open times in {unit} are not whole milliseconds")
    return np.asarray(numbers // divisor, dtype=np.int64)


def _unit_by_size(path: Path, numbers: NDArray[np.int64]) -> str:
    middle = int(np.median(numbers))
    for unit, per_second in UNITS_PER_SECOND.items():
        if EARLIEST_S * per_second <= middle < LATEST_S * per_second:
            return unit
    raise DataError(f"{path}: open time {middle} is no epoch time in s, ms, us or ns")


def _require_plausible(path: Path, numbers: NDArray[np.int64], per_second: int, how: str) -> None:
    low, high = int(numbers.min(initial=EARLIEST_S * per_second)), int(numbers.max(initial=EARLIEST_S * per_second))
    if low < EARLIEST_S * per_second or high >= LATEST_S * per_second:
        raise DataError(f"{path}: open times {low} to {high} {how} lie outside 2001 to 2100; check the mapping's unit")
