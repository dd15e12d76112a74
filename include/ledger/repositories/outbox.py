"""The outbox: written with what it tells of, claimed by one sender at a time, kept until delivered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from include.domain.alerts import Attempt, Backlog, Occasion, Outcome, Said
from include.domain.enums import Severity
from include.ledger.alert_models import AttemptRow, OutboxRow
from include.ports import Batch, Button, Notice

MOST_AT_ONCE = 2_000
"""Notices that one message can carry; it names a few and counts the others."""
_EVER = datetime.min.replace(tzinfo=UTC)
_TURN = text("SELECT pg_advisory_xact_lock(5164003, hashtext(:channel))")
_NOT_CLAIMED = "(claimed_until IS NULL OR claimed_until <= clock_timestamp())"
_EXPIRE = text(
    "UPDATE outbox SET state = 'EXPIRED', ended_at = :now WHERE channel = :channel AND state = 'WAITING' "  # noqa: S608
    f"AND expires_at <= :now AND {_NOT_CLAIMED}"
)
_DUE = text(
    f"""
    SELECT * FROM outbox WHERE channel = :channel AND state = 'WAITING' AND due_at <= :now AND {_NOT_CLAIMED}
    ORDER BY array_position(ARRAY['CRITICAL', 'WARNING', 'INFO'], severity), id
    LIMIT {MOST_AT_ONCE} FOR UPDATE SKIP LOCKED
    """  # noqa: S608 - words of our own
)
# An attempt that ended without an outcome belongs to a sender that is gone: it may have arrived.
_CLAIM = text(
    """
    UPDATE outbox SET claimed_until = clock_timestamp() + make_interval(secs => :claim_secs), tries = tries + 1,
        unsure = unsure OR EXISTS (
            SELECT 1 FROM delivery_attempts a WHERE a.id = outbox.attempt_id AND a.outcome IS NULL),
        attempt_id = :attempt
    WHERE id = ANY(:items) RETURNING unsure
    """
)


class OutboxRepository:
    """Implements `ports.Outbox`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(
        self,
        channel: str,
        notice: Notice,
        *,
        now: datetime,
        due_at: datetime,
        expires_at: datetime | None = None,
        alert_id: int | None = None,
        said: Said | None = None,
    ) -> bool:
        statement = (
            upsert(OutboxRow)
            .values(
                channel=channel, alert_id=alert_id, occasion=(said.occasion if said else Occasion.NOTICE).value,
                number=said.number if said else 0, severity=notice.severity.value, content=write_notice(notice),
                state="WAITING", put_at=now, first_due_at=due_at, due_at=due_at, expires_at=expires_at, tries=0,
                unsure=False,
            )
            .on_conflict_do_nothing(index_elements=["alert_id", "channel", "occasion", "number"])
            .returning(OutboxRow.id)
        )  # fmt: skip
        return self._connection.execute(statement).one_or_none() is not None

    def claim(
        self, channel: str, sender: str, *, now: datetime, pace_secs: Mapping[Severity, int], claim_secs: float
    ) -> Batch | None:
        # Senders of one channel take turns, so that together they keep the pace.
        self._connection.execute(_TURN, {"channel": channel})
        self._connection.execute(_EXPIRE, {"channel": channel, "now": now})
        rows = self._connection.execute(_DUE, {"channel": channel, "now": now}).all()
        if not rows or now < self._next_turn(channel, Severity(rows[0].severity), pace_secs):
            return None
        items = [row.id for row in rows]
        attempt: int = self._connection.execute(
            insert(AttemptRow)
            .values(channel=channel, sender=sender, started_at=now, reason="", items=items)
            .returning(AttemptRow.id)
        ).scalar_one()
        claimed = self._connection.execute(_CLAIM, {"claim_secs": claim_secs, "attempt": attempt, "items": items})
        return Batch(
            attempt, tuple(items), tuple(read_notice(row.content) for row in rows),
            max(row.tries for row in rows) + 1, any(claimed.scalars()),
        )  # fmt: skip

    def _next_turn(self, channel: str, worst: Severity, pace_secs: Mapping[Severity, int]) -> datetime:
        last: datetime | None = self._connection.execute(
            select(func.max(AttemptRow.started_at)).where(AttemptRow.channel == channel)
        ).scalar_one()
        return _EVER if last is None else last + timedelta(seconds=pace_secs[worst])

    def settle(self, batch: Batch, outcome: Outcome, reason: str, *, now: datetime, retry_at: datetime) -> None:
        self._connection.execute(
            update(AttemptRow)
            .where(AttemptRow.id == batch.attempt, AttemptRow.outcome.is_(None))
            .values(ended_at=now, outcome=outcome.value, reason=reason)
        )
        waiting = update(OutboxRow).where(OutboxRow.id == func.any(list(batch.items)), OutboxRow.state == "WAITING")
        if outcome is Outcome.DELIVERED:
            # Even when the claim has run out meanwhile: it has arrived.
            statement = waiting.values(state="DELIVERED", ended_at=now, claimed_until=None)
        else:
            values: dict[str, Any] = {"due_at": retry_at, "claimed_until": None}
            if outcome is Outcome.UNKNOWN:
                values["unsure"] = True
            statement = waiting.where(OutboxRow.attempt_id == batch.attempt).values(**values)
        self._connection.execute(statement)

    def attempts(self, channel: str, limit: int = 100) -> Sequence[Attempt]:
        of_channel = select(AttemptRow.__table__).where(AttemptRow.channel == channel)
        return [
            Attempt(
                row.id, row.channel, row.sender, row.started_at, row.ended_at,
                None if row.outcome is None else Outcome(row.outcome), row.reason, tuple(row.items),
            )
            for row in self._connection.execute(of_channel.order_by(AttemptRow.id.desc()).limit(limit))
        ]  # fmt: skip

    def backlogs(self, now: datetime) -> Sequence[Backlog]:
        statement = (
            select(OutboxRow.channel, func.count().label("waiting"), func.min(OutboxRow.first_due_at).label("oldest"))
            .where(OutboxRow.state == "WAITING", OutboxRow.first_due_at <= now)
            .group_by(OutboxRow.channel)
            .order_by(OutboxRow.channel)
        )
        return [
            Backlog(row.channel, row.waiting, row.oldest, self._last_failure(row.channel))
            for row in self._connection.execute(statement)
        ]

    def _last_failure(self, channel: str) -> str:
        last = [attempt for attempt in self.attempts(channel, 3) if attempt.outcome is not None]
        return last[0].reason if last and last[0].outcome is not Outcome.DELIVERED else ""


def write_notice(notice: Notice) -> str:
    """A notice as JSON."""
    document = {
        "severity": notice.severity.value, "title": notice.title, "lines": notice.lines, "link": notice.link,
        "verdict": notice.verdict, "table": notice.table, "group": notice.group,
        "buttons": [[button.text, button.url] for button in notice.buttons],
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False)


def read_notice(content: str) -> Notice:
    """The notice whose JSON this is."""
    document: dict[str, Any] = json.loads(content)
    return Notice(
        Severity(document["severity"]), document["title"], tuple(document["lines"]), document["link"],
        document["verdict"], tuple(tuple(row) for row in document["table"]),
        tuple(Button(*button) for button in document["buttons"]), document["group"],
    )  # fmt: skip
