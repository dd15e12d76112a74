"""One stream of bars out of several sources: none missing, none twice, whatever happens to one source.

All sources stay connected and are read all the time (hot standby); the one in use decides, the others are only heard.
Every bar passes `BarSequence`: a hole is filled by REST before the bar behind it is given out, a jump is looked at
twice. A source in use that falls silent is polled by REST; when that brings nothing either, the next source that has
been heard takes over. The first source is taken back once it has brought `restore_after` bar times in a row.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from include.domain.bars import Bar
from include.domain.errors import AirlockError, FatalError, RetryableError
from include.domain.times import Timeframe
from include.venues.backoff import BASE_SECS, Backoff
from include.venues.feeds.changes import FeedChange, FeedEvent
from include.venues.feeds.sequence import MAX_JUMP, BarSequence, Judgement
from include.venues.feeds.source import BarSource
from include.venues.feeds.standing import StandingSource

log = logging.getLogger(__name__)

KEPT_EVENTS = 1_000
MAX_BACKFILL = 1_500
"""Bars asked for at most to fill one hole; a longer one is left, and said."""


@dataclass(frozen=True, slots=True)
class FeedRules:
    """When a source counts as silent and when it is believed again. Seconds are of our clock.

    Attributes:
        silent_after_secs: nothing has come for this long; None: the timeframe and ten seconds more.
        poll_secs: between two questions by REST while the stream is silent.
        polls_before_switch: fruitless questions before another source takes over.
        restore_after: bar times in a row that the first source must bring before it is taken back.
        reconnect_secs: first wait before a lost source is connected again; later ones grow (`Backoff`).
    """

    silent_after_secs: float | None = None
    poll_secs: float = 5.0
    polls_before_switch: int = 2
    restore_after: int = 5
    reconnect_secs: float = BASE_SECS
    max_jump: Decimal = MAX_JUMP

    def silence(self, timeframe: Timeframe) -> float:
        return timeframe.seconds + 10.0 if self.silent_after_secs is None else self.silent_after_secs


class ResilientFeed:
    """A `BarSource` made of several.

    Args:
        sources: by name, the preferred one first.
        record: gets every change; the feed also keeps the last `KEPT_EVENTS` in `changes`.
        seed: of the jitter between attempts to connect again.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        sources: Mapping[str, BarSource],
        *,
        rules: FeedRules | None = None,
        record: Callable[[FeedEvent], None] | None = None,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not sources:
            raise ValueError("a feed needs at least one source")
        random = Random(seed)  # noqa: S311 - jitter, no secret
        self.changes: deque[FeedEvent] = deque(maxlen=KEPT_EVENTS)
        self.switches = 0
        self._rules, self._record = rules or FeedRules(), record
        base = self._rules.reconnect_secs
        self._heard: asyncio.Queue[tuple[StandingSource, Bar]] = asyncio.Queue()
        self._out: asyncio.Queue[Bar | None] = asyncio.Queue()
        self._sources = [
            StandingSource(name, source, self._on_bar, self._tell, clock, Backoff(base_secs=base, random=random))
            for name, source in sources.items()
        ]
        self._active = self._sources[0]
        self._clock = clock
        self._sequences: dict[str, BarSequence] = {}
        self._symbols: tuple[str, ...] = ()
        self._timeframe = Timeframe(60)
        self._task: asyncio.Task[None] | None = None
        self._failure: AirlockError | None = None

    # --- life ----------------------------------------------------------------------------------------------

    @property
    def active(self) -> str:
        """Name of the source in use."""
        return self._active.name

    @property
    def reconnects(self) -> int:
        """Streams opened again and sources changed; what was missed meanwhile has been asked for."""
        return self.switches + sum(standing.source.reconnects for standing in self._sources)

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Connect every source; returns once the first that can be reached delivers.

        Raises:
            RetryableError: none can be reached.
            RejectedError, FatalError: the preferred source refuses for a reason that will not go away.
        """
        self._symbols, self._timeframe = tuple(symbols), timeframe
        results = await asyncio.gather(
            *(standing.connect(symbols, timeframe) for standing in self._sources), return_exceptions=True
        )
        for standing, result in zip(self._sources, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, RetryableError):
                await self.close()
                raise result
            if isinstance(result, RetryableError):
                self._tell(FeedChange.SOURCE_LOST, standing.name, str(result))
        usable = [standing for standing in self._sources if standing.is_connected]
        if not usable:
            await self.close()
            raise RetryableError(
                f"no source of market data can be reached ({', '.join(s.name for s in self._sources)})"
            )
        self._active = usable[0]
        self._sequences = {symbol: await self._begin(symbol) for symbol in symbols}
        for standing in self._sources:
            standing.read(symbols, timeframe)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Close every source; `events` ends. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*(standing.close() for standing in self._sources), return_exceptions=True)
        self._out.put_nowait(None)

    async def events(self) -> AsyncIterator[Bar]:
        """Finished bars, each symbol's in their order; ends on `close`, raises when the feed cannot go on."""
        while (bar := await self._out.get()) is not None:
            yield bar
        if self._failure is not None:
            raise self._failure

    async def server_time(self) -> datetime:
        return await self._active.source.server_time()

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last finished bars from the source in use, or from the next that answers."""
        failure: AirlockError | None = None
        for standing in self._by_preference():
            try:
                return await standing.source.history(symbol, limit)
            except RetryableError as error:
                failure = error
        raise failure or RetryableError("no source of market data can be reached")

    # --- the loop ------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            fruitless = 0
            while True:
                try:
                    # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this loop.
                    async with asyncio.timeout(self._patience(fruitless)):
                        standing, bar = await self._heard.get()
                except TimeoutError:
                    fruitless = 0 if await self._poll(fruitless) else fruitless + 1
                    continue
                if standing is self._active:
                    fruitless = 0
                    await self._offer(bar, standing)
                elif self._is_worth_returning_to(standing):
                    await self._switch(standing, FeedChange.RESTORED)
                elif self._active.silent_secs() > self._rules.silence(self._timeframe):
                    fruitless = 0 if await self._poll(fruitless) else fruitless + 1
        except AirlockError as error:
            self._failure = error
            self._out.put_nowait(None)
        except Exception as error:
            self._failure = FatalError(f"the feed broke: {type(error).__name__}: {error}")
            self._out.put_nowait(None)
            raise

    def _patience(self, fruitless: int) -> float:
        """Until the source in use counts as silent, or until the next question."""
        if fruitless:
            return self._rules.poll_secs
        return max(0.001, self._rules.silence(self._timeframe) - self._active.silent_secs())

    async def _poll(self, fruitless: int) -> bool:
        """Ask for what the stream did not bring; change the source when that is fruitless too often."""
        active = self._active
        if not fruitless:
            self._tell(FeedChange.SILENT, active.name, f"nothing for {active.silent_secs():.1f} s")
        active.hush()
        brought = sum([await self._catch_up(symbol, active) for symbol in self._symbols])
        if brought:
            self._tell(FeedChange.POLLED, active.name, f"{brought} bars by REST")
            active.heard_at = self._clock()
            return True
        if fruitless + 1 >= self._rules.polls_before_switch:
            heard_since = [s for s in self._sources if s.is_connected and s.heard_at > active.heard_at]
            if heard_since:
                await self._switch(heard_since[0], FeedChange.SWITCHED)
                return True
        return False

    def _is_worth_returning_to(self, standing: StandingSource) -> bool:
        return standing is self._sources[0] and standing.steps_in_a_row >= self._rules.restore_after

    async def _switch(self, to: StandingSource, change: FeedChange) -> None:
        before, self._active = self._active, to
        self.switches += 1
        self._tell(change, to.name, f"instead of {before.name}")
        for symbol in self._symbols:
            await self._catch_up(symbol, to)

    # --- bars ----------------------------------------------------------------------------------------------

    def _on_bar(self, standing: StandingSource, bar: Bar) -> None:
        if bar.symbol in self._sequences:
            self._heard.put_nowait((standing, bar))

    async def _begin(self, symbol: str) -> BarSequence:
        """A sequence that starts after the last bar that was finished when we connected."""
        history = await self.history(symbol, 1)
        return BarSequence(self._timeframe, history[-1] if history else None, self._rules.max_jump)

    async def _offer(self, bar: Bar, source: StandingSource) -> None:
        """Give a bar out if it follows; fill a hole before it, look twice at a jump."""
        judgement = self._sequences[bar.symbol].judge(bar)
        if judgement is Judgement.HOLE:
            await self._fill_hole(bar, source)
            judgement = self._sequences[bar.symbol].judge(bar)
            if judgement is Judgement.HOLE:
                missing = self._sequences[bar.symbol].missing(bar)
                self._tell(FeedChange.HOLE_LEFT, source.name, f"{missing} bars before {bar.open_time}", bar.symbol)
                judgement = Judgement.NEXT
        if judgement is Judgement.JUMP:
            await self._look_twice(bar, source)
        elif judgement is Judgement.NEXT:
            self._give(bar)
        elif judgement is not Judgement.REPEAT:
            self._tell(FeedChange.BAR_REFUSED, source.name, f"{judgement.value} {bar.open_time}", bar.symbol)

    async def _fill_hole(self, bar: Bar, source: StandingSource) -> None:
        for standing in [source, *(s for s in self._by_preference() if s is not source)]:
            before = self._sequences[bar.symbol].last
            await self._catch_up(bar.symbol, standing, until=bar)
            if before is not self._sequences[bar.symbol].last:
                self._tell(FeedChange.HOLE_FILLED, standing.name, f"before {bar.open_time}", bar.symbol)
            if not self._sequences[bar.symbol].missing(bar):
                return

    async def _catch_up(self, symbol: str, standing: StandingSource, *, until: Bar | None = None) -> int:
        """Ask a source for the bars after the last one given out (before `until`); returns how many there were."""
        last, given = self._sequences[symbol].last, 0
        for bar in await self._ask(symbol, standing, None if last is None else last.open_time):
            if until is not None and bar.open_time >= until.open_time:
                break
            if self._sequences[symbol].judge(bar) in {Judgement.NEXT, Judgement.JUMP, Judgement.HOLE}:
                self._give(bar)
                given += 1
        return given

    async def _ask(self, symbol: str, standing: StandingSource, since: datetime | None) -> Sequence[Bar]:
        """Finished bars of a source from `since` on, more or less; nothing when it does not answer."""
        try:
            count = 1
            if since is not None:
                count = int((await standing.source.server_time() - since) / self._timeframe.delta) + 1
            return await standing.source.history(symbol, max(1, min(count, MAX_BACKFILL)))
        except AirlockError as error:
            log.info("%s: %s", standing.name, error)
            return ()

    async def _look_twice(self, bar: Bar, source: StandingSource) -> None:
        """Believe a jump only if it is there when it is asked for; what the question shows counts."""
        for standing in [source, *(s for s in self._by_preference() if s is not source)]:
            history = await self._ask(bar.symbol, standing, bar.open_time)
            second = next((found for found in history if found.open_time == bar.open_time), None)
            if second is not None:
                change = FeedChange.BAR_CONFIRMED if second == bar else FeedChange.BAR_CORRECTED
                self._tell(change, standing.name, f"{bar.open_time} close {bar.close}, now {second.close}", bar.symbol)
                self._give(second)
                return
        self._tell(FeedChange.BAR_REFUSED, source.name, f"unconfirmed jump {bar.open_time} {bar.close}", bar.symbol)

    def _give(self, bar: Bar) -> None:
        self._sequences[bar.symbol] = self._sequences[bar.symbol].after(bar)
        self._out.put_nowait(bar)

    def _by_preference(self) -> list[StandingSource]:
        return [self._active, *(s for s in self._sources if s is not self._active and s.is_connected)]

    def _tell(self, change: FeedChange, source: str, detail: str, symbol: str = "") -> None:
        event = FeedEvent(datetime.now(UTC), change, source, symbol, detail)
        self.changes.append(event)
        log.warning("feed: %s", event)
        if self._record is not None:
            self._record(event)
