"""Small hand-made bar series and lakes for tests of market data and its gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.config.files import VENUES_FILE
from include.config.venues import load_venues
from include.domain.times import Timeframe, to_ms
from include.market_data.lake import ParquetLake
from include.market_data.partitions import to_table
from include.qualification.profile import DataRules

START = datetime(2024, 1, 30, 22, 0, tzinfo=UTC)
"""Two hours before the last day of a month, so that a few hours of minutes cross a day and a day crosses a month."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = Timeframe(60)
RULES = DataRules(
    min_history_days=0, max_gap_minutes=5.0, max_jump_fraction=0.10, max_stale_bars=30, max_zero_volume_bars=2
)

Columns = dict[str, NDArray[Any]]


def bars(count: int, start: datetime = START, timeframe: Timeframe = MINUTE, seed: int = 0) -> Columns:
    """Clean bars without a defect: a gentle walk of prices in ticks of 0.01, volumes of at least 1."""
    random = np.random.default_rng(seed)
    close = 10_000 + np.cumsum(random.integers(-5, 6, count))
    opened = np.concatenate([[10_000], close[:-1]])
    high = np.maximum(opened, close) + random.integers(1, 4, count)
    low = np.minimum(opened, close) - random.integers(1, 4, count)
    columns: Columns = {"open_time": to_ms(start) + timeframe.ms * np.arange(count, dtype=np.int64)}
    columns |= {n: v / 100.0 for n, v in (("open", opened), ("high", high), ("low", low), ("close", close))}
    columns["volume"] = 1.0 + random.integers(0, 100, count) / 10.0
    return columns


def table(columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    return to_table(columns)


def take(columns: Columns, rows: Any) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def lake_at(root: Path) -> ParquetLake:
    """A lake with the venues the project declares."""
    return ParquetLake(root / "lake", load_venues(VENUES_FILE))


@dataclass(frozen=True, slots=True)
class Filled:
    """A lake that holds one clean series."""

    lake: ParquetLake
    columns: Columns
    end: datetime


def filled_lake(root: Path, count: int = 4_000, symbol: str = "BTC/USDT") -> Filled:
    """Minutes across two calendar months, so at least two partitions."""
    lake, columns = lake_at(root), bars(count)
    lake.ingest("synthetic", symbol, MINUTE, table(columns), source="test", now=NOW)
    return Filled(lake, columns, START + minutes(count))
