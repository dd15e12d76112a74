"""Notices by way of the outbox: recorded first, delivered by whoever delivers alerts, or here when nobody does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from include.alerting.telling import Audience, release
from include.domain.errors import AirlockError
from include.notifications.log import LogNotifier
from include.notifications.sender import Sender
from include.ports import Ledger, Notice, Notifier

logger = logging.getLogger(__name__)
WATCHER_ALIVE = timedelta(seconds=60)
"""A process that delivers gives a sign of life every few seconds."""


class OutboxNotifier:
    """Implements `ports.Notifier`: the local log at once, everything else through the outbox.

    Args:
        open_ledger: called at the first notice.
        senders: of the channels of this process, for when no `airlock alerts run` is alive.
        direct: told when the ledger cannot be used.
    """

    def __init__(
        self,
        open_ledger: Callable[[], Ledger],
        audience: Audience,
        *,
        log: LogNotifier,
        senders: Callable[[Ledger], Sequence[Sender]],
        direct: Notifier,
        clock: Callable[[], datetime],
    ) -> None:
        self._open_ledger, self._audience, self._clock = open_ledger, audience, clock
        self._log, self._direct, self._senders = log, direct, senders
        self._ledger: Ledger | None = None

    def send(self, notice: Notice) -> bool:
        """True once it is recorded: from then on it is not lost."""
        logged = self._log.send(notice)
        try:
            ledger = self._ledger = self._ledger or self._open_ledger()
            if not self._put(ledger, notice):
                self._deliver_here(ledger)
        except Exception as error:  # whatever it is, it stops neither stage nor engine
            reason = error if isinstance(error, AirlockError) else type(error).__name__
            logger.warning("notice %r goes past the outbox: %s", notice.title, reason)
            return self._direct.send(notice)
        return logged

    def _put(self, ledger: Ledger, notice: Notice) -> bool:
        """Record it; True when somebody is there who will deliver it."""
        now = self._clock()
        telling = self._audience.policy.telling[notice.severity]
        at = release(notice.severity, self._audience, now)
        expires = at + timedelta(seconds=telling.expires_after_secs) if telling.expires_after_secs else None
        with ledger.begin() as work:
            for channel in self._audience.of(telling.levels[0].channels):
                if channel != self._log.name:
                    work.outbox.put(channel, notice, now=now, due_at=at, expires_at=expires)
            beaten_at = work.alerts.beaten_at()
            work.commit()
        return beaten_at is not None and now - beaten_at < WATCHER_ALIVE

    def _deliver_here(self, ledger: Ledger) -> None:
        """Once, within the senders' time limits; what fails stays in the outbox."""
        for sender in self._senders(ledger):
            try:
                sender.deliver_due()
            except AirlockError as error:
                logger.warning("channel %s: %s", sender.channel, error)
