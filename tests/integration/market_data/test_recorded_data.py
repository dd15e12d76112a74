"""Recorded market data in the forms in which it is published."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.domain.times import Timeframe
from include.market_data.lake import ParquetLake
from include.market_data.sources.files import FileKind
from tests.market import MINUTE, lake_at
from tests.market_files import import_file, mapping, source_of

pytestmark = pytest.mark.shared_data


def fill(lake: ParquetLake, path: Path, venue: str, symbols: tuple[str, ...], timeframe: Timeframe = MINUTE,
         kind: FileKind = FileKind.PARQUET, used: str = "default") -> int:  # fmt: skip
    source = source_of(path, kind, mapping(used), symbols)
    return sum(report.rows_added for report in import_file(lake, source, venue=venue, timeframe=timeframe))


def test_published_dumps_with_and_without_header_hold_the_same_bars(shared_data: Path, tmp_path: Path) -> None:
    lake, symbols = lake_at(tmp_path), ("BTC/USDT", "ETH/USDT")
    dumps = shared_data / "usdm-1m-dumps"
    added = fill(lake, dumps, "binance-usdm", symbols, kind=FileKind.DUMP, used="binance-dump")
    assert added == 2 * 31 * 1_440
    # Every January bar is known already, or the import would be refused as a contradiction.
    assert fill(lake, shared_data / "usdm-1m", "binance-usdm", symbols) == 2 * (1_051_200 - 31 * 1_440)
