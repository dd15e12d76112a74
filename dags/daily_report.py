"""The daily report at 18:00: trades, profit, risk and qualification status, as HTML and as a notice."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from plugins.airflow_compat import final_unless_retryable
from plugins.reports import keep_reports


@dag(
    # The setting AIRLOCK_REPORT_TIME_ZONE; read from the environment because a DAG file must load in milliseconds.
    schedule=CronTriggerTimetable("0 18 * * *", timezone=os.environ.get("AIRLOCK_REPORT_TIME_ZONE", "UTC")),
    catchup=False,
    max_active_runs=1,
    tags=["airlock", "report"],
    default_args={"owner": "airlock", "retries": 3, "retry_delay": timedelta(minutes=1), "pool": "trading"},
    doc_md=__doc__,
)
def daily_report() -> None:
    """Builds and announces the report of the day."""

    @task(doc_md="Writes the report's file and returns its path.")
    def build_report() -> str:
        from include.operations import tasks

        context = get_current_context()
        moment = context["dag_run"].logical_date or context["dag_run"].run_after
        with final_unless_retryable():
            return tasks.build_daily_report(moment, announce=keep_reports)

    build_report()


daily_report()
