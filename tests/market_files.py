"""Foreign files made by hand, and their way into a lake, for tests of reading and importing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from include.config.files import CONFIG
from include.domain.times import Timeframe
from include.market_data.importing import import_bars
from include.market_data.lake import ParquetLake
from include.market_data.mappings import Mapping, load_mapping
from include.market_data.publishing import IngestReport
from include.market_data.sources.files import FileKind, FileSource
from include.market_data.sources.protocol import Request
from include.ports import Progress, no_progress
from tests.market import MINUTE, NOW, START, Columns, minutes

COUNT = 40
WINDOW = (START, START + minutes(COUNT))
BTC = ("BTC/USDT",)
DUMP_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def mapping(name: str = "default", **time: str) -> Mapping:
    """A shipped mapping, with another unit or zone if given."""
    loaded = load_mapping(CONFIG / "mappings" / f"{name}.yaml")
    return loaded.model_copy(update={"time": loaded.time.model_copy(update=time)}) if time else loaded


def csv_text(columns: Columns, header: str = "timestamp,open,high,low,close,volume", order: str = "ohlc",
             times: Sequence[str] | None = None) -> str:  # fmt: skip
    """Rows as text; `order` is the order of the price columns by their first letters."""
    names = [{"o": "open", "h": "high", "l": "low", "c": "close"}[letter] for letter in order]
    when = times or [str(t) for t in columns["open_time"]]
    lines = [",".join([when[i], *(repr(float(columns[n][i])) for n in [*names, "volume"])]) for i in range(len(when))]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def dump_text(columns: Columns, *, header: bool) -> str:
    """Rows as Binance publishes them."""
    lines = csv_text(columns, header="").strip().split("\n")
    return (f"{DUMP_HEADER}\n" if header else "") + "".join(f"{line},0,1.5,7,0.5,0.25,0\n" for line in lines)


def source_of(path: Path, kind: FileKind = FileKind.CSV, used: Mapping | None = None,
              symbols: tuple[str, ...] = BTC) -> FileSource:  # fmt: skip
    return FileSource(kind, path, used or mapping(), symbols)


def import_file(lake: ParquetLake, source: FileSource, *, venue: str = "synthetic", timeframe: Timeframe = MINUTE,
                window: tuple | None = None, progress: Progress = no_progress) -> tuple[IngestReport, ...]:  # type: ignore[type-arg]  # fmt: skip
    requests = [Request(symbol, timeframe, *(window or (None, None))) for symbol in source.symbols]
    return import_bars(lake, source, venue, requests, now=NOW, progress=progress)


def stored(lake: ParquetLake, symbol: str = "BTC/USDT") -> Columns:
    """What the lake holds of the first minutes."""
    read = lake.bars("synthetic", symbol, MINUTE, *WINDOW)
    return {n: getattr(read, n) for n in ("open_time", "open", "high", "low", "close", "volume")}


def imported(lake: ParquetLake, source: FileSource) -> Columns:
    import_file(lake, source)
    return stored(lake)


def assert_same(read: Columns, columns: Columns) -> None:
    for name, values in columns.items():
        assert np.array_equal(read[name], values), name
