"""A venue whose bars come from a feed of their own: orders go to one exchange, market data may come from several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from include.domain.bars import Bar
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, Order, OrderReport, Position
from include.domain.times import Timeframe
from include.ports import Venue, VenueEvent
from include.venues.feeds.source import BarSource


class FedVenue:
    """`venue` with the bars of `feed` in place of its own. Errors are theirs."""

    def __init__(self, venue: Venue, feed: BarSource) -> None:
        self._venue, self._feed = venue, feed
        self._queue: asyncio.Queue[VenueEvent | BaseException | None] = asyncio.Queue()
        self._pumps: list[asyncio.Task[None]] = []

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Connect both; neither stays open when one fails."""
        try:
            await self._venue.connect(symbols, timeframe)
            await self._feed.connect(symbols, timeframe)
        except BaseException:
            await self.close()
            raise
        self._pumps = [
            asyncio.create_task(self._pump(self._venue.events(), bars=False)),
            asyncio.create_task(self._pump(self._feed.events(), bars=True)),
        ]

    async def close(self) -> None:
        """Close both; `events` ends. Safe to call twice."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._pumps = []
        await self._feed.close()
        await self._venue.close()
        self._queue.put_nowait(None)

    async def prepare(self, leverage: Mapping[str, int]) -> None:
        await self._venue.prepare(leverage)

    @property
    def reconnects(self) -> int:
        """Both count: after either the account may have to be looked at."""
        return self._venue.reconnects + self._feed.reconnects

    async def server_time(self) -> datetime:
        return await self._venue.server_time()

    async def instruments(self) -> Mapping[str, Instrument]:
        return await self._venue.instruments()

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """From the feed: decisions see the bars of one place."""
        return await self._feed.history(symbol, limit)

    async def submit(self, order: Order) -> OrderReport:
        return await self._venue.submit(order)

    async def cancel(self, order: Order) -> OrderReport:
        return await self._venue.cancel(order)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        return await self._venue.find_order(symbol, client_order_id)

    async def open_orders(self) -> Sequence[OrderReport]:
        return await self._venue.open_orders()

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        return await self._venue.fills(symbol, since)

    async def funding(self, symbol: str, since: datetime) -> Sequence[FundingPayment]:
        return await self._venue.funding(symbol, since)

    async def positions(self) -> Sequence[Position]:
        return await self._venue.positions()

    async def balances(self) -> Sequence[Balance]:
        return await self._venue.balances()

    async def events(self) -> AsyncIterator[VenueEvent]:
        """Bars of the feed and everything else of the venue, as they arrived."""
        while (event := await self._queue.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    async def _pump(self, events: AsyncIterator[VenueEvent], *, bars: bool) -> None:
        try:
            async for event in events:
                if isinstance(event, Bar) is bars:
                    self._queue.put_nowait(event)
            self._queue.put_nowait(None)
        except Exception as error:
            self._queue.put_nowait(error)
