"""Live trading of one promoted deployment: go-live checks -> release by trading operations -> supervised session.

The session runs in the trader, not here. This run watches it: it can be killed, cleared or lost without stopping,
starting or doubling any trading. To stop trading use `emergency_stop` or `airlock halt`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag, get_current_context, task

from plugins.airflow_compat import final_unless_retryable, recorded_answers
from plugins.sessions import HeartbeatSensor, RiskSensor, SessionOperator
from plugins.sign_offs import ReleaseOperator

DEPLOYMENT = "{{ params.deployment_id }}"


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=16,
    params={
        "deployment_id": Param(
            type="string",
            pattern="^[0-9a-f]{64}$",
            title="Deployment",
            description="Id of a promoted live deployment (`airlock status`). Refused unless the ledger authorises it.",
        )
    },
    tags=["airlock", "live"],
    default_args={"owner": "airlock", "retries": 2, "retry_delay": timedelta(seconds=20), "pool": "trading"},
    doc_md=__doc__,
)
def live_trading() -> None:
    """Releases and supervises one deployment."""

    @task(doc_md="Authorised, unchanged, and the venue answers: refused with every reason otherwise.")
    def check_go_live() -> str:
        from include.operations import tasks

        with final_unless_retryable():
            return tasks.check_go_live(get_current_context()["params"]["deployment_id"])

    @task(
        trigger_rule="all_done_min_one_success",
        doc_md="Re-reads the recorded release and lifts the halt in that person's name.",
    )
    def start_session(deployment_id: str) -> str:
        from include.operations import tasks

        context = get_current_context()
        with final_unless_retryable():
            answers = recorded_answers(context["dag"].dag_id, context["run_id"])
            return tasks.release(deployment_id, answers)

    checked = check_go_live()
    release = ReleaseOperator(
        task_id="release",
        role="TRADING_OPERATIONS",
        subject_id=checked,
        doc_md="Asks trading operations to release the deployment to its market.",
    )
    started = start_session(checked)
    release >> started
    started >> [
        SessionOperator(
            task_id="trade",
            deployment_id=DEPLOYMENT,
            stopping_is_fine=True,
            doc_md="Attached to the session until it is over; re-attaches after any death in Airflow.",
        ),
        HeartbeatSensor(
            task_id="watch_heartbeat",
            deployment_id=DEPLOYMENT,
            retries=10_000,
            retry_delay=timedelta(seconds=30),
            doc_md="Notices within seconds when the engine is gone; watches on after every notice.",
        ),
        RiskSensor(
            task_id="watch_risk",
            deployment_id=DEPLOYMENT,
            retries=10_000,
            retry_delay=timedelta(seconds=30),
            doc_md="Drawdown, daily loss and trading state, from outside the engine.",
        ),
    ]


live_trading()
