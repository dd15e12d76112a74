"""One partition of the lake: a Parquet file with one calendar month of one series and its manifest in the footer.

Rows are kept as ingested, defects and order included; judging them is the data gate's business. Prices are split by
byte and compressed with zstd (half the size and twice the reading speed of dictionary pages), every page carries a
checksum.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import DataError
from include.qualification.profile import Document, one_line

OPEN_TIME = pa.timestamp("ms", "UTC")
MANIFEST_KEY = b"airlock"

Columns = Mapping[str, NDArray[Any]]
"""`open_time` int64 epoch milliseconds and float64 columns, all of one length."""


class Manifest(Document):
    """What a partition says about itself."""

    version: int = 1
    rows: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Content digest (`content_digest`), not a digest of the file."""
    first_open_time: int
    last_open_time: int
    sources: list[str]
    ingested_at: str
    unfinished: list[int]
    """Open times of bars that had not closed when they were ingested."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition file and its manifest."""

    path: Path
    manifest: Manifest


def month_of(open_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Calendar month of each time as months since January 1970."""
    return open_time.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)


def month_name(month: int) -> str:
    """`2024-01` for a number of months since January 1970."""
    return f"{1970 + month // 12:04d}-{month % 12 + 1:02d}"


def extras_of(names: Sequence[str]) -> tuple[str, ...]:
    """Columns beyond the standard ones, sorted."""
    return tuple(sorted(set(names) - set(BAR_COLUMNS)))


def to_columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    """Arrays of a table in the lake's column order; nulls become NaN, extras float64.

    Raises:
        DataError: a standard column is missing or an open time is null.
    """
    if missing := [name for name in BAR_COLUMNS if name not in table.column_names]:
        raise DataError(f"columns {', '.join(missing)} are missing; found {', '.join(table.column_names)}")
    times = table.column("open_time")
    if times.null_count:
        raise DataError(f"{times.null_count} rows have no open time")
    columns: dict[str, NDArray[Any]] = {"open_time": times.cast(OPEN_TIME).cast(pa.int64()).to_numpy()}
    for name in (*BAR_COLUMNS[1:], *extras_of(table.column_names)):
        values = table.column(name).cast(pa.float64()).to_numpy()
        columns[name] = np.asarray(values, dtype=np.float64)
    return columns


def to_table(columns: Columns, metadata: Mapping[bytes, bytes] | None = None) -> pa.Table:
    """Table of the lake's schema without copying the arrays."""
    arrays = {"open_time": pa.array(columns["open_time"]).cast(OPEN_TIME)}
    arrays |= {name: pa.array(columns[name]) for name in columns if name != "open_time"}
    table = pa.table(arrays)
    return table.replace_schema_metadata(dict(metadata)) if metadata else table


def content_digest(columns: Columns) -> str:
    """SHA-256 over names and little-endian values, column by column, rows in stored order."""
    hasher = hashlib.sha256()
    for name in (*BAR_COLUMNS, *extras_of(list(columns))):
        hasher.update(name.encode() + b"\0")
        hasher.update(np.ascontiguousarray(columns[name]).view(np.uint8).data)
    return hasher.hexdigest()


def write_partition(path: Path, columns: Columns, manifest: Manifest) -> None:
    """Write and sync one file; the caller renames it into place.

    Raises:
        DataError: the disk refused (full, read-only, no permission).
    """
    floats = [name for name in columns if name != "open_time"]
    encoding = {"open_time": "DELTA_BINARY_PACKED", **dict.fromkeys(floats, "BYTE_STREAM_SPLIT")}
    table = to_table(columns, {MANIFEST_KEY: manifest.model_dump_json().encode()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            table, path, compression="zstd", compression_level=1, use_dictionary=False, column_encoding=encoding,
            write_page_checksum=True, row_group_size=max(1, len(table)), store_schema=True,
        )  # fmt: skip
        with path.open("rb") as written:
            os.fsync(written.fileno())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); nothing was published") from None


def read_manifest(path: Path) -> Manifest:
    """Manifest from the footer alone.

    Raises:
        DataError: not a readable Parquet file, or not one the lake wrote.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise DataError(_unreadable(path, error)) from None
    if MANIFEST_KEY not in metadata:
        raise DataError(f"{path}: has no Airlock manifest; the lake holds only what `airlock data import` wrote")
    try:
        return Manifest.model_validate_json(metadata[MANIFEST_KEY])
    except ValidationError as error:
        raise DataError(one_line(error, f"{path}: manifest")) from None


def read_partition(path: Path) -> tuple[dict[str, NDArray[Any]], Manifest]:
    """Columns and manifest of one file, page checksums verified.

    Raises:
        DataError: unreadable, truncated or altered, or not written by the lake.
    """
    manifest = read_manifest(path)
    try:
        with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(_unreadable(path, error)) from None
    if len(table) != manifest.rows:
        raise DataError(f"{path}: holds {len(table)} rows, its manifest says {manifest.rows}; import the month again")
    return to_columns(table), manifest


def _unreadable(path: Path, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"{path}: not a readable Parquet file ({reason}); delete it and import the month again"
