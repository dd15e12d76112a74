"""What every lake must do, wherever its files lie; a test module inherits it once for each kind of storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest

from include.config.files import VENUES_FILE
from include.config.venues import load_venues
from include.domain.errors import DataError, RetryableError
from include.domain.times import to_ms
from include.market_data.lake import ParquetLake
from include.market_data.series import Series
from include.ports import UNFINISHED_BARS
from tests.market import MINUTE, NOW, START, Columns, bars, minutes, table, take

BTC = Series.named("synthetic", "BTC/USDT", MINUTE)
ETH = Series.named("synthetic", "ETH/USDT", MINUTE)
COUNT = 4_000
END = START + minutes(COUNT)
WINDOW = ("synthetic", ["BTC/USDT"], MINUTE, START, END)


def first(count: int) -> Columns:
    """The first rows of one longer market."""
    return take(bars(COUNT + 1_000), slice(0, count))


class LakeContract(ABC):
    """Subclasses say where the lake lies."""

    @abstractmethod
    def root(self, folder: Path) -> Path | str:
        """Folder or URL of an empty lake."""

    @abstractmethod
    def files(self, folder: Path) -> dict[str, bytes]:
        """Every file of the lake by key, without what belongs to the local state."""

    @abstractmethod
    def damage(self, folder: Path, key: str, content: bytes) -> None:
        """Overwrite one file behind the lake's back."""

    def lake(self, folder: Path, machine: str = "here") -> ParquetLake:
        return ParquetLake(self.root(folder), load_venues(VENUES_FILE), state=folder / machine)

    def filled(self, folder: Path) -> tuple[ParquetLake, Columns]:
        """Minutes across two calendar months, so two partitions."""
        lake, columns = self.lake(folder), first(COUNT)
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="test", now=NOW)
        return lake, columns

    def test_what_went_in_comes_out_bit_by_bit(self, tmp_path: Path) -> None:
        lake, columns = self.filled(tmp_path)
        read = lake.bars("synthetic", "BTCUSDT", MINUTE, START, END)
        for name, values in columns.items():
            assert np.array_equal(getattr(read, name), values), name
        assert lake.span("synthetic", "BTC/USDT", MINUTE) == (START, END - minutes(1))
        cut = lake.bars("synthetic", "BTC/USDT", MINUTE, START + minutes(10), START + minutes(13))
        assert cut.open_time.tolist() == [to_ms(START + minutes(i)) for i in (10, 11, 12)]

    def test_files_are_named_by_venue_symbol_timeframe_and_month(self, tmp_path: Path) -> None:
        self.filled(tmp_path)
        assert sorted(self.files(tmp_path)) == [
            f"venue=synthetic/symbol=BTCUSDT/timeframe=1m/2024-{month}.parquet" for month in ("01", "02")
        ]

    def test_another_reader_finds_the_same_series_with_the_same_manifests(self, tmp_path: Path) -> None:
        lake, _ = self.filled(tmp_path)
        other = self.lake(tmp_path, "elsewhere")
        assert other.holds(BTC)
        assert not other.holds(ETH)
        assert other.summaries() == lake.summaries()
        assert [(p.month, p.manifest.rows, p.manifest.sources) for p in other.partitions(BTC)] == [
            ("2024-01", 1_560, ["test"]), ("2024-02", 2_440, ["test"]),
        ]  # fmt: skip
        assert other.fingerprint(*WINDOW) == lake.fingerprint(*WINDOW)

    def test_a_reader_sees_what_a_writer_adds_while_it_is_open(self, tmp_path: Path) -> None:
        lake, columns = self.filled(tmp_path)
        reader = self.lake(tmp_path, "elsewhere")
        before = reader.fingerprint(*WINDOW[:4], END + minutes(5))
        more = first(COUNT + 5)
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(more), source="later", now=NOW)
        assert reader.span("synthetic", "BTC/USDT", MINUTE)[1] == END + minutes(4)
        assert reader.fingerprint(*WINDOW[:4], END + minutes(5)) != before
        assert reader.fingerprint(*WINDOW) == lake.fingerprint(*WINDOW)
        assert len(reader.bars("synthetic", "BTC/USDT", MINUTE, START, END)) == len(columns["open_time"])

    def test_ingesting_the_same_rows_again_changes_nothing(self, tmp_path: Path) -> None:
        lake, columns = self.filled(tmp_path)
        before = self.files(tmp_path)
        report = lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="again", now=NOW)
        assert (report.rows_added, report.rows_known, report.partitions) == (0, COUNT, ())
        assert self.files(tmp_path) == before

    def test_an_overlap_that_is_equal_adds_only_what_is_new(self, tmp_path: Path) -> None:
        lake, columns = self.lake(tmp_path), bars(30)
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(0, 20))), source="a", now=NOW)
        report = lake.ingest("synthetic", "BTC/USDT", MINUTE, table(take(columns, slice(15, 30))), source="b", now=NOW)
        assert (report.rows_added, report.rows_known) == (10, 5)
        read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(30))
        assert np.array_equal(read.close, columns["close"])
        assert lake.summary(BTC).sources == ("a", "b")

    @pytest.mark.parametrize(("column", "value"), [("close", 99.5), ("volume", np.nan)])
    def test_a_contradiction_is_reported_and_changes_nothing(self, tmp_path: Path, column: str, value: float) -> None:
        lake, columns = self.filled(tmp_path)
        before, other = self.files(tmp_path), take(columns, slice(None))
        other[column] = other[column].copy()
        other[column][7] = value
        with pytest.raises(DataError, match=f"2024-01-30T22:07:00Z is stored with {column}=") as refused:
            lake.ingest("synthetic", "BTC/USDT", MINUTE, table(other), source="other", now=NOW)
        assert "\n" not in str(refused.value)
        assert self.files(tmp_path) == before

    def test_a_failing_symbol_keeps_the_whole_batch_out(self, tmp_path: Path) -> None:
        lake, columns = self.filled(tmp_path)
        before = self.files(tmp_path)
        broken = {**columns, "close": columns["close"] + 1.0}
        with pytest.raises(DataError), lake.batch() as batch:
            batch.add(ETH, bars(100), source="x", now=NOW)
            batch.add(BTC, broken, source="x", now=NOW)
            batch.publish()
        assert self.files(tmp_path) == before

    def test_leaving_a_batch_without_publishing_leaves_no_trace(self, tmp_path: Path) -> None:
        lake = self.lake(tmp_path)
        with lake.batch() as batch:
            batch.add(ETH, bars(100), source="x", now=NOW)
        assert self.files(tmp_path) == {}
        assert [path.name for path in lake.state.rglob("*")] == [".write-lock"]

    def test_what_a_killed_import_left_in_staging_is_removed_by_the_next(self, tmp_path: Path) -> None:
        lake = self.lake(tmp_path)
        remains = lake.state / ".staging" / "old" / "000000.parquet"
        remains.parent.mkdir(parents=True)
        remains.write_bytes(b"half a file")
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(10)), source="x", now=NOW)
        assert not remains.exists()
        assert len(lake.summaries()) == 1

    def test_a_second_writer_on_the_same_machine_is_told_to_wait(self, tmp_path: Path) -> None:
        lake = self.lake(tmp_path)
        with (
            lake.batch(),
            pytest.raises(RetryableError, match="another import is writing"),
            self.lake(tmp_path).batch(),
        ):
            pass

    def test_extras_and_repairs_are_kept_beside_the_rows_they_belong_to(self, tmp_path: Path) -> None:
        lake, columns = self.lake(tmp_path), bars(20)
        columns["count"] = np.arange(20, dtype=np.float64)
        with lake.batch() as batch:
            batch.add(BTC, columns, source="x", now=NOW, repairs=("forward-fill:3",))
            batch.publish()
        (part,) = lake.partitions(BTC)
        assert (part.manifest.repairs, part.columns[-1]) == (["forward-fill:3"], "count")
        read = lake.bars("synthetic", "BTC/USDT", MINUTE, START, START + minutes(20))
        assert read.extras["count"].tolist() == list(range(20))

    def test_bars_that_had_not_closed_when_ingested_are_remembered(self, tmp_path: Path) -> None:
        lake, during_last = self.lake(tmp_path), START + minutes(9)
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(10)), source="early", now=during_last)
        rows = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(10))
        assert json.loads(rows.schema.metadata[UNFINISHED_BARS]) == [to_ms(during_last)]
        earlier = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(9))
        assert json.loads(earlier.schema.metadata[UNFINISHED_BARS]) == []

    @pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "flip"])
    def test_a_damaged_file_is_named_and_never_read(self, tmp_path: Path, damage: str) -> None:
        lake, _ = self.filled(tmp_path)
        key, content = min(self.files(tmp_path).items())
        flipped = bytearray(content)
        flipped[len(content) // 3] ^= 0xFF
        bad = {"truncate": content[: len(content) // 2], "garbage": b"PAR1 no", "empty": b"", "flip": bytes(flipped)}
        self.damage(tmp_path, key, bad[damage])
        for reader in (lake, self.lake(tmp_path, "elsewhere")):
            with pytest.raises(DataError, match=r"2024-01\.parquet") as refused:
                reader.bars("synthetic", "BTC/USDT", MINUTE, START, END)
            assert "\n" not in str(refused.value)

    def test_a_missing_symbol_and_an_empty_window_are_different_messages(self, tmp_path: Path) -> None:
        lake, _ = self.filled(tmp_path)
        later = END + minutes(10)
        with pytest.raises(DataError, match="synthetic DOGEUSDT 1m: not in the lake"):
            lake.bars("synthetic", "DOGE/USDT", MINUTE, START, END)
        with pytest.raises(DataError, match=r"no bars from .* stored 2024-01-30T22:00:00Z to"):
            lake.bars("synthetic", "BTC/USDT", MINUTE, later, later + minutes(5))
        assert len(lake.rows("synthetic", "BTC/USDT", MINUTE, later, later + minutes(5))) == 0
