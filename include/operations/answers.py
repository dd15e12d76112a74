"""From what Airflow recorded about its questions to what the ladder understands. Pure; decides nothing by itself.

An answer counts only as recorded by Airflow's api-server, with the person it authenticated. What a person signed is
read from the very text that was shown to them, so a question asked before the evidence changed does not cover what is
there now.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from include.domain.approvals import Approval, Decision
from include.domain.enums import Role
from include.domain.errors import RejectedError
from include.domain.reason_codes import SignOffCode
from include.operations.airflow_client import HumanAnswer

APPROVE = "Approve"
SIGN_OFF_PREFIX = "sign_off_"
RELEASE_TASK = "release"
COMMENT = "comment"
MAX_COMMENT = 2_000
_EVIDENCE = re.compile(r"^- [A-Z_]+ `([0-9a-f]{64})`$", re.MULTILINE)
_PROFILE = re.compile(r"^- profile `([0-9a-f]{64})`$", re.MULTILINE)
_DEPLOYMENT = re.compile(r"^- deployment `([0-9a-f]{64})`$", re.MULTILINE)


def sign_off_task(role: Role) -> str:
    """Id of the task that asks for a role's sign-off."""
    return f"{SIGN_OFF_PREFIX}{role.value.lower()}"


def read_request(body: str) -> tuple[tuple[str, ...], str]:
    """Evidence digests and profile hash that a sign-off request showed; empty where it showed none."""
    profile = _PROFILE.search(body)
    return tuple(_EVIDENCE.findall(body)), profile[1] if profile else ""


def build_approvals(candidate_id: str, dag_id: str, answers: Sequence[HumanAnswer]) -> list[Approval]:
    """Recorded sign-offs of a run. Whoever has not answered is absent; anything but Approve is a rejection."""
    by_task = {sign_off_task(role): role for role in Role}
    approvals = []
    for answer in answers:
        role = by_task.get(answer.task_id)
        if role is None or answer.answered_at is None:
            continue
        digests, profile_hash = read_request(answer.body)
        approvals.append(
            Approval(
                candidate_id=candidate_id,
                profile_hash=profile_hash,
                role=role,
                person=answer.person,
                decision=Decision.APPROVE if answer.chosen == (APPROVE,) else Decision.REJECT,
                comment=comment_of(answer),
                evidence_digests=digests,
                asked_at=answer.asked_at,
                answered_at=answer.answered_at,
                source={"dag": dag_id, "run": answer.run_id, "task": answer.task_id, "try": answer.try_number},
            )
        )
    return approvals


def comment_of(answer: HumanAnswer) -> str:
    """The free text of an answer, bounded; a wrong type is no comment."""
    value = answer.inputs.get(COMMENT, "")
    return value.strip()[:MAX_COMMENT] if isinstance(value, str) else ""


def render_release(deployment_id: str, lines: Sequence[str]) -> str:
    """Markdown that asks for the release of a deployment; ends with what exactly is released."""
    return "\n".join([*lines, "", "Your answer releases exactly this:", "", f"- deployment `{deployment_id}`"])


def require_release(
    deployment_id: str, answers: Sequence[HumanAnswer], holders: frozenset[str], timeout: timedelta
) -> HumanAnswer:
    """The recorded release of a deployment by somebody who may give it.

    Raises:
        RejectedError: no answer, a rejection, another deployment's, nobody's, not theirs to give, or too late.
    """
    answer = next((a for a in answers if a.task_id == RELEASE_TASK), None)
    if answer is None or answer.answered_at is None:
        raise _refused(SignOffCode.RESPONSE_MISSING, "nobody has released it")
    who = f"person={answer.person}"
    if not answer.person:
        raise _refused(SignOffCode.RESPONDER_UNKNOWN, "the answer names nobody")
    if answer.person not in holders:
        raise _refused(SignOffCode.RESPONDER_NOT_ASSIGNED, who)
    if answer.chosen != (APPROVE,):
        raise _refused(SignOffCode.RESPONSE_REJECTED, f"{who} {comment_of(answer)}".strip())
    if _DEPLOYMENT.findall(answer.body) != [deployment_id]:
        raise _refused(SignOffCode.EVIDENCE_CHANGED, f"{who} answered about something else")
    if answer.answered_at > answer.asked_at + timeout:
        raise _refused(SignOffCode.RESPONSE_LATE, who)
    return answer


def _refused(code: SignOffCode, context: str) -> RejectedError:
    return RejectedError(f"{code.value} release {context}", code=code.value)
