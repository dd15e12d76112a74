"""`airflow backfill create` on a real Airflow, fed by a real data node: idempotent, contradicted, incomplete.

The node serves a lake of its own with two days of two symbols; one bar of the second day is missing there. The tests
are one story, in the order of the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include import bootstrap
from include.config.settings import PROJECT_ROOT, Settings
from include.domain.times import to_ms
from include.operations import stack
from include.operations.airflow_client import AirflowClient
from tests import market
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(600)]

DAG = "market_data"
VENUE = "binance-usdm"
BTC, ETH = "BTC/USDT", "ETH/USDT"
SYMBOLS = (BTC, ETH)
FIRST, SECOND = datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
"""Two days in two months, so in two files of the lake."""
END = SECOND + timedelta(days=1)
MISSING = datetime(2024, 2, 1, 3, 7, tzinfo=UTC)
CHANGED = datetime(2024, 1, 31, 12, 34, tzinfo=UTC)
CONF = {"venue": VENUE, "symbols": list(SYMBOLS)}
BACKFILLED_WITHIN_SECS = 240


def series(symbol: str) -> str:
    return f"{VENUE}/{symbol.replace('/', '')}/1m"


@dataclass(frozen=True)
class Outcome:
    """What became of one run; state of each task by name, of mapped ones by `task[symbol]`."""

    state: str
    tasks: Mapping[str, str]
    run_id: str = field(compare=False)


@dataclass
class World:
    """A running stack, the node that feeds it, and what the tests know about both."""

    settings: Settings
    node: Settings
    admin: AirflowClient

    def backfill(self, first: datetime, last: datetime, *, reprocess: str = "none") -> None:
        """As documented, on the command line, once the one before is over."""
        wait_for(lambda: all(b["completed_at"] for b in self.admin.backfills(DAG)), secs=60, every=1.0)
        done = subprocess.run(
            [sys.executable, "-m", "include.cli", "airflow", "backfill", "create", "--dag-id", DAG,
             "--from-date", f"{first:%Y-%m-%d}", "--to-date", f"{last:%Y-%m-%d}", "--reprocess-behavior", reprocess,
             "--dag-run-conf", json.dumps(CONF)],
            env=dict(os.environ), cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def outcomes(self, *runs: str) -> dict[str, Outcome]:
        """By day, once all of these runs have ended."""

        def found() -> list[Mapping[str, Any]]:
            return [r for r in self.admin.runs(DAG) if r["dag_run_id"] in runs]

        wait_for(
            lambda: all(r["state"] in ("success", "failed") for r in found()), secs=BACKFILLED_WITHIN_SECS, every=1.0
        )
        return {r["partition_key"]: Outcome(r["state"], self._tasks(r["dag_run_id"]), r["dag_run_id"]) for r in found()}

    def of_backfills(self) -> list[str]:
        """Runs that backfills have made."""
        return [str(r["dag_run_id"]) for r in self.admin.runs(DAG) if r["run_type"] == "backfill"]

    def _tasks(self, run: str) -> dict[str, str]:
        """A mapped task that never ran has no label yet, so the index tells its symbol."""
        return {
            task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{SYMBOLS[task['map_index']]}]": str(
                task["state"]
            )
            for task in self.admin.task_instances(DAG, run)
        }

    def events(self) -> list[tuple[str, str, str, int, str]]:
        """Asset, partition key, day as the event says it, rows and fingerprint; oldest first."""
        return [
            (e["uri"], e["partition_key"], e["extra"]["partition"], e["extra"]["rows"], e["extra"]["fingerprint"])
            for e in self.admin.asset_events(DAG)
        ]

    def fingerprint(self, settings: Settings, symbol: str, start: datetime, end: datetime) -> str:
        return bootstrap.open_lake(settings).fingerprint(VENUE, [symbol], market.MINUTE, start, end)

    def log_of(self, run: str, task: str, symbol: str) -> str:
        folder = self.settings.logs / "airflow" / f"dag_id={DAG}" / f"run_id={run}" / f"task_id={task}"
        return "".join(p.read_text() for p in (folder / f"map_index={SYMBOLS.index(symbol)}").glob("attempt=*.log"))

    def stored(self) -> dict[str, tuple[int, str]]:
        """Every file of the lake: when it was written and what it holds."""
        root = self.settings.lake_root
        return {
            str(path.relative_to(root)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(root.rglob(f"venue={VENUE}/**/*"))
            if path.is_file()
        }


def bars_of(symbol: str) -> market.Columns:
    columns = market.bars(2 * 1440, FIRST, seed=SYMBOLS.index(symbol))
    if symbol == ETH:
        columns = market.take(columns, columns["open_time"] != to_ms(MISSING))
    return columns


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="airlock-backfill-")).resolve()
    patch = pytest.MonkeyPatch()
    patch.setenv("AIRLOCK_HOME", str(home / "node"))
    patch.setenv("AIRLOCK_AIRFLOW_PORT", "0")
    node = Settings()
    for symbol in SYMBOLS:
        store(node, symbol, bars_of(symbol))
    try:
        with serving(node) as url:
            patch.setenv("AIRLOCK_HOME", str(home / "stack"))
            patch.setenv("HISTORICAL_NODE_URL", url)
            settings = Settings()
            state, _ = stack.up(settings, print)
            password = json.loads(Path(state.passwords_file).read_text())["admin"]
            with AirflowClient(state.airflow_url, user="admin", password=password) as admin:
                wait_for(lambda: DAG in admin.dag_ids(), secs=60)
                yield World(settings, node, admin)
            stack.down(settings, print)
    finally:
        if (home / "stack").exists():
            stack.down(Settings(home=home / "stack"), print)
        patch.undo()
        shutil.rmtree(home, ignore_errors=True)


def store(settings: Settings, symbol: str, columns: market.Columns) -> None:
    bootstrap.open_lake(settings).ingest(
        VENUE, symbol, market.MINUTE, market.table(columns), source="test", now=market.NOW
    )


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A data node over a home's lake, in a process of its own."""
    node = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "node", "--json", "--venue", VENUE],
        env=os.environ | {"AIRLOCK_HOME": str(settings.home)}, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert node.stdout is not None
        yield str(json.loads(node.stdout.readline())["url"])
    finally:
        node.terminate()
        node.wait(timeout=20)


@pytest.fixture(scope="module")
def first(world: World) -> dict[str, Outcome]:
    """The first backfill of both days."""
    world.backfill(FIRST, SECOND)
    return world.outcomes(*world.of_backfills())


def test_a_backfill_fills_the_lake_with_what_the_node_has(world: World, first: dict[str, Outcome]) -> None:
    assert {day: run.state for day, run in first.items()} == {"2024-01-31": "success", "2024-02-01": "failed"}
    assert set(first["2024-01-31"].tasks.values()) == {"success"}
    for symbol in SYMBOLS:
        there, here = (world.fingerprint(settings, symbol, FIRST, END) for settings in (world.node, world.settings))
        assert here == there


def test_a_day_with_a_missing_bar_fails_its_check_and_names_the_bar(world: World, first: dict[str, Outcome]) -> None:
    run = first["2024-02-01"]
    assert run.tasks == {
        "plan": "success",
        f"partition.ingest[{BTC}]": "success", f"partition.check[{BTC}]": "success",
        f"partition.ingest[{ETH}]": "success", f"partition.check[{ETH}]": "failed",
    }  # fmt: skip
    linked = world.admin.links(DAG, run.run_id, "partition.check", SYMBOLS.index(ETH))
    assert linked == {"Report": f"/airlock/reports/market-data/{series(ETH)}/2024-02-01.json"}
    said = world.log_of(run.run_id, "partition.check", ETH)
    assert "completeness >= 1" in said
    assert "COMPLETENESS ETH/USDT 2024-02-01T03:07:00Z (1 bar" in said


def test_only_days_that_passed_are_announced(world: World, first: dict[str, Outcome]) -> None:
    def event(symbol: str, start: datetime) -> tuple[str, str, str, int, str]:
        day = f"{start:%Y-%m-%d}"
        content = world.fingerprint(world.node, symbol, start, start + timedelta(days=1))
        return f"airlock://lake/{series(symbol)}", day, day, 1440, content

    assert sorted(world.events()) == sorted([event(BTC, FIRST), event(BTC, SECOND), event(ETH, FIRST)])


def test_mapped_tasks_carry_the_name_of_their_series(world: World, first: dict[str, Outcome]) -> None:
    tasks = world.admin.task_instances(DAG, first["2024-01-31"].run_id)
    assert {t["rendered_map_index"] for t in tasks if t["map_index"] >= 0} == {series(symbol) for symbol in SYMBOLS}


def test_a_day_outside_the_synthetic_market_is_skipped(world: World) -> None:
    """As the schedule does it: yesterday of the default venue. Nothing to ingest is neither success nor failure."""
    run = world.admin.trigger(DAG, {})
    wait_for(lambda: world.admin.run(DAG, run)["state"] == "success", secs=90, every=1.0)
    assert {task["state"] for task in world.admin.task_instances(DAG, run)} == {"skipped"}


def test_the_same_backfill_again_changes_nothing(world: World, first: dict[str, Outcome]) -> None:
    stored, known = world.stored(), world.of_backfills()
    assert {Path(name).name for name in stored} >= {"2024-01.parquet", "2024-02.parquet"}
    world.backfill(FIRST, SECOND, reprocess="completed")
    again = [run for run in world.of_backfills() if run not in known]
    assert world.outcomes(*again) == first
    assert world.stored() == stored


def test_a_bar_that_the_node_changed_is_refused_by_name_and_nothing_is_overwritten(world: World) -> None:
    columns = bars_of(BTC)
    changed = columns["open_time"] == to_ms(CHANGED)
    columns["close"] = np.where(changed, columns["high"], columns["close"])
    shutil.rmtree(world.node.lake_root / f"venue={VENUE}" / "symbol=BTCUSDT")
    store(world.node, BTC, columns)
    stored, announced = world.stored(), len(world.events())

    started = world.admin.trigger(DAG, {**CONF, "symbols": [BTC]}, partition=f"{FIRST:%Y-%m-%d}")
    assert world.outcomes(started)["2024-01-31"].tasks == {
        "plan": "success", f"partition.ingest[{BTC}]": "failed", f"partition.check[{BTC}]": "upstream_failed",
    }  # fmt: skip
    assert "bar 2024-01-31T12:34:00Z is stored with close=" in world.log_of(started, "partition.ingest", BTC)
    assert world.stored() == stored
    assert len(world.events()) == announced
