"""A value that is asked for again once it is old."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Expiring(Generic[T]):
    """Keeps the last answer for `lasts`.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, lasts: timedelta, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts, self._clock = lasts.total_seconds(), clock
        self._kept: tuple[float, T] | None = None

    async def get(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The kept value, or a new one from `ask`; an `ask` that fails leaves nothing kept that was old."""
        now = self._clock()
        if self._kept is None or now - self._kept[0] >= self._lasts:
            self._kept = None
            self._kept = (now, await ask())
        return self._kept[1]

    def forget(self) -> None:
        self._kept = None
