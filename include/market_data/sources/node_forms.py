"""The two forms of a data node's bars, read from a stream as it comes in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import DataError
from include.market_data.node_protocol import FINISHED
from include.market_data.sources.patience import SetbackError
from include.ports import REPAIRS, UNFINISHED_BARS

BLOCK_BYTES = 1 << 20


class Body(io.RawIOBase):
    """An HTTP body as a file, fetched as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def read_arrow(body: BinaryIO, announced: int) -> tuple[pa.Table, list[int]]:
    """Rows of an Arrow IPC stream, and the open times (epoch ms) it lists as not finished.

    Args:
        announced: how many rows there must be.

    Raises:
        DataError: these are no bars.
        SetbackError: the stream is cut short, damaged, or holds more than was announced.
    """
    table = _decoded(lambda: _whole(pa.ipc.open_stream(body), announced))
    marks = table.schema.metadata or {}
    try:
        unfinished = [int(t) for t in json.loads(marks.get(UNFINISHED_BARS, b"[]"))]
        repairs = json.loads(marks.get(REPAIRS, b"[]"))
    except (ValueError, TypeError):
        raise DataError("the node's marks of unfinished and repaired bars are no lists") from None
    if repairs:
        raise DataError(f"the node sent bars repaired by {', '.join(map(str, repairs))}; import the series they are of")
    return table, unfinished


def read_csv(body: BinaryIO, announced: int) -> tuple[pa.Table, list[int]]:
    """The same of CSV with a header line: `open_time` in epoch milliseconds, `finished` 0 or 1 if it is there.

    Raises: as `read_arrow`.
    """
    names = [name.strip().strip('"') for name in body.readline().decode("utf-8", "replace").split(",")]
    # Types are never guessed: a column of whole numbers may go on with others.
    types = {name: pa.float64() for name in names} | {"open_time": pa.int64(), FINISHED: pa.int8()}
    read = pa.csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES, use_threads=False)
    convert = pa.csv.ConvertOptions(column_types=types)
    table = _decoded(lambda: _whole(pa.csv.open_csv(body, read, convert_options=convert), announced))
    if FINISHED not in table.column_names:
        return table, []
    open_then = table.filter(pa.compute.equal(table.column(FINISHED), 0)).column("open_time")
    return table.drop_columns([FINISHED]), open_then.to_pylist()


# --- inside ------------------------------------------------------------------------------------------------


def _decoded(read: Callable[[], pa.Table]) -> pa.Table:
    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        raise SetbackError(f"unreadable bars ({' '.join(str(error).split())[:200]})") from None


def _whole(reader: Any, announced: int) -> pa.Table:
    """All rows of a reader, exactly as many as were announced; stops at the first one too many."""
    if missing := [name for name in BAR_COLUMNS if name not in reader.schema.names]:
        raise DataError(f"columns {', '.join(missing)} are missing; the node sent {', '.join(reader.schema.names)}")
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += len(batch)
        if rows > announced:
            break
    if rows != announced:
        raise SetbackError(f"{rows} bars came where {announced} were announced")
    return pa.Table.from_batches(batches, reader.schema)
