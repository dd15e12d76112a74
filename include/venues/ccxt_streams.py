"""The two websocket streams of a ccxt venue: kept open, counted, and merged into one queue in order of arrival."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from random import Random
from typing import Any

from include.domain.errors import AirlockError, FatalError, RetryableError
from include.ports import VenueEvent
from include.trading.feed_latency import LatencyHistogram
from include.venues.backoff import Backoff
from include.venues.ccxt_errors import translate
from include.venues.dialect import Dialect, Market, MarketMessage, UserMessage

log = logging.getLogger(__name__)

_UNREADABLE = (KeyError, ValueError, TypeError, ArithmeticError, AttributeError)


class Streams:
    """What arrives on the market stream and, for an account, on its user stream.

    Args:
        dialect: reads the messages.
        markets: connected markets by the exchange's id; messages of others are counted and dropped.
        measures: whether the exchange's clock runs with ours, so that delays mean something.
        seed: of the jitter between attempts to open a stream again.
    """

    def __init__(
        self, dialect: Dialect, markets: Mapping[str, Market], *, measures: bool = False, seed: int | None = None
    ) -> None:
        self.received = {"market": 0, "user": 0}
        """Messages by stream, counted as the sandbox counts those it sends."""
        self.unreadable = 0
        """Messages that were ours and could not be read: each is logged, and reconciliation finds what it said."""
        self.reconnects = 0
        """How often a stream was opened again. What was missed meanwhile has to be asked for."""
        self.last_event_ms: int | None = None
        self.latency = LatencyHistogram()
        """Age of market messages when they arrived, by our clock; not measured where time is replayed."""
        self.market_open = asyncio.Event()
        self.user_open = asyncio.Event()
        self._dialect, self._markets, self._measures = dialect, markets, measures
        self._random = Random(seed)  # noqa: S311 - jitter, no secret
        self._confirmations = 0
        self._queue: asyncio.Queue[VenueEvent | None] = asyncio.Queue()
        self._failure: AirlockError | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._goal: tuple[int, int, asyncio.Future[None]] | None = None

    # --- life ----------------------------------------------------------------------------------------------

    async def open(
        self,
        watch_market: Callable[[], Awaitable[Any]],
        watch_user: Callable[[], Awaitable[Any]] | None,
        timeout_secs: float,
    ) -> None:
        """Open them; returns once the exchange has confirmed.

        Args:
            watch_market, watch_user: ccxt watch calls. Their futures stay pending, because the messages that would
                resolve them are taken before; they end with the connection. No `watch_user`: market data alone.

        Raises:
            RetryableError: not confirmed in time.
            FatalError: the exchange refuses the account.
        """
        self._watchers = [asyncio.create_task(self._keep_open("market stream", watch_market, self._market_lost))]
        if watch_user is None:
            self.user_open.set()
        else:
            self._watchers.append(asyncio.create_task(self._keep_open("user stream", watch_user, self._user_lost)))
        await self.wait_open(timeout_secs)

    async def wait_open(self, timeout_secs: float) -> None:
        """Wait until the streams are confirmed. Raises as `open`."""
        both = asyncio.create_task(self._both_open())
        try:
            await asyncio.wait([both, *self._watchers], timeout=timeout_secs, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            if not both.done():
                raise RetryableError(f"streams were not confirmed within {timeout_secs:g} s")
        finally:
            both.cancel()

    async def close(self) -> None:
        """Stop watching; `events` ends."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers = []
        self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[VenueEvent]:
        """Finished bars and reports as they arrived; ends on `close`, raises when a stream cannot go on."""
        while (event := await self._queue.get()) is not None:
            yield event
        if self._failure is not None:
            raise self._failure

    async def _both_open(self) -> None:
        await self.market_open.wait()
        await self.user_open.wait()

    async def _keep_open(self, name: str, watch: Callable[[], Awaitable[Any]], lost: Callable[[], None]) -> None:
        backoff = Backoff(random=self._random)
        while True:
            before = sum(self.received.values())
            try:
                await watch()
            except Exception as error:
                reason = translate(error, name, changes=False)
                if isinstance(reason, FatalError):
                    self._fail(reason)
                    return
                if sum(self.received.values()) > before:
                    backoff.reset()
                log.warning("%s; opening it again", reason)
                lost()
                self.reconnects += 1
                await asyncio.sleep(backoff.next())

    def _market_lost(self) -> None:
        self.market_open.clear()

    def _user_lost(self) -> None:
        self._confirmations = 0
        self.user_open.clear()

    def _fail(self, error: AirlockError) -> None:
        self._failure = error
        self._queue.put_nowait(None)
        if self._goal is not None and not self._goal[2].done():
            self._goal[2].set_exception(error)

    # --- messages ------------------------------------------------------------------------------------------

    def confirmed(self, is_user: bool) -> None:
        """The exchange has confirmed a subscription of one of the two streams."""
        if not is_user:
            self.market_open.set()
            return
        self._confirmations += 1
        if self._confirmations >= self._dialect.user_ready:
            self.user_open.set()

    def take(self, message: Any) -> bool:
        """Take a message that is for us; False for what is ccxt's business.

        One that cannot be read is counted and dropped: whatever it said, reconciliation asks for it.
        """
        try:
            market = self._dialect.read_market(message, self._markets)
            user = None if market is not None else self._dialect.read_user(message, self._markets)
        except _UNREADABLE as error:
            self.unreadable += 1
            log.warning("unreadable message (%s: %s): %.300s", type(error).__name__, error, message)
            return True
        if market is not None:
            self._on_market(market)
        elif user is not None:
            self._on_user(user)
        return market is not None or user is not None

    def _on_market(self, message: MarketMessage) -> None:
        self.last_event_ms = message.event_ms
        if self._measures:
            self.latency.record(time.time_ns() // 1_000_000 - message.event_ms)
        for bar in message.bars:
            self._queue.put_nowait(bar)
        self._count("market")

    def _on_user(self, message: UserMessage) -> None:
        self.last_event_ms = message.event_ms
        for event in message.events:
            self._queue.put_nowait(event)
        self._count("user")

    # --- lockstep ------------------------------------------------------------------------------------------

    async def wait_received(self, market: int, user: int, timeout_secs: float) -> None:
        """Wait until that many messages have arrived since the streams were opened.

        Raises:
            RetryableError: they did not arrive in time; a stream has lost some.
        """
        if self.received["market"] >= market and self.received["user"] >= user:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._goal = (market, user, reached)
        try:
            await asyncio.wait_for(reached, timeout_secs)
        except TimeoutError:
            got = f"{self.received['market']} of {market} market and {self.received['user']} of {user} user messages"
            raise RetryableError(f"only {got} arrived within {timeout_secs:g} s") from None
        finally:
            self._goal = None

    def _count(self, stream: str) -> None:
        self.received[stream] += 1
        if self._goal is not None:
            market, user, reached = self._goal
            if self.received["market"] >= market and self.received["user"] >= user and not reached.done():
                reached.set_result(None)
