"""Kill switch from the UI: halts a scope in the ledger, cancels its working orders at the venue, flattens if asked.

Acts in the name of whoever triggers this run. `airlock halt` does the same without Airflow. HALTED survives restarts;
only `airlock resume --by NAME --reason TEXT` lifts it.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, get_current_context, task

from plugins.airflow_compat import final_unless_retryable, triggering_user


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=4,
    params={
        "scope": Param(
            "all",
            type="string",
            pattern=r"^(all|account:[A-Za-z0-9_-]+|deployment:[0-9a-f]{64})$",
            title="Scope",
            description="`all`, `account:NAME` or `deployment:ID`.",
        ),
        "flatten": Param(False, type="boolean", title="Close positions too"),
        "reason": Param(
            type="string", minLength=3, maxLength=500, title="Reason", description="Kept in the ledger with your name."
        ),
    },
    tags=["airlock", "live", "safety"],
    default_args={"owner": "airlock", "retries": 0, "pool": "trading", "priority_weight": 1000},
    doc_md=__doc__,
)
def emergency_stop() -> None:
    """Halts trading now."""

    @task(doc_md="Halts first, then talks to the venue; lists everything it could not do.")
    def halt() -> str:
        from include.operations import tasks

        context = get_current_context()
        params = context["params"]
        by = triggering_user(context)
        with final_unless_retryable():
            return tasks.emergency_stop(params["scope"], by, params["reason"], flatten=params["flatten"])

    halt()


emergency_stop()
