"""`airlock qualify` and `airlock backtest` on a small real lake: JSON contract, exit codes, what a person reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner, Result

from include.cli import app
from include.config.files import CONFIG, VENUES_FILE
from include.config.venues import load_venues
from include.domain.bars import Bars, Signals
from include.domain.enums import BATTERY
from include.domain.errors import AirlockError
from include.domain.times import Timeframe
from include.market_data.lake import ParquetLake
from include.market_data.synthetic import generate
from include.strategies.mean_reversion import MeanReversionScalper

START = datetime(2024, 5, 1, tzinfo=UTC)
DAYS = 12
SYMBOLS = ("BTC/USDT", "ETH/USDT")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRLOCK_HOME whose lake holds twelve synthetic days, with a profile and candidates that fit them."""
    folder = tmp_path_factory.mktemp("home")
    lake = ParquetLake(folder / "lake", load_venues(VENUES_FILE))
    for symbol in SYMBOLS:
        bars = generate(symbol, START, START + timedelta(days=DAYS))
        columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
        times = pa.array(bars.open_time, pa.timestamp("ms", tz="UTC"))
        lake.ingest(
            "synthetic", symbol, Timeframe(60), pa.table({"open_time": times, **columns}), source="test", now=NOW
        )
    profile = yaml.safe_load((CONFIG / "profiles" / "five-year.yaml").read_text())
    profile["name"] = "short"
    profile["data"]["min_history_days"] = 10
    profile["criteria"]["DATA_GATE"][0]["threshold"] = 10.0
    (folder / "short.yaml").write_text(yaml.safe_dump(profile))
    for name in ("mean-reversion-scalper", "trend-follower"):
        candidate = yaml.safe_load((CONFIG / "candidates" / f"{name}.yaml").read_text())
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**candidate, "symbols": list(SYMBOLS)}))
    return folder


@pytest.fixture
def airlock(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIRLOCK_HOME", str(home))
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def document(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_a_candidate_that_qualifies_exits_0_with_the_contract_on_standard_output(home: Path, airlock: Any) -> None:
    result = airlock("qualify", home / "mean-reversion-scalper.yaml", "--profile", home / "short.yaml", "--json")
    assert result.exit_code == 0, result.output
    found = document(result)
    assert found["verdict"] == "PASS" and found["issues"] == [] and found["synthetic"] is True
    assert {"candidate_id", "metrics", "stages", "fingerprint", "report"} <= found.keys()
    assert {
        "trades", "win_rate", "net_profit", "max_drawdown", "sharpe", "sortino", "profit_factor", "recovery_factor",
    } <= found["metrics"].keys()  # fmt: skip
    assert 0.93 < found["metrics"]["win_rate"] <= 1
    assert list(found["stages"]) == ["DATA_GATE", "BACKTEST"]
    for stage in found["stages"].values():
        assert stage["phase"] == "PASS"
        for row in stage["criteria"]:
            assert {"metric", "op", "threshold", "value", "low", "high", "verdict", "reason"} <= row.keys()
    assert "QUALIFIES" in Path(found["report"]).read_text()


def test_the_whole_battery_is_shown_and_only_what_is_demanded_is_judged(home: Path, airlock: Any) -> None:
    profile = yaml.safe_load((home / "short.yaml").read_text())
    profile["criteria"]["COSTS"] = [{"metric": "break_even_slippage_bps", "op": ">=", "threshold": 1.0}]
    (home / "dear.yaml").write_text(yaml.safe_dump(profile))
    arguments = ("qualify", home / "mean-reversion-scalper.yaml", "--profile", home / "dear.yaml", "--json")
    result = airlock(*arguments, "--full")
    found = document(result)
    assert result.exit_code == 0, found["issues"]
    assert list(found["stages"]) == ["DATA_GATE", "BACKTEST", *(stage.value for stage in BATTERY)]
    assert [name for name, stage in found["stages"].items() if stage["demanded"]] == ["DATA_GATE", "BACKTEST", "COSTS"]
    assert {"parameter_plateau", "break_even_fee_bps", "capacity"} <= found["metrics"].keys()
    assert list(document(airlock(*arguments))["stages"]) == ["DATA_GATE", "BACKTEST", "COSTS"]


def test_a_candidate_that_does_not_exits_1_and_a_person_reads_why(home: Path, airlock: Any) -> None:
    result = airlock("qualify", home / "trend-follower.yaml", "--profile", home / "short.yaml")
    assert result.exit_code == 1
    assert "trend-follower: DOES NOT QUALIFY (synthetic data)" in result.stdout
    assert "BACKTEST: sharpe > 1: measured -" in result.stdout


def test_after_a_failed_gate_the_backtest_still_shows_its_issues(home: Path, airlock: Any) -> None:
    found = document(airlock("qualify", home / "trend-follower.yaml", "--profile", "five-year", "--json"))
    assert found["verdict"] == "FAIL"
    assert {issue.split(":")[0] for issue in found["issues"]} == {"DATA_GATE", "BACKTEST"}


def test_the_backtest_alone_writes_the_trades_it_measured(home: Path, airlock: Any, tmp_path: Path) -> None:
    trades = tmp_path / "out" / "trades.parquet"
    result = airlock(
        "backtest", home / "mean-reversion-scalper.yaml", "--profile", home / "short.yaml", "--trades", trades,
        "--from", "2024-05-02", "--to", "2024-05-09", "--json",
    )  # fmt: skip
    found = document(result)
    table = parquet.read_table(trades)
    assert result.exit_code == 0
    assert list(found["stages"]) == ["BACKTEST"]
    assert table.num_rows == found["metrics"]["trades"]
    assert min(table.column("entry_time").to_pylist()) >= datetime(2024, 5, 2, tzinfo=UTC)
    assert max(table.column("exit_time").to_pylist()) < datetime(2024, 5, 9, tzinfo=UTC)


MISTAKES = {
    "an unknown candidate": (["nobody", "--profile", "five-year"], "nobody"),
    "an unknown profile": (["{home}/trend-follower.yaml", "--profile", "easy"], "easy"),
    "an unknown venue": (["{home}/trend-follower.yaml", "--profile", "five-year", "--venue", "mars"], "mars"),
    "a window that is empty": (
        ["{home}/trend-follower.yaml", "--profile", "five-year", "--from", "2024-05-03", "--to", "2024-05-02"], "empty",
    ),
    "a date that is none": (["{home}/trend-follower.yaml", "--profile", "five-year", "--from", "soon"], "soon"),
    "symbols that are not in the lake": (["trend-follower", "--profile", "five-year"], "SOL"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("command", ["qualify", "backtest"])
def test_mistakes_are_usage_errors_that_name_what_is_wrong(home: Path, airlock: Any, command: str, name: str) -> None:
    arguments, named = MISTAKES[name]
    result = airlock(command, *(a.format(home=home) for a in arguments), "--json")
    assert result.stdout == ""
    assert isinstance(result.exception, AirlockError)
    assert result.exception.exit_code == 2
    assert named in str(result.exception) and "\n" not in str(result.exception)


def test_trades_that_cannot_be_written_are_a_usage_error(home: Path, airlock: Any) -> None:
    blocked = home / "short.yaml" / "trades.parquet"  # a file where a folder is needed
    result = airlock(
        "backtest", home / "mean-reversion-scalper.yaml", "--profile", home / "short.yaml", "--trades", blocked,
        "--from", "2024-05-02", "--to", "2024-05-03",
    )  # fmt: skip
    assert isinstance(result.exception, AirlockError) and result.exception.exit_code == 2
    assert "--trades" in str(result.exception)


def test_what_a_strategy_prints_does_not_stand_in_the_answer_and_a_part_of_the_ladder_does_not_qualify(
    home: Path, airlock: Any
) -> None:
    talkative = yaml.safe_load((home / "mean-reversion-scalper.yaml").read_text())
    name = f"{__name__}:Talkative"
    (home / "talkative.yaml").write_text(yaml.safe_dump({**talkative, "name": "talkative", "strategy": name}))
    arguments = ("backtest", home / "talkative.yaml", "--profile", home / "short.yaml")
    result = airlock(*arguments, "--json")
    assert document(result)["verdict"] == "PASS" and "hello" in result.stderr
    read = airlock(*arguments).stdout
    assert "talkative: PASSES SO FAR (synthetic data)" in read and "hello" not in read


class Talkative(MeanReversionScalper):
    """Prints while it is measured."""

    def signals(self, bars: Bars) -> Signals:
        print("hello")  # noqa: T201
        return super().signals(bars)
