"""Files as a source: which files are a symbol's, what overlaps, what a checksum proves."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe
from include.market_data.sources.files import FileKind, FileSource
from include.market_data.sources.protocol import Request
from tests.market import MINUTE, START, Columns, bars, lake_at, minutes, take
from tests.market_files import (
    COUNT,
    WINDOW,
    assert_same,
    csv_text,
    dump_text,
    import_file,
    imported,
    mapping,
    source_of,
    stored,
)

DAILY, LATER, MONTHLY = "BTCUSDT-1m-2024-01-30.zip", "BTCUSDT-1m-2024-01-31.zip", "BTCUSDT-1m-2024-01.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


def dumps(folder: Path) -> FileSource:
    return source_of(folder, FileKind.DUMP, mapping("binance-dump"))


def write_dump(path: Path, columns: Columns, *, header: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.with_suffix(".csv").name, dump_text(columns, header=header))


def test_dumps_with_and_without_header_come_in_together(tmp_path: Path, folder: Path) -> None:
    columns = bars(COUNT)
    write_dump(folder / DAILY, take(columns, slice(0, 20)), header=True)
    write_dump(folder / LATER, take(columns, slice(20, COUNT)))
    write_dump(folder / "BTCUSDT-5m-2024-01-30.zip", bars(COUNT, timeframe=Timeframe(300)))
    lake = lake_at(tmp_path)
    assert_same(imported(lake, dumps(folder)), columns)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    assert set(read.extras) == {"count", "taker_buy_volume"}
    assert (read.extras["count"] == 7).all()


def test_days_and_the_month_they_belong_to_may_lie_together(tmp_path: Path, folder: Path) -> None:
    columns = bars(COUNT)
    write_dump(folder / "daily" / "klines" / "BTCUSDT" / "1m" / DAILY, take(columns, slice(0, 20)), header=True)
    write_dump(folder / "monthly" / "klines" / "BTCUSDT" / "1m" / MONTHLY, take(columns, slice(10, 30)))
    write_dump(folder / "daily" / "klines" / "BTCUSDT" / "1m" / LATER, take(columns, slice(25, COUNT)))
    write_dump(folder / "daily" / "klines" / "ETHUSDT" / "1m" / DAILY.replace("BTC", "ETH"), bars(COUNT, seed=1))
    assert_same(imported(lake_at(tmp_path), dumps(folder)), columns)


def test_files_are_put_in_order_of_time_whatever_their_names_and_a_hole_of_one_is_filled_by_another(
    tmp_path: Path, folder: Path
) -> None:
    columns = bars(COUNT)
    parts = {"a.csv": slice(30, COUNT), "b.csv": slice(0, 10), "c.csv": np.r_[5:12, 18:30], "d.csv": slice(10, 20)}
    for name, rows in parts.items():
        (folder / name).write_text(csv_text(take(columns, rows)))
    assert_same(imported(lake_at(tmp_path), source_of(folder)), columns)


def test_a_repeat_inside_one_file_stays_although_another_file_repeats_it_too(tmp_path: Path, folder: Path) -> None:
    columns = take(bars(COUNT), np.r_[0:10, 9, 10:COUNT])
    write_dump(folder / DAILY, columns)
    write_dump(folder / MONTHLY, columns)
    lake = lake_at(tmp_path)
    import_file(lake, dumps(folder))
    assert len(lake.rows("synthetic", "BTC/USDT", MINUTE, *WINDOW)) == COUNT + 1


def test_two_files_that_contradict_each_other_are_both_named(tmp_path: Path, folder: Path) -> None:
    columns = bars(COUNT)
    write_dump(folder / DAILY, columns)
    changed = {**columns, "close": columns["close"].copy()}
    changed["close"][7] = columns["low"][7]
    write_dump(folder / MONTHLY, changed)
    lake = lake_at(tmp_path)
    with pytest.raises(DataError, match=rf"{MONTHLY}: bar 2024-01-30T22:07:00Z has close=.*{DAILY} has") as refused:
        import_file(lake, dumps(folder))
    assert "\n" not in str(refused.value)
    assert lake.summaries() == ()


CHECKSUMS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "of other content": (lambda _, name: f"{'0' * 64}  {name}\n", r"zip: SHA-256 is .* download it again"),
    "of another file": (lambda sha, _: f"{sha}  ETHUSDT-1m-2024-01-30.zip\n", r"CHECKSUM: is the checksum of ETHUSDT"),
    "cut short": (lambda sha, name: f"{sha[:40]}  {name}\n", r"CHECKSUM: not a checksum"),
    "without a name": (lambda sha, _: f"{sha}\n", r"CHECKSUM: not a checksum"),
    "empty": (lambda *_: "", r"CHECKSUM: not a checksum"),
    "two lines": (lambda sha, name: f"{sha}  {name}\n" * 2, r"CHECKSUM: not a checksum"),
    "an error page": (lambda *_: "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "not a checksum"),
}


@pytest.mark.parametrize("kind", CHECKSUMS)
def test_a_checksum_that_does_not_prove_its_file_is_refused(tmp_path: Path, folder: Path, kind: str) -> None:
    text, says = CHECKSUMS[kind]
    write_dump(folder / DAILY, bars(COUNT))
    digest = hashlib.sha256((folder / DAILY).read_bytes()).hexdigest()
    (folder / f"{DAILY}.CHECKSUM").write_text(text(digest, DAILY))
    lake = lake_at(tmp_path)
    with pytest.raises(DataError, match=says) as refused:
        import_file(lake, dumps(folder))
    assert str(folder / DAILY) in str(refused.value)
    assert lake.summaries() == ()


def test_a_checksum_that_fits_passes_and_a_missing_one_is_fine(tmp_path: Path, folder: Path) -> None:
    columns = bars(COUNT)
    write_dump(folder / DAILY, take(columns, slice(0, 20)))
    write_dump(folder / LATER, take(columns, slice(20, COUNT)))
    digest = hashlib.sha256((folder / DAILY).read_bytes()).hexdigest()
    (folder / f"{DAILY}.CHECKSUM").write_text(f"{digest}  {DAILY}\n")
    assert_same(imported(lake_at(tmp_path), dumps(folder)), columns)


def test_a_bad_second_file_keeps_the_first_one_out(tmp_path: Path, folder: Path) -> None:
    (folder / "2023.csv").write_text(csv_text(bars(COUNT)))
    (folder / "2024.csv").write_text("timestamp,open\n")
    lake = lake_at(tmp_path)
    with pytest.raises(DataError, match=r"2024\.csv"):
        import_file(lake, source_of(folder))
    assert lake.summaries() == ()


def test_every_symbol_gets_its_own_files(tmp_path: Path, folder: Path) -> None:
    lake = lake_at(tmp_path)
    (folder / "ETHUSDT").mkdir()
    (folder / "BTCUSDT.csv").write_text(csv_text(bars(COUNT)))
    (folder / "ETHUSDT" / "2024.csv").write_text(csv_text(bars(COUNT, seed=1)))
    seen: list[float] = []
    reports = import_file(
        lake, source_of(folder, symbols=("BTC/USDT", "ETH/USDT")), progress=lambda done, _: seen.append(done)
    )
    assert [r.series.symbol for r in reports] == ["BTCUSDT", "ETHUSDT"]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert_same(stored(lake, "ETH/USDT"), bars(COUNT, seed=1))


def test_a_window_cuts_the_files(tmp_path: Path, folder: Path) -> None:
    for day, rows in (("2023", slice(0, 20)), ("2024", slice(20, COUNT))):
        (folder / f"{day}.csv").write_text(csv_text(take(bars(COUNT), rows)))
    lake = lake_at(tmp_path)
    (report,) = import_file(lake, source_of(folder), window=(START + minutes(5), START + minutes(15)))
    assert report.rows_added == 10
    assert lake.span("synthetic", "BTC/USDT", MINUTE) == (START + minutes(5), START + minutes(14))
    with pytest.raises(DataError, match=r"csv:default:files holds no rows from 2024-02-"):
        import_file(lake, source_of(folder), window=(START + minutes(5_000), START + minutes(6_000)))


FOLDERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "other markets only": (("ETHUSDT.csv", "SOL_USDT-1m.csv"), ("BTC/USDT",), "no file of BTCUSDT.*ETHUSDT, SOLUSDT"),
    "a market whose name goes on": (("BTCUSDTUSD.csv",), ("BTC/USDT",), "no file of BTCUSDT"),
    "no name and two symbols": (("2024.csv",), ("BTC/USDT", "ETH/USDT"), "files without a symbol"),
    "another timeframe": (
        ("BTCUSDT-5m-2024-01.csv", "BTCUSDT-1h.csv"),
        ("BTC/USDT",),
        "no 1m file of BTCUSDT.* 1h, 5m",
    ),
    "another kind": (("BTCUSDT.parquet",), ("BTC/USDT",), r"no \.csv or .* file in this folder"),
    "folders of other markets": (
        ("ETHUSDT/2024.csv", "SOLUSDT/2024.csv"),
        ("BTC/USDT",),
        "no folder BTCUSDT; it holds ETHUSDT, SOLUSDT",
    ),
    "nothing": ((), ("BTC/USDT",), "file in this folder"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_never_taken_for_what_it_is_not(folder: Path, kind: str) -> None:
    names, symbols, says = FOLDERS[kind]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(csv_text(bars(COUNT)))
    with pytest.raises(DataError, match=says) as refused:
        list(source_of(folder, symbols=symbols).chunks(Request(symbols[0], MINUTE)))
    assert str(folder) in str(refused.value)


def test_one_file_serves_one_symbol_and_its_own_kind_of_source(folder: Path) -> None:
    (folder / "x.csv").write_text(csv_text(bars(COUNT)))
    with pytest.raises(ConfigurationError, match="one file holds one symbol"):
        source_of(folder / "x.csv", symbols=("BTC/USDT", "ETH/USDT")).files("BTC/USDT", MINUTE)
    with pytest.raises(ConfigurationError, match=r"--source parquet reads \.parquet and \.feather files"):
        source_of(folder / "x.csv", FileKind.PARQUET).files("BTC/USDT", MINUTE)
