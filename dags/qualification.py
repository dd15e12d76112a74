"""The ladder, from the data gate to promotion.

Data gate -> backtest -> robustness -> simulation -> qualification -> four sign-offs -> verification -> promotion.

Wiring only. Every task calls one function of `include.operations.tasks` with ids and returns an id; what a stage
demands is decided there and in `include/stages`, again at every step, whatever is clicked here.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, get_current_context, task

from plugins.airflow_compat import final_unless_retryable, recorded_answers
from plugins.reports import keep_reports
from plugins.sessions import SessionOperator
from plugins.sign_offs import SignOffOperator

ROLES = ("PROJECT_LEAD", "RISK_MANAGER", "MLOPS_ENGINEER", "TRADING_OPERATIONS")
DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
NAME = r"^[A-Za-z0-9_./-]+$"
PARAMS = {
    "candidate": Param(
        "mean-reversion-scalper",
        type="string",
        pattern=NAME,
        title="Candidate",
        description="Name of a file in include/config/candidates, or a path to one.",
    ),
    "profile": Param(
        "five-year",
        type="string",
        pattern=NAME,
        title="Profile",
        description="Name of a file in include/config/profiles, or a path to one.",
    ),
    "start": Param("2020-10-01", **DATE, title="Backtest from", description="UTC, inclusive."),
    "end": Param("2025-10-01", **DATE, title="Backtest to", description="UTC, exclusive; the simulation starts here."),
    "simulation_days": Param(
        7, type="integer", minimum=1, maximum=366, title="Simulated days", description="The profile may demand more."
    ),
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=8,
    max_active_tasks=8,
    params=PARAMS,
    tags=["airlock", "ladder"],
    default_args={
        "owner": "airlock",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        # Who is further up goes first: one candidate is simulated while the next one is measured.
        "weight_rule": "upstream",
    },
    doc_md=__doc__,
)
def qualification() -> None:
    """Takes one candidate up the ladder."""

    @task(pool="measurements", doc_md="Is the market data good enough to measure on? Returns the candidate's id.")
    def data_gate() -> str:
        from include.operations import tasks

        params = get_current_context()["params"]
        with final_unless_retryable():
            return tasks.measure_data(
                params["candidate"], params["profile"], params["start"], params["end"], announce=keep_reports
            )

    @task(pool="measurements", doc_md="Five-year backtest against the profile; stops here with reasons unless PASS.")
    def backtest(candidate_id: str) -> str:
        from include.operations import tasks

        params = get_current_context()["params"]
        with final_unless_retryable():
            return tasks.measure_backtest(
                candidate_id, params["candidate"], params["profile"], params["start"], params["end"],
                announce=keep_reports,
            )  # fmt: skip

    @task(pool="measurements", doc_md="Robustness checks that the profile demands, in groups that share their work.")
    def plan_battery(candidate_id: str) -> list[list[str]]:
        from include.operations import tasks

        with final_unless_retryable():
            return tasks.battery_blocks(get_current_context()["params"]["profile"])

    @task(
        pool="measurements",
        map_index_template="{{ ', '.join(task.op_kwargs['stages']) }}",
        doc_md="Measures one group of robustness checks; workers share the groups. Stops here unless all are PASS.",
    )
    def robustness(candidate_id: str, stages: list[str]) -> str:
        from include.operations import tasks

        params = get_current_context()["params"]
        with final_unless_retryable():
            return tasks.measure_battery(
                candidate_id, params["candidate"], params["profile"], params["start"], params["end"], stages,
                announce=keep_reports,
            )  # fmt: skip

    # A profile that demands no robustness check leaves the mapped task skipped; a failed one still stops here.
    @task(
        pool="trading",
        trigger_rule="none_failed_min_one_success",
        doc_md="Asks the trader for a simulation; returns the deployment's id.",
    )
    def start_simulation(candidate_id: str) -> str:
        from include.operations import tasks

        context = get_current_context()
        params = context["params"]
        with final_unless_retryable():
            return tasks.start_simulation(
                candidate_id, params["profile"], params["end"], params["simulation_days"], context["run_id"]
            )

    @task(pool="trading", doc_md="Measures the finished simulation, also against the backtest of the same bars.")
    def measure_simulation(candidate_id: str, deployment_id: str) -> str:
        from include.operations import tasks

        with final_unless_retryable():
            profile = get_current_context()["params"]["profile"]
            return tasks.measure_simulation(candidate_id, deployment_id, profile, announce=keep_reports)

    @task(pool="trading", doc_md="Collects the evidence of every stage; no data means not qualified.")
    def check_qualification(candidate_id: str) -> str:
        from include.operations import tasks

        with final_unless_retryable():
            profile = get_current_context()["params"]["profile"]
            return tasks.check_qualification(candidate_id, profile, announce=keep_reports)

    # All sign-offs must be over, but their states prove nothing: a task can be marked successful by hand, and an
    # answered one can fail afterwards. So the recorded answers are read again, whatever the states say.
    @task(
        pool="trading",
        trigger_rule="all_done_min_one_success",
        doc_md="Re-reads every recorded answer, copies it to the ledger, and refuses unless all roles signed.",
    )
    def verify_sign_offs(candidate_id: str) -> str:
        from include.operations import tasks

        context = get_current_context()
        params = context["params"]
        with final_unless_retryable():
            answers = recorded_answers(context["dag"].dag_id, context["run_id"])
            return tasks.verify_sign_offs(
                candidate_id, params["candidate"], params["profile"], context["dag"].dag_id, answers
            )

    @task(pool="trading", doc_md="Creates the live deployment at the first capital step, stopped and halted.")
    def promote(candidate_id: str) -> str:
        from include.operations import tasks

        context = get_current_context()
        params = context["params"]
        with final_unless_retryable():
            return tasks.promote(candidate_id, params["candidate"], params["profile"], context["run_id"])

    candidate_id = data_gate()
    backtested = backtest(candidate_id)
    checked = robustness.partial(candidate_id=backtested).expand(stages=plan_battery(backtested))
    simulation_id = start_simulation(backtested)
    checked >> simulation_id
    simulated = SessionOperator(
        task_id="wait_for_simulation",
        deployment_id=simulation_id,
        pool="trading",
        doc_md="Waits in the triggerer until the simulation is over; owns nothing.",
    )
    measured = measure_simulation(backtested, simulated.output)
    qualified = check_qualification(measured)
    sign_offs = [
        SignOffOperator(
            task_id=f"sign_off_{role.lower()}",
            role=role,
            subject_id=qualified,
            profile="{{ params.profile }}",
            pool="trading",
            doc_md=f"Asks whoever holds {role} to sign exactly the present evidence.",
        )
        for role in ROLES
    ]
    verified = verify_sign_offs(qualified)
    sign_offs >> verified
    promoted = promote(verified)
    TriggerDagRunOperator(
        task_id="trigger_live_trading",
        trigger_dag_id="live_trading",
        trigger_run_id="live__{{ ti.xcom_pull(task_ids='promote') }}",
        conf={"deployment_id": "{{ ti.xcom_pull(task_ids='promote') }}"},
        logical_date=None,
        skip_when_already_exists=True,
        openlineage_inject_parent_info=False,
        pool="trading",
        doc_md="Starts the live run explicitly; asset events can coalesce.",
    ).set_upstream(promoted)


qualification()
