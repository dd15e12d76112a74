"""One partition of the lake: a Parquet file with one calendar month of one series and its manifest in the footer.

Rows are kept as ingested, defects and order included; judging them is the data gate's business. Prices are split by
byte and compressed with zstd (half the size and twice the reading speed of dictionary pages), every page carries a
checksum.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import DataError, RetryableError
from include.domain.times import Timeframe, from_ms, iso
from include.market_data.series import Series
from include.market_data.storage import Storage, first_line
from include.qualification.profile import Document, one_line

OPEN_TIME = pa.timestamp("ms", "UTC")
MANIFEST_KEY = b"airlock"
COMPRESSION_LEVEL = -1
"""zstd without entropy coding of literals: files grow by 7 %, a month decodes in two thirds of the time of level 1."""

_REMEDY = "delete it and import the month again"

Columns = Mapping[str, NDArray[Any]]
"""`open_time` int64 epoch milliseconds and float64 columns, all of one length."""


class Manifest(Document):
    """What a partition says about itself. Fields that came later have defaults: old files stay readable."""

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
    repairs: list[str] = []
    """Recorded repair policies whose result these rows are; empty for rows as they came."""
    series: str = ""
    """Whose bars these are (`str(Series)`); empty in files written before manifests said so."""


class ReplacedError(RetryableError):
    """A file was replaced between its manifest and its rows; listing the lake again gives both anew."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition file, its manifest and its columns.

    Attributes:
        version: changes whenever the file does (`storage.Storage.versions`).
    """

    key: str
    version: str
    manifest: Manifest
    columns: tuple[str, ...]

    @property
    def month(self) -> str:
        return PurePosixPath(self.key).stem

    def lies_in(self, first: int, end: int) -> bool:
        """True when all its rows are in [first, end), epoch milliseconds."""
        return first <= self.manifest.first_open_time and self.manifest.last_open_time < end


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


def without_empty_extras(columns: Columns) -> dict[str, NDArray[Any]]:
    """Drop extras that are NaN in every row: they say nothing, and come and go with the window that is looked at."""
    empty = {name for name in extras_of(list(columns)) if np.isnan(columns[name]).all()}
    return {name: values for name, values in columns.items() if name not in empty}


def content_digest(columns: Columns) -> str:
    """SHA-256 over names and little-endian values, column by column, rows as stored; empty extras do not count."""
    hasher = hashlib.sha256()
    held = without_empty_extras(columns)
    for name in (*BAR_COLUMNS, *extras_of(list(held))):
        hasher.update(name.encode() + b"\0")
        hasher.update(np.ascontiguousarray(held[name]).view(np.uint8).data)
    return hasher.hexdigest()


def chained_fingerprint(timeframe: Timeframe, symbols: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """Fingerprint of a window, from the digests of what it holds.

    Args:
        symbols: of each symbol's key (`symbol_id`), its months in order (`2024-01`), each with the content digest of
            its rows inside the window; one without rows has an empty digest and does not count.
    """
    hasher = hashlib.sha256(f"airlock-bars-1\0{timeframe}\0".encode())
    for symbol in sorted(symbols):
        hasher.update(symbol.encode() + b"\0")
        for month, digest in symbols[symbol]:
            if digest:
                hasher.update(f"{month}\0{digest}\0".encode())
    return hasher.hexdigest()


def write_partition(path: Path, columns: Columns, manifest: Manifest) -> None:
    """Write and sync one file; the caller renames it into place.

    Raises:
        DataError: the disk refused (full, read-only, no permission).
    """
    floats = [name for name in columns if name != "open_time"]
    encoding = {"open_time": "DELTA_BINARY_PACKED", **dict.fromkeys(floats, "BYTE_STREAM_SPLIT")}
    table = to_table(columns, {MANIFEST_KEY: manifest.model_dump_json().encode()})
    required = pa.schema([field.with_nullable(False) for field in table.schema], table.schema.metadata)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            table.cast(required), path, compression="zstd", compression_level=COMPRESSION_LEVEL, use_dictionary=False,
            column_encoding=encoding, write_page_checksum=True, row_group_size=max(1, len(table)), store_schema=True,
        )  # fmt: skip
        with path.open("rb") as written:
            os.fsync(written.fileno())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); nothing was published") from None


def load_partition(storage: Storage, key: str, version: str) -> Partition:
    """Manifest and columns from the footer alone.

    Raises:
        DataError: not a readable Parquet file, not one the lake wrote, or one that belongs elsewhere in the lake.
        RetryableError: the store does not answer.
    """
    name = storage.where(key)
    with _readable(name), storage.footer(key) as file:
        metadata = pq.read_metadata(file)
    manifest = _manifest(metadata, name)
    _require_place(manifest, key, name)
    return Partition(key, version, manifest, tuple(metadata.schema.names))


def read_partition(storage: Storage, part: Partition) -> dict[str, NDArray[Any]]:
    """Columns of one file, page checksums verified.

    Raises:
        DataError: unreadable, truncated or altered.
        ReplacedError: the file is not the one whose manifest was loaded.
        RetryableError: the store does not answer.
    """
    name = storage.where(part.key)
    with (
        _readable(name),
        storage.open(part.key) as opened,
        pq.ParquetFile(opened, page_checksum_verification=True) as file,
    ):
        manifest = _manifest(file.metadata, name)
        table = file.read(use_threads=False)
    if manifest != part.manifest:
        raise ReplacedError(f"{name}: was replaced while it was read; run it again when the import is done")
    if len(table) != manifest.rows:
        raise DataError(f"{name}: holds {len(table)} rows, its manifest says {manifest.rows}; import the month again")
    return to_columns(table)


def require_content(storage: Storage, part: Partition, digest: str) -> None:
    """Compare the digest of a partition's rows with its manifest's. Raises DataError when they differ."""
    if digest != part.manifest.sha256:
        raise DataError(f"{storage.where(part.key)}: content differs from its manifest; {_REMEDY}")


def _require_place(manifest: Manifest, key: str, name: str) -> None:
    """A whole and valid file under the name of another month or series would be read as that one's bars."""
    ends = manifest.first_open_time, manifest.last_open_time
    months = {month_name(int(month)) for month in month_of(np.array(ends))}
    if months != {PurePosixPath(key).stem} or (manifest.series and manifest.series != str(Series.at(key))):
        held = f"{manifest.series or 'bars'} from {iso(from_ms(ends[0]))} to {iso(from_ms(ends[1]))}"
        raise DataError(f"{name}: holds {held} and does not belong there; {_REMEDY}")


def _manifest(metadata: pq.FileMetaData, name: str) -> Manifest:
    found = metadata.metadata or {}
    if MANIFEST_KEY not in found:
        raise DataError(
            f"{name}: has no Airlock manifest; the lake holds only what `airlock data import` wrote: move it away and"
            " import it"
        )
    try:
        return Manifest.model_validate_json(found[MANIFEST_KEY])
    except ValidationError as error:
        raise DataError(f"{one_line(error, f'{name}: manifest')}; {_REMEDY}") from None


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{name}: not a readable Parquet file ({first_line(error)}); {_REMEDY}") from None
