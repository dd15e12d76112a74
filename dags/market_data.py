"""Daily ingestion of market data, idempotent by its data interval; `airflow backfill create` re-ingests any past range.

The synthetic venue is a function of its seed: its interval is generated again and must equal what the lake holds.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronDataIntervalTimetable, Param, dag, get_current_context, task

from plugins.airflow_compat import final_unless_retryable


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "venue": Param("synthetic", type="string", pattern=r"^[a-z0-9-]+$", title="Lake venue"),
        "timeframe": Param("1m", type="string", pattern=r"^[1-9]\d*[smhd]$", title="Timeframe"),
    },
    tags=["airlock", "data"],
    default_args={"owner": "airlock", "retries": 3, "retry_delay": timedelta(minutes=5), "pool": "measurements"},
    doc_md=__doc__,
)
def market_data() -> None:
    """Ingests one data interval of every declared symbol of a venue."""

    @task(doc_md="Returns the fingerprint of the interval as it now is in the lake.")
    def ingest() -> str:
        from include.operations import tasks

        context = get_current_context()
        run, params = context["dag_run"], context["params"]
        start = run.data_interval_start or run.run_after - timedelta(days=1)
        end = run.data_interval_end or run.run_after
        with final_unless_retryable():
            return tasks.ingest_interval(params["venue"], params["timeframe"], start, end)

    ingest()


market_data()
