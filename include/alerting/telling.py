"""What is to be said about an alert, on which channel, and when. Pure.

The answer is everything that should have been said by `now`; the outbox takes each (alert, channel, occasion, number)
once, so asking again after a crash adds nothing and loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from include.alerting.policy import AlertPolicy, Telling
from include.domain.alerts import Alert, AlertState, Occasion, Said, Silence
from include.domain.enums import Severity

FALLBACK = "log"
"""Where something goes when no channel of its level is set up."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something to be said, and not before `at`."""

    said: Said
    at: datetime


@dataclass(frozen=True, slots=True)
class Audience:
    """Who can be told, and by which rules."""

    policy: AlertPolicy
    channels: frozenset[str]
    """Channels that are set up."""
    silences: Sequence[Silence]
    zone: ZoneInfo

    def of(self, channels: Sequence[str]) -> tuple[str, ...]:
        """Those of the channels that are set up; the local log when none is."""
        return tuple(channel for channel in channels if channel in self.channels) or (FALLBACK,)


def due(alert: Alert, told: frozenset[Said], audience: Audience, now: datetime) -> list[Due]:
    """What is to be added to what was said about an alert.

    Args:
        told: everything that is in the outbox for it, whether delivered yet or not.
    """
    if alert.state is AlertState.PENDING or alert.fired_at is None:
        return []
    if alert.state is AlertState.RESOLVED:
        return _ending(alert, told, audience, now)
    if alert.state is AlertState.ACKNOWLEDGED or any(silence.covers(alert, now) for silence in audience.silences):
        return []
    wanted = _firing(alert, audience, now)
    return [item for item in wanted if item.said not in told]


def release(severity: Severity, audience: Audience, now: datetime) -> datetime:
    """When something of a severity may be told: now, or when the quiet hours end."""
    quiet = audience.policy.quiet_hours
    return now if quiet is None else quiet.release(severity, now, audience.zone)


def _firing(alert: Alert, audience: Audience, now: datetime) -> list[Due]:
    assert alert.fired_at is not None  # noqa: S101 - the caller has looked
    telling = audience.policy.telling[alert.severity]
    at = release(alert.severity, audience, now)
    passed = (now - alert.fired_at).total_seconds()
    first = max(at, alert.fired_at + timedelta(seconds=telling.gather_secs))
    found = [Due(Said(channel, Occasion.FIRED), first) for channel in audience.of(telling.levels[0].channels)]
    for number, level in enumerate(telling.levels[1:], start=1):
        if passed >= level.after_secs:
            found += [Due(Said(channel, Occasion.ESCALATED, number), at) for channel in audience.of(level.channels)]
    return found + _repeats(telling, passed, audience, at, now)


def _repeats(telling: Telling, passed: float, audience: Audience, at: datetime, now: datetime) -> list[Due]:
    count = int(passed // telling.repeat_secs) if telling.repeat_secs else 0
    if not count or at > now:  # nobody needs to read in the morning how often the night was interrupted
        return []
    return [Due(Said(channel, Occasion.REPEATED, count), at) for channel in audience.of(telling.levels[0].channels)]


def _ending(alert: Alert, told: frozenset[Said], audience: Audience, now: datetime) -> list[Due]:
    """Whoever was told that it began is told that it is over."""
    at = release(alert.severity, audience, now)
    channels = sorted({said.channel for said in told if said.occasion is not Occasion.RESOLVED})
    ends = [Said(channel, Occasion.RESOLVED) for channel in channels]
    return [Due(said, at) for said in ends if said not in told]
