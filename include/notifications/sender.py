"""Delivers what waits in the outbox for one channel: claim and commit, send, settle.

Killed at any point, it loses nothing: what was claimed is due again when the claim runs out. Between sending and
settling nobody can know whether it arrived, so it is sent again and says that it may be a repetition. Several senders
of a channel share the work through row locks and claims; no two send the same notice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from include.domain.enums import Severity
from include.notifications.channel import Channel, Patience, Receipt
from include.ports import Ledger

TIMEOUT_SECS = 10.0
CLAIM_SECS = 20.0
"""Longer than an attempt can take, so that a claim runs out only when its sender is gone."""
FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS = 2.0, 60.0


def backoff_secs(tries: int) -> float:
    """Pause after so many failed tries: 2, 4, 8 ... 60 s."""
    return float(min(FIRST_PAUSE_SECS * 2.0 ** min(tries - 1, 16), LONGEST_PAUSE_SECS))


class Sender:
    """One sender of one channel.

    Args:
        name: who it is, for the record of attempts.
        pace_secs: shortest time between two messages, by the worst severity that waits.
        clock: aware UTC; asked before and after each attempt.
    """

    def __init__(
        self,
        ledger: Ledger,
        channel: Channel,
        *,
        name: str,
        pace_secs: Mapping[Severity, int],
        clock: Callable[[], datetime],
        timeout_secs: float = TIMEOUT_SECS,
        claim_secs: float = CLAIM_SECS,
    ) -> None:
        self._ledger, self._channel, self._name, self._clock = ledger, channel, name, clock
        self._pace_secs, self._claim_secs = pace_secs, claim_secs
        self._patience = Patience(timeout_secs)

    @property
    def channel(self) -> str:
        return self._channel.name

    def deliver_due(self) -> Receipt | None:
        """One message with everything that is due; None when nothing is, or the pace forbids it now.

        Raises:
            RetryableError: the ledger cannot be used; nothing is lost.
        """
        with self._ledger.begin() as work:
            batch = work.outbox.claim(
                self._channel.name, self._name, now=self._clock(), pace_secs=self._pace_secs,
                claim_secs=self._claim_secs,
            )  # fmt: skip
            work.commit()
        if batch is None:
            return None
        receipt = self._patience.call(lambda: self._channel.deliver(batch.notices, repeated=batch.unsure))
        now = self._clock()
        retry_at = now + timedelta(seconds=max(backoff_secs(batch.tries), receipt.retry_after_secs))
        with self._ledger.begin() as work:
            work.outbox.settle(batch, receipt.outcome, receipt.reason[:200], now=now, retry_at=retry_at)
            work.commit()
        return receipt
