"""The risk gate: the one choke point between a wish to trade and an order. Pure; see `docs/reason-codes.md`.

Every check is walked in the order of `checks.CHECKS` and all reasons are gathered. Whatever a check needs and does
not have denies. An order that shrinks a position (`reduces`) is held to fewer checks: limits on size, loss, rate
and price exist to stop exposure from growing and must never keep anybody from getting out. HALTED, an unknown
state and an unreconciled ledger deny even those; the way out is then the kill switch, which works at the venue itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.domain.orders import Intent
from include.domain.reason_codes import RiskCode
from include.risk.checks import CHECKS
from include.risk.question import Question, Reason, reduces


@dataclass(frozen=True, slots=True)
class Approval:
    """The order may be sent."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Rejection:
    """The order must not be sent; every reason, in the fixed order of the checks."""

    intent: Intent
    reasons: tuple[Reason, ...]

    @property
    def codes(self) -> tuple[RiskCode, ...]:
        return tuple(reason.code for reason in self.reasons)

    def __str__(self) -> str:
        return "; ".join(map(str, self.reasons))


Decision = Approval | Rejection


def evaluate_intent(question: Question) -> Decision:
    """Walk every check that applies and return the approval, or the rejection with all reasons."""
    exempt = reduces(question)
    reasons = tuple(
        reason
        for check, also_when_reducing in CHECKS
        if (also_when_reducing or not exempt) and (reason := check(question)) is not None
    )
    return Rejection(question.intent, reasons) if reasons else Approval(question.intent)
