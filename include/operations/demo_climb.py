"""The demonstration's way up: following the `qualification` runs and answering their questions."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from include.bootstrap import role_holders
from include.config.files import find_candidate, find_profile
from include.domain.enums import Role
from include.domain.errors import FatalError
from include.operations.airflow_client import AirflowClient
from include.operations.answers import APPROVE, sign_off_task
from include.operations.demo_session import POLL_SECS, PROFILE, Demo
from include.operations.demo_state import Climb, Outcome, observe_progress, observe_verdicts
from include.operations.people import holders_of
from include.ports import Ledger
from include.stages.sign_off import check_authorisation

SETTLE = timedelta(seconds=6)
"""A program must not answer faster than a person could (see `plugins/airflow_compat.py`)."""
_CLIMB_WITHIN_SECS = 900.0


def follow(demo: Demo, ledger: Ledger) -> None:
    deadline = None if demo.hands_on else time.monotonic() + _CLIMB_WITHIN_SECS
    with demo.client("admin") as client:
        while any(climb.outcome is Outcome.CLIMBING for climb in demo.climbs):
            for climb in demo.climbs:
                if climb.outcome is Outcome.CLIMBING:
                    look(demo, ledger, client, climb)
            demo.view.show(demo.climbs, f"UI {demo.url}")
            if deadline is not None and time.monotonic() > deadline:
                raise FatalError(f"the ladder was not climbed within {_CLIMB_WITHIN_SECS:.0f} s; see {demo.url}")
            time.sleep(POLL_SECS)


def look(demo: Demo, ledger: Ledger, client: AirflowClient, climb: Climb) -> None:
    states = client.task_states("qualification", climb.run_id)
    observe_progress(demo.settings, ledger, climb, states, datetime.now(UTC))
    before = dict(climb.verdicts)
    reasons = observe_verdicts(ledger, climb, find_profile(PROFILE), demo.began)
    for stage, verdict in climb.verdicts.items():
        if before.get(stage) != verdict:
            demo.view.say(f"{climb.name}: {stage} {verdict}", "green" if verdict == "PASS" else "yellow")
    if "awaiting_input" in states.values():
        answer_open(demo, client, "qualification", climb.run_id, {sign_off_task(role): role for role in Role})
    state = client.run("qualification", climb.run_id)["state"]
    if state not in ("success", "failed"):
        return
    climb.ended = time.monotonic()
    climb.reasons = reasons
    if state == "success":
        climb.outcome = Outcome.PROMOTED
        climb.deployment_id = str(client.xcom("qualification", climb.run_id, "promote") or "")
        demo.view.say(f"{climb.name}: signed off and promoted", "bold green")
    elif reasons:
        climb.outcome = Outcome.REFUSED
        demo.view.say(f"{climb.name}: turned down", "bold yellow")
        for reason in reasons:
            demo.view.say(f"    {reason}", "yellow")
    else:
        climb.outcome = Outcome.BROKEN
        failed = [task for task, s in states.items() if s == "failed"]
        climb.reasons = (f"the run failed in {', '.join(failed) or 'no task'}", *_refusals(ledger, climb, failed))
        for reason in climb.reasons:
            demo.view.say(f"{climb.name}: {reason}", "bold red")


def _refusals(ledger: Ledger, climb: Climb, failed: list[str]) -> list[str]:
    """Why the sign-offs were not enough, where they were what failed."""
    if not {"verify_sign_offs", "promote"} & set(failed):
        return []
    with ledger.begin() as work:
        candidate = work.candidates.get(climb.candidate_id)
    if candidate is None:
        return []
    now = find_candidate(climb.name)
    refusals = check_authorisation(ledger, candidate, find_profile(PROFILE), role_holders(), candidate_now=now)
    return [str(refusal) for refusal in refusals]


def answer_open(demo: Demo, client: AirflowClient, dag_id: str, run_id: str, tasks: dict[str, Role]) -> None:
    """Answer what is open as the person whose role it is, through the same API that the UI uses."""
    for question in client.questions(dag_id, run_id):
        role = tasks.get(question.task_id)
        if role is None or question.answered_at is not None or question.state != "awaiting_input":
            continue
        people = holders_of(role)
        if demo.hands_on:
            if question.subject not in demo.asked:
                demo.asked.add(question.subject)
                where = f"{demo.url}/dags/{dag_id}/runs/{run_id}/tasks/{question.task_id}/required_actions"
                demo.view.say(f"waiting for {' or '.join(people)} to answer: {question.subject}", "bold magenta")
                demo.view.say(f"    {where}")
            continue
        if datetime.now(UTC) - question.asked_at < SETTLE:
            continue
        person, name = next(iter(people.items()))
        with demo.client(person) as answering:
            answering.answer(dag_id, run_id, question.task_id, APPROVE, {"comment": "demonstration"})
        demo.view.say(f"{name} approves: {question.subject}")
