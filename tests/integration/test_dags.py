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
import copy, json, sys
from datetime import UTC, datetime
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import ParamValidationError
before = set(sys.modules)
bag = DagBag(sys.argv[1])
from airflow import plugins_manager
links = [[type(link).__name__, link.name, link.xcom_key] for link in plugins_manager.get_global_operator_extra_links()]
modules = sorted(set(sys.modules) - before)
from fastapi.testclient import TestClient
apps = [{"prefix": a["url_prefix"], "stranger": TestClient(a["app"]).get("/a/page.html").status_code}
        for a in plugins_manager.get_fastapi_plugins()[0]]

def form(dag_id, conf):
    params = copy.deepcopy(bag.dags[dag_id].params)
    try:
        params.update(conf)
        params.validate()
    except ParamValidationError as error:
        return str(error).splitlines()[0]
    return ""

from plugins import reports
class CutOff:
    def xcom_push(self, key, value):
        raise RuntimeError("the api-server does not answer")
reports.get_current_context = lambda: {"ti": CutOff()}
reports.keep_reports({"report": "scalper/page.html"})

from plugins.partitions import partition_start
by_hand = SimpleNamespace(run_after=datetime(2024, 3, 2, 15, 30, tzinfo=UTC))
print("RESULT" + json.dumps({
    "errors": bag.import_errors,
    "seconds": {s.file.lstrip("/"): s.duration.total_seconds() for s in bag.dagbag_stats},
    "modules": modules, "links": links, "apps": apps, "plugin_errors": plugins_manager.get_import_errors(),
    "plugins": [p["name"] for p in plugins_manager.get_plugin_info()], "measured_all_the_same": True,
    "forms": [form("market_data", conf) for conf in json.loads(sys.argv[2])],
    "day_by_hand": partition_start({"dag_run": by_hand, "partition_date": None}).isoformat(),
    "partitions": {d.dag_id: [d.timetable.run_offset, d.timetable.key_format] for d in bag.dags.values()
                   if hasattr(d.timetable, "key_format")},
    "dags": {d.dag_id: {
        "tags": sorted(d.tags), "doc": bool(d.doc_md), "params": sorted(d.params), "catchup": d.catchup,
        "schedule": str(getattr(d.timetable, "expression", "")),
        "tasks": {t.task_id: {
            "owner": t.owner, "retries": t.retries, "pool": t.pool, "trigger_rule": str(t.trigger_rule.value),
            "upstream": sorted(t.upstream_task_ids), "hitl": isinstance(t, HITLOperator),
            "defaults": getattr(t, "defaults", None), "doc": bool(t.doc_md), "label": t.map_index_template,
            "group": t.task_group.group_id, "outlets": [o.name for o in t.outlets],
            "backoff": t.retry_exponential_backoff,
        } for t in d.tasks}} for d in bag.dags.values()},
}))
"""

FORMS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"venue": "binance-usdm", "symbols": ["BTC/USDT", "ETHUSDT"], "source": "node", "timeframe": "5m"}, ""),
    ({"venue": "Binance USD-M"}, "venue"),
    ({"symbols": ["bitcoin, please"]}, "symbols"),
    ({"symbols": "BTC/USDT"}, "symbols"),
    ({"timeframe": "minute"}, "timeframe"),
    ({"timeframe": "1d"}, "timeframe"),
    ({"source": "floppy"}, "source"),
    ({"profile": "two words"}, "profile"),
]
"""What the form of `market_data` is given, and the field it must refuse; empty when it takes it."""


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
    arguments = [str(ROOT / "dags"), json.dumps([conf for conf, _ in FORMS])]
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, *arguments], env=environment, capture_output=True, text=True, timeout=120,
        check=False,
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


def test_every_plugin_loads_and_builds_no_web_application_until_one_is_asked_for(loaded: dict[str, Any]) -> None:
    assert loaded["plugin_errors"] == {}
    assert "airlock_reports" in loaded["plugins"]
    assert "include.operations.report_server" not in loaded["modules"]


def test_every_application_of_a_plugin_asks_who_calls(loaded: dict[str, Any]) -> None:
    from include.operations.report_links import PREFIX

    assert loaded["apps"] == [{"prefix": PREFIX, "stranger": 401}]


def test_links_on_task_pages_read_what_tasks_record(loaded: dict[str, Any]) -> None:
    from include.operations.report_links import DOCS, REPORT

    assert loaded["links"] == [["ReportLink", "Report", REPORT], ["DataDocsLink", "Data Docs", DOCS]]


def test_a_report_that_cannot_be_linked_does_not_fail_the_measurement(loaded: dict[str, Any]) -> None:
    assert loaded["measured_all_the_same"]


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
    # A profile that demands no robustness check leaves the mapped task skipped, which is no failure.
    assert rules.pop("start_simulation") == "none_failed_min_one_success"
    assert set(rules.values()) == {"all_success"}


def test_a_simulation_waits_for_backtest_and_every_robustness_check(loaded: dict[str, Any]) -> None:
    tasks = tasks_of(loaded, "qualification")
    assert tasks["start_simulation"]["upstream"] == ["backtest", "robustness"]
    assert tasks["robustness"]["upstream"] == ["backtest", "plan_battery"]


def test_an_emergency_stop_is_never_tried_twice_by_itself(loaded: dict[str, Any]) -> None:
    assert tasks_of(loaded, "emergency_stop")["halt"]["retries"] == 0


def test_pools_are_those_of_the_settings_file(loaded: dict[str, Any]) -> None:
    from include.operations.airflow_settings import load_airflow_settings

    declared = {pool.pool_name for pool in load_airflow_settings().airflow.pools}
    used = {task["pool"] for dag in loaded["dags"].values() for task in dag["tasks"].values()}
    assert used <= declared


def test_the_report_is_scheduled_for_six_in_the_evening(loaded: dict[str, Any]) -> None:
    assert "18" in loaded["dags"]["daily_report"]["schedule"]


def test_market_data_is_partitioned_by_day_and_the_schedule_makes_yesterday(loaded: dict[str, Any]) -> None:
    assert loaded["dags"]["market_data"]["schedule"] == "0 0 * * *"
    assert loaded["partitions"] == {"market_data": [-1, "%Y-%m-%d"]}


def test_a_run_by_hand_without_a_partition_is_for_the_last_whole_day(loaded: dict[str, Any]) -> None:
    assert loaded["day_by_hand"] == "2024-03-01T00:00:00+00:00"


def test_one_symbol_of_market_data_is_ingested_then_judged_whatever_becomes_of_the_others(
    loaded: dict[str, Any],
) -> None:
    tasks = tasks_of(loaded, "market_data")
    ingest, check = tasks["partition.ingest"], tasks["partition.check"]
    assert ingest["group"] == check["group"] == "partition"
    assert ingest["upstream"] == ["plan"]
    assert check["upstream"] == ["partition.ingest", "plan"]
    assert ingest["trigger_rule"] == check["trigger_rule"] == "all_success"
    assert ingest["label"] == check["label"] == "{{ series }}"


def test_only_a_judged_day_is_announced_as_an_asset(loaded: dict[str, Any]) -> None:
    outlets = {name: task["outlets"] for name, task in tasks_of(loaded, "market_data").items()}
    assert outlets == {"plan": [], "partition.ingest": [], "partition.check": ["airlock-lake"]}


def test_ingestion_waits_for_the_one_writer_of_the_lake_and_asks_a_silent_source_again(loaded: dict[str, Any]) -> None:
    from include.operations.airflow_settings import load_airflow_settings

    ingest = tasks_of(loaded, "market_data")["partition.ingest"]
    slots = {pool.pool_name: pool.pool_slot for pool in load_airflow_settings().airflow.pools}
    assert slots[ingest["pool"]] == 1
    assert ingest["retries"] >= 3
    assert ingest["backoff"] > 1


@pytest.mark.parametrize("case", range(len(FORMS)))
def test_the_form_of_market_data_refuses_what_cannot_be_meant(loaded: dict[str, Any], case: int) -> None:
    said, field = loaded["forms"][case], FORMS[case][1]
    assert f"param {field}:" in said if field else said == ""
