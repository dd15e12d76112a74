"""The two websocket streams of a ccxt venue: kept open, counted, and merged into one queue in order of arrival."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from include.domain.bars import Bar
from include.domain.errors import AirlockError, FatalError, RetryableError
from include.domain.orders import OrderReport
from include.venues import binance_wire as wire
from include.venues.ccxt_errors import translate

log = logging.getLogger(__name__)

Message = dict[str, Any]
RECONNECT_DELAY_SECS = 0.2
MAX_RECONNECT_DELAY_SECS = 30.0


class Streams:
    """What arrives on the market stream and on the user stream of one account."""

    def __init__(self, symbols: Mapping[str, str]) -> None:
        """`symbols`: the exchange's ids to the candidate's spelling; other symbols are counted and dropped."""
        self.received = {"market": 0, "user": 0}
        """Messages by stream, counted as the sandbox counts those it sends."""
        self.reconnects = 0
        """How often a stream was opened again. What was missed meanwhile has to be asked for."""
        self.last_event_ms: int | None = None
        self.market_open = asyncio.Event()
        self.user_open = asyncio.Event()
        self._symbols = symbols
        self._queue: asyncio.Queue[Bar | OrderReport | None] = asyncio.Queue()
        self._failure: AirlockError | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._goal: tuple[int, int, asyncio.Future[None]] | None = None

    # --- life ----------------------------------------------------------------------------------------------

    async def open(
        self, watch_market: Callable[[], Awaitable[Any]], watch_user: Callable[[], Awaitable[Any]], timeout_secs: float
    ) -> None:
        """Open both; returns once the exchange has confirmed both.

        Args:
            watch_market, watch_user: ccxt watch calls. Their futures stay pending, because the messages that would
                resolve them are taken before; they end with the connection.

        Raises:
            RetryableError: not confirmed in time.
            FatalError: the exchange refuses the account.
        """
        self._watchers = [
            asyncio.create_task(self._keep_open("market stream", watch_market, self.market_open)),
            asyncio.create_task(self._keep_open("user stream", watch_user, self.user_open)),
        ]
        await self.wait_open(timeout_secs)

    async def wait_open(self, timeout_secs: float) -> None:
        """Wait until both streams are confirmed. Raises as `open`."""
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

    async def events(self) -> AsyncIterator[Bar | OrderReport]:
        """Finished bars and reports as they arrived; ends on `close`, raises when a stream cannot go on."""
        while (event := await self._queue.get()) is not None:
            yield event
        if self._failure is not None:
            raise self._failure

    async def _both_open(self) -> None:
        await self.market_open.wait()
        await self.user_open.wait()

    async def _keep_open(self, name: str, watch: Callable[[], Awaitable[Any]], opened: asyncio.Event) -> None:
        delay = RECONNECT_DELAY_SECS
        while True:
            before = sum(self.received.values())
            try:
                await watch()
            except Exception as error:
                reason = translate(error, name, changes=False)
                if isinstance(reason, FatalError):
                    self._fail(reason)
                    return
                delay = RECONNECT_DELAY_SECS if sum(self.received.values()) > before else delay * 2
                log.warning("%s; opening it again", reason)
                opened.clear()
                self.reconnects += 1
                await asyncio.sleep(min(delay, MAX_RECONNECT_DELAY_SECS))

    def _fail(self, error: AirlockError) -> None:
        self._failure = error
        self._queue.put_nowait(None)
        if self._goal is not None and not self._goal[2].done():
            self._goal[2].set_exception(error)

    # --- messages ------------------------------------------------------------------------------------------

    def on_kline(self, message: Message) -> None:
        """A kline event: only finished bars (`x`) go on."""
        k = message["k"]
        self.last_event_ms = message["E"]
        symbol = self._symbols.get(k["s"])
        if k["x"] and symbol is not None:
            self._queue.put_nowait(wire.kline_event(k, symbol))
        self._count("market")

    def on_user_event(self, message: Message) -> None:
        """An order or account event: order reports go on; balances and positions are asked for when needed."""
        self.last_event_ms = message["E"]
        report = self._report(message)
        if report is not None:
            self._queue.put_nowait(report)
        self._count("user")

    def _report(self, message: Message) -> OrderReport | None:
        body = message.get("o")
        if body is None or (symbol := self._symbols.get(body["s"])) is None:
            return None
        read = wire.order_update if message["e"] == "ORDER_TRADE_UPDATE" else wire.algo_update
        return read(body, message["E"], symbol)

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
