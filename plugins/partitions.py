"""Daily partitions of the lake in Airflow's terms: which day a run is for, and the asset event of a day that passed.

A series is the asset `airlock://lake/VENUE/SYMBOL/TIMEFRAME`; an event says that one of its days is in the lake and was
judged good. Which series there are is known at run time only, so tasks declare the alias as their outlet and name the
asset when they are done. Airflow gives the event the run's partition key; runs without one (triggered by hand with no
key) have the day in `extra` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, get_current_context

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.operations.tasks import CheckedPartition

LAKE = AssetAlias("airlock-lake")


def partition_start(context: Mapping[str, Any]) -> datetime:
    """Midnight UTC that begins the run's day: its partition, or the last whole day for a run that has none."""
    day = context.get("partition_date")
    if day is None:
        run_after = context["dag_run"].run_after.astimezone(UTC)
        return datetime.combine(run_after.date(), time(), UTC) - timedelta(days=1)
    # Airflow hands out pendulum's subclass, whose time differences do not divide like the standard ones.
    return datetime.fromtimestamp(day.timestamp(), UTC)


def labelled(series: str) -> Context:
    """The task's context, in which `map_index_template="{{ series }}"` names the mapped task by its series.

    The template cannot take it from `op_kwargs`: inside a mapped task group they are resolved after it is rendered.
    """
    context = get_current_context()
    context["series"] = series  # type: ignore[typeddict-unknown-key]
    return context


def announce_partition(context: Mapping[str, Any], checked: CheckedPartition) -> None:
    """Record the asset event; Airflow emits it when the task succeeds, and only then."""
    context["outlet_events"][LAKE].add(
        Asset(name=checked.series, uri=f"airlock://lake/{checked.series}"),
        extra={
            "partition": f"{partition_start(context):%Y-%m-%d}", "rows": checked.rows,
            "fingerprint": checked.fingerprint,
        },
    )  # fmt: skip
