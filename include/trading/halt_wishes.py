"""What a halt wants done at an account that only its engine can reach: left in the ledger, carried out, answered.

Rows of the audit trail on the deployment: wishes are numbered by their order, and an answer says up to which number it
goes. A wish is open until it is answered, or until the halt is lifted: an old wish never comes back with a later halt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.ports import UnitOfWork
from include.trading.clearing import Cleared

WISHED, ANSWERED = "halt.wished", "halt.answered"


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that open wishes want together. `number` is the newest's."""

    number: int
    cancel: bool
    flatten: bool


def make_wish(work: UnitOfWork, deployment_id: str, by: str, *, cancel: bool, flatten: bool) -> int:
    """Leave a wish; returns its number."""
    work.audit.record(by, WISHED, deployment_id, {"cancel": cancel, "flatten": flatten})
    return len(work.audit.of_subject(deployment_id, WISHED))


def open_wish(work: UnitOfWork, deployment_id: str) -> Wish | None:
    """What is still to be done; None when nothing is."""
    wishes = work.audit.of_subject(deployment_id, WISHED)
    if not wishes:
        return None
    left = wishes[_answered_through(work, deployment_id) :]
    if not left:
        return None
    return Wish(
        len(wishes), any(row.details["cancel"] for row in left), any(row.details["flatten"] for row in left)
    )  # fmt: skip


def answer_wish(work: UnitOfWork, deployment_id: str, by: str, number: int, cleared: Cleared) -> None:
    """Say what was done."""
    details: dict[str, Any] = {
        "through": number, "canceled": list(cleared.canceled), "flattened": list(cleared.flattened),
        "failures": list(cleared.failures),
    }  # fmt: skip
    work.audit.record(by, ANSWERED, deployment_id, details)


def find_answer(work: UnitOfWork, deployment_id: str, number: int) -> Cleared | None:
    """The first answer that covers a wish."""
    for row in work.audit.of_subject(deployment_id, ANSWERED):
        if row.details["through"] >= number:
            return Cleared(*(tuple(row.details[name]) for name in ("canceled", "flattened", "failures")))
    return None


def drop_wishes(work: UnitOfWork, deployment_id: str, by: str) -> None:
    """Nothing of it is wanted any more."""
    wish = open_wish(work, deployment_id)
    if wish is not None:
        answer_wish(work, deployment_id, by, wish.number, Cleared(failures=("the halt was lifted first",)))


def _answered_through(work: UnitOfWork, deployment_id: str) -> int:
    answers = work.audit.of_subject(deployment_id, ANSWERED)
    return max((int(row.details["through"]) for row in answers), default=0)
