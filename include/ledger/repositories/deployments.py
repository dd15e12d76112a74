"""Deployments and the heartbeats of their engines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects.postgresql import insert

from include.domain.deployments import Deployment, Heartbeat
from include.domain.enums import DeploymentStatus, DesiredState, Mode
from include.domain.errors import ConfigurationError, LeaseLostError
from include.domain.lifecycle import DEPLOYMENT_TRANSITIONS, move
from include.ledger import chain
from include.ledger.codec import read_deployment, write_deployment
from include.ledger.listening import DEPLOYMENTS_CHANNEL, notify
from include.ledger.models import DeploymentRow, HeartbeatRow
from include.ledger.repositories.audit import AuditRepository

_BEAT = text(
    """
    INSERT INTO heartbeats (deployment_id, token, beat_at, event_time, bars, progress, feed)
    SELECT deployment_id, token, clock_timestamp(), CAST(:event_time AS timestamptz), :bars, :progress,
        CAST(:feed AS jsonb)
    FROM leases WHERE deployment_id = :deployment_id AND token = :token FOR SHARE
    ON CONFLICT (deployment_id) DO UPDATE SET token = excluded.token, beat_at = excluded.beat_at,
        event_time = excluded.event_time, bars = excluded.bars, progress = excluded.progress,
        feed = coalesce(excluded.feed, heartbeats.feed)
    RETURNING deployment_id
    """
)


class DeploymentRepository:
    """Implements `ports.Deployments`."""

    def __init__(self, connection: Connection, audit: AuditRepository) -> None:
        self._connection = connection
        self._audit = audit

    def create(self, deployment: Deployment) -> Deployment:
        statement = (
            insert(DeploymentRow)
            .values(**write_deployment(deployment))
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(DeploymentRow.id)
        )
        if self._connection.execute(statement).one_or_none() is not None:
            notify(self._connection, DEPLOYMENTS_CHANNEL, deployment.id)
            return deployment
        return self._require(deployment.id)

    def get(self, deployment_id: str) -> Deployment | None:
        row = self._connection.execute(
            select(DeploymentRow.__table__).where(DeploymentRow.id == deployment_id)
        ).one_or_none()
        return None if row is None else read_deployment(row)

    def all(self, mode: Mode | None = None) -> Sequence[Deployment]:
        """Oldest first."""
        statement = select(DeploymentRow.__table__).order_by(DeploymentRow.created_at, DeploymentRow.id)
        if mode is not None:
            statement = statement.where(DeploymentRow.mode == mode.value)
        return [read_deployment(row) for row in self._connection.execute(statement)]

    def request(self, deployment_id: str, desired: DesiredState, by: str, reason: str) -> None:
        before = self._require(deployment_id)
        self._audit.record(
            by, "deployment.request", f"deployment:{deployment_id}",
            {"desired": desired.value, "before": before.desired.value, "reason": reason},
        )  # fmt: skip
        self._connection.execute(
            update(DeploymentRow).where(DeploymentRow.id == deployment_id).values(desired=desired.value)
        )
        notify(self._connection, DEPLOYMENTS_CHANNEL, deployment_id)

    def mark(self, deployment_id: str, status: DeploymentStatus, reason: str = "") -> None:
        # The chain's lock before the row's, as everywhere, so that a halt and a status change cannot deadlock.
        chain.lock(self._connection, "audit")
        row = self._connection.execute(
            select(DeploymentRow.status).where(DeploymentRow.id == deployment_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise _unknown(deployment_id)
        move(DEPLOYMENT_TRANSITIONS, DeploymentStatus(row.status), status, subject=f"deployment {deployment_id[:12]}")
        if row.status != status.value:
            self._audit.record(
                "airlock", "deployment.status", f"deployment:{deployment_id}",
                {"status": status.value, "before": row.status, "reason": reason},
            )  # fmt: skip
        self._connection.execute(
            update(DeploymentRow)
            .where(DeploymentRow.id == deployment_id)
            .values(status=status.value, status_reason=reason)
        )
        notify(self._connection, DEPLOYMENTS_CHANNEL, deployment_id)

    def beat(
        self,
        deployment_id: str,
        token: int,
        event_time: datetime | None,
        bars: int,
        progress: float,
        feed: Mapping[str, Any] | None = None,
    ) -> None:
        written = self._connection.execute(
            _BEAT,
            {
                "deployment_id": deployment_id, "token": token, "event_time": event_time, "bars": bars,
                "progress": progress, "feed": None if feed is None else json.dumps(feed, allow_nan=False),
            },
        ).one_or_none()  # fmt: skip
        if written is None:
            raise LeaseLostError(f"deployment {deployment_id[:12]}: lease token {token} is not the current one; stop")

    def heartbeat(self, deployment_id: str) -> Heartbeat | None:
        row = self._connection.execute(
            select(HeartbeatRow.__table__).where(HeartbeatRow.deployment_id == deployment_id)
        ).one_or_none()
        if row is None:
            return None
        return Heartbeat(row.deployment_id, row.beat_at, row.event_time, row.bars, row.progress, row.feed)

    def _require(self, deployment_id: str) -> Deployment:
        found = self.get(deployment_id)
        if found is None:
            raise _unknown(deployment_id)
        return found


def _unknown(deployment_id: str) -> ConfigurationError:
    return ConfigurationError(f"deployment {deployment_id[:12]} is not in the ledger; `airlock status` lists them")
