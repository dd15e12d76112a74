"""How far our clock is from an exchange's, and when that is too far to trade.

Requests are signed with our time and refused outside the exchange's window; worse, delays, staleness and the age of
bars are judged by our clock. So an offset is measured when a venue connects, and a large one is refused there.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.domain.errors import FatalError, RetryableError
from include.domain.times import to_ms

SAMPLES = 3
MAX_OFFSET = timedelta(seconds=1)
"""Exchanges refuse what is more than a second from the future; beyond that nothing would arrive."""


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One question: our time before and after, theirs in between; epoch milliseconds."""

    sent_ms: float
    theirs_ms: float
    received_ms: float

    @property
    def round_trip_ms(self) -> float:
        return self.received_ms - self.sent_ms


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """`offset`: their clock less ours; the truth lies within `uncertainty` of it."""

    offset: timedelta
    uncertainty: timedelta

    def require(self, where: str, limit: timedelta = MAX_OFFSET) -> None:
        """Refuse a clock that is too far off.

        Raises:
            FatalError: it is, whatever the uncertainty.
            RetryableError: answers took so long that it cannot be told.
        """
        if abs(self.offset) - self.uncertainty > limit:
            raise FatalError(
                f"{where}: its clock is {self.offset.total_seconds():+.3f} s from ours (limit "
                f"{limit.total_seconds():g} s); set this machine's clock (NTP) before trading"
            )
        if abs(self.offset) + self.uncertainty > limit:
            raise RetryableError(
                f"{where}: the clocks could not be compared, answers took {2 * self.uncertainty.total_seconds():.3f} s"
            )


def estimate_offset(samples: Sequence[ClockSample]) -> ClockOffset:
    """Offset from the sample with the shortest round trip, whose error is at most half of that (Cristian, 1989).

    Raises:
        ValueError: there is no sample.
    """
    best = min(samples, key=lambda sample: sample.round_trip_ms)
    half = best.round_trip_ms / 2
    return ClockOffset(timedelta(milliseconds=best.theirs_ms - best.sent_ms - half), timedelta(milliseconds=half))


async def measure_offset(
    ask: Callable[[], Awaitable[datetime]], *, wall_ms: Callable[[], float] = lambda: time.time() * 1_000
) -> ClockOffset:
    """Ask `SAMPLES` times what time it is there. Errors are those of `ask`."""
    samples = []
    for _ in range(SAMPLES):
        sent = wall_ms()
        theirs = await ask()
        samples.append(ClockSample(sent, to_ms(theirs), wall_ms()))
    return estimate_offset(samples)
