"""Leases: who may trade a deployment. One clock decides, the database's."""

from __future__ import annotations

from sqlalchemy import Connection, select, text

from include.domain.deployments import Lease
from include.domain.errors import LeaseLostError
from include.ledger.codec import read_lease
from include.ledger.models import LeaseRow

# The conflicting row is locked before the WHERE is judged, so two takers are served one after the other and the
# second sees a live lease. A holder that asks again takes over from its own earlier self: the token grows.
_ACQUIRE = text(
    """
    INSERT INTO leases AS held (deployment_id, holder, token, expires_at)
    VALUES (:deployment_id, :holder, 1, clock_timestamp() + make_interval(secs => :ttl))
    ON CONFLICT (deployment_id) DO UPDATE
        SET holder = excluded.holder, token = held.token + 1,
            expires_at = clock_timestamp() + make_interval(secs => :ttl)
        WHERE held.expires_at <= clock_timestamp() OR held.holder = excluded.holder
    RETURNING deployment_id, holder, token, expires_at
    """
).columns(*LeaseRow.__table__.c)
_RENEW = text(
    """
    UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => :ttl)
    WHERE deployment_id = :deployment_id AND token = :token AND holder = :holder AND expires_at > clock_timestamp()
    RETURNING deployment_id, holder, token, expires_at
    """
).columns(*LeaseRow.__table__.c)
# The row stays, expired: its token must go on growing.
_RELEASE = text(
    """
    UPDATE leases SET expires_at = clock_timestamp()
    WHERE deployment_id = :deployment_id AND token = :token AND holder = :holder AND expires_at > clock_timestamp()
    """
)


class LeaseRepository:
    """Implements `ports.Leases`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self, deployment_id: str, holder: str, ttl_secs: float) -> Lease | None:
        row = self._connection.execute(
            _ACQUIRE, {"deployment_id": deployment_id, "holder": holder, "ttl": ttl_secs}
        ).one_or_none()
        return None if row is None else read_lease(row)

    def renew(self, lease: Lease, ttl_secs: float) -> Lease:
        row = self._connection.execute(_RENEW, {**_key(lease), "ttl": ttl_secs}).one_or_none()
        if row is None:
            raise LeaseLostError(
                f"deployment {lease.deployment_id[:12]}: lease {lease.token} of {lease.holder} is over; stop trading"
            )
        return read_lease(row)

    def release(self, lease: Lease) -> None:
        self._connection.execute(_RELEASE, _key(lease))

    def current(self, deployment_id: str) -> Lease | None:
        """The live lease; None when there is none or it has expired."""
        statement = select(LeaseRow.__table__).where(
            LeaseRow.deployment_id == deployment_id, LeaseRow.expires_at > text("clock_timestamp()")
        )
        row = self._connection.execute(statement).one_or_none()
        return None if row is None else read_lease(row)


def _key(lease: Lease) -> dict[str, object]:
    return {"deployment_id": lease.deployment_id, "token": lease.token, "holder": lease.holder}
