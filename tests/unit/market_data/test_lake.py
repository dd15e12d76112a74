"""The lake's rules, wherever it lies: rows as they come, foreign and old files, memory; see also `lake_contract`."""

from __future__ import annotations

import gc
import json
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domain.errors import ConfigurationError, DataError, RetryableError
from include.market_data.lake import ParquetLake
from include.market_data.partitions import MANIFEST_KEY, read_partition
from include.market_data.series import Series
from include.market_data.storage import open_storage
from tests.market import MINUTE, NOW, START, bars, filled_lake, lake_at, minutes, table, take

BTC = Series.named("synthetic", "BTC/USDT", MINUTE)


def test_defects_are_stored_as_they_came_and_refused_only_by_bars(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), take(bars(5), [0, 2, 1, 1, 4])
    columns["close"][3] = np.nan
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="test", now=NOW)
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5))
    assert np.array_equal(rows.column("close").to_numpy(), columns["close"], equal_nan=True)
    with pytest.raises(DataError, match="repeat or go backwards at 2024-01-30T22:01:00Z"):
        lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5))


def test_a_hole_can_be_filled_later_and_rows_stay_in_order(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(30)
    hole = np.r_[0:10, 20:30]
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, hole)), source="a", now=NOW)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(10, 20))), source="b", now=NOW)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(30))
    assert np.array_equal(read.close, columns["close"])


def test_a_repeated_row_that_is_new_to_the_lake_is_a_contradiction_too(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    doubled = take(filled.columns, np.r_[0:10, 9])
    with pytest.raises(DataError, match=r"rows=1\.0, again has 2\.0"):
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(doubled), source="again", now=NOW)


def test_a_partition_whose_content_was_exchanged_does_not_get_a_fingerprint(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    path = min(filled.lake.root.rglob("*.parquet"))
    forged = pq.read_table(path)
    closes = forged.column("close").to_numpy().copy()
    closes[3] += 0.01
    position = forged.column_names.index("close")
    pq.write_table(forged.set_column(position, "close", [closes]), path)
    with pytest.raises(DataError, match="content differs from its manifest"):
        filled.lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, filled.end)


def test_a_parquet_file_that_is_not_the_lakes_own_is_named_and_never_read(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    pq.write_table(table(bars(10)), min(filled.lake.root.rglob("*.parquet")))
    with pytest.raises(DataError, match=r"2024-01\.parquet: has no Airlock manifest"):
        filled.lake.bars("synthetic", "BTC/USDT", MINUTE, START, filled.end)


@pytest.mark.parametrize(
    ("taken", "put", "says"),
    [
        ("venue=synthetic/symbol=BTCUSDT/timeframe=1m/2024-01.parquet", "2024-02.parquet", "synthetic BTCUSDT 1m from"),
        ("venue=synthetic/symbol=ETHUSDT/timeframe=1m/2024-01.parquet", "2024-01.parquet", "synthetic ETHUSDT 1m from"),
    ],
    ids=["another month", "another symbol"],
)
def test_a_partition_in_the_place_of_another_is_named_and_never_read_or_added_to(
    tmp_path: Path, taken: str, put: str, says: str
) -> None:
    filled = filled_lake(tmp_path)
    filled.lake.ingest("synthetic", "ETH/USDT", MINUTE, table(bars(4_000, seed=2)), source="test", now=NOW)
    root = tmp_path / "lake"
    shutil.copy(root / taken, root / BTC.folder / put)
    for use in (
        filled.lake.summaries,
        lambda: filled.lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, filled.end),
        lambda: filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(filled.columns), source="again", now=NOW),
    ):
        with pytest.raises(DataError, match=f"{put}: holds {says} .* does not belong there; delete it"):
            use()


def test_a_merge_does_not_vouch_for_content_that_was_exchanged(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path, count=60)
    (path,) = filled.lake.root.rglob("*.parquet")
    forged = pq.read_table(path)
    closes = forged.column("close").to_numpy() + 0.01
    pq.write_table(forged.set_column(forged.column_names.index("close"), "close", [closes]), path)
    later = table(take(bars(120), slice(60, 120)))
    with pytest.raises(DataError, match="content differs from its manifest"):
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, later, source="later", now=NOW)


@pytest.mark.parametrize("folder", ["timeframe=7q", "timeframe=60s", "timeframe="])
def test_a_file_under_a_name_that_no_series_has_is_named(tmp_path: Path, folder: str) -> None:
    filled = filled_lake(tmp_path, count=60)
    (path,) = filled.lake.root.rglob("*.parquet")
    stray = path.parent.with_name(folder)
    stray.mkdir()
    shutil.copy(path, stray)
    with pytest.raises(DataError, match=f"{folder}/2024-01.parquet: not a file of a lake .*; move it away"):
        filled.lake.summaries()


def test_files_written_before_a_manifest_knew_of_repairs_are_still_read(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, filled.end)
    before = filled.lake.fingerprint(*window)
    for path in filled.lake.root.rglob("*.parquet"):
        stored = pq.read_table(path)
        manifest = json.loads(stored.schema.metadata[MANIFEST_KEY])
        del manifest["repairs"], manifest["series"]
        nullable = pa.schema([field.with_nullable(True) for field in stored.schema])
        old = stored.cast(nullable).replace_schema_metadata({MANIFEST_KEY: json.dumps(manifest).encode()})
        pq.write_table(old, path, compression="zstd", write_page_checksum=True)
    reopened = lake_at(tmp_path)
    assert reopened.fingerprint(*window) == before
    assert reopened.partitions(BTC)[0].manifest.repairs == []
    again = reopened.ingest("synthetic", "BTC/USDT", MINUTE, table(filled.columns), source="again", now=NOW)
    assert again.rows_added == 0


def test_a_file_replaced_between_its_manifest_and_its_rows_is_not_read_as_if_it_were_the_same(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(20)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(0, 10))), source="a", now=NOW)
    (stale,) = lake.partitions(BTC)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="b", now=NOW)
    with pytest.raises(RetryableError, match="was replaced while it was read"):
        read_partition(open_storage(lake.root), stale)


def test_reading_goes_on_while_an_import_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = bars(20)
    lake, importer = lake_at(tmp_path), lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(0, 10))), source="a", now=NOW)
    opened = lake._storage.open

    def after_an_import(key: str) -> pa.NativeFile:
        importer.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="b", now=NOW)
        return opened(key)

    monkeypatch.setattr(lake._storage, "open", after_an_import)
    assert len(lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(20))) == 20


def test_months_with_and_without_an_extra_column_are_read_as_one_with_nan(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(4_000)
    second = columns["open_time"] >= 1_706_745_600_000
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, ~second)), source="a", now=NOW)
    with_count = {**take(columns, second), "count": np.ones(int(second.sum()))}
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(with_count), source="b", now=NOW)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(4_000))
    assert np.array_equal(read.extras["count"], np.where(second, 1.0, np.nan), equal_nan=True)


def test_a_symbol_that_gains_an_extra_column_says_so_and_an_empty_one_is_no_news(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(20)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="a", now=NOW)
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, START + minutes(20))
    before = lake.fingerprint(*window)
    empty = {**columns, "count": np.full(20, np.nan)}
    assert lake.ingest("synthetic", "BTC/USDT", MINUTE, table(empty), source="b", now=NOW).partitions == ()
    assert lake.fingerprint(*window) == before
    some = {**columns, "count": np.where(np.arange(20) < 5, 7.0, np.nan)}
    report = lake.ingest("synthetic", "BTC/USDT", MINUTE, table(some), source="c", now=NOW)
    assert (report.rows_added, report.rows_known, report.rows_enriched, report.partitions) == (0, 20, 5, ("2024-01",))
    assert lake.fingerprint(*window) != before
    assert lake.summary(BTC).sources == ("a", "c")


def _peak_of_reading(lake: ParquetLake, symbols: tuple[str, ...]) -> int:
    """Most bytes of arrays alive at once while symbols are read one after another."""
    gc.collect()
    tracemalloc.start()
    for symbol in symbols:
        assert len(lake.bars("synthetic", symbol, MINUTE, START, START + minutes(90_000))) == 90_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_symbols(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), table(bars(90_000))
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT", "MATIC/USDT")
    for symbol in symbols:
        lake.ingest("synthetic", symbol, MINUTE, columns, source="x", now=NOW)
    decoded = pa.total_allocated_bytes()
    one = _peak_of_reading(lake, symbols[:1])
    assert one < 1.5 * columns.nbytes, "a window is decoded into place, not collected and joined"
    assert _peak_of_reading(lake, symbols) < 1.2 * one
    assert pa.total_allocated_bytes() - decoded < 0.2 * columns.nbytes, "decoded months are let go"


@pytest.mark.parametrize(("venue", "symbol"), [("../up", "BTC/USDT"), ("Upper", "BTC/USDT"), ("ok", "..")])
def test_names_that_could_leave_the_lake_are_refused(tmp_path: Path, venue: str, symbol: str) -> None:
    with pytest.raises(DataError):
        lake_at(tmp_path).ingest(venue, symbol, MINUTE, table(bars(3)), source="x", now=NOW)


def test_an_undeclared_venue_has_no_instruments_and_is_not_guessed_to_be_real(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    assert lake.is_synthetic("synthetic")
    assert not lake.is_synthetic("binance-usdm")
    with pytest.raises(ConfigurationError, match="not declared"):
        lake.is_synthetic("nowhere")
    with pytest.raises(ConfigurationError, match="not declared"):
        lake.instrument("nowhere", "BTC/USDT")
