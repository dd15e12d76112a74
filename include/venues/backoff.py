"""Exponential back-off with full jitter: how long to wait before trying again, so that many do not return at once."""

from __future__ import annotations

from random import Random

BASE_SECS = 0.2
CAP_SECS = 30.0
FLOOR_SECS = 0.01
"""Never none at all: a server that refuses at once would be asked in a busy loop."""


class Backoff:
    """Waits that grow while attempts fail.

    The n-th wait is uniform between `FLOOR_SECS` and min(cap, base x 2^n) ("full jitter": the spread, not the growth,
    is what keeps clients apart).
    """

    def __init__(self, *, base_secs: float = BASE_SECS, cap_secs: float = CAP_SECS, random: Random) -> None:
        self._base, self._cap, self._random = base_secs, cap_secs, random
        self.attempts = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self.attempts, 60))
        self.attempts += 1
        return self._random.uniform(min(FLOOR_SECS, ceiling), ceiling)

    def reset(self) -> None:
        """An attempt has succeeded."""
        self.attempts = 0
