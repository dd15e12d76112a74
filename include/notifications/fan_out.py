"""One notice, several channels, past the outbox."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from include.notifications.channel import Channel, Patience
from include.notifications.sender import TIMEOUT_SECS
from include.ports import Notice

logger = logging.getLogger(__name__)


class FanOut:
    """Sends to every channel, whatever becomes of the others; True when all delivered."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = tuple(channels)

    def send(self, notice: Notice) -> bool:
        return all([_attempt(channel, notice) for channel in self._channels])  # a list: nobody is left out


def _attempt(channel: Channel, notice: Notice) -> bool:
    """A channel of a user's own may raise or hang, and an alarm must reach the others."""
    receipt = Patience(TIMEOUT_SECS).call(lambda: channel.deliver((notice,)))
    if not receipt.delivered:
        logger.warning("notice %r not delivered on %s: %s", notice.title, channel.name, receipt.reason)
    return receipt.delivered
