"""The importer: checkpoints and resumption for sources that can be cut, all or nothing for those that cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from include.domain.errors import AirlockError, ConfigurationError, DataError, RetryableError
from include.domain.times import to_ms
from include.market_data.importing import import_bars, import_synthetic
from include.market_data.journal import JOURNAL
from include.market_data.lake import ParquetLake
from include.market_data.publishing import IngestReport
from include.market_data.sources.protocol import Chunk, Request
from include.market_data.synthetic import DEFAULT_START
from tests.adapters.remote_source import RemoteSource
from tests.market import MINUTE, NOW, START, Columns, bars, filled_lake, lake_at, minutes, table

COUNT = 3 * 31 * 1_440
"""Three changes of month, so three checkpoints before the end."""
WINDOW = (START, START + minutes(COUNT))


def fill(lake: ParquetLake, source: RemoteSource, window: Sequence[datetime | None] = WINDOW) -> IngestReport:
    (report,) = import_bars(lake, source, "synthetic", [Request("BTC/USDT", MINUTE, *window)], now=NOW)
    return report


def print_of(lake: ParquetLake) -> str:
    return lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, *WINDOW)


def journal_of(lake: ParquetLake) -> list[Path]:
    return sorted((lake.state / JOURNAL).glob("*"))


@pytest.fixture(scope="module")
def columns() -> Columns:
    return bars(COUNT)


@pytest.fixture(scope="module")
def whole(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fingerprint of the same bars brought in at once."""
    lake = lake_at(tmp_path_factory.mktemp("whole"))
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="x", now=NOW)
    return print_of(lake)


def test_an_interrupted_import_goes_on_where_it_was_and_ends_in_the_same_bars(
    tmp_path: Path, columns: Columns, whole: str
) -> None:
    lake, source = lake_at(tmp_path), RemoteSource(columns, answers=30)
    added = 0
    for _ in range(2):
        with pytest.raises(RetryableError, match="no answer"):
            fill(lake, source)
        known = lake.summary(lake.summaries()[0].series).rows
        assert known == added + 30 * 1_500, "what was handed out stands"
        added = known
    source.answers = 10**9
    rest = fill(lake, source)
    assert source.asked == [START, START + minutes(45_000), START + minutes(90_000)]
    assert (rest.rows_added, rest.rows_known) == (COUNT - 90_000, 0)
    assert print_of(lake) == whole
    assert journal_of(lake) == [], "a finished import leaves nothing behind"


def test_memory_holds_no_more_than_a_month_or_a_checkpoint(tmp_path: Path, columns: Columns) -> None:
    lake, seen = lake_at(tmp_path), []
    source = RemoteSource(columns)

    def look(done: float, what: str) -> None:
        seen.append(lake.summaries()[0].rows if lake.summaries() else 0)

    import_bars(lake, source, "synthetic", [Request("BTC/USDT", MINUTE, *WINDOW)], now=NOW, progress=look)
    handed_out = np.minimum(1_500 * (1 + np.arange(len(seen))), COUNT)
    assert (handed_out - np.array(seen) <= 31 * 1_440 + 1_500).all()


def test_a_finished_import_run_again_reads_everything_and_changes_nothing(tmp_path: Path, columns: Columns) -> None:
    lake, source = lake_at(tmp_path), RemoteSource(columns)
    first = fill(lake, source)
    again = fill(lake, source)
    assert (first.rows_added, again.rows_added, again.rows_known) == (COUNT, 0, COUNT)
    assert again.partitions == ()
    assert source.asked == [START, START]


def test_a_finished_import_run_again_over_other_bars_names_the_first_that_differs(
    tmp_path: Path, columns: Columns
) -> None:
    lake = lake_at(tmp_path)
    fill(lake, RemoteSource(columns))
    changed = {**columns, "close": columns["close"].copy()}
    changed["close"][70_000] += 0.01
    before = print_of(lake)
    with pytest.raises(DataError, match=f"bar {(START + minutes(70_000)).isoformat()[:16]}.* is stored with close="):
        fill(lake, RemoteSource(changed))
    assert print_of(lake) == before


@pytest.mark.parametrize("damage", ["cut", "garbage", "foreign"])
def test_a_damaged_journal_costs_time_and_no_row(tmp_path: Path, columns: Columns, whole: str, damage: str) -> None:
    lake, source = lake_at(tmp_path), RemoteSource(columns, answers=60)
    with pytest.raises(RetryableError):
        fill(lake, source)
    (entry,) = journal_of(lake)
    text = entry.read_text()
    damaged = {"cut": text[:-9], "garbage": "{}", "foreign": text.replace("2024-", "2025-")}[damage]
    assert damaged != text
    entry.write_text(damaged)
    source.answers = 10**9
    report = fill(lake, source)
    assert source.asked == [START, START], "it starts over"
    assert (report.rows_added, report.rows_known) == (COUNT - 90_000, 90_000)
    assert print_of(lake) == whole


def test_a_month_that_was_deleted_meanwhile_is_brought_in_again(tmp_path: Path, columns: Columns, whole: str) -> None:
    lake, source = lake_at(tmp_path), RemoteSource(columns, answers=60)
    with pytest.raises(RetryableError):
        fill(lake, source)
    next(lake.state.rglob("2024-02.parquet")).unlink()
    source.answers = 10**9
    fill(lake, source)
    assert print_of(lake) == whole


def test_an_import_killed_after_its_last_checkpoint_finishes_without_a_row(
    tmp_path: Path, columns: Columns, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_at(tmp_path)
    source = RemoteSource(columns, page=COUNT)
    with monkeypatch.context() as patch:
        patch.setattr("include.market_data.importing.ImportJournal.forget", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fill(lake, source)
    assert len(journal_of(lake)) == 1
    rest = fill(lake, source)
    assert (rest.rows_added, rest.rows_known) == (0, 0)
    assert journal_of(lake) == []
    assert print_of(lake) == whole


def test_an_import_killed_at_its_last_symbol_does_not_begin_with_its_first_again(
    tmp_path: Path, columns: Columns
) -> None:
    class Flaky(RemoteSource):
        def chunks(self, request: Request) -> Iterator[Chunk]:
            self.answers = 40 if request.symbol == "ETH/USDT" and len(self.asked) < 3 else 10**9
            return super().chunks(request)

    lake, source = lake_at(tmp_path), Flaky(columns)
    requests = [Request(symbol, MINUTE, START, None) for symbol in ("BTC/USDT", "ETH/USDT")]
    with pytest.raises(RetryableError):
        import_bars(lake, source, "synthetic", requests, now=NOW)
    first, second = import_bars(lake, source, "synthetic", requests, now=NOW)
    assert source.asked == [START, START, WINDOW[1], START + minutes(60_000)]
    assert (first.rows_added, first.rows_known, second.rows_added) == (0, 0, COUNT - 60_000)
    assert journal_of(lake) == []


def test_another_window_is_another_import(tmp_path: Path, columns: Columns) -> None:
    lake, source = lake_at(tmp_path), RemoteSource(columns, answers=60)
    with pytest.raises(RetryableError):
        fill(lake, source)
    source.answers = 10**9
    shorter = fill(lake, source, (START, START + minutes(50_000)))
    assert source.asked[-1] == START
    assert (shorter.rows_added, shorter.rows_known) == (0, 50_000)


def test_a_source_without_bounds_is_taken_whole(tmp_path: Path, columns: Columns, whole: str) -> None:
    lake = lake_at(tmp_path)
    assert fill(lake, RemoteSource(columns), (None, None)).rows_added == COUNT
    assert print_of(lake) == whole


@pytest.mark.parametrize("cut", [True, False], ids=["can be cut", "cannot"])
def test_a_source_without_rows_or_with_rows_nobody_asked_for_is_refused(tmp_path: Path, cut: bool) -> None:
    class Stubborn(RemoteSource):
        def chunks(self, request: Request) -> Iterator[Chunk]:
            return super().chunks(Request(request.symbol, request.timeframe))

    lake, columns = lake_at(tmp_path), bars(60)
    with pytest.raises(DataError, match=r"BTCUSDT 1m: remote:test holds no rows from 2023-.* to 2023-"):
        fill(lake, RemoteSource(columns, cut=cut), (START - timedelta(days=300), START - timedelta(days=299)))
    for window in ((START + minutes(1), None), (START, START + minutes(59))):
        with pytest.raises(DataError, match=r"gave a bar at .* which was not asked for"):
            fill(lake, Stubborn(columns, cut=cut), window)
    assert lake.summaries() == ()


def test_a_source_that_cannot_be_cut_is_published_for_all_symbols_or_for_none(tmp_path: Path) -> None:
    class OneOnly(RemoteSource):
        def chunks(self, request: Request) -> Iterator[Chunk]:
            if request.symbol != "BTC/USDT":
                raise DataError(f"no {request.symbol}")
            return super().chunks(request)

    lake, source = lake_at(tmp_path), OneOnly(bars(5_000), cut=False)
    requests = [Request(symbol, MINUTE) for symbol in ("BTC/USDT", "ETH/USDT")]
    with pytest.raises(DataError, match="no ETH/USDT"):
        import_bars(lake, source, "synthetic", requests, now=NOW)
    assert lake.summaries() == ()
    assert journal_of(lake) == []


def test_a_checkpoint_waits_for_another_writer_to_finish(
    tmp_path: Path, columns: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_at(tmp_path)
    other = lake.batch()
    other.__enter__()
    waited: list[float] = []

    def wait(secs: float) -> None:
        waited.append(secs)
        if len(waited) == 3:
            other.__exit__(None, None, None)

    monkeypatch.setattr("tenacity.nap.time.sleep", wait)
    assert fill(lake, RemoteSource(columns)).rows_added == COUNT
    assert len(waited) == 3


def test_generated_bars_go_only_to_a_venue_declared_synthetic(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not declared synthetic"):
        import_synthetic(
            lake_at(tmp_path), ["BTC/USDT"], DEFAULT_START, DEFAULT_START + timedelta(hours=1), seed=1, now=NOW,
            venue="binance-usdm",
        )  # fmt: skip


def test_another_seed_over_stored_bars_is_a_contradiction_and_the_same_seed_extends_them(tmp_path: Path) -> None:
    lake, hour = lake_at(tmp_path), timedelta(hours=1)
    import_synthetic(lake, ["BTC/USDT"], DEFAULT_START, DEFAULT_START + hour, seed=1, now=NOW)
    (longer,) = import_synthetic(lake, ["BTC/USDT"], DEFAULT_START, DEFAULT_START + 2 * hour, seed=1, now=NOW)
    assert (longer.rows_added, longer.rows_known) == (60, 60)
    with pytest.raises(DataError, match="nothing was changed"):
        import_synthetic(lake, ["BTC/USDT"], DEFAULT_START, DEFAULT_START + hour, seed=2, now=NOW)


def test_a_disk_that_refuses_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = filled_lake(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("include.market_data.partitions.pq.write_table", full)
    before = sorted(filled.lake.state.rglob("*.parquet"))
    later = bars(10, start=filled.end)
    with pytest.raises(AirlockError, match="No space left on device") as refused:
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(later), source="x", now=NOW)
    assert "\n" not in str(refused.value)
    assert sorted(filled.lake.state.rglob("*.parquet")) == before
    assert to_ms(filled.lake.span("synthetic", "BTC/USDT", MINUTE)[1]) == to_ms(filled.end) - 60_000
