"""The gate on recorded markets with known faults: complete futures with halts, a thin spot market, shared outages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.config.files import find_profile
from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, iso
from include.market_data.lake import ParquetLake
from include.market_data.sources.files import FileKind
from include.qualification.verdict import Verdict
from include.stages.data_gate import DataGateResult, bounded, gate_data
from include.validators.violations import EVERY_SYMBOL, Scope, Violation
from tests.market import MINUTE, NOW, lake_at
from tests.market_files import import_file, mapping, source_of

pytestmark = pytest.mark.shared_data

FUTURES = ("BTC/USDT", "ETH/USDT")
FIVE = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT", "MATIC/USDT")
HOUR = Timeframe.parse("1h")
RECORDED = (
    ("usdm-1m", "binance-usdm", FUTURES, MINUTE),
    ("usdm-1h", "binance-usdm", FUTURES, HOUR),
    ("spot-5m", "binance-spot", FIVE, Timeframe.parse("5m")),
    ("spot-2h", "binance-spot", FUTURES, Timeframe.parse("2h")),
    ("bitfinex-1m", "bitfinex", ("BTC/USD",), MINUTE),
)


@pytest.fixture(scope="module")
def lake(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ParquetLake:
    """Everything recorded, imported once."""
    found = lake_at(tmp_path_factory.mktemp("recorded"))
    for folder, venue, symbols, timeframe in RECORDED:
        source = source_of(shared_data / folder, FileKind.PARQUET, mapping(), symbols)
        import_file(found, source, venue=venue, timeframe=timeframe)
    return found


def judged(lake: ParquetLake, venue: str, symbols: tuple[str, ...], start: str, end: str, profile: str = "five-year",
           timeframe: Timeframe = MINUTE) -> DataGateResult:  # fmt: skip
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return gate_data(venue, symbols, timeframe, first, last, find_profile(profile), lake, now=NOW)


def of(result: DataGateResult, rule: DataRule) -> list[Violation]:
    return [v for v in result.violations if v.rule is rule]


def test_two_years_of_futures_fail_five_years_for_the_length_of_history_alone(lake: ParquetLake) -> None:
    result = judged(lake, "binance-usdm", FUTURES, "2022-01-01", "2024-01-01")
    assert [r.criterion.metric for r in result.results if r.verdict is not Verdict.PASS] == ["history_days"]
    assert result.metrics["completeness"].value == 1.0
    assert of(result, DataRule.GAP) == []
    halts = sorted(of(result, DataRule.ZERO_VOLUME_HALT), key=lambda v: v.first)
    assert [(iso(v.first), v.count, v.symbol, v.scope) for v in halts] == [
        ("2022-05-01T22:26:00Z", 29, EVERY_SYMBOL, Scope.EXCHANGE),
        ("2022-05-28T16:40:00Z", 35, EVERY_SYMBOL, Scope.EXCHANGE),
        ("2023-09-12T08:34:00Z", 19, EVERY_SYMBOL, Scope.EXCHANGE),
        ("2023-11-14T11:39:00Z", 3, EVERY_SYMBOL, Scope.EXCHANGE),
    ]
    rules = {v.rule for v in result.violations}
    assert rules == {DataRule.HISTORY_LENGTH, DataRule.ZERO_VOLUME_HALT, DataRule.TIMEFRAME_MISMATCH}
    # Every hour adds up in its prices; in nine of them the hour's volume has trades that no minute has.
    assert result.comparisons()["cross_checks"] == [
        {"symbol": s, "timeframe": "1h", "bars": 17_520, "incomplete": 0, "differing": 0, "volume_differing": 9}
        for s in FUTURES
    ]
    assert {v.sample[0] for v in of(result, DataRule.TIMEFRAME_MISMATCH)} == {"1h volume"}


def test_a_thin_market_is_refused_and_its_two_missing_months_are_named_first(lake: ParquetLake) -> None:
    result = judged(lake, "bitfinex", ("BTC/USD",), "2015-01-01", "2020-01-01")
    assert result.verdict is Verdict.FAIL
    assert result.metrics["completeness"].value == pytest.approx(2_198_375 / 2_629_440, abs=1e-12)
    gaps = of(result, DataRule.GAP)
    assert (iso(gaps[0].first), iso(gaps[0].last)) == ("2016-04-01T00:00:00Z", "2016-06-01T00:00:00Z")
    assert result.violations[0].rule is DataRule.COMPLETENESS
    assert result.violations[1] is gaps[0]
    assert [v.count for v in gaps] == sorted((v.count for v in gaps), reverse=True)
    assert len([v for v in bounded(result.violations) if v.rule is DataRule.GAP]) == 50
    (completeness,) = (r for r in result.results if r.criterion.metric == "completeness")
    assert "worst: GAP BTC/USD 2016-04-01T00:00:00Z to 2016-06-01T00:00:00Z (87,839 bars" in completeness.reason
    assert of(result, DataRule.WRONG_ZONE) == []


def test_misprints_are_told_from_a_crash(lake: ParquetLake) -> None:
    result = judged(lake, "bitfinex", ("BTC/USD",), "2013-04-01", "2014-03-01")
    ticks = {(iso(v.first)[:16], v.sample[1]) for v in of(result, DataRule.BAD_TICK)}
    assert {
        ("2013-04-10T17:36", 19.9), ("2013-04-11T12:34", 15.0), ("2013-04-11T18:12", 1.06), ("2013-04-14T02:44", 20.0),
    } <= ticks  # fmt: skip
    crash = "2014-02-10"
    assert not any(first.startswith(crash) for first, _ in ticks)
    assert {iso(v.first) for v in of(result, DataRule.JUMP) if iso(v.first).startswith(crash)} == {
        "2014-02-10T10:59:00Z", "2014-02-10T11:00:00Z", "2014-02-10T11:01:00Z", "2014-02-10T12:06:00Z",
    }  # fmt: skip
    assert result.metrics["max_jump"].value == pytest.approx(93.34, abs=0.01)
    (jump,) = (r for r in result.results if r.criterion.metric == "max_jump")
    assert "BAD_TICK" in jump.reason


def test_outages_of_the_exchange_are_named_once_and_last_bars_for_each_symbol(lake: ParquetLake) -> None:
    result = judged(lake, "binance-spot", FIVE, "2020-12-01", "2021-07-17T21:25", timeframe=Timeframe.parse("5m"))
    gaps = of(result, DataRule.GAP)
    assert {(v.symbol, v.scope) for v in gaps} == {(EVERY_SYMBOL, Scope.EXCHANGE)}
    assert (len(gaps), sum(v.count for v in gaps)) == (6, 177)
    assert (iso(gaps[0].first), gaps[0].count) == ("2021-04-25T04:00:00Z", 56)
    assert result.document()["exchange"]["violation_counts"]["GAP"] == {"events": 6, "bars": 177}
    assert {(v.symbol, v.sample[0]) for v in of(result, DataRule.UNEVEN_END)} == {
        (f"{base}/USDT", f"ends 2021-07-17T21:{minute}:00Z, SOL/USDT ends 2021-07-17T21:20:00Z")
        for base, minute in (("AVAX", "00"), ("BTC", "05"), ("ETH", "10"), ("MATIC", "15"))
    }
    assert of(result, DataRule.WRONG_ZONE) == []
    assert "binance-usdm BTC/USDT 1m" not in result.references  # it holds nothing of that time


@pytest.mark.parametrize(
    ("venue", "timeframe", "start", "end"),
    [("binance-usdm", "1h", "2020-10-23", "2024-06-17"), ("binance-spot", "2h", "2017-08-17", "2026-01-01")],
)
def test_recorded_series_are_in_one_zone(lake: ParquetLake, venue: str, timeframe: str, start: str, end: str) -> None:
    result = judged(lake, venue, FUTURES, start, end, timeframe=Timeframe.parse(timeframe))
    assert result.references
    assert of(result, DataRule.WRONG_ZONE) == []
    assert of(result, DataRule.UNIT_CHANGE) == []
    assert of(result, DataRule.COLUMNS_SWAPPED) == []
