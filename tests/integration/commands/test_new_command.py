"""`airlock new`: what it writes can be tested and qualified at once, as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.config.files import VENUES_FILE
from include.config.venues import load_venues
from include.market_data.importing import import_synthetic
from include.market_data.lake import ParquetLake
from include.market_data.synthetic import DEFAULT_START
from tests.market import NOW, minutes

ROOT = Path(__file__).resolve().parents[3]


def airlock(home: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AIRLOCK")} | {"AIRLOCK_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "include.cli", *arguments], env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False, cwd=folder or ROOT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    lake = ParquetLake(folder / "lake", load_venues(VENUES_FILE))
    import_synthetic(lake, ["BTC/USDT"], DEFAULT_START, DEFAULT_START + minutes(20 * 1_440), seed=1, now=NOW)
    return folder


@pytest.fixture(scope="module")
def written(home: Path) -> dict[str, Any]:
    done = airlock(home, "new", "my-breakout", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_written_tests_pass(home: Path, written: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", written["folder"]],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{home / 'strategies'}"}, capture_output=True, text=True,
        timeout=120, check=False, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr


def test_the_candidate_is_qualified_at_once_from_any_folder(home: Path, written: dict[str, Any]) -> None:
    done = airlock(home, "qualify", written["candidate"], "--profile", "five-year", "--json", folder=home)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["candidate"] == "my-breakout" and found["metrics"]["trades"] > 0
    assert found["metrics"]["lookahead_rows"] == 0 and found["metrics"]["warmup_mismatches"] == 0
    assert not found["stages"]["BACKTEST"]["error"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["new", "my-breakout"], "is there already"),
        (["new", "My_Breakout"], "lower-case words"),
        (["new", "../elsewhere"], "lower-case words"),
        (["new", "class"], "lower-case words"),
        (["new", "json"], "there is a module 'json' already"),
        (["new", "numpy"], "there is a module 'numpy' already"),
        (["new", "other", "--venue", "nyse"], "not declared"),
        (["new", "other", "--symbol", "XRP/USDT"], "not declared"),
        (["new", "other", "--timeframe", "fortnight"], "timeframe"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    home: Path, written: dict[str, Any], arguments: list[str], reason: str
) -> None:
    done = airlock(home, *arguments)
    assert done.returncode == 2 and reason in done.stderr and len(done.stderr.splitlines()) == 1
    assert sorted(p.name for p in (home / "strategies").iterdir()) == ["my_breakout"]
    assert written["folder"] == str(home / "strategies" / "my_breakout")
