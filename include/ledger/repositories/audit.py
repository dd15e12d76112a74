"""The audit trail and the check of all chains."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from include.domain.errors import ConfigurationError
from include.ledger import chain
from include.ledger.models import AuditTableRow
from include.ports import AuditRow, ChainHead


class AuditRepository:
    """Implements `ports.Audit`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> AuditRow:
        if not actor.strip() or not action.strip():
            raise ConfigurationError(f"audit of {subject or 'nothing'}: actor and action must be named")
        columns = {"actor": actor, "action": action, "subject": subject}
        return _read(chain.append(self._connection, "audit", details, columns))

    def recent(self, limit: int = 100) -> Sequence[AuditRow]:
        """Newest first."""
        statement = select(AuditTableRow.__table__).order_by(AuditTableRow.sequence.desc()).limit(limit)
        return [_read(row) for row in self._connection.execute(statement)]

    def of_subject(self, subject: str, action: str) -> Sequence[AuditRow]:
        statement = (
            select(AuditTableRow.__table__)
            .where(AuditTableRow.subject == subject, AuditTableRow.action == action)
            .order_by(AuditTableRow.sequence)
        )
        return [_read(row) for row in self._connection.execute(statement)]

    def of_action(self, action: str, before: datetime) -> Sequence[AuditRow]:
        statement = (
            select(AuditTableRow.__table__)
            .where(AuditTableRow.action == action, AuditTableRow.recorded_at < before)
            .order_by(AuditTableRow.sequence)
        )
        return [_read(row) for row in self._connection.execute(statement)]

    def heads(self, before: datetime) -> Sequence[ChainHead]:
        return chain.heads(self._connection, before)

    def verify_chains(self, known: Sequence[ChainHead] = ()) -> Sequence[str]:
        return [*chain.verify(self._connection), *chain.compare_known(self._connection, known)]


def _read(row: Any) -> AuditRow:
    return AuditRow(
        row.sequence, row.chain, row.recorded_at, row.actor, row.action, row.subject, json.loads(row.content)
    )
