"""Alerts, silences, and the outbox through which everything is told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
SEVERITY = "severity IN ('INFO', 'WARNING', 'CRITICAL')"


def upgrade() -> None:
    _create_alerts()
    _create_facts()
    _create_outbox()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _times(*names: str, nullable: bool = False) -> list[sa.Column[object]]:
    return [sa.Column(name, TIME, nullable=nullable) for name in names]


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        _id(),
        *_texts("fingerprint", "rule", "code", "severity", "subject", "state", "summary", "advice"),
        *_times("since", "seen_at"),
        *_times("fired_at", "clear_since", "ended_at", nullable=True),
        *_texts("acknowledged_by"),
        sa.CheckConstraint(SEVERITY, name=op.f("ck_alerts_severity")),
        sa.CheckConstraint("state IN ('PENDING', 'FIRING', 'ACKNOWLEDGED', 'RESOLVED')", name=op.f("ck_alerts_state")),
        sa.CheckConstraint("(state = 'RESOLVED') = (ended_at IS NOT NULL)", name=op.f("ck_alerts_ended_at")),
        sa.CheckConstraint("state <> 'ACKNOWLEDGED' OR acknowledged_by <> ''", name=op.f("ck_alerts_acknowledged_by")),
        sa.CheckConstraint(
            "state NOT IN ('FIRING', 'ACKNOWLEDGED') OR fired_at IS NOT NULL", name=op.f("ck_alerts_fired_at")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "uq_alerts_open", "alerts", ["fingerprint"], unique=True, postgresql_where=sa.text("state <> 'RESOLVED'")
    )
    op.create_table(
        "alert_changes",
        _id(),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        *_times("at"),
        sa.Column("before", sa.Text(), nullable=True),
        *_texts("after", "changed_by", "reason"),
        sa.CheckConstraint("changed_by <> '' AND reason <> ''", name=op.f("ck_alert_changes_accountable")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_alert_changes_alert_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_changes")),
    )
    op.create_index(op.f("ix_alert_changes_alert_id_id"), "alert_changes", ["alert_id", "id"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON alert_changes "
        "FOR EACH STATEMENT EXECUTE FUNCTION airlock_append_only()"
    )
    op.create_table(
        "alert_silences",
        _id(),
        *_texts("rule", "subject", "set_by", "reason"),
        *_times("starts_at", "ends_at"),
        sa.CheckConstraint("set_by <> '' AND reason <> ''", name=op.f("ck_alert_silences_accountable")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_silences")),
    )
    op.create_index(op.f("ix_alert_silences_ends_at"), "alert_silences", ["ends_at"])


def _create_facts() -> None:
    op.create_table(
        "alert_counters",
        *_texts("subject", "metric"),
        *_times("at"),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "metric", "at", name=op.f("pk_alert_counters")),
    )
    op.create_table(
        "alert_watchers",
        *_texts("name"),
        *_times("beat_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_watchers")),
    )


def _create_outbox() -> None:
    op.create_table(
        "delivery_attempts",
        _id(),
        *_texts("channel", "sender"),
        *_times("started_at"),
        *_times("ended_at", nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        *_texts("reason"),
        sa.Column("items", postgresql.ARRAY(sa.BIGINT()), nullable=False),
        sa.CheckConstraint("outcome IN ('DELIVERED', 'FAILED', 'UNKNOWN')", name=op.f("ck_delivery_attempts_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    op.create_index(op.f("ix_delivery_attempts_channel_started_at"), "delivery_attempts", ["channel", "started_at"])
    op.create_table(
        "outbox",
        _id(),
        *_texts("channel"),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        *_texts("occasion"),
        sa.Column("number", sa.Integer(), nullable=False),
        *_texts("severity", "content", "state"),
        *_times("put_at", "first_due_at", "due_at"),
        *_times("expires_at", "claimed_until", nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        *_times("ended_at", nullable=True),
        sa.CheckConstraint(SEVERITY, name=op.f("ck_outbox_severity")),
        sa.CheckConstraint(
            "occasion IN ('FIRED', 'ESCALATED', 'REPEATED', 'RESOLVED', 'NOTICE')", name=op.f("ck_outbox_occasion")
        ),
        sa.CheckConstraint("state IN ('WAITING', 'DELIVERED', 'EXPIRED')", name=op.f("ck_outbox_state")),
        sa.CheckConstraint("(alert_id IS NULL) = (occasion = 'NOTICE')", name=op.f("ck_outbox_alert_id")),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_outbox_alert_id")),
        sa.ForeignKeyConstraint(["attempt_id"], ["delivery_attempts.id"], name=op.f("fk_outbox_attempt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "alert_id", "channel", "occasion", "number", name=op.f("uq_outbox_alert_id_channel_occasion_number")
        ),
    )
    op.create_index("ix_outbox_waiting", "outbox", ["channel", "due_at"], postgresql_where=sa.text("state = 'WAITING'"))


def downgrade() -> None:
    """Refused: who took which alert, and what has not been delivered yet, would be lost."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
