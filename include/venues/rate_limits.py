"""Staying below an exchange's limits by what its answers say has been used.

`RateGovernor` is told of every answer and asked before every request. It slows down before a limit is reached, stops
when told to (429, 418, Retry-After), and never holds back a cancel for anything but a ban: what takes risk away must
not queue behind what adds it. Pure but for its clocks, which are arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from include.venues.dialect import Limits

SOFT_SHARE = 0.7
"""From this share of a limit on, what is left of the window is spread over what is left of the limit."""
HARD_SHARE = 0.95
"""From here on nothing is sent before the window is over: other programs may share the limit."""
DEFAULT_RETRY_SECS = {429: 5.0, 418: 120.0}
"""How long to keep away when the exchange says so without saying how long."""
MAX_RETRY_SECS = 3_600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit as last told. `ends_at`: epoch seconds at which the exchange counts from zero again."""

    name: str
    share: float
    ends_at: float


class RateGovernor:
    """What has been used of one exchange's limits.

    Args:
        limits: which headers say so.
        obeys: False only where time is replayed faster than life; a ban is respected all the same.
        now: epoch seconds, by which exchanges cut their windows.
    """

    def __init__(self, limits: Limits, *, obeys: bool = True, now: Callable[[], float] = time.time) -> None:
        self._limits, self._obeys, self._now = limits, obeys, now
        self._used_of = dict(limits.used)
        self._usage: dict[str, Usage] = {}
        self._banned_until = 0.0
        self.waited_secs = 0.0
        """How long requests have been held back so far."""

    @property
    def used(self) -> Mapping[str, float]:
        """Share of each limit used in its present window, 0 to 1 and beyond; windows that are over are left out."""
        now = self._now()
        return {usage.name: usage.share for usage in self._usage.values() if usage.ends_at > now}

    @property
    def banned_secs(self) -> float:
        """How much longer the exchange wants to hear nothing; 0 when it does not mind."""
        return max(0.0, self._banned_until - self._now())

    def note(self, status: int, headers: Mapping[str, str] | None) -> None:
        """An answer came with this status and these headers. Headers that cannot be read are ignored."""
        now, found = self._now(), {name.lower(): value for name, value in (headers or {}).items()}
        for name, (limit, window) in self._used_of.items():
            count = _number(found.get(name))
            if count is not None:
                self._usage[name] = Usage(name, count / limit, (now // window + 1) * window)
        if self._limits.remaining is not None:
            self._note_remaining(*(_number(found.get(name)) for name in self._limits.remaining), now=now)
        if status in DEFAULT_RETRY_SECS:
            told = _number(found.get("retry-after"))
            secs = DEFAULT_RETRY_SECS[status] if told is None else min(max(told, 0.0), MAX_RETRY_SECS)
            self._banned_until = max(self._banned_until, now + secs)

    def note_stated(self, answer: Any) -> None:
        """The exchange's list of markets came; what it states of its limits counts from now on. Where it is unreadable
        the figures of the dialect stay."""
        if self._limits.stated is None:
            return
        try:
            stated = self._limits.stated(answer)
        except (KeyError, ValueError, TypeError, AttributeError):
            return
        self._used_of.update({name: stated[name] for name in self._used_of if name in stated})

    @property
    def limits(self) -> Mapping[str, tuple[int, int]]:
        """What may be used, by header: (limit, window in seconds)."""
        return dict(self._used_of)

    def _note_remaining(self, left: float | None, limit: float | None, reset_ms: float | None, *, now: float) -> None:
        if left is None or not limit or reset_ms is None:
            return
        # The exchange tells a reset in the past while nothing is used up.
        self._usage["remaining"] = Usage("remaining", 1 - left / limit, min(max(reset_ms / 1_000, now), now + 60))

    def delay(self, *, urgent: bool = False) -> float:
        """Seconds to wait before the next request; `urgent` ones wait for a ban only."""
        wait = self.banned_secs
        if urgent or not self._obeys:
            return wait
        now = self._now()
        return max([wait, *(_slowdown(usage, now) for usage in self._usage.values())])

    async def admit(self, *, urgent: bool = False) -> None:
        """Wait until a request may be sent."""
        wait = self.delay(urgent=urgent)
        if wait > 0:
            self.waited_secs += wait
            await asyncio.sleep(wait)


def _slowdown(usage: Usage, now: float) -> float:
    """Nothing below the soft share; the rest of the window from the hard share on; in between, in proportion squared,
    so that the first requests beyond the soft share hardly notice."""
    rest = usage.ends_at - now
    if rest <= 0 or usage.share < SOFT_SHARE:
        return 0.0
    over = min(1.0, (usage.share - SOFT_SHARE) / (HARD_SHARE - SOFT_SHARE))
    return float(rest if over == 1.0 else rest * over * over / 10)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
