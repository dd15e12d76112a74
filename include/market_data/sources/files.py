"""Files as a source: Parquet, Feather or CSV files and folders of them, and Binance's public dumps.

Files may overlap (a daily dump and the month it belongs to): equal rows are taken once, contradictory ones are refused
and both files named. That is the rule by which the lake merges; repeats and disorder inside one file are a defect of
its own and stay, for the gate to judge.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe, from_ms, iso, to_ms
from include.market_data.mappings import Mapping
from include.market_data.merging import Conflict, merge_rows
from include.market_data.partitions import Columns
from include.market_data.reading import read_file
from include.market_data.sources.protocol import Chunk, Request

_QUOTED = re.compile(r"[A-Z0-9]{2,}?(?:USDT|USDC|BUSD|USD|BTC|ETH|EUR)")
"""A market's name, as files of one market are called."""
_NOTHING: Columns = {"open_time": np.empty(0, dtype=np.int64)}
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})[ ][ *](\S+)\s*")
"""What sha256sum writes, and Binance publishes beside each dump."""


class FileKind(StrEnum):
    """Kinds of files that can be imported."""

    PARQUET = "parquet"
    CSV = "csv"
    DUMP = "dump"

    @property
    def suffixes(self) -> tuple[str, ...]:
        return {
            FileKind.PARQUET: (".parquet", ".feather"),
            FileKind.CSV: (".csv", ".csv.gz", ".csv.zip"),
            FileKind.DUMP: (".zip", ".csv"),
        }[self]


@dataclass(frozen=True, slots=True)
class FileSource:
    """One file, or a folder of them.

    Attributes:
        symbols: all that will be asked for: what carries no symbol in its name can serve a single one only.
    """

    kind: FileKind
    path: Path
    mapping: Mapping
    symbols: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind.value}:{self.mapping.name}:{self.path.name}"

    def chunks(self, request: Request) -> Iterator[Chunk]:
        """Rows of a symbol's files put together in order of time, cut to the window; no checkpoints.

        They are handed out when all have been read and compared; until then chunks are empty and tell how far it is.

        Raises:
            DataError: a file that is missing, damaged, empty, of another timeframe, not what its checksum says, or in
                contradiction to another one; names the file.
            ConfigurationError: a path that cannot serve all the symbols, or holds another kind of file.
        """
        files = self.files(request.symbol, request.timeframe)
        total, done = sum(path.stat().st_size for path in files), 0
        together: list[_Stretch] = []
        for path in files:
            _require_checksum(path)
            chunks: list[Columns] = []
            size = path.stat().st_size
            for columns, share in read_file(path, self.mapping):
                chunks.append(columns)
                yield Chunk(_NOTHING, (done + share * size) / total, path.name)
            done += size
            rows = _joined(path, chunks)
            _require_timeframe(path, rows, request.timeframe)
            _put_together(together, path, _inside(rows, request))
        for stretch in sorted(together, key=lambda s: s.first):
            yield Chunk(stretch.columns, 1.0, " to ".join(dict.fromkeys(f.path.name for f in stretch.ends)))

    def files(self, symbol: str, timeframe: Timeframe) -> tuple[Path, ...]:
        """Files that hold a symbol, in order of name.

        In a folder: those in a subfolder named after it, else those whose names start with it (BTCUSDT-1m-2022-01.zip,
        BTC_USDT-1m.feather), else, for a single symbol when no name starts with another market's, all.

        Raises:
            DataError: nothing there, only files of other markets, or only of other timeframes.
            ConfigurationError: one file for several symbols, or of another kind.
        """
        path, key = self.path, symbol_id(symbol)
        if path.is_file():
            self._require_single(path)
            return (path,)
        if not path.is_dir():
            raise DataError(f"{path}: no such file or folder")
        of_one_symbol = len(self.symbols) == 1
        if (path / key).is_dir():
            path, of_one_symbol = path / key, True
        # Dumps come in trees (daily/klines/BTCUSDT/1m/...), and their names say all there is to know.
        inside = path.rglob("*") if self.kind is FileKind.DUMP else path.iterdir()
        found = sorted((p for p in inside if p.is_file() and self._is_ours(p)), key=lambda p: (p.name, p))
        if not found:
            folders = ", ".join(sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")))
            raise DataError(
                f"{path}: no {' or '.join(self.kind.suffixes)} file in this folder"
                + (f" and no folder {key}; it holds {folders}" if folders else "")
            )
        own = [p for p in found if key in (name.upper() for name in _market_names(p))]
        if own:
            return _of_timeframe(path, key, own, timeframe)
        others = sorted({name for p in found for name in _market_names(p) if _QUOTED.fullmatch(name)})
        if others or not of_one_symbol:
            holds = ", ".join(others) or "files without a symbol"
            raise DataError(f"{path}: no file of {key}; the folder holds {holds}")
        return tuple(found)

    def _is_ours(self, path: Path) -> bool:
        return path.name.lower().endswith(self.kind.suffixes)

    def _require_single(self, path: Path) -> None:
        if len(self.symbols) > 1:
            raise ConfigurationError(f"{path}: one file holds one symbol; name one, or a folder")
        if not self._is_ours(path):
            raise ConfigurationError(
                f"{path}: --source {self.kind.value} reads {' and '.join(self.kind.suffixes)} files"
            )


@dataclass(frozen=True, slots=True)
class _File:
    """A file and the times that it covers, in epoch milliseconds."""

    path: Path
    first: int
    last: int

    def meets(self, other: _File | _Stretch) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Rows of one or more files that overlap; no other stretch has a time between its first and its last."""

    columns: Columns
    files: tuple[_File, ...]

    @property
    def first(self) -> int:
        return min(file.first for file in self.files)

    @property
    def last(self) -> int:
        return max(file.last for file in self.files)

    @property
    def ends(self) -> tuple[_File, _File]:
        return min(self.files, key=lambda f: f.first), max(self.files, key=lambda f: f.last)


def _market_names(path: Path) -> tuple[str, ...]:
    """The market a file name may start with: `BTCUSDT-1m-...`, or `BTC_USDT-1m...`."""
    match = re.match(r"([A-Za-z0-9]+)(?:[_-]([A-Za-z0-9]+))?", path.name)
    return (match[1], match[1] + (match[2] or "")) if match else ()


def _of_timeframe(folder: Path, key: str, files: list[Path], timeframe: Timeframe) -> tuple[Path, ...]:
    """Names may carry the timeframe (BTCUSDT-1m-2022-01.zip), and a folder may hold several."""
    named = {p: match[1] for p in files if (match := re.search(r"[-_](\d+[smhdwM]o?)(?=[-_.])", p.name))}
    kept = tuple(p for p in files if named.get(p, str(timeframe)) == str(timeframe))
    if not kept:
        raise DataError(
            f"{folder}: no {timeframe} file of {key}; the folder holds {', '.join(sorted(set(named.values())))}"
        )
    return kept


def _require_checksum(path: Path) -> None:
    """Compare a file with the `.CHECKSUM` beside it; a missing one is fine."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.is_file():
        return
    try:
        match = _CHECKSUM.fullmatch(beside.read_text("utf-8"))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{beside}: cannot be read ({error})") from None
    if match is None:
        raise DataError(f"{beside}: not a checksum; expected a SHA-256, two spaces and {path.name}")
    if match[2] != path.name:
        raise DataError(f"{beside}: is the checksum of {match[2]}, not of {path.name}")
    if match[1].lower() != found:
        raise DataError(f"{path}: SHA-256 is {found}, {beside.name} says {match[1].lower()}; download it again")


def _joined(path: Path, chunks: list[Columns]) -> Columns:
    if not any(len(chunk["open_time"]) for chunk in chunks):
        raise DataError(f"{path}: the file holds no rows")
    if len(chunks) == 1:
        return chunks[0]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _put_together(stretches: list[_Stretch], path: Path, columns: Columns) -> None:
    """Add the rows of a file: a stretch of their own, or merged into those that they overlap.

    Raises:
        DataError: a row that contradicts one of another file; names both.
    """
    times = columns["open_time"]
    if not len(times):
        return
    file = _File(path, int(times.min()), int(times.max()))
    files: tuple[_File, ...] = (file,)
    for other in [stretch for stretch in stretches if file.meets(stretch)]:
        outcome = merge_rows(other.columns, columns)
        if isinstance(outcome, Conflict):
            at = outcome.open_time
            given = next(f.path.name for f in other.files if f.first <= at <= f.last)
            raise DataError(
                f"{path}: bar {iso(from_ms(at))} has {outcome.column}={outcome.incoming!r}, {given} has "
                f"{outcome.stored!r}; remove the wrong file"
            )
        columns, files = outcome.columns, (*other.files, *files)
        stretches.remove(other)
    stretches.append(_Stretch(columns, files))


def _inside(columns: Columns, request: Request) -> Columns:
    times = columns["open_time"]
    inside = np.ones(len(times), dtype=bool)
    if request.start is not None:
        inside &= times >= to_ms(request.start)
    if request.end is not None:
        inside &= times < to_ms(request.end)
    return columns if inside.all() else {name: values[inside] for name, values in columns.items()}


def _require_timeframe(path: Path, columns: Columns, timeframe: Timeframe) -> None:
    """Refuse a file of another timeframe: hardly any step between its rows is the declared one."""
    steps = np.diff(columns["open_time"])
    if not (steps > 0).all():
        steps = np.diff(np.unique(columns["open_time"]))
    if len(steps) and np.count_nonzero(steps == timeframe.ms) < 0.01 * len(steps):
        usual = int(np.median(steps)) // 1_000
        raise DataError(f"{path}: rows are mostly {usual} s apart, the import says {timeframe} ({timeframe.seconds} s)")
