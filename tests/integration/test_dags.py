"""DAG files load fast, without errors and without heavy imports; approvals are wired so that nothing can skip them.

Airflow is loaded in a process of its own, with its own home: importing it here would configure it for all tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pandas", "vectorbt", "great_expectations", "ccxt", "numba", "pyarrow", "torch")
READ_DAGS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.hitl import HITLOperator
before = set(sys.modules)
bag = DagBag(sys.argv[1])
print("RESULT" + json.dumps({
    "errors": bag.import_errors,
    "seconds": {s.file.lstrip("/"): s.duration.total_seconds() for s in bag.dagbag_stats},
    "modules": sorted(set(sys.modules) - before),
    "dags": {d.dag_id: {
        "tags": sorted(d.tags), "doc": bool(d.doc_md), "params": sorted(d.params), "catchup": d.catchup,
        "schedule": str(getattr(d.timetable, "expression", "")),
        "tasks": {t.task_id: {
            "owner": t.owner, "retries": t.retries, "pool": t.pool, "trigger_rule": str(t.trigger_rule.value),
            "upstream": sorted(t.upstream_task_ids), "hitl": isinstance(t, HITLOperator),
            "defaults": getattr(t, "defaults", None), "doc": bool(t.doc_md),
        } for t in d.tasks}} for d in bag.dags.values()},
}))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "AIRLOCK"))} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'unused.db'}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, str(ROOT / "dags")], env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line is not None, done.stderr[-2000:]
    return dict(json.loads(line.removeprefix("RESULT")))


def tasks_of(loaded: dict[str, Any], dag_id: str) -> dict[str, Any]:
    return loaded["dags"][dag_id]["tasks"]


def test_no_dag_file_has_an_import_error(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}


def test_every_dag_of_the_design_is_there(loaded: dict[str, Any]) -> None:
    assert set(loaded["dags"]) == {"qualification", "live_trading", "daily_report", "emergency_stop", "market_data"}


def test_every_dag_file_parses_in_less_than_a_second(loaded: dict[str, Any]) -> None:
    slow = {name: seconds for name, seconds in loaded["seconds"].items() if seconds >= 1.0}
    assert slow == {}


def test_parsing_imports_nothing_heavy(loaded: dict[str, Any]) -> None:
    assert [m for m in loaded["modules"] if m.split(".")[0] in HEAVY] == []


def test_parsing_imports_of_the_product_only_its_errors(loaded: dict[str, Any]) -> None:
    ours = {m for m in loaded["modules"] if m.split(".")[0] == "include"}
    assert ours <= {"include", "include.domain", "include.domain.errors"}


def test_every_dag_and_task_says_what_it_is_for(loaded: dict[str, Any]) -> None:
    for dag_id, dag in loaded["dags"].items():
        assert dag["doc"] and dag["tags"] and not dag["catchup"], dag_id
        assert all(task["doc"] and task["owner"] == "airlock" for task in dag["tasks"].values()), dag_id


def test_questions_to_people_are_asked_once_and_never_answered_by_default(loaded: dict[str, Any]) -> None:
    questions = [t for dag in loaded["dags"].values() for t in dag["tasks"].values() if t["hitl"]]
    assert len(questions) == 5
    assert all(t["retries"] == 0 and t["defaults"] is None for t in questions)


def test_promotion_follows_only_from_the_verification_of_all_four_sign_offs(loaded: dict[str, Any]) -> None:
    tasks = tasks_of(loaded, "qualification")
    assert tasks["promote"]["upstream"] == ["verify_sign_offs"]
    assert tasks["promote"]["trigger_rule"] == "all_success"
    roles = ("mlops_engineer", "project_lead", "risk_manager", "trading_operations")
    assert set(tasks["verify_sign_offs"]["upstream"]) >= {f"sign_off_{role}" for role in roles}
    # Verification runs whatever became of the questions, because their states prove nothing either way.
    assert tasks["verify_sign_offs"]["trigger_rule"] == "all_done_min_one_success"


def test_no_other_task_of_the_ladder_runs_after_a_failure(loaded: dict[str, Any]) -> None:
    rules = {name: task["trigger_rule"] for name, task in tasks_of(loaded, "qualification").items()}
    rules.pop("verify_sign_offs")
    assert set(rules.values()) == {"all_success"}


def test_an_emergency_stop_is_never_tried_twice_by_itself(loaded: dict[str, Any]) -> None:
    assert tasks_of(loaded, "emergency_stop")["halt"]["retries"] == 0


def test_pools_are_those_of_the_settings_file(loaded: dict[str, Any]) -> None:
    from include.operations.airflow_settings import load_airflow_settings

    declared = {pool.pool_name for pool in load_airflow_settings().airflow.pools}
    used = {task["pool"] for dag in loaded["dags"].values() for task in dag["tasks"].values()}
    assert used <= declared


def test_the_report_is_scheduled_for_six_in_the_evening(loaded: dict[str, Any]) -> None:
    assert "18" in loaded["dags"]["daily_report"]["schedule"]
