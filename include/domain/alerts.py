"""Alerts: conditions people must know, from first suspicion to the end, and what is said about them to whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from include.domain.enums import Severity
from include.domain.ids import digest
from include.domain.reason_codes import AlertCode


class AlertState(StrEnum):
    """Life of an alert; its moves are `lifecycle.ALERT_TRANSITIONS`."""

    PENDING = "PENDING"
    """The condition holds, but not yet for as long as the rule asks."""
    FIRING = "FIRING"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    """A person has taken it; nobody else is woken, and its end is still told."""
    RESOLVED = "RESOLVED"


class Occasion(StrEnum):
    """Why something is said. An alert says each (channel, occasion, number) once."""

    FIRED = "FIRED"
    ESCALATED = "ESCALATED"
    """Number: the level of the escalation."""
    REPEATED = "REPEATED"
    """Number: how many repeat intervals have passed."""
    RESOLVED = "RESOLVED"
    NOTICE = "NOTICE"
    """Said once and belongs to no alert: a stage's verdict, a report."""


class Outcome(StrEnum):
    """What became of one attempt to deliver."""

    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    """The channel refused, or was not reached: nothing arrived."""
    UNKNOWN = "UNKNOWN"
    """Sent, and no answer can be trusted: it may have arrived."""


def fingerprint(rule: str, subject: str, *, missing: bool) -> str:
    """What makes two observations the same alert. Missing data is a condition of its own beside the rule's."""
    return digest({"rule": rule, "subject": subject, "missing": missing})


@dataclass(frozen=True, slots=True)
class Alert:
    """One occurrence of a condition. At most one with a fingerprint is open; never edited, only replaced."""

    id: int
    """Given by the ledger; 0 before."""
    fingerprint: str
    rule: str
    code: AlertCode
    severity: Severity
    subject: str
    """`deployment:ID` or the name of a part of Airlock."""
    state: AlertState
    summary: str
    """What is so, with the numbers, as last seen."""
    advice: str
    since: datetime
    """When the condition was first seen."""
    seen_at: datetime
    """When it was last seen to hold."""
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    """Since when the condition has been seen not to hold, without a break; None while it holds."""
    ended_at: datetime | None = None
    acknowledged_by: str = ""

    @property
    def is_open(self) -> bool:
        return self.state is not AlertState.RESOLVED


@dataclass(frozen=True, slots=True)
class Said:
    """What identifies one thing said about an alert: it is said once."""

    channel: str
    occasion: Occasion
    number: int = 0


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One move of an alert: who and why."""

    alert_id: int
    at: datetime
    before: AlertState | None
    after: AlertState
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of a rule (or all: `*`) on a subject (or all: `*`) are not told until `ends_at`; they are still kept."""

    id: int
    rule: str
    subject: str
    by: str
    reason: str
    starts_at: datetime
    ends_at: datetime

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether it keeps an alert quiet at this moment."""
        return (
            self.starts_at <= now < self.ends_at
            and self.rule in ("*", alert.rule)
            and self.subject in ("*", alert.subject)
        )


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be delivered on one channel."""

    channel: str
    waiting: int
    oldest_at: datetime
    """When the first of it was put there to be delivered, retries apart."""
    reason: str
    """Why the last attempt failed; empty when none did."""


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """All of a deployment's trading, flat to flat; money in quote currency."""

    closed: int
    won: int
    gross: Decimal
    """Value of all positions at their last fill's price, without sign."""


@dataclass(frozen=True, slots=True)
class HourFacts:
    """A deployment's trading since an instant of market time."""

    sent: int
    rejected: int
    liquidations: int
    unknown: int
    """Orders whose sending had an unknown outcome."""
    market_fills: int
    worst_slippage: float | None
    """Fraction of the deciding price, positive to our disadvantage; None without a market fill."""


@dataclass(frozen=True, slots=True)
class EquityFacts:
    """A deployment's equity, quote currency."""

    at: datetime
    last: Decimal
    day_open: Decimal | None
    """At 00:00 UTC of the last point's day; None when it had not begun by then."""
    peak: Decimal
    """The high-water mark, at least the last value."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver one message on one channel."""

    id: int
    channel: str
    sender: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    """None while it runs, or after its sender was killed."""
    reason: str
    items: tuple[int, ...]
    """What of the outbox the message carried."""
