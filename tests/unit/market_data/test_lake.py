"""The lake: stores rows as they come, refuses contradictions, publishes all or nothing, notices corruption."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from include.domain.errors import ConfigurationError, DataError, RetryableError
from include.domain.times import from_ms, to_ms
from include.market_data.series import Series
from include.ports import UNFINISHED_BARS
from tests.market import MINUTE, NOW, START, bars, filled_lake, lake_at, minutes, table, take


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.parquet")}


def test_what_went_in_comes_out_bit_by_bit(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    read = filled.lake.bars("synthetic", "BTCUSDT", MINUTE, START, filled.end)
    for name in ("open_time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(read, name), filled.columns[name]), name
    assert filled.lake.span("synthetic", "BTC/USDT", MINUTE) == (START, filled.end - minutes(1))


def test_folders_are_named_by_venue_symbol_timeframe_and_month(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    assert sorted(_files(filled.lake.root)) == [
        f"venue=synthetic/symbol=BTCUSDT/timeframe=1m/2024-{month}.parquet" for month in ("01", "02")
    ]


def test_a_window_is_start_inclusive_and_end_exclusive(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    read = filled.lake.bars("synthetic", "BTC/USDT", MINUTE, START + minutes(10), START + minutes(13))
    assert read.open_time.tolist() == [to_ms(START + minutes(i)) for i in (10, 11, 12)]


def test_extra_columns_are_kept_and_handed_out(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(20)
    columns["count"] = np.arange(20, dtype=np.float64)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="test", now=NOW)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(20))
    assert read.extras["count"].tolist() == list(range(20))


def test_defects_are_stored_as_they_came_and_refused_only_by_bars(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), take(bars(5), [0, 2, 1, 1, 4])
    columns["close"][3] = np.nan
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="test", now=NOW)
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5))
    assert np.array_equal(rows.column("close").to_numpy(), columns["close"], equal_nan=True)
    with pytest.raises(DataError, match="repeat or go backwards at 2024-01-30T22:01:00Z"):
        lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(5))


def test_ingesting_the_same_rows_again_changes_nothing(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    before = _files(filled.lake.root)
    report = filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(filled.columns), source="again", now=NOW)
    assert (report.rows_added, report.rows_known, report.partitions) == (0, 4_000, ())
    assert _files(filled.lake.root) == before


def test_an_overlap_that_is_equal_adds_only_what_is_new(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(30)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(0, 20))), source="a", now=NOW)
    report = lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(15, 30))), source="b", now=NOW)
    assert (report.rows_added, report.rows_known) == (10, 5)
    assert np.array_equal(
        lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(30)).close, columns["close"]
    )
    assert lake.summary(Series.named("synthetic", "BTC/USDT", MINUTE)).sources == ("a", "b")


def test_a_hole_can_be_filled_later_and_rows_stay_in_order(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(30)
    hole = np.r_[0:10, 20:30]
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, hole)), source="a", now=NOW)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(10, 20))), source="b", now=NOW)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(30))
    assert np.array_equal(read.close, columns["close"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["close"].__setitem__(7, 99.5), "close="),
        (lambda c: c["volume"].__setitem__(7, np.nan), "volume="),
    ],
)
def test_a_contradiction_is_reported_and_changes_nothing(tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    filled = filled_lake(tmp_path)
    before = _files(filled.lake.root)
    other = {name: values.copy() for name, values in filled.columns.items()}
    change(other)
    with pytest.raises(DataError, match="2024-01-30T22:07:00Z is stored with " + says) as refused:
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(other), source="other", now=NOW)
    assert "\n" not in str(refused.value)
    assert _files(filled.lake.root) == before


def test_a_repeated_row_that_is_new_to_the_lake_is_a_contradiction_too(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    doubled = take(filled.columns, np.r_[0:10, 9])
    with pytest.raises(DataError, match=r"rows=1\.0, again has 2\.0"):
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(doubled), source="again", now=NOW)


def test_a_failing_symbol_keeps_the_whole_batch_out(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    before = _files(filled.lake.root)
    broken = {**filled.columns, "close": filled.columns["close"] + 1.0}
    with pytest.raises(DataError), filled.lake.batch() as batch:
        batch.add(Series.named("synthetic", "ETH/USDT", MINUTE), bars(100), source="x", now=NOW)
        batch.add(Series.named("synthetic", "BTC/USDT", MINUTE), broken, source="x", now=NOW)
        batch.publish()
    assert _files(filled.lake.root) == before


def test_leaving_a_batch_without_publishing_leaves_no_trace(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    with lake.batch() as batch:
        batch.add(Series.named("synthetic", "ETH/USDT", MINUTE), bars(100), source="x", now=NOW)
    assert _files(lake.root) == {}


def test_what_a_killed_import_left_behind_is_removed_by_the_next(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    remains = lake.root / ".staging" / "old" / "000000.parquet"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"half a file")
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(10)), source="x", now=NOW)
    assert not remains.exists()
    assert len(lake.summaries()) == 1


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    with lake.batch(), pytest.raises(RetryableError, match="another import is writing"), lake.batch():
        pass


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "foreign", "flip"])
def test_a_damaged_partition_is_named_and_never_read(tmp_path: Path, damage: str) -> None:
    filled = filled_lake(tmp_path)
    path = next(p for p in sorted(filled.lake.root.rglob("*.parquet")))
    content = path.read_bytes()
    if damage == "foreign":
        pq.write_table(table(bars(10)), path)
    else:
        flipped = bytearray(content)
        flipped[len(content) // 3] ^= 0xFF
        path.write_bytes(
            {"truncate": content[: len(content) // 2], "garbage": b"PAR1 no", "empty": b"", "flip": bytes(flipped)}[
                damage
            ]
        )
    with pytest.raises(DataError, match=r"2024-01\.parquet") as refused:
        filled.lake.bars("synthetic", "BTC/USDT", MINUTE, START, filled.end)
    assert "\n" not in str(refused.value)


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


def test_bars_that_had_not_closed_when_ingested_are_remembered(tmp_path: Path) -> None:
    lake, columns = lake_at(tmp_path), bars(10)
    during_last = START + minutes(9)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="early", now=during_last)
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(10))
    assert json.loads(rows.schema.metadata[UNFINISHED_BARS]) == [to_ms(during_last)]
    earlier = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(9))
    assert json.loads(earlier.schema.metadata[UNFINISHED_BARS]) == []


def test_a_missing_symbol_and_an_empty_window_are_different_messages(tmp_path: Path) -> None:
    filled = filled_lake(tmp_path)
    later = from_ms(to_ms(filled.end) + 10 * 60_000)
    with pytest.raises(DataError, match="synthetic DOGEUSDT 1m: not in the lake"):
        filled.lake.bars("synthetic", "DOGE/USDT", MINUTE, START, filled.end)
    with pytest.raises(DataError, match=r"no bars from .* stored 2024-01-30T22:00:00Z to"):
        filled.lake.bars("synthetic", "BTC/USDT", MINUTE, later, later + minutes(5))
    assert len(filled.lake.rows("synthetic", "BTC/USDT", MINUTE, later, later + minutes(5))) == 0


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
