"""Reading foreign files: declared mappings, detected units, and one clear line for everything that cannot be read."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from include.config.files import CONFIG
from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe
from include.market_data.mappings import load_mapping
from include.market_data.sources.files import FileKind
from tests.market import MINUTE, START, bars, lake_at, minutes, table, take
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
)


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
def test_the_size_of_epoch_numbers_tells_their_unit(tmp_path: Path, per_second: int) -> None:
    columns = bars(COUNT)
    times = [str(int(t) * per_second // 1000) for t in columns["open_time"]]
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    assert_same(imported(lake_at(tmp_path), source_of(tmp_path / "x.csv")), columns)


@pytest.mark.parametrize(
    ("zone", "form"),
    [
        ("UTC", lambda t: t.strftime("%Y-%m-%d %H:%M:%S")),
        ("UTC", lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("UTC", lambda t: t.strftime("%Y-%m-%d %H:%M:%S+00:00")),
        ("UTC", lambda t: (t + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S+08:00")),
        ("Asia/Shanghai", lambda t: (t + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")),
        ("Asia/Shanghai", lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ")),
    ],
    ids=["naive UTC", "Z", "pandas", "offset", "declared zone", "a zone of its own beats the declared one"],
)
def test_iso_times_land_on_the_same_instants(tmp_path: Path, zone: str, form: Callable[[datetime], str]) -> None:
    columns = bars(COUNT)
    times = [form(START + minutes(i)) for i in range(COUNT)]
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    assert_same(imported(lake_at(tmp_path), source_of(tmp_path / "x.csv", used=mapping(zone=zone))), columns)


def test_a_declared_zone_follows_its_clock_changes(tmp_path: Path) -> None:
    """Berlin skips 02:00 to 03:00 on 31 March 2024: local times without that hour are consecutive instants."""
    first, berlin = datetime(2024, 3, 31, 0, 40, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    columns = bars(COUNT, start=first)
    times = [(first + minutes(i)).astimezone(berlin).strftime("%Y-%m-%d %H:%M:%S") for i in range(COUNT)]
    assert "2024-03-31 01:59:00" in times
    assert "2024-03-31 03:00:00" in times
    (tmp_path / "x.csv").write_text(csv_text(columns, times=times))
    lake = lake_at(tmp_path)
    import_file(lake, source_of(tmp_path / "x.csv", used=mapping(zone="Europe/Berlin")))
    read = lake.bars("synthetic", "BTC/USDT", MINUTE, first, first + minutes(COUNT))
    assert np.array_equal(read.open_time, columns["open_time"])


@pytest.mark.parametrize(
    ("day", "hour", "why"),
    [("2024-10-27", 2, "ambiguous"), ("2024-03-31", 2, "doesn't exist")],
    ids=["an hour that happens twice", "an hour that never happens"],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_local_times_that_a_clock_change_leaves_open_are_refused(
    tmp_path: Path, day: str, hour: int, why: str, suffix: str
) -> None:
    columns, path, lake = bars(COUNT), tmp_path / f"x.{suffix}", lake_at(tmp_path)
    times = [f"{day} {hour:02d}:{i:02d}:00" for i in range(COUNT)]
    if suffix == "csv":
        path.write_text(csv_text(columns, times=times))
    else:
        naive = pa.array([datetime.fromisoformat(t) for t in times], pa.timestamp("us"))
        pq.write_table(table(columns).set_column(0, "date", naive), path)
    with pytest.raises(DataError, match=rf"x\.{suffix}: cannot be read .*{why}"):
        import_file(lake, source_of(path, FileKind(suffix), mapping(zone="Europe/Berlin")))
    assert lake.summaries() == ()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_timestamps_keep_their_instant_whatever_their_resolution(tmp_path: Path, unit: str) -> None:
    columns = bars(COUNT)
    stamps = pa.array(columns["open_time"]).cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, "UTC"))
    pq.write_table(table(columns).set_column(0, "date", stamps), tmp_path / "x.parquet")
    source = source_of(tmp_path / "x.parquet", FileKind.PARQUET, mapping("freqtrade"))
    assert_same(imported(lake_at(tmp_path), source), columns)


@pytest.mark.parametrize("header", ["", "mts,open,close,high,low,volume"], ids=["no header", "header"])
def test_bitfinex_order_is_not_taken_for_ohlc(tmp_path: Path, header: str) -> None:
    columns = bars(COUNT)
    (tmp_path / "x.csv").write_text(csv_text(columns, header=header, order="ochl"))
    assert_same(imported(lake_at(tmp_path), source_of(tmp_path / "x.csv", used=mapping("bitfinex"))), columns)


def _freqtrade_feather(path: Path, frame: pa.Table) -> None:
    feather.write_feather(frame, path, compression="lz4", compression_level=9)


def _freqtrade_csv(path: Path, frame: pa.Table) -> None:
    """What its JSON becomes: epoch milliseconds first, no header."""
    rows = zip(*(frame.column(name).to_pylist() for name in frame.column_names), strict=True)
    path.write_text("".join(f"{int(row[0].timestamp() * 1000)},{','.join(map(repr, row[1:]))}\n" for row in rows))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("BTC_USDT-1m.feather", _freqtrade_feather),
        ("BTC_USDT_USDT-1m-futures.feather", _freqtrade_feather),
        ("BTC_USDT-1m.parquet", lambda path, frame: pq.write_table(frame, path)),
        ("BTC_USDT-1m.csv", _freqtrade_csv),
    ],
)
def test_a_freqtrade_folder_is_read_as_it_lies(
    tmp_path: Path, name: str, write: Callable[[Path, pa.Table], None]
) -> None:
    columns, folder = bars(COUNT), tmp_path / "binance"
    folder.mkdir()
    frame = table(columns).rename_columns(["date", "open", "high", "low", "close", "volume"])
    write(folder / name, frame)
    for other in ("ETH_USDT-1m", "BTC_USDT-5m"):
        (folder / f"{other}{Path(name).suffix}").write_bytes(b"not to be read")
    kind = FileKind.CSV if name.endswith("csv") else FileKind.PARQUET
    assert_same(imported(lake_at(tmp_path), source_of(folder, kind, mapping("freqtrade"))), columns)


def test_gzip_csv_is_read(tmp_path: Path) -> None:
    columns = bars(COUNT)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(csv_text(columns).encode()))
    assert_same(imported(lake_at(tmp_path), source_of(tmp_path / "x.csv.gz")), columns)


def test_defects_of_a_file_arrive_in_the_lake(tmp_path: Path) -> None:
    columns = take(bars(COUNT), np.r_[0:10, 9, 12, 11, 13:COUNT])
    text = csv_text(columns).replace(repr(float(columns["high"][3])), "")
    (tmp_path / "x.csv").write_text(text)
    lake = lake_at(tmp_path)
    import_file(lake, source_of(tmp_path / "x.csv"))
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    assert rows.column("open_time").to_numpy().astype(np.int64).tolist() == columns["open_time"].tolist()
    assert np.isnan(rows.column("high").to_numpy()[3])


def _parquet(columns: dict[str, np.ndarray]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(columns), sink)
    return sink.getvalue()


def _feather(columns: dict[str, np.ndarray]) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(table(columns), sink)
    return sink.getvalue()


def _zip(text: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", text)
    return sink.getvalue()


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]


GOOD = bars(COUNT)
CSV, PARQUET, FEATHER = csv_text(GOOD).encode(), _parquet(GOOD), _feather(GOOD)
HEADLESS = csv_text(GOOD, header="").encode()
DUMP = _zip(dump_text(GOOD, header=False))
NO_TIME = table(GOOD).set_column(0, "timestamp", pa.array([None, *GOOD["open_time"][1:]], pa.int64()))
SINK = io.BytesIO()
pq.write_table(NO_TIME, SINK)

BAD_FILES: dict[str, tuple[str, bytes, str, str]] = {
    "an empty CSV": ("x.csv", b"", "default", "the file is empty"),
    "an empty Parquet file": ("x.parquet", b"", "default", "the file is empty"),
    "an empty zip": ("x.zip", b"", "binance-dump", "the file is empty"),
    "a header alone": ("x.csv", CSV.split(b"\n")[0] + b"\n", "default", "holds no rows"),
    "a Parquet file of its first byte": ("x.parquet", PARQUET[:1], "default", "cannot be read"),
    "a Parquet file cut at 100 bytes": ("x.parquet", PARQUET[:100], "default", "cannot be read"),
    "half a Parquet file": ("x.parquet", PARQUET[: len(PARQUET) // 2], "default", "cannot be read"),
    "a Parquet file without its end": ("x.parquet", PARQUET[:-4], "default", "cannot be read"),
    "half a Feather file": ("x.feather", FEATHER[: len(FEATHER) // 2], "default", "cannot be read"),
    "half a zip": ("x.zip", DUMP[: len(DUMP) // 2], "binance-dump", "cannot be read"),
    "a zip with a flipped bit": ("x.zip", _flipped(DUMP, len(DUMP) // 2), "binance-dump", "cannot be read"),
    "a gzip with a flipped bit": ("x.csv.gz", _flipped(gzip.compress(CSV), 200), "default", "cannot be read"),
    "half a gzip": ("x.csv.gz", gzip.compress(CSV)[:200], "default", "cannot be read"),
    "a zip of another thing": ("x.zip", _zip("").replace(b"x.csv", b"x.txt"), "binance-dump", "expected one CSV"),
    "wrong columns": ("x.csv", b"timestamp,o,h,l,c,v\n1,2,3,4,5,6\n", "default", r"no column for open \(open\), high"),
    "a column given twice": (
        "x.csv", b"timestamp,open,Open,high,low,close,volume\n1,1,2,1,1,1,1\n", "default", "has open more than once",
    ),
    "names that the mapping does not know": (
        "x.csv", CSV, "freqtrade", r"no column for open_time \(date\) .*--mapping",
    ),
    "the mapping of another format": ("x.zip", DUMP, "bitfinex", "12 columns without header"),
    "columns in another order than declared": ("x.csv", HEADLESS, "bitfinex", "check the mapping's order"),
    "a word for a price": ("x.csv", CSV + b"1706652000000,x,2,3,4,5\n", "default", "cannot be read"),
    "a row cut short": ("x.csv", CSV + b"1706652000000,1,2\n", "default", "cannot be read"),
    "no header and no order": ("x.csv", HEADLESS, "default", "no header row"),
    "times in another unit": (
        "x.csv", b"timestamp,open,high,low,close,volume\n12,1,1,1,1,1\n", "default", "no epoch time",
    ),
    "times that are words": (
        "x.csv", b"timestamp,open,high,low,close,volume\nsoon,1,1,1,1,1\n", "default", "cannot be read",
    ),
    "a row without time": ("x.csv", CSV + b",1,2,3,4,5\n", "default", "1 rows have no open time"),
    "a Parquet row without time": ("x.parquet", SINK.getvalue(), "default", "1 rows have no open time"),
    "another timeframe": (
        "x.csv", csv_text(bars(COUNT, timeframe=Timeframe(300))).encode(), "default",
        "mostly 300 s apart, the import says 1m",
    ),
    "binary rubbish": ("x.csv", b"\x00\xff\xfe rubbish \n\x01\n", "default", "x.csv"),
}  # fmt: skip


@pytest.mark.parametrize("defect", BAD_FILES)
def test_a_bad_file_ends_in_one_line_that_names_it_and_nothing_is_written(tmp_path: Path, defect: str) -> None:
    name, content, used, says = BAD_FILES[defect]
    path, lake = tmp_path / name, lake_at(tmp_path)
    path.write_bytes(content)
    kinds = {".parquet": FileKind.PARQUET, ".feather": FileKind.PARQUET, ".zip": FileKind.DUMP}
    with pytest.raises(DataError, match=says) as refused:
        import_file(lake, source_of(path, kinds.get(path.suffix, FileKind.CSV), mapping(used)))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert lake.summaries() == ()


def test_a_declared_unit_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(CSV)
    with pytest.raises(DataError, match="check the mapping's unit"):
        import_file(lake_at(tmp_path), source_of(tmp_path / "x.csv", used=mapping(unit="s")))


TIME = "time: {names: [t], unit: s, zone: UTC}"
PRICES = "prices: {open: [o], high: [h], low: [l], close: [c], volume: [v]}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("surprise: 1", "surprise"),
        ("time: {names: [t], unit: weeks, zone: UTC}", "time.unit"),
        ("time: {names: [t], unit: s, zone: Mars/Base}", "not a known time zone"),
        (f"{TIME}\nprices: {{open: [o], high: [h], low: [l], close: [O], volume: [v]}}", "names: o given twice"),
        (f"{TIME}\n{PRICES}\nextras: {{close: [x]}}", "extras: close are standard columns"),
        (f"{TIME}\n{PRICES}\norder: [t, o, h, l, c]", "order: no column for volume"),
        (f"{TIME}\n{PRICES}\norder: [t, o, h, l, c, v, v]", "order: v given twice"),
    ],
)
def test_a_bad_mapping_names_file_key_and_reason(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: x\ndescription: d\n{text}\n")
    with pytest.raises(ConfigurationError, match=says) as refused:
        load_mapping(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("path", sorted((CONFIG / "mappings").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_mapping_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load_mapping(path).name == path.stem
