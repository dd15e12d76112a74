"""Incidents: doubts and events people must know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from include.domain.enums import Severity
from include.ledger.models import IncidentRow
from include.ports import Incident


class IncidentRepository:
    """Implements `ports.Incidents`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, severity: Severity, code: str, subject: str, message: str) -> Incident:
        statement = (
            insert(IncidentRow)
            .values(severity=severity.value, code=code, subject=subject, message=message)
            .returning(IncidentRow.__table__)
        )
        return _read(self._connection.execute(statement).one())

    def recent(self, limit: int = 100) -> Sequence[Incident]:
        """Newest first."""
        statement = select(IncidentRow.__table__).order_by(IncidentRow.id.desc()).limit(limit)
        return [_read(row) for row in self._connection.execute(statement)]

    def between(self, start: datetime, end: datetime) -> Sequence[Incident]:
        statement = (
            select(IncidentRow.__table__)
            .where(IncidentRow.opened_at >= start, IncidentRow.opened_at < end)
            .order_by(IncidentRow.id)
        )
        return [_read(row) for row in self._connection.execute(statement)]


def _read(row: Any) -> Incident:
    return Incident(row.id, row.opened_at, Severity(row.severity), row.code, row.subject, row.message)
