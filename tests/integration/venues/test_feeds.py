"""A feed over real sockets whose connections are cut, stalled and lost: no bar is missing, none comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from include.domain.bars import Bar
from include.domain.enums import OrderStatus, Side
from include.domain.errors import RetryableError
from include.domain.orders import OrderReport
from include.venues.ccxt_venue import CcxtVenue
from include.venues.fed_venue import FedVenue
from include.venues.feeds.changes import FeedChange
from include.venues.feeds.resilient_feed import FeedRules, ResilientFeed
from include.venues.feeds.source import CcxtSource
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.memory_market import MINUTE
from tests.adapters.relay import Fault, Relay, relay_to
from tests.integration.venues.sandbox import (
    ALICE,
    HISTORY,
    START,
    SYMBOLS,
    Running,
    market,
    order,
    running,
)

RULES = FeedRules(silent_after_secs=0.3, poll_secs=0.05, restore_after=3, reconnect_secs=0.05)
TIME_LIMIT_SECS = 20


@dataclass(slots=True)
class Scene:
    """A feed whose first source goes through a relay; the second, where there is one, goes straight."""

    sandbox: Running
    relay: Relay
    feed: ResilientFeed
    bars: dict[str, list[Bar]]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIME_LIMIT_SECS):
            while not holds():
                await asyncio.sleep(0.005)

    async def play(self, count: int) -> None:
        """Bars pass, and the feed has given all of them out."""
        before = len(self.bars[SYMBOLS[0]])
        await self.sandbox.advance(count)
        await self.until(lambda: all(len(rows) >= before + count for rows in self.bars.values()))

    @property
    def changes(self) -> list[FeedChange]:
        return [event.change for event in self.feed.changes]


@asynccontextmanager
async def scene(*, spare: bool = False) -> AsyncIterator[Scene]:
    async with running() as sandbox, relay_to(sandbox.url) as relay:
        sources = {"main": CcxtSource(base_url=relay.url, timeout_ms=300)}
        if spare:
            sources["spare"] = CcxtSource(base_url=sandbox.url)
        feed = ResilientFeed(sources, rules=RULES, seed=7)
        await feed.connect(SYMBOLS, MINUTE)
        found: dict[str, list[Bar]] = {symbol: [] for symbol in SYMBOLS}

        async def collect() -> None:
            async for bar in feed.events():
                found[bar.symbol].append(bar)

        reading = asyncio.create_task(collect())
        try:
            yield Scene(sandbox, relay, feed, found)
        finally:
            await feed.close()
            await reading
        for rows in found.values():
            assert [bar.open_time for bar in rows] == [START + i * MINUTE.delta for i in range(len(rows))]


async def test_bars_that_finish_while_the_line_is_cut_are_asked_for() -> None:
    async with scene() as s:
        await s.play(3)
        s.relay.cut()
        await s.play(4)
        await s.until(lambda: s.feed.reconnects > 0)
        await s.play(3)
        assert len(s.bars[SYMBOLS[0]]) == 10


async def test_a_stream_that_stalls_is_polled_and_what_comes_late_comes_once() -> None:
    async with scene() as s:
        await s.play(2)
        s.relay.flowing.clear()
        await s.play(5)
        assert FeedChange.SILENT in s.changes
        assert FeedChange.POLLED in s.changes
        s.relay.flowing.set()
        await s.play(2)
        assert len(s.bars[SYMBOLS[0]]) == 9


async def test_a_dead_source_is_replaced_by_the_spare_one_and_taken_back() -> None:
    async with scene(spare=True) as s:
        await s.play(2)
        s.relay.fault = Fault.CUT
        s.relay.flowing.clear()
        s.relay.cut()
        while s.feed.active == "main":
            await s.play(1)
            await asyncio.sleep(0.1)
        await s.play(3)
        s.relay.fault = Fault.NONE
        s.relay.flowing.set()
        await s.until(lambda: FeedChange.SOURCE_BACK in s.changes or "main" not in _lost(s))
        while s.feed.active == "spare":
            await s.play(1)
        assert s.changes.count(FeedChange.SWITCHED) == 1
        assert s.changes.count(FeedChange.RESTORED) == 1


def _lost(s: Scene) -> set[str]:
    return {event.source for event in s.feed.changes if event.change is FeedChange.SOURCE_LOST}


async def test_a_feed_without_any_source_is_worth_another_try() -> None:
    feed = ResilientFeed({"main": CcxtSource(base_url="http://127.0.0.1:9", timeout_ms=300)}, rules=RULES)
    with pytest.raises(RetryableError, match="no source"):
        await feed.connect(SYMBOLS, MINUTE)


async def test_orders_go_to_the_venue_and_bars_come_from_the_feed() -> None:
    data = market()
    source = ScriptedSource({symbol: bars_of(data, symbol) for symbol in SYMBOLS}, HISTORY)
    async with running() as sandbox:
        account = CcxtVenue(sandbox.url, ALICE.key, ALICE.secret)
        venue = FedVenue(account, ResilientFeed({"scripted": source}, rules=replace(RULES, silent_after_secs=60)))
        await venue.connect(SYMBOLS, MINUTE)
        events = aiter(venue.events())
        placed = await venue.submit(order("far", Side.BUY, "1", limit="50.0"))
        source.finish()
        async with asyncio.timeout(TIME_LIMIT_SECS):
            told = [await anext(events) for _ in range(3)]
        assert sorted(event.symbol for event in told if isinstance(event, Bar)) == sorted(SYMBOLS)
        assert [e.client_order_id for e in told if isinstance(e, OrderReport)] == ["far"]
        assert placed.status is OrderStatus.ACCEPTED
        assert (await venue.history(SYMBOLS[0], 1))[0].open_time == START
        assert [report.client_order_id for report in await venue.open_orders()] == ["far"]
        await venue.close()
        assert await anext(events, None) is None
