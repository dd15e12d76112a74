"""One source of a feed: kept connected, read all the time, and judged by when it was last heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from include.domain.bars import Bar
from include.domain.errors import AirlockError, FatalError
from include.domain.times import Timeframe
from include.venues.backoff import Backoff
from include.venues.feeds.changes import FeedChange
from include.venues.feeds.source import BarSource

Tell = Callable[[FeedChange, str, str], None]
"""Called with a change, the source's name and details."""


class StandingSource:
    """A source and what is known of it.

    Args:
        deliver: gets each bar with this object, in order of arrival.
        clock: monotonic seconds.
        backoff: waits between attempts to connect again.
    """

    def __init__(
        self,
        name: str,
        source: BarSource,
        deliver: Callable[[StandingSource, Bar], None],
        tell: Tell,
        clock: Callable[[], float],
        backoff: Backoff,
    ) -> None:
        self.name, self.source = name, source
        self.is_connected = False
        self.heard_at: float = clock()
        self.steps_in_a_row = 0
        """Bar times brought completely since the source was last silent or lost."""
        self._deliver, self._tell, self._clock = deliver, tell, clock
        self._backoff = backoff
        self._task: asyncio.Task[None] | None = None
        self._newest: Bar | None = None

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Connect once; errors are the source's."""
        await self.source.connect(symbols, timeframe)
        self.is_connected, self.heard_at = True, self._clock()

    def read(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Begin to read, and to connect again whenever that ends."""
        self._task = asyncio.create_task(self._keep(symbols, timeframe))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.source.close()
        self.is_connected = False

    def silent_secs(self) -> float:
        """How long nothing has come."""
        return self._clock() - self.heard_at

    def hush(self) -> None:
        """It has been silent for too long: what it brought before counts for nothing."""
        self.steps_in_a_row = 0

    async def _keep(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        while True:
            try:
                if not self.is_connected:
                    await self.connect(symbols, timeframe)
                    self._tell(FeedChange.SOURCE_BACK, self.name, "")
                async for event in self.source.events():
                    if isinstance(event, Bar):
                        self._hear(event)
                detail = "its stream ended"
            except FatalError as error:
                self._lose(str(error))
                return
            except AirlockError as error:
                detail = str(error)
            self._lose(detail)
            await self.source.close()
            await asyncio.sleep(self._backoff.next())

    def _hear(self, bar: Bar) -> None:
        self.heard_at = self._clock()
        self._backoff.reset()
        if self._newest is None or bar.open_time > self._newest.open_time:
            self._newest = bar
            self.steps_in_a_row += 1
        self._deliver(self, bar)

    def _lose(self, detail: str) -> None:
        self.is_connected, self.steps_in_a_row = False, 0
        self._tell(FeedChange.SOURCE_LOST, self.name, detail)
