"""The risk gate: the one choke point between a wish to trade and an order. Pure; see `docs/reason-codes.md`.

Every check is walked in the order of `checks.CHECKS` and all reasons are gathered. Whatever a check needs and does
not have denies. An order that shrinks a position (`reduces`) is held to fewer checks: limits on size, loss, rate
and price exist to stop exposure from growing and must never keep anybody from getting out. HALTED, an unknown
state and an unreconciled ledger deny even those; the way out is then the kill switch, which works at the venue itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.domain.orders import Intent
from include.domain.reason_codes import RiskCode
from include.risk.checks import CHECKS, WHEN_REDUCING, SizeRule
from include.risk.exposure import Exposure, measure_exposure
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
# The table taken apart once: at every order, looking into a rule would cost as much as asking it.
_STEPS: tuple[tuple[RiskCode, Callable[..., Reason | None], bool], ...] = tuple(
    (rule.code, rule.check, isinstance(rule, SizeRule)) for rule in CHECKS
)


def evaluate_intent(question: Question) -> Decision:
    """Walk every check that applies and return the approval, or the rejection with all reasons."""
    found = _ways_out(question) if reduces(question) else _all_rules(question)
    return Rejection(question.intent, found) if found else Approval(question.intent)


def _ways_out(question: Question) -> tuple[Reason, ...]:
    return tuple(reason for rule in WHEN_REDUCING if (reason := rule.check(question)) is not None)


def _all_rules(question: Question) -> tuple[Reason, ...]:
    reasons, exposure = [], _measured(question)
    for code, check, measures in _STEPS:
        try:
            if not measures:
                reason = check(question)
            else:
                reason = _not_evaluable(code) if exposure is None else check(question, exposure)
        except ArithmeticError:
            reason = _not_evaluable(code)
        if reason is not None:
            reasons.append(reason)
    return tuple(reasons)


def _measured(question: Question) -> Exposure | None:
    """None where a price or a quantity is not a number."""
    try:
        return measure_exposure(question)
    except ArithmeticError:
        return None


def _not_evaluable(code: RiskCode) -> Reason:
    """What cannot be evaluated denies."""
    return Reason(code, "not evaluable: a number is missing or not finite")
