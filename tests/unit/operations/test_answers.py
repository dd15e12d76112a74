"""Recorded answers: only what the api-server recorded from the right person about the right thing counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.domain.approvals import Decision
from include.domain.enums import Role
from include.domain.errors import RejectedError
from include.operations.airflow_client import HumanAnswer
from include.operations.answers import (
    build_approvals,
    comment_of,
    read_request,
    render_release,
    require_release,
    sign_off_task,
)

ASKED = datetime(2026, 1, 1, 12, tzinfo=UTC)
CANDIDATE, EVIDENCE, PROFILE, DEPLOYMENT = "c" * 64, "e" * 64, "f" * 64, "d" * 64
TIMEOUT = timedelta(hours=72)


def answer(**changes) -> HumanAnswer:
    base = HumanAnswer(
        task_id=sign_off_task(Role.RISK_MANAGER),
        run_id="run",
        subject="?",
        body=f"text\n\n- BACKTEST `{EVIDENCE}`\n- profile `{PROFILE}`",
        asked_at=ASKED,
        answered_at=ASKED + timedelta(minutes=5),
        person="ravi",
        options=("Approve", "Reject"),
        chosen=("Approve",),
        inputs={"comment": " fine "},
        try_number=1,
        state="success",
    )
    return replace(base, **changes)


def test_an_answer_becomes_an_approval_of_what_was_shown() -> None:
    (approval,) = build_approvals(CANDIDATE, "qualification", [answer()])
    assert approval.role is Role.RISK_MANAGER
    assert (approval.person, approval.decision, approval.comment) == ("ravi", Decision.APPROVE, "fine")
    assert (approval.evidence_digests, approval.profile_hash) == ((EVIDENCE,), PROFILE)
    assert approval.source == {"dag": "qualification", "run": "run", "task": "sign_off_risk_manager", "try": 1}


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed"])
def test_no_recorded_answer_is_no_approval_whatever_the_task_says(state: str) -> None:
    silent = answer(answered_at=None, chosen=(), person="", state=state)
    assert build_approvals(CANDIDATE, "qualification", [silent]) == []


@pytest.mark.parametrize("chosen", [("Reject",), (), ("Approve", "Reject"), ("approve",)])
def test_anything_but_a_plain_approve_is_a_rejection(chosen: tuple[str, ...]) -> None:
    assert build_approvals(CANDIDATE, "q", [answer(chosen=chosen)])[0].decision is Decision.REJECT


def test_a_task_of_another_name_is_nobodys_sign_off() -> None:
    assert build_approvals(CANDIDATE, "q", [answer(task_id="release"), answer(task_id="sign_off_")]) == []


def test_a_body_without_digests_signs_nothing() -> None:
    assert read_request("### looks good") == ((), "")


@pytest.mark.parametrize(("inputs", "comment"), [({}, ""), ({"comment": 5}, ""), ({"comment": "x" * 5000}, "x" * 2000)])
def test_comments_are_bounded_text(inputs: dict, comment: str) -> None:
    assert comment_of(answer(inputs=inputs)) == comment


def release(**changes) -> HumanAnswer:
    return answer(task_id="release", person="tomas", body=render_release(DEPLOYMENT, ["### Release?"]), **changes)


def test_a_release_by_a_holder_in_time_counts() -> None:
    assert require_release(DEPLOYMENT, [release()], frozenset({"tomas"}), TIMEOUT).person == "tomas"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([], "RESPONSE_MISSING"),
        ([release(answered_at=None)], "RESPONSE_MISSING"),
        ([answer(task_id="sign_off_trading_operations")], "RESPONSE_MISSING"),
        ([replace(release(), person="")], "RESPONDER_UNKNOWN"),
        ([replace(release(), person="ravi")], "RESPONDER_NOT_ASSIGNED"),
        ([release(chosen=("Reject",))], "RESPONSE_REJECTED"),
        ([replace(release(), body=render_release("a" * 64, []))], "EVIDENCE_CHANGED"),
        ([replace(release(), body="### Release?")], "EVIDENCE_CHANGED"),
        ([release(answered_at=ASKED + TIMEOUT + timedelta(seconds=1))], "RESPONSE_LATE"),
    ],
)
def test_a_release_is_refused_with_its_code(answers: list[HumanAnswer], code: str) -> None:
    with pytest.raises(RejectedError) as caught:
        require_release(DEPLOYMENT, answers, frozenset({"tomas"}), TIMEOUT)
    assert caught.value.code == code
