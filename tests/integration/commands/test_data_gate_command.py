"""`airlock data gate` writes a report wherever it is told to, says where, and replaces the one of an equal run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.commands.data import app

WINDOW = ["--from", "2020-10-01", "--to", "2020-10-01T03:00:00"]
SYMBOLS = ["--symbol", "BTC/USDT", "--symbol", "ETH/USDT"]
GATE = ["gate", "--venue", "synthetic", *SYMBOLS, *WINDOW, "--profile", "live-kpi"]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path / "home"))
    run("import", "--source", "synthetic", *SYMBOLS, *WINDOW, "--json")
    return tmp_path / "home"


def test_the_report_lies_under_the_home_by_fingerprint_window_and_profile(home: Path) -> None:
    code, out = run(*GATE, "--json")
    gate = json.loads(out)
    page = Path(gate["report"])
    assert code == 1, "three hours are no history"
    assert page.parent.parent == home / "reports" / "data-gate"
    assert page.parent.name == f"{gate['fingerprint'][:12]}-2020-10-01-to-2020-10-01T0300-live-kpi"
    assert {p.name for p in page.parent.iterdir()} == {"data-gate.json", "data-gate.html", "data-docs"}
    assert json.loads((page.parent / "data-gate.json").read_text())["fingerprint"] == gate["fingerprint"]
    (page.parent / "data-docs" / "index.html").write_text("old")
    assert json.loads(run(*GATE, "--json")[1])["report"] == str(page)
    assert (page.parent / "data-docs" / "index.html").read_text() != "old"


def test_people_see_scores_against_thresholds_reasons_violations_and_where_the_report_is(
    home: Path, tmp_path: Path
) -> None:
    code, out = run(*GATE, "--report", str(tmp_path / "here"), "--no-docs")
    assert code == 1
    assert "synthetic data" in out
    assert "completeness >= 95 %" in out
    assert "0.125 FAIL" in out, "days of history, marked where they miss the threshold"
    assert "HISTORY_LENGTH" in out
    assert str(tmp_path / "here" / "data-gate.html") in out.replace("\n", "")
    assert "Data Docs" not in out
    assert {p.name for p in (tmp_path / "here").iterdir()} == {"data-gate.json", "data-gate.html"}
    assert not (home / "reports").exists()
