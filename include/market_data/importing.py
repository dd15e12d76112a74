"""Imports: files or the synthetic market into the lake. All is read and staged first, then published together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe
from include.market_data import synthetic
from include.market_data.lake import ParquetLake
from include.market_data.mappings import Mapping
from include.market_data.publishing import IngestReport
from include.market_data.reading import Columns, read_file
from include.market_data.series import Series
from include.ports import Progress, no_progress

_OTHER_SYMBOL = re.compile(r"([A-Z0-9]{2,}?(?:USDT|USDC|BUSD|USD|BTC|ETH|EUR))(?![A-Z0-9])")
"""File names that start like a market of their own, as in BTCUSDT-1m-2022-01.zip."""


class FileSource(StrEnum):
    """Kinds of files that can be imported."""

    PARQUET = "parquet"
    CSV = "csv"
    DUMP = "dump"

    @property
    def suffixes(self) -> tuple[str, ...]:
        return {
            FileSource.PARQUET: (".parquet",),
            FileSource.CSV: (".csv", ".csv.gz"),
            FileSource.DUMP: (".zip", ".csv"),
        }[self]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import: one file, or a folder, for one or more symbols."""

    source: FileSource
    path: Path
    venue: str
    symbols: tuple[str, ...]
    timeframe: Timeframe
    mapping: Mapping


def import_files(
    lake: ParquetLake, request: ImportRequest, *, now: datetime, progress: Progress = no_progress
) -> tuple[IngestReport, ...]:
    """Import files for every symbol of the request; all symbols are published, or none.

    In a folder, a symbol's files are those in a subfolder named after it, else those whose names start with it, else
    (for a single symbol, when no name starts with another market's) all.

    Raises:
        DataError: file, what was expected and what was found; nothing is published.
    """
    if len(request.symbols) > 1 and request.path.is_file():
        raise ConfigurationError(f"{request.path}: one file holds one symbol; name one, or a folder")
    plans = [(symbol, files_of(request, symbol)) for symbol in request.symbols]
    total = sum(path.stat().st_size for _, files in plans for path in files)
    done = 0

    def count(path: Path) -> None:
        nonlocal done
        done += path.stat().st_size
        progress(done / total if total else 1.0, path.name)

    with lake.batch() as batch:
        reports = []
        for symbol, files in plans:
            columns = _read_all(files, request.mapping, count)
            _require_timeframe(columns, request.timeframe, files[0])
            source = f"{request.source.value}:{request.mapping.name}:{request.path.name}"
            series = Series.named(request.venue, symbol, request.timeframe)
            reports.append(batch.add(series, columns, source=source, now=now))
        batch.publish()
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
    if not lake.is_synthetic(venue):
        raise ConfigurationError(
            f"venue {venue!r} is not declared synthetic in venues.yaml; generated bars go nowhere else"
        )
    with lake.batch() as batch:
        reports = []
        for index, symbol in enumerate(symbols):

            def step(done: float, message: str, index: int = index) -> None:
                progress((index + done) / len(symbols), message)

            bars = synthetic.generate(symbol, start, end, seed=seed, progress=step)
            columns: Columns = {
                "open_time": bars.open_time, "open": bars.open, "high": bars.high, "low": bars.low,
                "close": bars.close, "volume": bars.volume,
            }  # fmt: skip
            series = Series.named(venue, symbol, synthetic.TIMEFRAME)
            reports.append(batch.add(series, columns, source=f"synthetic:seed={seed}", now=now))
        batch.publish()
    return tuple(reports)


def files_of(request: ImportRequest, symbol: str) -> tuple[Path, ...]:
    """Files that hold a symbol, in order of name.

    Raises:
        DataError: nothing there, or only files of other markets.
    """
    path, key = request.path, symbol_id(symbol)
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    of_one_symbol = len(request.symbols) == 1
    if (path / key).is_dir():
        path, of_one_symbol = path / key, True
    found = sorted(p for p in path.iterdir() if p.is_file() and p.name.endswith(request.source.suffixes))
    if not found:
        raise DataError(f"{path}: no {' or '.join(request.source.suffixes)} file in this folder")
    own = [p for p in found if re.match(rf"{re.escape(key)}(?![A-Z0-9])", p.name)]
    if own:
        return tuple(p for p in own if _timeframe_fits(p, key, request.timeframe))
    others = sorted({match[1] for p in found if (match := _OTHER_SYMBOL.match(p.name))})
    if others or not of_one_symbol:
        raise DataError(f"{path}: no file of {key}; the folder holds {', '.join(others) or 'files without a symbol'}")
    return tuple(found)


def _timeframe_fits(path: Path, key: str, timeframe: Timeframe) -> bool:
    """Dump names carry the timeframe (BTCUSDT-1m-2022-01.zip); a folder may hold several."""
    match = re.match(rf"{re.escape(key)}-(\d+[smhdw])-", path.name)
    return match is None or match[1] == str(timeframe)


def _read_all(files: Sequence[Path], mapping: Mapping, count: Callable[[Path], None]) -> Columns:
    """All rows of one symbol, files in order; extras that only some files have are refused."""
    chunks: list[Columns] = []
    for path in files:
        before = len(chunks)
        for chunk in read_file(path, mapping):
            if chunks and set(chunk) != set(chunks[0]):
                raise DataError(
                    f"{path}: columns {sorted(chunk)} differ from those of {files[0].name} {sorted(chunks[0])}"
                )
            chunks.append(chunk)
        if not any(len(chunk["open_time"]) for chunk in chunks[before:]):
            raise DataError(f"{path}: the file holds no rows")
        count(path)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _require_timeframe(columns: Columns, timeframe: Timeframe, path: Path) -> None:
    """Refuse rows of another timeframe: hardly any step between them is the declared one."""
    steps = np.diff(np.sort(columns["open_time"]))
    steps = steps[steps > 0]
    if len(steps) and np.count_nonzero(steps == timeframe.ms) < 0.01 * len(steps):
        usual = int(np.median(steps)) // 1_000
        raise DataError(f"{path}: rows are mostly {usual} s apart, the import says {timeframe} ({timeframe.seconds} s)")
