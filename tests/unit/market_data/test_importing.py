"""Imports: declared mappings, detected units, and one clear line for everything that cannot be read."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.config.files import CONFIG
from include.domain.errors import AirlockError, ConfigurationError, DataError
from include.domain.times import Timeframe, to_ms
from include.market_data.importing import FileSource, ImportRequest, import_files, import_synthetic
from include.market_data.lake import ParquetLake
from include.market_data.mappings import Mapping, load_mapping
from include.market_data.synthetic import DEFAULT_START
from tests.market import MINUTE, NOW, START, Columns, bars, filled_lake, lake_at, minutes, table, take

COUNT = 40
WINDOW = (START, START + minutes(COUNT))


def mapping(name: str = "default", **time: str) -> Mapping:
    loaded = load_mapping(CONFIG / "mappings" / f"{name}.yaml")
    return loaded.model_copy(update={"time": loaded.time.model_copy(update=time)}) if time else loaded


def request(path: Path, source: FileSource = FileSource.CSV, used: Mapping | None = None) -> ImportRequest:
    return ImportRequest(source, path, "synthetic", ("BTC/USDT",), MINUTE, used or mapping())


def csv_text(columns: Columns, header: str = "timestamp,open,high,low,close,volume", order: str = "ohlc",
             times: list[str] | None = None) -> str:  # fmt: skip
    """Rows as text; `order` is the order of the price columns by their first letters."""
    names = [{"o": "open", "h": "high", "l": "low", "c": "close"}[letter] for letter in order]
    when = times or [str(t) for t in columns["open_time"]]
    lines = [",".join([when[i], *(repr(float(columns[n][i])) for n in [*names, "volume"])]) for i in range(len(when))]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def imported(lake: ParquetLake, ask: ImportRequest) -> Columns:
    import_files(lake, ask, now=NOW)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    return {n: getattr(read, n) for n in ("open_time", "open", "high", "low", "close", "volume")}


def assert_same(read: Columns, columns: Columns) -> None:
    for name, values in columns.items():
        assert np.array_equal(read[name], values), name


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
def test_the_size_of_epoch_numbers_tells_their_unit(tmp_path: Path, per_second: int) -> None:
    columns = bars(COUNT)
    times = [str(int(t) * per_second // 1000) for t in columns["open_time"]]
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    assert_same(imported(lake_at(tmp_path), request(tmp_path / "x.csv")), columns)


@pytest.mark.parametrize(
    ("zone", "form"),
    [
        ("UTC", lambda t: t.strftime("%Y-%m-%d %H:%M:%S")),
        ("UTC", lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("UTC", lambda t: (t + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S+08:00")),
        ("Asia/Shanghai", lambda t: (t + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")),
    ],
    ids=["naive UTC", "Z", "offset", "declared zone"],
)
def test_iso_times_land_on_the_same_instants(tmp_path: Path, zone: str, form: Callable[[datetime], str]) -> None:
    columns = bars(COUNT)
    times = [form(START + minutes(i)) for i in range(COUNT)]
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    assert_same(imported(lake_at(tmp_path), request(tmp_path / "x.csv", used=mapping(zone=zone))), columns)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_timestamps_keep_their_instant_whatever_their_resolution(tmp_path: Path, unit: str) -> None:
    columns = bars(COUNT)
    stamps = pa.array(columns["open_time"]).cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, "UTC"))
    frame = table(columns).set_column(0, "date", stamps)
    pq.write_table(frame, tmp_path / "x.parquet")
    ask = request(tmp_path / "x.parquet", FileSource.PARQUET, mapping("freqtrade"))
    assert_same(imported(lake_at(tmp_path), ask), columns)


@pytest.mark.parametrize("header", ["", "mts,open,close,high,low,volume"], ids=["no header", "header"])
def test_bitfinex_order_is_not_taken_for_ohlc(tmp_path: Path, header: str) -> None:
    columns = bars(COUNT)
    (tmp_path / "x.csv").write_text(csv_text(columns, header=header, order="ochl"))
    assert_same(imported(lake_at(tmp_path), request(tmp_path / "x.csv", used=mapping("bitfinex"))), columns)


def test_dump_zips_with_and_without_header_come_in_together(tmp_path: Path) -> None:
    columns, folder = bars(COUNT), tmp_path / "dumps"
    folder.mkdir()
    names = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume"
    for day, (rows, header) in enumerate([(slice(0, 20), f"{names},ignore\n"), (slice(20, COUNT), "")]):
        part = csv_text(take(columns, rows), header="").strip().split("\n")
        text = header + "".join(f"{line},0,1.5,7,0.5,0.25,0\n" for line in part)
        with zipfile.ZipFile(folder / f"BTCUSDT-1m-2024-01-{30 + day}.zip", "w") as archive:
            archive.writestr(f"BTCUSDT-1m-2024-01-{30 + day}.csv", text)
    with zipfile.ZipFile(folder / "BTCUSDT-5m-2024-01-30.zip", "w") as archive:
        archive.writestr("other.csv", "another timeframe, not to be read")
    lake = lake_at(tmp_path)
    assert_same(imported(lake, request(folder, FileSource.DUMP, mapping("binance-dump"))), columns)
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    assert set(read.extras) == {"count", "taker_buy_volume"}
    assert (read.extras["count"] == 7).all()


def test_gzip_csv_is_read(tmp_path: Path) -> None:
    columns = bars(COUNT)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(csv_text(columns).encode()))
    assert_same(imported(lake_at(tmp_path), request(tmp_path / "x.csv.gz")), columns)


def test_defects_of_a_file_arrive_in_the_lake(tmp_path: Path) -> None:
    columns = take(bars(COUNT), np.r_[0:10, 9, 12, 11, 13:COUNT])
    text = csv_text(columns).replace(repr(float(columns["high"][3])), "")
    (tmp_path / "x.csv").write_text(text)
    lake = lake_at(tmp_path)
    import_files(lake, request(tmp_path / "x.csv"), now=NOW)
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    assert rows.column("open_time").to_numpy().astype(np.int64).tolist() == columns["open_time"].tolist()
    assert np.isnan(rows.column("high").to_numpy()[3])


GOOD = csv_text(bars(COUNT))
BAD_FILES = {
    "wrong columns": (b"timestamp,o,h,l,c,v\n1,2,3,4,5,6\n", "columns open, high, low, close, volume not found"),
    "empty file": (b"", "the file is empty"),
    "header alone": (b"timestamp,open,high,low,close,volume\n", "holds no rows"),
    "a word for a price": (GOOD.replace("\n", "\n", 1).encode() + b"1706652000000,x,2,3,4,5\n", "cannot be read"),
    "a row cut short": (GOOD.encode() + b"1706652000000,1,2\n", "cannot be read"),
    "no header and no order": (GOOD.split("\n", 1)[1].encode(), "no header row"),
    "times in another unit": (b"timestamp,open,high,low,close,volume\n12,1,1,1,1,1\n", "no epoch time"),
    "times that are words": (b"timestamp,open,high,low,close,volume\nsoon,1,1,1,1,1\n", "cannot be read"),
    "no times": (GOOD.encode() + b",1,2,3,4,5\n", "1 rows have no open time"),
    "another timeframe": (
        csv_text(bars(COUNT, timeframe=Timeframe(300))).encode(), "mostly 300 s apart, the import says 1m",
    ),
    "binary rubbish": (b"\x00\xff\xfe rubbish \n\x01\n", "x.csv"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_csv_ends_in_one_line_that_names_it_and_nothing_is_written(tmp_path: Path, kind: str) -> None:
    content, says = BAD_FILES[kind]
    path, lake = tmp_path / "x.csv", lake_at(tmp_path)
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as refused:
        import_files(lake, request(path), now=NOW)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert lake.summaries() == ()


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused_whole(tmp_path: Path, keep: float) -> None:
    path, lake = tmp_path / "x.parquet", lake_at(tmp_path)
    pq.write_table(table(bars(COUNT)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(DataError, match=r"x\.parquet: (cannot be read|the file is empty)"):
        import_files(lake, request(path, FileSource.PARQUET), now=NOW)
    assert lake.summaries() == ()


def test_a_bad_second_file_keeps_the_first_one_out(tmp_path: Path) -> None:
    folder, lake = tmp_path / "csv", lake_at(tmp_path)
    folder.mkdir()
    (folder / "2023.csv").write_text(GOOD)
    (folder / "2024.csv").write_text("timestamp,open\n")
    with pytest.raises(DataError, match=r"2024\.csv"):
        import_files(lake, request(folder), now=NOW)
    assert lake.summaries() == ()


def test_a_declared_unit_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(GOOD)
    with pytest.raises(DataError, match="check the mapping's unit"):
        import_files(lake_at(tmp_path), request(tmp_path / "x.csv", used=mapping(unit="s")), now=NOW)


def test_local_times_that_a_clock_change_makes_ambiguous_are_refused(tmp_path: Path) -> None:
    columns = bars(COUNT, start=datetime.fromisoformat("2024-10-27T00:30:00+00:00"))
    times = [f"2024-10-27 02:{30 + i // 2:02d}:00" for i in range(COUNT)]
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    with pytest.raises(DataError, match="cannot be read"):
        import_files(lake_at(tmp_path), request(tmp_path / "x.csv", used=mapping(zone="Europe/Berlin")), now=NOW)


def test_a_folder_of_other_markets_is_not_taken_for_this_one(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    for name in ("ETHUSDT.csv", "SOLUSDT.csv"):
        (folder / name).write_text(GOOD)
    with pytest.raises(DataError, match="no file of BTCUSDT; the folder holds ETHUSDT, SOLUSDT"):
        import_files(lake_at(tmp_path), request(folder), now=NOW)


def test_every_symbol_gets_its_own_files(tmp_path: Path) -> None:
    lake, folder = lake_at(tmp_path), tmp_path / "all"
    (folder / "ETHUSDT").mkdir(parents=True)
    (folder / "BTCUSDT.csv").write_text(GOOD)
    (folder / "ETHUSDT" / "2024.csv").write_text(csv_text(bars(COUNT, seed=1)))
    seen: list[float] = []
    ask = replace(request(folder), symbols=("BTC/USDT", "ETH/USDT"))
    reports = import_files(lake, ask, now=NOW, progress=lambda done, _: seen.append(done))
    assert [r.series.symbol for r in reports] == ["BTCUSDT", "ETHUSDT"]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    eth = lake.bars("synthetic", "ETH/USDT", MINUTE, *WINDOW)
    assert np.array_equal(eth.close, bars(COUNT, seed=1)["close"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\nsurprise: 1\n", "surprise"),
        ("name: x\ndescription: d\ntime: {names: [t], unit: weeks, zone: UTC}\n", "time.unit"),
        ("name: x\ndescription: d\ntime: {names: [t], unit: s, zone: Mars/Base}\n", "not a known time zone"),
    ],
)
def test_a_bad_mapping_names_file_key_and_reason(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says) as refused:
        load_mapping(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("path", sorted((CONFIG / "mappings").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_mapping_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load_mapping(path).name == path.stem


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
    before = sorted(filled.lake.root.rglob("*.parquet"))
    later = bars(10, start=filled.end)
    with pytest.raises(AirlockError, match="No space left on device") as refused:
        filled.lake.ingest("synthetic", "BTC/USDT", MINUTE, table(later), source="x", now=NOW)
    assert "\n" not in str(refused.value)
    assert sorted(filled.lake.root.rglob("*.parquet")) == before
    assert to_ms(filled.lake.span("synthetic", "BTC/USDT", MINUTE)[1]) == to_ms(filled.end) - 60_000
