"""The tasks of scheduled ingestion on a real lake: what is refused, repeated, late, and what does not pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include import bootstrap
from include.config.files import find_profile
from include.config.settings import Settings, load_settings
from include.domain.enums import Stage
from include.domain.errors import ConfigurationError, DataError, RejectedError, RetryableError
from include.domain.times import from_ms, to_ms
from include.market_data.sources.protocol import Chunk, Request
from include.operations.feeds import Feed, choose_feed
from include.operations.tasks import check_partition, ingest_partition, plan_ingestion
from include.operations.tasks.ingesting import partition_profile
from include.qualification.verdict import Verdict
from tests import market

DAY = datetime(2024, 1, 31, tzinfo=UTC)
LATER = DAY + timedelta(days=30)
SERIES = "binance-usdm/BTCUSDT/1m"


@dataclass
class MemorySource:
    """A source that hands out the rows it was given, cut to the request."""

    columns: market.Columns
    name: str = "memory"

    def chunks(self, request: Request) -> Iterator[Chunk]:
        assert request.start is not None
        assert request.end is not None
        times = self.columns["open_time"]
        inside = (times >= to_ms(request.start)) & (times < to_ms(request.end))
        if inside.any():
            yield Chunk(market.take(self.columns, inside), 1.0, "all of it")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemorySource:
    """What a data node would give, for a lake of its own."""
    made = MemorySource(market.bars(1440, DAY))
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("HISTORICAL_NODE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(bootstrap, "node_source", lambda *_: made)
    return made


def plan(now: datetime = LATER, start: datetime = DAY, **changes: Any) -> list[str]:
    asked: dict[str, Any] = {
        "venue": "binance-usdm", "timeframe": "1m", "symbols": [], "feed": "auto", "profile_name": "five-year",
        "start": start, **changes,
    }  # fmt: skip
    return plan_ingestion(**asked, now=now)


def stored_files(settings: Settings) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(settings.lake_root.rglob("*.parquet"))
    }


# --- plan ---------------------------------------------------------------------------------------------------


def test_all_declared_symbols_are_planned_unless_some_are_named(source: MemorySource) -> None:
    assert plan() == [f"binance-usdm/{s}USDT/1m" for s in ("BTC", "ETH", "SOL", "AVAX", "MATIC")]
    assert plan(symbols=["ETHUSDT", "BTC/USDT"]) == ["binance-usdm/ETHUSDT/1m", SERIES]


def test_the_venue_is_the_settings_unless_one_is_named(source: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(venue=None, start=datetime(2021, 1, 1, tzinfo=UTC))[0] == "synthetic/BTCUSDT/1m"
    monkeypatch.setenv("AIRLOCK_INGEST_VENUE", "binance-usdm")
    assert plan(venue=None)[0] == SERIES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"venue": "nyse"}, "venue 'nyse' is not declared"),
        ({"symbols": ["DOGE/USDT"]}, "symbol 'DOGE/USDT' is not declared"),
        ({"symbols": ["BTC/USDT", "BTCUSDT"]}, "BTC/USDT is named twice"),
        ({"timeframe": "7m"}, "timeframe 7m: a partition is a day of whole bars"),
        ({"timeframe": "1d"}, "timeframe 1d: a partition is a day of whole bars"),
        ({"profile_name": "ten-year"}, "profile 'ten-year'"),
        ({"feed": "floppy"}, "source 'floppy' is none of: auto, ccxt, node, synthetic"),
        ({"feed": "synthetic"}, "not declared synthetic"),
    ],
)
def test_what_is_not_declared_is_refused_in_one_line(
    source: MemorySource, changes: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        plan(**changes)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_day_that_is_not_over_has_nothing_to_ingest(source: MemorySource) -> None:
    end = DAY + timedelta(days=1)
    assert plan(now=end - timedelta(seconds=1)) == []
    assert plan(now=end) != []


@pytest.mark.parametrize(
    ("day", "there"), [("2020-09-30", False), ("2020-10-01", True), ("2025-10-31", True), ("2025-11-01", False)]
)
def test_the_synthetic_market_has_days_of_its_own_span_only(source: MemorySource, day: str, there: bool) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert bool(plan(venue="synthetic", start=start, now=datetime(2026, 1, 1, tzinfo=UTC))) is there


@pytest.mark.parametrize(
    ("venue", "node", "wanted", "feed"),
    [
        ("synthetic", "", "auto", Feed.SYNTHETIC),
        ("synthetic", "http://n", "auto", Feed.SYNTHETIC),
        ("synthetic", "http://n", "node", Feed.NODE),
        ("binance-usdm", "http://n", "auto", Feed.NODE),
        ("binance-usdm", "", "auto", Feed.CCXT),
        ("binance-usdm", "http://n", "ccxt", Feed.CCXT),
        ("binance-usdm", "", "node", None),
        ("binance-usdm", "http://n", "synthetic", None),
        ("synthetic", "http://n", "ccxt", None),
    ],
)
def test_a_venue_is_fed_by_its_generator_then_the_node_then_its_exchange(
    venue: str, node: str, wanted: str, feed: Feed | None
) -> None:
    settings, facts = Settings(historical_node_url=node), bootstrap.venue_facts()[venue]
    if feed is not None:
        assert choose_feed(settings, facts, wanted) is feed
        return
    with pytest.raises(ConfigurationError, match=f"venue '{venue}' cannot be ingested from {wanted}"):
        choose_feed(settings, facts, wanted)


# --- ingest -------------------------------------------------------------------------------------------------


def test_ingesting_a_day_again_changes_no_byte(source: MemorySource) -> None:
    first = ingest_partition(SERIES, "auto", DAY, now=LATER)
    files = stored_files(load_settings())
    assert ingest_partition(SERIES, "auto", DAY, now=LATER + timedelta(days=1)) == first
    assert stored_files(load_settings()) == files


def test_a_bar_that_differs_is_named_and_nothing_is_overwritten(source: MemorySource) -> None:
    ingest_partition(SERIES, "auto", DAY, now=LATER)
    files = stored_files(load_settings())
    source.columns["close"][754] = source.columns["high"][754] = source.columns["high"][754] + 1
    with pytest.raises(DataError, match="bar 2024-01-31T12:34:00Z is stored with"):
        ingest_partition(SERIES, "auto", DAY, now=LATER)
    assert stored_files(load_settings()) == files


def test_bars_that_come_late_are_added_by_a_repeat(source: MemorySource) -> None:
    whole = source.columns
    source.columns = market.take(whole, np.arange(1440) != 100)
    partial = ingest_partition(SERIES, "auto", DAY, now=LATER)
    source.columns = whole
    assert ingest_partition(SERIES, "auto", DAY, now=LATER) != partial
    assert check_partition(SERIES, "five-year", DAY, now=LATER).rows == 1440


@pytest.mark.parametrize("rows", [0, 1439])
def test_the_end_of_a_day_that_has_just_ended_is_waited_for(source: MemorySource, rows: int) -> None:
    whole = source.columns
    source.columns = market.take(whole, np.arange(rows))
    with pytest.raises(RetryableError):
        ingest_partition(SERIES, "auto", DAY, now=DAY + timedelta(days=1, minutes=1))
    source.columns = whole
    ingest_partition(SERIES, "auto", DAY, now=DAY + timedelta(days=1, minutes=2))


def test_a_day_without_any_bar_is_an_error_once_it_is_old(source: MemorySource) -> None:
    source.columns = market.take(source.columns, np.arange(0))
    with pytest.raises(DataError):
        ingest_partition(SERIES, "auto", DAY, now=LATER)


# --- check --------------------------------------------------------------------------------------------------


def test_a_day_is_judged_by_the_profile_without_its_length_and_with_every_bar() -> None:
    profile = find_profile("five-year")
    daily = partition_profile(profile)
    wanted = {c.metric: c.threshold for c in profile.criteria[Stage.DATA_GATE]}
    del wanted["history_days"]
    assert {c.metric: c.threshold for c in daily.criteria[Stage.DATA_GATE]} == {**wanted, "completeness": 1.0}
    assert daily.data.min_history_days == 0
    assert daily.data.max_jump_fraction == profile.data.max_jump_fraction


def test_a_whole_day_passes_whatever_lies_beside_it(source: MemorySource) -> None:
    source.columns = market.bars(2 * 1440 - 700, DAY)
    fingerprint = ingest_partition(SERIES, "auto", DAY, now=LATER)
    ingest_partition(SERIES, "auto", DAY + timedelta(days=1), now=LATER)
    checked = check_partition(SERIES, "five-year", DAY, now=LATER)
    assert (checked.verdict, checked.rows, checked.fingerprint) == (Verdict.PASS, 1440, fingerprint)
    report = load_settings().reports / "market-data" / SERIES / "2024-01-31.json"
    assert json.loads(report.read_text())["fingerprint"] == fingerprint
    with pytest.raises(RejectedError, match="completeness"):
        check_partition(SERIES, "five-year", DAY + timedelta(days=1), now=LATER)


@pytest.mark.parametrize("damage", ["hole", "jump", "empty"])
def test_a_day_that_is_not_good_is_refused_with_rule_and_time(source: MemorySource, damage: str) -> None:
    columns = source.columns
    if damage == "hole":
        columns = market.take(columns, np.arange(1440) != 187)
    elif damage == "jump":
        for name in ("open", "high", "low", "close"):
            columns[name][187:] *= 1.3
    source.columns = columns
    ingest_partition(SERIES, "auto", DAY, now=LATER)
    start = DAY + timedelta(days=1) if damage == "empty" else DAY
    rule = {"hole": "COMPLETENESS", "jump": "JUMP", "empty": "EMPTY"}[damage]
    at = "2024-02-01T00:00:00Z" if damage == "empty" else f"{from_ms(to_ms(DAY) + 187 * 60_000):%Y-%m-%dT%H:%M:%SZ}"
    announced: dict[str, str] = {}
    with pytest.raises(RejectedError) as refused:
        check_partition(SERIES, "five-year", start, now=LATER, announce=announced.update)
    assert refused.value.code == "FAIL"
    assert f"{rule} BTC/USDT {at}" in str(refused.value)
    assert announced == {"report": f"market-data/{SERIES}/{start:%Y-%m-%d}.json"}
    assert (load_settings().reports / announced["report"]).is_file()


def test_a_series_that_is_not_in_the_lake_cannot_be_judged(source: MemorySource) -> None:
    with pytest.raises(DataError, match="not in the lake"):
        check_partition(SERIES, "five-year", DAY, now=LATER)
