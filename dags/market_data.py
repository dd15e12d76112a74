"""Market data, one day at a time: every symbol of a venue is ingested, judged, and announced when it is good.

A run is for one **partition**, a UTC day; the schedule makes the run of yesterday at midnight. For each symbol,
`ingest` brings the day into the lake, then `check` judges exactly that day and emits the asset event
`airlock://lake/VENUE/SYMBOL/TIMEFRAME`. One symbol's failure stops that symbol alone.

**Any past range again** (both days included; a day that has a run, of whatever venue, is left alone unless told
otherwise):

```
airlock airflow backfill create --dag-id market_data --from-date 2024-01-01 --to-date 2024-01-31
airlock airflow backfill create --dag-id market_data --from-date 2024-01-01 --to-date 2024-01-31 \\
    --reprocess-behavior completed --dag-run-conf '{"venue": "binance-usdm", "symbols": ["BTC/USDT"]}'
```

Bars that are stored already and equal change nothing. A bar that differs from the stored one fails the task, which
names it, and nothing is overwritten. A day with a missing bar fails its check: repeat it when the source has the bar.
A day that is not over, or outside the synthetic market, is skipped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronPartitionTimetable, Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from plugins.airflow_compat import final_unless_retryable
from plugins.partitions import LAKE, announce_partition, labelled, partition_start
from plugins.reports import keep_reports

SYMBOL = r"^[A-Z0-9][A-Z0-9./:-]*$"
PARAMS = {
    "venue": Param(
        None,
        type=["null", "string"],
        pattern=r"^[a-z0-9][a-z0-9._-]*$",
        title="Venue",
        description="Of the lake, declared in venues.yaml. Empty: setting AIRLOCK_INGEST_VENUE (synthetic unless set).",
    ),
    "timeframe": Param("1m", type="string", pattern=r"^[1-9]\d*[smh]$", title="Timeframe"),
    "symbols": Param(
        [],
        type="array",
        items={"type": "string", "pattern": SYMBOL},
        title="Symbols",
        description="One a line, BTC/USDT or BTCUSDT. Empty: all that the venue declares.",
    ),
    "source": Param(
        "auto",
        type="string",
        enum=["auto", "node", "ccxt", "synthetic"],
        title="Source",
        description="auto: the generator of a synthetic venue, else the data node at HISTORICAL_NODE_URL, else the "
        "venue's own exchange.",
    ),
    "profile": Param(
        "five-year",
        type="string",
        pattern=r"^[A-Za-z0-9_./-]+$",
        title="Profile",
        description="Whose rules judge a day; length of history aside, and every bar must be there.",
    ),
}


@dag(
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["airlock", "data"],
    default_args={
        "owner": "airlock",
        # A source that does not answer, or a lake that another import keeps, is asked again for a quarter of an hour.
        "retries": 4,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 2.0,
        # The lake has one writer; waiting for the pool's only slot is no failure, meeting its lock would be one.
        "pool": "lake",
    },
    doc_md=__doc__,
)
def market_data() -> None:
    """Ingests and judges one day of a venue."""

    @task(doc_md="Checks what was asked for and names the series of the day, `VENUE/SYMBOL/TIMEFRAME`.")
    def plan() -> list[str]:
        from include.operations import tasks

        context = get_current_context()
        params = context["params"]
        with final_unless_retryable():
            found = tasks.plan_ingestion(
                params["venue"], params["timeframe"], params["symbols"], params["source"], params["profile"],
                partition_start(context), now=datetime.now(UTC),
            )  # fmt: skip
        if not found:
            raise AirflowSkipException("nothing to ingest")
        return found

    @task(
        map_index_template="{{ series }}",
        doc_md="Brings the day into the lake; a repeat changes nothing. Returns the fingerprint of what is stored now.",
    )
    def ingest(series: str) -> str:
        from include.operations import tasks

        context = labelled(series)
        source = context["params"]["source"]
        with final_unless_retryable():
            return tasks.ingest_partition(series, source, partition_start(context), now=datetime.now(UTC))

    @task(
        pool="measurements",
        outlets=[LAKE],
        map_index_template="{{ series }}",
        doc_md="Judges exactly this day; fails unless PASS. Returns verdict and fingerprint, emits the asset event.",
    )
    def check(series: str) -> dict[str, str]:
        from include.operations import tasks

        context = labelled(series)
        with final_unless_retryable():
            checked = tasks.check_partition(
                series, context["params"]["profile"], partition_start(context), now=datetime.now(UTC),
                announce=keep_reports,
            )  # fmt: skip
        announce_partition(context, checked)
        return {"verdict": checked.verdict.value, "fingerprint": checked.fingerprint}

    @task_group
    def partition(series: str) -> None:
        """One day of one series."""
        ingest(series) >> check(series)

    partition.expand(series=plan())


market_data()
