"""The venue's events in the order in which an engine handles them: facts about orders before bars.

Bars and order reports come over two connections, so their order of arrival says nothing about what happened first. A
batch therefore sorts: reports and funding first, as they came, then bars by open time and the candidate's symbol order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.domain.bars import Bar
from include.domain.errors import RetryableError
from include.domain.orders import FundingPayment, OrderReport
from include.ports import Venue, VenueEvent

_SETTLING_TURNS = 3
"""Turns of the event loop that an event takes at most from the venue's queue to ours."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to handle together."""

    reports: tuple[OrderReport, ...]
    bars: tuple[Bar, ...]
    funding: tuple[FundingPayment, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.reports or self.bars or self.funding)


@dataclass(frozen=True, slots=True)
class _End:
    """The feed is over: on request, or because of an error."""

    error: BaseException | None


class EventFeed:
    """Moves events from a venue into a queue of our own, where stopping and failing have a place too."""

    def __init__(self, venue: Venue, symbols: Sequence[str], heard: Callable[[Bar], None]) -> None:
        """`heard` is told of every bar at once, in order of arrival."""
        self._venue, self._heard = venue, heard
        self._rank = {symbol: rank for rank, symbol in enumerate(symbols)}
        self._queue: asyncio.Queue[VenueEvent | _End] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read the venue's events."""
        self._task = asyncio.create_task(self._pump())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def stop(self) -> None:
        """Let the reader end after what has arrived so far."""
        self._queue.put_nowait(_End(None))

    def fail(self, error: BaseException) -> None:
        """Let the reader raise `error`."""
        self._queue.put_nowait(_End(error))

    async def next(self, timeout_secs: float) -> Batch | None:
        """Wait for at least one event and return all there are; empty after the time limit, None when stopped.

        Raises:
            RetryableError: the venue ended its stream, which it does only when it cannot go on.
        """
        try:
            first = await asyncio.wait_for(self._queue.get(), timeout_secs)
        except TimeoutError:
            return Batch((), ())
        return self._collect([first])

    async def settled(self) -> Batch | None:
        """Everything that has arrived by now, without waiting; None when stopped. For lockstep replays."""
        for _ in range(_SETTLING_TURNS):
            await asyncio.sleep(0)
        return self._collect([])

    def _collect(self, events: list[VenueEvent | _End]) -> Batch | None:
        while not self._queue.empty():
            events.append(self._queue.get_nowait())
        for event in events:
            if isinstance(event, _End):
                if event.error is not None:
                    raise event.error
                return None
        bars = [event for event in events if isinstance(event, Bar)]
        bars.sort(key=lambda bar: (bar.open_time, self._rank.get(bar.symbol, len(self._rank))))
        return Batch(
            tuple(event for event in events if isinstance(event, OrderReport)),
            tuple(bars),
            tuple(event for event in events if isinstance(event, FundingPayment)),
        )

    async def _pump(self) -> None:
        try:
            async for event in self._venue.events():
                if isinstance(event, Bar):
                    self._heard(event)
                self._queue.put_nowait(event)
        except Exception as error:
            self.fail(error)
        else:
            self.fail(RetryableError("the venue's event stream ended; the engine starts anew"))
