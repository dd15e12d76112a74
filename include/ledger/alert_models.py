"""Tables of alerts and their delivery; conventions as in `include.ledger.models`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT
from sqlalchemy.orm import Mapped, mapped_column

from include.domain.alerts import AlertState, Occasion, Outcome
from include.domain.enums import Severity
from include.ledger.models import Base, _one_of

ALERT_APPEND_ONLY = ("alert_changes",)


class AlertRow(Base):
    __tablename__ = "alerts"
    __table_args__ = (
        _one_of("severity", Severity),
        _one_of("state", AlertState),
        CheckConstraint("(state = 'RESOLVED') = (ended_at IS NOT NULL)", name="ended_at"),
        CheckConstraint("state <> 'ACKNOWLEDGED' OR acknowledged_by <> ''", name="acknowledged_by"),
        CheckConstraint("state NOT IN ('FIRING', 'ACKNOWLEDGED') OR fired_at IS NOT NULL", name="fired_at"),
        # De-duplication that two evaluators cannot get around.
        Index("uq_alerts_open", "fingerprint", unique=True, postgresql_where=text("state <> 'RESOLVED'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    fingerprint: Mapped[str]
    rule: Mapped[str]
    code: Mapped[str]
    severity: Mapped[str]
    subject: Mapped[str]
    state: Mapped[str]
    summary: Mapped[str]
    advice: Mapped[str]
    since: Mapped[datetime]
    seen_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    clear_since: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str]


class AlertChangeRow(Base):
    """Every move of an alert; never edited."""

    __tablename__ = "alert_changes"
    __table_args__ = (
        CheckConstraint("changed_by <> '' AND reason <> ''", name="accountable"),
        Index(None, "alert_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"))
    at: Mapped[datetime]
    before: Mapped[str | None]
    after: Mapped[str]
    changed_by: Mapped[str]
    reason: Mapped[str]


class SilenceRow(Base):
    __tablename__ = "alert_silences"
    __table_args__ = (
        CheckConstraint("set_by <> '' AND reason <> ''", name="accountable"),
        Index(None, "ends_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    rule: Mapped[str]
    subject: Mapped[str]
    set_by: Mapped[str]
    reason: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]


class CounterRow(Base):
    """Values of counters, kept where they changed, for rules about their growth."""

    __tablename__ = "alert_counters"

    subject: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]


class WatcherRow(Base):
    """Who evaluates and delivers, and when it last gave a sign of life."""

    __tablename__ = "alert_watchers"

    name: Mapped[str] = mapped_column(primary_key=True)
    beat_at: Mapped[datetime]


class AttemptRow(Base):
    __tablename__ = "delivery_attempts"
    __table_args__ = (_one_of("outcome", Outcome), Index(None, "channel", "started_at"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    channel: Mapped[str]
    sender: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str]
    items: Mapped[list[int]] = mapped_column(ARRAY(BIGINT))


class OutboxRow(Base):
    """A notice for one channel. An alert's (channel, occasion, number) is there once: nothing is said twice."""

    __tablename__ = "outbox"
    __table_args__ = (
        _one_of("severity", Severity),
        _one_of("occasion", Occasion),
        CheckConstraint("state IN ('WAITING', 'DELIVERED', 'EXPIRED')", name="state"),
        CheckConstraint("(alert_id IS NULL) = (occasion = 'NOTICE')", name="alert_id"),
        UniqueConstraint("alert_id", "channel", "occasion", "number"),
        Index("ix_outbox_waiting", "channel", "due_at", postgresql_where=text("state = 'WAITING'")),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    channel: Mapped[str]
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"))
    occasion: Mapped[str]
    number: Mapped[int] = mapped_column(Integer)
    severity: Mapped[str]
    content: Mapped[str]
    state: Mapped[str]
    put_at: Mapped[datetime]
    first_due_at: Mapped[datetime]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    attempt_id: Mapped[int | None] = mapped_column(ForeignKey("delivery_attempts.id"))
    tries: Mapped[int] = mapped_column(Integer)
    unsure: Mapped[bool]
    ended_at: Mapped[datetime | None]
