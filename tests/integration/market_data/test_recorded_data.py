"""The gate on recorded markets with known faults: complete futures with halts, a thin spot market, shared outages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from include.config.files import CONFIG, find_profile
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, iso
from include.market_data.importing import FileSource, ImportRequest, import_files
from include.market_data.lake import ParquetLake
from include.market_data.mappings import load_mapping
from include.qualification.verdict import Verdict
from include.stages.data_gate import DataGateResult, gate_data
from include.validators.data_quality import Scope
from tests.market import MINUTE, NOW, lake_at

pytestmark = pytest.mark.shared_data


def fill(lake: ParquetLake, path: Path, venue: str, symbols: tuple[str, ...], timeframe: Timeframe = MINUTE,
         source: FileSource = FileSource.PARQUET, mapping: str = "default") -> int:  # fmt: skip
    used = load_mapping(CONFIG / "mappings" / f"{mapping}.yaml")
    request = ImportRequest(source, path, venue, symbols, timeframe, used)
    return sum(report.rows_added for report in import_files(lake, request, now=NOW))


def judged(lake: ParquetLake, venue: str, symbols: tuple[str, ...], start: str, end: str, profile: str,
           timeframe: Timeframe = MINUTE) -> DataGateResult:  # fmt: skip
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return gate_data(venue, symbols, timeframe, first, last, find_profile(profile), lake, now=NOW)


def test_two_years_of_futures_are_complete_and_their_four_halts_are_named(shared_data: Path, tmp_path: Path) -> None:
    lake, symbols = lake_at(tmp_path), ("BTC/USDT", "ETH/USDT")
    assert fill(lake, shared_data / "usdm-1m", "binance-usdm", symbols) == 2 * 1_051_200
    result = judged(lake, "binance-usdm", symbols, "2022-01-01", "2024-01-01", "two-year")
    assert result.verdict is Verdict.PASS
    assert result.metrics["completeness"].value == 1.0
    for symbol in symbols:
        halts = [v for v in result.violations if v.rule is DataRule.ZERO_VOLUME_HALT and v.symbol == symbol]
        assert [(iso(v.first), v.count) for v in halts] == [
            ("2022-05-01T22:26:00Z", 29), ("2022-05-28T16:40:00Z", 35),
            ("2023-09-12T08:34:00Z", 19), ("2023-11-14T11:39:00Z", 3),
        ]  # fmt: skip
        assert {v.scope for v in halts} == {Scope.EXCHANGE}
    assert {v.rule for v in result.violations} <= {DataRule.ZERO_VOLUME_HALT, DataRule.STALE_PRICE}


def test_published_dumps_with_and_without_header_hold_the_same_bars(shared_data: Path, tmp_path: Path) -> None:
    lake, symbols = lake_at(tmp_path), ("BTC/USDT", "ETH/USDT")
    dumps = shared_data / "usdm-1m-dumps"
    added = fill(lake, dumps, "binance-usdm", symbols, source=FileSource.DUMP, mapping="binance-dump")
    assert added == 2 * 31 * 1_440
    # Every January bar is known already, or the import would be refused as a contradiction.
    assert fill(lake, shared_data / "usdm-1m", "binance-usdm", symbols) == 2 * (1_051_200 - 31 * 1_440)


def test_a_thin_market_is_refused_for_its_missing_minutes(shared_data: Path, tmp_path: Path) -> None:
    lake, symbols = lake_at(tmp_path), ("BTC/USD",)
    fill(lake, shared_data / "bitfinex-1m", "bitfinex", symbols)
    result = judged(lake, "bitfinex", symbols, "2015-01-01", "2020-01-01", "five-year")
    assert result.verdict is Verdict.FAIL
    assert result.metrics["completeness"].value == pytest.approx(2_198_375 / 2_629_440, abs=1e-12)
    april_and_may = max((v for v in result.violations if v.rule is DataRule.GAP), key=lambda v: v.count)
    assert april_and_may.first <= datetime(2016, 4, 1, tzinfo=UTC)
    assert april_and_may.last >= datetime(2016, 6, 1, tzinfo=UTC)
    later = judged(lake, "bitfinex", symbols, "2017-01-01", "2020-01-01", "two-year")
    assert round(later.metrics["completeness"].value or 0, 3) == 0.976
    assert later.verdict is Verdict.FAIL
    early = judged(lake, "bitfinex", symbols, "2013-04-01", "2014-03-01", "two-year")
    jumps = {iso(v.first)[:10] for v in early.violations if v.rule is DataRule.JUMP}
    assert {"2013-04-10", "2014-02-10"} <= jumps


def test_outages_of_the_exchange_are_told_from_holes_of_one_symbol(shared_data: Path, tmp_path: Path) -> None:
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT", "MATIC/USDT")
    lake, five = lake_at(tmp_path), Timeframe(300)
    fill(lake, shared_data / "spot-5m", "binance-spot", symbols, five)
    result = judged(lake, "binance-spot", symbols, "2020-12-01", "2021-07-17", "two-year", five)
    gaps = [v for v in result.violations if v.rule is DataRule.GAP]
    assert {v.scope for v in gaps} == {Scope.EXCHANGE}
    for symbol in symbols:
        own = [v for v in gaps if v.symbol == symbol]
        assert len(own) == 6
        assert sum(v.count for v in own) == 177
        longest = max(own, key=lambda v: v.count)
        assert (iso(longest.first), longest.count) == ("2021-04-25T04:00:00Z", 56)


def test_minutes_in_the_lake_add_up_to_the_recorded_hours(shared_data: Path, tmp_path: Path) -> None:
    lake, symbols, hour = lake_at(tmp_path), ("BTC/USDT",), Timeframe(3_600)
    fill(lake, shared_data / "usdm-1m", "binance-usdm", symbols)
    fill(lake, shared_data / "usdm-1h", "binance-usdm", symbols, hour)
    window = (datetime(2022, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
    minute_bars = lake.bars("binance-usdm", "BTC/USDT", MINUTE, *window)
    hour_bars = lake.bars("binance-usdm", "BTC/USDT", hour, *window)
    assert len(hour_bars) == 17_520
    assert np.array_equal(minute_bars.open[::60], hour_bars.open)
    assert np.array_equal(minute_bars.high.reshape(-1, 60).max(axis=1), hour_bars.high)
    assert np.array_equal(minute_bars.low.reshape(-1, 60).min(axis=1), hour_bars.low)
    assert np.array_equal(minute_bars.close[59::60], hour_bars.close)
