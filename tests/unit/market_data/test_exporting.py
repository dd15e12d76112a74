"""Exports: files that bring the same bars back, whole or not there at all, and never in the place of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from include.cli import app
from include.domain.errors import ConfigurationError, DataError
from include.market_data.exporting import ExportRequest, FileFormat, export_bars
from include.market_data.lake import ParquetLake
from tests.market import MINUTE, NOW, START, Columns, bars, lake_at, minutes, table, take

COUNT = 4_000
SYMBOLS = ("BTC/USDT", "ETH/USDT")


def awkward(seed: int) -> Columns:
    """Two months, one of them with extras, and defects: a row out of order, one twice, values that are no prices."""
    columns = take(bars(COUNT, seed=seed), np.r_[0:5, 6, 5, 7:10, 9, 10:COUNT])
    columns["close"][3:6] = np.nan, np.inf, 0.1 + 0.2
    columns["volume"][20] = 1e-300
    second = columns["open_time"] >= 1_706_745_600_000
    columns["count"] = np.where(second, 12.0, np.nan)
    columns["taker_buy_volume"] = np.where(second & (np.arange(len(second)) % 2 == 0), 1 / 3, np.nan)
    return columns


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> ParquetLake:
    filled = lake_at(tmp_path_factory.mktemp("exporting"))
    for seed, symbol in enumerate(SYMBOLS):
        filled.ingest("synthetic", symbol, MINUTE, table(awkward(seed)), source="test", now=NOW)
    return filled


def request(path: Path, form: FileFormat = FileFormat.CSV, symbols: tuple[str, ...] = SYMBOLS) -> ExportRequest:
    return ExportRequest("synthetic", symbols, MINUTE, form, path, START + minutes(2), START + minutes(3_000))


@pytest.mark.parametrize("form", FileFormat)
def test_an_export_imported_again_has_the_same_fingerprint(
    lake: ParquetLake, tmp_path: Path, form: FileFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = export_bars(lake, request(tmp_path / "out", form))
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path / "home"))
    symbols = [argument for symbol in SYMBOLS for argument in ("--symbol", symbol)]
    arguments = ["data", "import", "--source", form.value, "--path", str(tmp_path / "out"), "--venue", "synthetic"]
    done = CliRunner().invoke(app, [*arguments, *symbols, "--timeframe", "1m", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    again = ParquetLake(tmp_path / "home" / "lake", {})
    for one in written:
        window = ("synthetic", [one.series.symbol], MINUTE, one.start, one.end)
        assert again.fingerprint(*window) == one.fingerprint == lake.fingerprint(*window)
        assert one.rows == len(again.rows(*("synthetic", one.series.symbol), *window[2:]))


def test_each_symbol_gets_a_file_named_by_market_timeframe_and_window(lake: ParquetLake, tmp_path: Path) -> None:
    export_bars(lake, request(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{name}-1m-20240130T220200-20240202.csv" for name in ("BTCUSDT", "ETHUSDT")
    ]


def test_a_file_that_is_there_is_replaced_only_on_demand_and_no_other_is_written(
    lake: ParquetLake, tmp_path: Path
) -> None:
    other = tmp_path / "ETHUSDT-1m-20240130T220200-20240202.csv"
    other.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"ETHUSDT.*is there already"):
        export_bars(lake, request(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [other.name]
    export_bars(lake, request(tmp_path), force=True)
    assert other.read_text().startswith('"open_time","open"')


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(
    lake: ParquetLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "btc.parquet"
    target.write_text("mine")

    def broken(done: float, message: str) -> None:
        if "to btc.parquet" in message and done > 0:
            raise KeyboardInterrupt

    monkeypatch.setattr("include.market_data.exporting.ROWS_AT_ONCE", 500)
    ask = request(target, FileFormat.PARQUET, SYMBOLS[:1])
    with pytest.raises(KeyboardInterrupt):
        export_bars(lake, ask, force=True, progress=broken)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("btc.parquet", "mine")]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"symbols": ("BTC/USDT", "BTCUSDT")}, ConfigurationError, "named twice"),
        ({"path": Path("x.csv")}, ConfigurationError, "one file holds one symbol"),
        ({"symbols": SYMBOLS[:1], "path": Path("x.parquet")}, ConfigurationError, "not a name for --format csv"),
        ({"path": Path("/dev/null")}, DataError, "cannot be written"),
        ({"symbols": ("DOGE/USDT",)}, DataError, "not in the lake"),
        ({"start": START + minutes(9_000), "end": START + minutes(9_005)}, DataError, "no bars from"),
        ({"start": START + minutes(5), "end": START}, ConfigurationError, "nothing to export"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    lake: ParquetLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, error: type[Exception], says: str
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    fields = {"symbols": SYMBOLS, "path": tmp_path / "out", "start": None, "end": None, **change}
    with pytest.raises(error, match=says):
        export_bars(lake, ExportRequest(venue="synthetic", timeframe=MINUTE, format=FileFormat.CSV, **fields))
    assert list(tmp_path.rglob("*")) == []


def test_the_commands_print_one_document_with_rows_path_and_fingerprint(
    lake: ParquetLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    monkeypatch.setenv("AIRLOCK_LAKE", str(lake.root))

    def asked(*arguments: str) -> dict[str, object]:
        done = CliRunner().invoke(app, ["data", *arguments, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    series = ("--venue", "synthetic", "--symbol", "BTC/USDT")
    shown = asked("show", *series, "--partitions")
    (written,) = asked("export", *series, "--path", str(tmp_path / "btc.csv"), "--format", "csv")["exported"]
    assert written["rows"] == shown["rows"] == COUNT + 1
    assert (written["path"], written["fingerprint"]) == (str(tmp_path / "btc.csv"), shown["fingerprint"])
    assert [m["month"] for m in shown["manifests"]] == ["2024-01", "2024-02"]
    assert [m["extras"] for m in shown["manifests"]] == [[], ["count", "taker_buy_volume"]]
    assert "manifests" not in asked("show", *series)
