"""Holding a deployment's lease: take it, renew it in the background, and stop before it could be taken away.

Safety rests on the database (a write-ahead with an old token is refused there); this module adds the promise that a
holder cut off from the database falls silent by its own clock before anybody else may start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from include.domain.deployments import Lease
from include.domain.errors import LeaseLostError
from include.ports import Ledger

LEASE_TTL_SECS = 6.0
"""How long a dead engine blocks its successor on another host; a renewal every second leaves room for five to fail."""
SAFE_SHARE = 0.7
"""Share of the time to live after the last renewal during which we still act: the rest covers an order on its way."""
RETRY_SECS = 0.5

Monotonic = Callable[[], float]


class LeaseKeeper:
    """The lease of one deployment as one process holds it."""

    def __init__(
        self,
        ledger: Ledger,
        deployment_id: str,
        holder: str,
        *,
        ttl_secs: float = LEASE_TTL_SECS,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._ledger, self._deployment_id, self._holder = ledger, deployment_id, holder
        self._ttl_secs, self._monotonic = ttl_secs, monotonic
        self._lease: Lease | None = None
        self._safe_until = 0.0

    async def acquire(self, patience_secs: float) -> Lease:
        """Take the lease, waiting for the present holder to let go or expire.

        Raises:
            LeaseLostError: another holder kept it for all of `patience_secs`.
        """
        give_up = self._monotonic() + patience_secs
        while True:
            asked = self._monotonic()
            with self._ledger.begin() as work:
                lease = work.leases.acquire(self._deployment_id, self._holder, self._ttl_secs)
                work.commit()
            if lease is not None:
                self._hold(lease, asked)
                return lease
            if self._monotonic() >= give_up:
                raise LeaseLostError(
                    f"deployment {self._deployment_id[:12]}: another engine holds its lease; this one does not trade"
                )
            await asyncio.sleep(RETRY_SECS)

    @property
    def token(self) -> int:
        """Fencing token to send with writes.

        Raises:
            LeaseLostError: no lease is held, or its last renewal is too long ago to act on it.
        """
        if self._lease is None or self._monotonic() >= self._safe_until:
            raise LeaseLostError(
                f"deployment {self._deployment_id[:12]}: the lease could not be renewed in time; trading stops here"
            )
        return self._lease.token

    def renew(self) -> None:
        """Extend the lease once.

        Raises:
            LeaseLostError: it was taken or had expired.
        """
        if self._lease is None:
            raise LeaseLostError(f"deployment {self._deployment_id[:12]}: no lease is held")
        asked = self._monotonic()
        with self._ledger.begin() as work:
            lease = work.leases.renew(self._lease, self._ttl_secs)
            work.commit()
        self._hold(lease, asked)

    def release(self) -> None:
        """Give the lease back so that a successor need not wait; harmless when it is gone."""
        if self._lease is None:
            return
        with self._ledger.begin() as work:
            work.leases.release(self._lease)
            work.commit()
        self._lease = None

    def _hold(self, lease: Lease, asked: float) -> None:
        # Counted from before the question was sent: the database cannot have started its own count any earlier.
        self._lease, self._safe_until = lease, asked + self._ttl_secs * SAFE_SHARE
