"""Lifecycle tables: state -> states it may move to. Terminal states map to the empty set.

One table a lifecycle and one function that moves; `docs/architecture.md` renders these very tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from include.domain.alerts import AlertState
from include.domain.enums import DeploymentStatus, OrderStatus
from include.domain.errors import TransitionError

S = TypeVar("S", bound=StrEnum)
O = OrderStatus
D = DeploymentStatus
A = AlertState
_ENDED = (O.FILLED, O.CANCELED, O.EXPIRED, O.REJECTED)

ORDER_TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = MappingProxyType(
    {
        O.INITIALIZED: frozenset({O.DENIED, O.SUBMITTED}),
        # A report may overtake the REST answer, so a submitted order may jump straight to any venue state.
        O.SUBMITTED: frozenset({O.SUBMISSION_UNKNOWN, O.ACCEPTED, O.TRIGGERED, O.PARTIALLY_FILLED, *_ENDED}),
        # Only reconciliation moves an order out of here: found (any venue state), or definitively absent (REJECTED).
        O.SUBMISSION_UNKNOWN: frozenset({O.ACCEPTED, O.TRIGGERED, O.PARTIALLY_FILLED, *_ENDED}),
        O.ACCEPTED: frozenset({O.TRIGGERED, O.PARTIALLY_FILLED, O.PENDING_CANCEL, *_ENDED}),
        # The market order that a stop becomes can still be refused: there may be nothing left to reduce.
        O.TRIGGERED: frozenset({O.PARTIALLY_FILLED, O.PENDING_CANCEL, *_ENDED}),
        O.PARTIALLY_FILLED: frozenset({O.FILLED, O.PENDING_CANCEL, O.CANCELED, O.EXPIRED}),
        # A cancel can lose the race against a fill, or be refused, which leaves the order working.
        O.PENDING_CANCEL: frozenset({O.CANCELED, O.FILLED, O.EXPIRED, O.PARTIALLY_FILLED, O.TRIGGERED, O.ACCEPTED}),
        O.DENIED: frozenset(),
        O.FILLED: frozenset(),
        O.CANCELED: frozenset(),
        O.EXPIRED: frozenset(),
        O.REJECTED: frozenset(),
    }
)

DEPLOYMENT_TRANSITIONS: Mapping[DeploymentStatus, frozenset[DeploymentStatus]] = MappingProxyType(
    {
        D.PENDING: frozenset({D.RUNNING, D.STOPPED, D.FAILED}),
        D.RUNNING: frozenset({D.STOPPED, D.COMPLETED, D.FAILED}),
        D.STOPPED: frozenset({D.RUNNING, D.FAILED}),
        D.COMPLETED: frozenset(),
        D.FAILED: frozenset({D.RUNNING, D.STOPPED}),  # a person may start it again
    }
)

ALERT_TRANSITIONS: Mapping[AlertState, frozenset[AlertState]] = MappingProxyType(
    {
        A.PENDING: frozenset({A.FIRING, A.RESOLVED}),
        A.FIRING: frozenset({A.ACKNOWLEDGED, A.RESOLVED}),
        A.ACKNOWLEDGED: frozenset({A.RESOLVED}),
        A.RESOLVED: frozenset(),  # the same condition again is another alert
    }
)


def is_terminal(table: Mapping[S, frozenset[S]], state: S) -> bool:
    """True when `state` has no way out in `table`."""
    return not table[state]


def move(table: Mapping[S, frozenset[S]], current: S, target: S, *, subject: str) -> S:
    """Return `target` if the table allows it; repeating a state is harmless.

    Raises:
        TransitionError: the move is not in the table; nothing has changed.
    """
    if current == target or target in table[current]:
        return target
    raise TransitionError(subject, current.value, target.value)
