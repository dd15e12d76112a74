"""Alerts: their life, silences, and counters. What rules are judged by is in `alert_facts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from include.domain.alerts import Alert, AlertChange, AlertState, Occasion, Said, Silence
from include.domain.enums import Severity
from include.domain.errors import ConfigurationError, RetryableError
from include.domain.reason_codes import AlertCode
from include.domain.times import iso
from include.ledger.alert_models import AlertChangeRow, AlertRow, CounterRow, OutboxRow, SilenceRow, WatcherRow
from include.ledger.codec import require_aware
from include.ledger.repositories.alert_facts import AlertFacts
from include.ledger.repositories.audit import AuditRepository

_LOCK = text("SELECT pg_advisory_xact_lock(5164002)")
_COLUMNS = (
    "fingerprint", "rule", "code", "severity", "subject", "state", "summary", "advice", "since", "seen_at", "fired_at",
    "clear_since", "ended_at", "acknowledged_by",
)  # fmt: skip
_INCREASE = text(
    """
    WITH reference AS (
        (SELECT value, at FROM alert_counters WHERE subject = :subject AND metric = :metric AND at <= :since
            ORDER BY at DESC LIMIT 1)
        UNION ALL
        (SELECT value, at FROM alert_counters WHERE subject = :subject AND metric = :metric AND at > :since ORDER BY at)
    )
    SELECT value FROM reference ORDER BY at
    """
)
_FORGET = text(
    """
    DELETE FROM alert_counters c WHERE subject = :subject AND metric = :metric AND at < (
        SELECT max(at) FROM alert_counters WHERE subject = c.subject AND metric = c.metric AND at <= :since)
    """
)


class AlertRepository(AlertFacts):
    """Implements `ports.Alerts`."""

    def __init__(self, connection: Connection, audit: AuditRepository) -> None:
        super().__init__(connection)
        self._audit = audit

    def lock(self) -> None:
        self._connection.execute(_LOCK)

    def open(self) -> Sequence[Alert]:
        statement = select(AlertRow.__table__).where(AlertRow.state != AlertState.RESOLVED.value).order_by(AlertRow.id)
        return [_read(row) for row in self._connection.execute(statement)]

    def recent(self, limit: int = 100) -> Sequence[Alert]:
        statement = select(AlertRow.__table__).order_by(AlertRow.id.desc()).limit(limit)
        return [_read(row) for row in self._connection.execute(statement)]

    def get(self, alert_id: int) -> Alert | None:
        row = self._connection.execute(select(AlertRow.__table__).where(AlertRow.id == alert_id)).one_or_none()
        return None if row is None else _read(row)

    def save(self, before: Alert | None, after: Alert, *, by: str, reason: str, at: datetime) -> Alert:
        stored = self._insert(after) if before is None else self._update(before, after)
        if before is None or before.state is not after.state:
            self._connection.execute(
                insert(AlertChangeRow).values(
                    alert_id=stored.id, at=at, before=None if before is None else before.state.value,
                    after=after.state.value, changed_by=by, reason=reason,
                )
            )  # fmt: skip
        if after.state is AlertState.ACKNOWLEDGED and before is not None and before.state is not after.state:
            self._audit.record(
                by, "alert.acknowledge", after.subject, {"alert": stored.id, "rule": after.rule, "reason": reason}
            )
        return stored

    def _insert(self, alert: Alert) -> Alert:
        row = self._connection.execute(insert(AlertRow).values(**_write(alert)).returning(AlertRow.__table__)).one()
        return _read(row)

    def _update(self, before: Alert, after: Alert) -> Alert:
        statement = (
            update(AlertRow)
            .where(AlertRow.id == before.id, AlertRow.state == before.state.value)
            .values(**_write(after))
            .returning(AlertRow.__table__)
        )
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            raise RetryableError(f"alert {before.id} is not {before.state.value} any more; look again")
        return _read(row)

    def changes(self, alert_id: int) -> Sequence[AlertChange]:
        statement = select(AlertChangeRow).where(AlertChangeRow.alert_id == alert_id).order_by(AlertChangeRow.id)
        return [
            AlertChange(
                row.alert_id, row.at, None if row.before is None else AlertState(row.before), AlertState(row.after),
                row.changed_by, row.reason,
            )
            for row in self._connection.execute(statement.with_only_columns(*AlertChangeRow.__table__.c))
        ]  # fmt: skip

    def told(self, alert_ids: Sequence[int]) -> Mapping[int, frozenset[Said]]:
        found: dict[int, set[Said]] = {alert_id: set() for alert_id in alert_ids}
        statement = select(OutboxRow.alert_id, OutboxRow.channel, OutboxRow.occasion, OutboxRow.number).where(
            OutboxRow.alert_id == func.any(list(alert_ids))
        )
        for row in self._connection.execute(statement) if alert_ids else ():
            found[row.alert_id].add(Said(row.channel, Occasion(row.occasion), row.number))
        return {alert_id: frozenset(said) for alert_id, said in found.items()}

    # --- silences --------------------------------------------------------------------------------------------

    def silence(self, silence: Silence) -> Silence:
        if not silence.by.strip() or not silence.reason.strip():
            raise ConfigurationError("a silence needs a named person and a reason (--by NAME --reason TEXT)")
        if silence.ends_at <= silence.starts_at:
            raise ConfigurationError(f"a silence that ends at {iso(silence.ends_at)} is over before it begins")
        statement = insert(SilenceRow).values(
            rule=silence.rule, subject=silence.subject, set_by=silence.by, reason=silence.reason,
            starts_at=silence.starts_at, ends_at=silence.ends_at,
        )  # fmt: skip
        row = self._connection.execute(statement.returning(SilenceRow.__table__)).one()
        self._audit.record(
            silence.by, "alert.silence", silence.subject,
            {"silence": row.id, "rule": silence.rule, "reason": silence.reason, "ends_at": iso(silence.ends_at)},
        )  # fmt: skip
        return _read_silence(row)

    def lift(self, silence_id: int, by: str, reason: str, now: datetime) -> Silence:
        if not by.strip() or not reason.strip():
            raise ConfigurationError("lifting a silence needs a named person and a reason (--by NAME --reason TEXT)")
        statement = (
            update(SilenceRow)
            .where(SilenceRow.id == silence_id, SilenceRow.ends_at > now)
            .values(ends_at=now)
            .returning(SilenceRow.__table__)
        )
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            raise ConfigurationError(f"no silence {silence_id} is in force; `airlock alerts list` shows them")
        self._audit.record(by, "alert.lift", row.subject, {"silence": row.id, "rule": row.rule, "reason": reason})
        return _read_silence(row)

    def silences(self, now: datetime) -> Sequence[Silence]:
        statement = select(SilenceRow.__table__).where(SilenceRow.ends_at > now, SilenceRow.starts_at <= now)
        return [_read_silence(row) for row in self._connection.execute(statement.order_by(SilenceRow.id))]

    # --- counters and signs of life --------------------------------------------------------------------------

    def increase(self, subject: str, metric: str, value: float, now: datetime, since: datetime) -> float:
        keys = {"subject": subject, "metric": metric, "since": require_aware(since, "since")}
        known = [float(row.value) for row in self._connection.execute(_INCREASE, keys)]
        if not known or known[-1] != value:
            statement = upsert(CounterRow).values(subject=subject, metric=metric, at=now, value=value)
            self._connection.execute(
                statement.on_conflict_do_update(index_elements=["subject", "metric", "at"], set_={"value": value})
            )
            self._connection.execute(_FORGET, keys)
        return sum(after - before if after >= before else after for before, after in pairwise([*known, value]))

    def beat(self, watcher: str, now: datetime) -> None:
        statement = upsert(WatcherRow).values(name=watcher, beat_at=now)
        self._connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"beat_at": now}))

    def beaten_at(self) -> datetime | None:
        found: datetime | None = self._connection.execute(select(func.max(WatcherRow.beat_at))).scalar_one()
        return found


def _write(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _COLUMNS} | {
        "code": alert.code.value, "severity": alert.severity.value, "state": alert.state.value,
    }  # fmt: skip


def _read(row: Any) -> Alert:
    return Alert(
        id=row.id, fingerprint=row.fingerprint, rule=row.rule, code=AlertCode[row.code],
        severity=Severity(row.severity), subject=row.subject, state=AlertState(row.state), summary=row.summary,
        advice=row.advice, since=row.since, seen_at=row.seen_at, fired_at=row.fired_at, clear_since=row.clear_since,
        ended_at=row.ended_at, acknowledged_by=row.acknowledged_by,
    )  # fmt: skip


def _read_silence(row: Any) -> Silence:
    return Silence(row.id, row.rule, row.subject, row.set_by, row.reason, row.starts_at, row.ends_at)
