"""`airlock data`: JSON alone on standard output, exit codes of the contract, one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from include.commands.data import app
from include.domain.errors import AirlockError, DataError
from tests.market import bars, table

HOUR = ["--from", "2020-10-01", "--to", "2020-10-01T01:00:00"]
SYNTHETIC = ["import", "--source", "synthetic", "--symbol", "BTC/USDT", *HOUR]
GATE = ["gate", "--venue", "synthetic", "--symbol", "BTC/USDT", "--profile", "live-kpi", *HOUR]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output; expected failures are raised, as `airlock` itself turns them into one line."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout


def test_import_gate_list_show_and_fingerprint_speak_json(home: Path) -> None:
    code, out = run(*SYNTHETIC, "--json")
    assert code == 0
    (imported,) = json.loads(out)["imported"]
    assert (imported["venue"], imported["symbol"], imported["rows_added"]) == ("synthetic", "BTCUSDT", 60)

    code, out = run(*GATE, "--json")
    gate = json.loads(out)
    assert set(gate) >= {
        "verdict", "completeness", "quality", "compatibility", "fingerprint", "symbols", "violations",
    }  # fmt: skip
    assert gate["completeness"] == gate["symbols"]["BTC/USDT"]["completeness"] == 1.0
    assert gate["verdict"] == "FAIL"  # an hour is no history
    assert code == 1
    assert [v["rule"] for v in gate["violations"]] == ["HISTORY_LENGTH"]
    assert set(gate["violations"][0]) == {"rule", "symbol", "scope", "first", "last", "count", "sample"}

    _, out = run("list", "--json")
    (series,) = json.loads(out)["series"]
    assert (series["rows"], series["first"], series["last"]) == (60, "2020-10-01T00:00:00Z", "2020-10-01T00:59:00Z")
    _, out = run("show", "--venue", "synthetic", "--symbol", "BTCUSDT", "--json")
    assert json.loads(out)["fingerprint"] == gate["fingerprint"]
    _, out = run("fingerprint", "--venue", "synthetic", "--symbol", "BTC/USDT", *HOUR)
    assert out.strip() == gate["fingerprint"]
    with pytest.raises(DataError, match=r"no bars from 2031.*stored 2020-10-01T00:00:00Z to 2020-10-01T00:59:00Z"):
        run("fingerprint", *GATE[1:5], "--from", "2031-01-01", "--to", "2031-01-02")


def test_people_get_tables(home: Path) -> None:
    assert "synthetic BTCUSDT 1m" in run(*SYNTHETIC)[1]
    code, out = run(*GATE)
    assert code == 1
    assert "Data gate: FAIL" in out
    assert "history_days >=" in out
    assert "HISTORY_LENGTH" in out
    assert "BTCUSDT" in run("list")[1]


def test_files_come_in_by_mapping_name_or_file(home: Path) -> None:
    pq.write_table(table(bars(60)), home / "x.parquet")
    arguments = ["import", "--source", "parquet", "--path", str(home / "x.parquet"), "--venue", "binance-usdm"]
    assert run(*arguments, "--symbol", "BTC/USDT", "--json")[0] == 0
    repeat = json.loads(run(*arguments, "--symbol", "BTC/USDT", "--mapping", "default", "--json")[1])
    assert repeat["imported"][0]["rows_known"] == 60
    narrow = ["--from", "2024-01-30T22:10", "--to", "2024-01-30T22:20"]
    cut = json.loads(run(*arguments, "--symbol", "BTC/USDT", *narrow, "--json")[1])
    assert set(cut["imported"][0]) == {
        "series", "venue", "symbol", "timeframe", "rows_added", "rows_known", "rows_enriched", "partitions", "first",
        "last",
    }  # fmt: skip
    assert cut["imported"][0]["rows_known"] == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "--source", "csv"], "--path, --venue, --symbol: needed with --source csv"),
        (["import", "--source", "csv", "--path", "x", "--venue", "v"], "--symbol: needed"),
        (["import", "--source", "ccxt", "--symbol", "S"], "--venue: needed with --source ccxt"),
        (["import", "--source", "ccxt", "--venue", "v", "--symbol", "S"], "'v' is not declared"),
        (["import", "--source", "ccxt", "--venue", "synthetic", "--symbol", "S"], "names no exchange to ask"),
        (["import", "--source", "ccxt", "--venue", "v", "--symbol", "S", "--path", "x"], "--path: not for"),
        (["import", "--source", "node", "--venue", "v", "--symbol", "S"], "set HISTORICAL_NODE_URL"),
        (["import", "--source", "node", "--venue", "v", "--symbol", "S", "--seed", "1"], "--seed: not for"),
        (["import", "--source", "synthetic", "--mapping", "default"], "--mapping: not for --source synthetic"),
        (["import", "--source", "synthetic", "--url", "x", "--path", "y"], "--path, --url: not for --source synthetic"),
        (["import", "--source", "synthetic", "--timeframe", "5m"], "has 1m bars only"),
        (["import", "--source", "synthetic", "--venue", "binance-usdm"], "not declared synthetic"),
        (["import", "--source", "synthetic", "--from", "2021-02-01", "--to", "2021-01-01"], "not before --to"),
        (["fingerprint", *GATE[1:5], "--from", "2021-02-01", "--to", "2021-02-01"], "not before --to"),
        ([*GATE, "--symbol", "BTCUSDT"], "BTCUSDT named twice"),
        ([*SYNTHETIC, "--symbol", "btc-usdt"], "BTCUSDT named twice"),
        (["import", "--source", "csv", "--path", "no/such", "--venue", "v", "--symbol", "S"], "no such file"),
        (["import", "--source", "csv", "--path", "x", "--venue", "v", "--symbol", "S", "--mapping", "m"], "nor one of"),
        (["import", "--source", "csv", "--path", "x", "--venue", "v", "--symbol", "S", "--seed", "1"], "--seed: not"),
        (["show", "--venue", "synthetic", "--symbol", "DOGE/USDT"], "DOGEUSDT 1m: not in the lake"),
        ([*GATE[:-1], "yesterday"], "not a date"),
        ([*GATE, "--timeframe", "1 minute"], "not understood"),
        ([*GATE, "--profile", "lenient"], "lenient"),
        (GATE, "BTCUSDT 1m: not in the lake"),
    ],
)
def test_a_mistake_is_one_line_and_a_usage_error(home: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(AirlockError, match=says) as refused:
        run(*arguments)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)


def test_an_unknown_source_is_a_usage_error(home: Path) -> None:
    assert run("import", "--source", "teletype")[0] == 2
