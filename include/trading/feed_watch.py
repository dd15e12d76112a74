"""The engine's watch over its feed: tells `FeedQuality` what arrives and when, keeps its counts in the heartbeat, and
opens an incident once when something goes wrong (codes in `FeedCode`).

Time is the venue's. Our own clock takes part only where the venue's agrees with it (real trading): then it dates
arrivals and goes on while the feed is silent. On a replayed clock the delay between the two means nothing, so none is
measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from include.domain.bars import Bar
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import Severity
from include.domain.times import Timeframe, to_ms
from include.ports import Ledger, UnitOfWork, Venue
from include.trading.feed_quality import FeedQuality
from include.trading.feed_report import FeedLimits

CLOCK_TOLERANCE_MS = 5_000
"""The venue's clock runs with ours when it is no further off than this (a price stamp may be a second old)."""
STATE_VERSION = 1


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class FeedWatch:
    """Watches the feed of one deployment.

    Args:
        wall_ms: our clock, epoch milliseconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        deployment: Deployment,
        symbols: Sequence[str],
        timeframe: Timeframe,
        *,
        limits: FeedLimits | None = None,
        wall_ms: Callable[[], int] = _wall_ms,
    ) -> None:
        self._ledger, self._deployment = ledger, deployment
        self._symbols, self._timeframe, self._limits = symbols, timeframe, limits
        self._wall_ms = wall_ms
        self._lockstep = deployment.connection.kind is VenueKind.REPLAY
        self._real_time = False
        self._quality: FeedQuality | None = None
        self._early: list[tuple[Bar, int]] = []

    def heard(self, bar: Bar) -> None:
        """A bar has arrived just now; called in order of arrival."""
        if self._quality is None:
            self._early.append((bar, self._wall_ms()))
        else:
            self._quality.bar(bar, self._wall_ms() if self._real_time else None)

    def begin(self, now: datetime, handled_through: datetime | None) -> None:
        """Take up the count where an earlier engine left it, or start it.

        Args:
            now: the venue's time.
            handled_through: close of the last bar that the ledger says was handled.
        """
        venue_ms = to_ms(now)
        with self._ledger.begin() as work:
            beat = work.deployments.heartbeat(self._deployment.id)
        self._real_time = not self._lockstep and abs(venue_ms - self._wall_ms()) <= CLOCK_TOLERANCE_MS
        state = (beat.feed or {}).get("state") if beat is not None else None
        if state is not None and state["version"] != STATE_VERSION:
            state = None
        handled_ms = venue_ms if handled_through is None else to_ms(handled_through)
        quality = FeedQuality(self._symbols, self._timeframe, min(handled_ms, venue_ms), self._limits, state)
        quality.handled(min(handled_ms, venue_ms))
        quality.reach(venue_ms)
        for bar, received_ms in self._early:
            quality.bar(bar, received_ms if self._real_time else None)
        self._quality, self._early = quality, []

    async def ask_time(self, venue: Venue) -> None:
        """Let the venue say how late it is: bars cannot, while none come. Errors are those of `server_time`."""
        if self._quality is not None and not self._lockstep:
            self._quality.reach(to_ms(await venue.server_time()))

    def document(self, reconnects: int) -> Mapping[str, Any] | None:
        """The feed so far in plain JSON; None before it began."""
        return None if self._quality is None else self._quality.snapshot(reconnects).document()

    def beat(self, work: UnitOfWork, reconnects: int) -> Mapping[str, Any] | None:
        """What the heartbeat carries; new alerts open incidents in the same transaction."""
        if self._quality is None:
            return None
        if self._real_time:
            self._quality.reach(self._wall_ms())
        snapshot, alerts = self._quality.look(reconnects)
        for code, of_code in groupby(alerts, key=lambda alert: alert[0]):
            symbols = ", ".join(symbol for _, symbol in of_code)
            message = f"{symbols}: {code.description} (venue time {snapshot.document()['at']})"
            work.incidents.open(Severity.WARNING, code.value, f"deployment:{self._deployment.id}", message)
        state = {"version": STATE_VERSION, **self._quality.state(reconnects)}
        return {**snapshot.document(), "state": state}
