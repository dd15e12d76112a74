"""Whatever happens to its sources, a feed gives every bar once, in order, with the prices that the market had."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.bars import Bar
from include.venues.feeds.changes import FeedChange
from include.venues.feeds.resilient_feed import FeedRules, ResilientFeed
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument, random_bars

SYMBOLS = ("BTC/USDT", "ETH/USDT")
START_ROW = 10
_MARKET = MemoryMarket(
    {s: random_bars(s, datetime(2024, 3, 1, tzinfo=UTC), 200, seed=i, price=100.0) for i, s in enumerate(SYMBOLS)},
    {s: make_instrument(s) for s in SYMBOLS},
)
BARS = {symbol: bars_of(_MARKET, symbol) for symbol in SYMBOLS}
FAST = FeedRules(silent_after_secs=0.01, poll_secs=0.002, polls_before_switch=2, restore_after=3, reconnect_secs=0.001)
TIME_LIMIT_SECS = 20

ACTIONS = st.sampled_from(
    ["bar", "bars", "one symbol", "mute", "unmute", "cut", "repeat", "twice", "spike", "unreachable", "reachable"]
)


def act(action: str, main: ScriptedSource, spare: ScriptedSource) -> None:
    """One thing happens to the main source; the market goes on for both alike."""
    if action == "bar":
        main.finish()
    elif action == "bars":
        main.finish(4)
    elif action == "one symbol":
        main.finish(only=SYMBOLS[:1])
    elif action == "twice":
        main.finish(twice=True)
    elif action == "repeat":
        main.repeat(3)
    elif action == "cut":
        main.cut()
    elif action == "spike":
        bar = BARS[SYMBOLS[0]][main.row]
        main.corrupt[SYMBOLS[0], bar.open_time] = replace(bar, high=bar.high * 3, close=bar.high * 3)
        main.finish()
    elif action in {"mute", "unmute"}:
        main.mute = action == "mute"
    else:
        main.unreachable = action == "unreachable"
    while spare.row < main.row:
        spare.finish()


async def play(actions: list[str]) -> tuple[dict[str, list[Bar]], int, ResilientFeed]:
    main, spare = ScriptedSource(dict(BARS), START_ROW), ScriptedSource(dict(BARS), START_ROW)
    feed = ResilientFeed({"main": main, "spare": spare}, rules=FAST, seed=1)
    await feed.connect(SYMBOLS, MINUTE)
    given_out: dict[str, list[Bar]] = {symbol: [] for symbol in SYMBOLS}
    reading = aiter(feed.events())
    for action in actions:
        act(action, main, spare)
        await asyncio.sleep(0)
    main.unreachable = main.mute = False
    act("bar", main, spare)
    async with asyncio.timeout(TIME_LIMIT_SECS):
        while any(len(bars) < main.row - START_ROW for bars in given_out.values()):
            bar = await anext(reading)
            given_out[bar.symbol].append(bar)
    await feed.close()
    return given_out, main.row, feed


@given(st.lists(ACTIONS, max_size=25))
@settings(max_examples=40, deadline=None)
def test_no_bar_is_missing_none_comes_twice_and_none_is_wrong(actions: list[str]) -> None:
    given_out, row, _ = asyncio.run(play(actions))
    assert given_out == {symbol: BARS[symbol][START_ROW:row] for symbol in SYMBOLS}


def test_a_main_source_that_dies_is_replaced_and_taken_back_once_it_is_steady() -> None:
    async def run() -> list[FeedChange]:
        main, spare = ScriptedSource(dict(BARS), START_ROW), ScriptedSource(dict(BARS), START_ROW)
        feed = ResilientFeed({"main": main, "spare": spare}, rules=replace(FAST, silent_after_secs=0.05), seed=1)
        await feed.connect(SYMBOLS, MINUTE)
        main.unreachable = True
        main.cut()
        async with asyncio.timeout(TIME_LIMIT_SECS):
            while feed.active == "main":
                act("bar", main, spare)
                await asyncio.sleep(0.005)
            assert FeedChange.RESTORED not in [event.change for event in feed.changes]
            main.unreachable = False
            while feed.active == "spare":
                act("bar", main, spare)
                await asyncio.sleep(0.005)
        await feed.close()
        return [event.change for event in feed.changes]

    changes = asyncio.run(run())
    assert changes.index(FeedChange.SOURCE_LOST) < changes.index(FeedChange.SWITCHED)
    assert changes.index(FeedChange.SOURCE_BACK) < changes.index(FeedChange.RESTORED)


def test_a_jump_that_the_exchange_confirms_is_given_out_and_one_that_it_denies_is_corrected() -> None:
    async def run() -> tuple[list[Bar], list[FeedChange]]:
        crash = replace(BARS[SYMBOLS[0]][START_ROW], low=Decimal(30), close=Decimal(30))
        after = replace(BARS[SYMBOLS[0]][START_ROW + 1])
        main = ScriptedSource({SYMBOLS[0]: [*BARS[SYMBOLS[0]][:START_ROW], crash, after]}, START_ROW)
        main.corrupt[SYMBOLS[0], after.open_time] = replace(after, high=Decimal(9_999))
        feed = ResilientFeed({"main": main}, rules=FAST, seed=1)
        await feed.connect(SYMBOLS[:1], MINUTE)
        main.finish(2)
        async with asyncio.timeout(TIME_LIMIT_SECS):
            reading = aiter(feed.events())
            found = [await anext(reading), await anext(reading)]
        await feed.close()
        assert found == [crash, after]
        return found, [event.change for event in feed.changes]

    _, changes = asyncio.run(run())
    assert FeedChange.BAR_CONFIRMED in changes
    assert FeedChange.BAR_CORRECTED in changes


def test_a_hole_that_no_source_can_fill_is_left_and_said() -> None:
    async def run() -> tuple[list[Bar], list[FeedChange]]:
        main = ScriptedSource({SYMBOLS[0]: BARS[SYMBOLS[0]]}, START_ROW)
        main.withheld = {(SYMBOLS[0], BARS[SYMBOLS[0]][START_ROW].open_time)}
        feed = ResilientFeed({"main": main}, rules=replace(FAST, silent_after_secs=5), seed=1)
        await feed.connect(SYMBOLS[:1], MINUTE)
        main.finish(only=())
        main.finish()
        async with asyncio.timeout(TIME_LIMIT_SECS):
            found = [await anext(aiter(feed.events()))]
        await feed.close()
        return found, [event.change for event in feed.changes]

    found, changes = asyncio.run(run())
    assert found == [BARS[SYMBOLS[0]][START_ROW + 1]]
    assert FeedChange.HOLE_LEFT in changes
