"""One notice, several notifiers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from include.ports import Notice, Notifier

logger = logging.getLogger(__name__)


class FanOut:
    """Sends to every notifier, whatever becomes of the others; True when all delivered."""

    def __init__(self, notifiers: Sequence[Notifier]) -> None:
        self._notifiers = tuple(notifiers)

    def send(self, notice: Notice) -> bool:
        return all([_attempt(notifier, notice) for notifier in self._notifiers])  # a list: nobody is left out


def _attempt(notifier: Notifier, notice: Notice) -> bool:
    try:
        return notifier.send(notice)
    except Exception as error:
        # The port forbids it, yet a notifier of a user's own may do it, and an alarm must reach the others.
        logger.warning("notifier %s raised %s", type(notifier).__name__, type(error).__name__)
        return False
