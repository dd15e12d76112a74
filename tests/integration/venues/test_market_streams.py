"""Market streams over sockets: what a client is told while bars are played, in both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from include.venues.sandbox.prints import MOMENTS
from tests.integration.venues.sandbox import START, Running, plan, running

START_MS = int(START.timestamp() * 1_000)
MINUTE_MS = 60_000
USDM, SPOT = "/market", "/streams/spot"
PROTOCOLS = pytest.mark.parametrize(("root", "api"), [(USDM, "/fapi/v1"), (SPOT, "/api/v3")], ids=["USD-M", "spot"])
Side = dict[Decimal, Decimal]


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running(plan(40)) as started:
        await started.advance(3)
        yield started


@asynccontextmanager
async def listening(sandbox: Running, root: str, *names: str) -> AsyncIterator[Any]:
    """A function that receives the next `count` events as (stream, data)."""
    address = sandbox.url.replace("http", "ws") + f"{root}/stream?streams=" + "/".join(names)
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:

        async def receive(count: int) -> list[tuple[str, Any]]:
            events = [await socket.receive_json(timeout=5) for _ in range(count)]
            return [(event["stream"], event["data"]) for event in events]

        yield receive


async def get(sandbox: Running, path: str, **params: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + path, params=params) as response:
        return await response.json()


def levels(rows: list[list[str]]) -> Side:
    return {Decimal(price): Decimal(size) for price, size in rows}


def merge(side: Side, rows: list[list[str]]) -> None:
    for price, size in levels(rows).items():
        if size:
            side[price] = size
        else:
            side.pop(price, None)


# --- the documented way of keeping a local book ------------------------------------------------------------


def follow_usdm(snapshot: dict[str, Any], events: list[dict[str, Any]]) -> tuple[Side, Side]:
    """As the USD-M documentation says, in its own steps; raises AssertionError where it says to start again."""
    bids, asks, last = levels(snapshot["bids"]), levels(snapshot["asks"]), None
    for event in events:
        if event["u"] < snapshot["lastUpdateId"]:
            continue
        if last is None:
            assert event["U"] <= snapshot["lastUpdateId"] <= event["u"]
        else:
            assert event["pu"] == last
        last = event["u"]
        merge(bids, event["b"])
        merge(asks, event["a"])
    return bids, asks


def follow_spot(snapshot: dict[str, Any], events: list[dict[str, Any]]) -> tuple[Side, Side]:
    """As the spot documentation says."""
    assert not events or snapshot["lastUpdateId"] >= events[0]["U"]
    bids, asks, last = levels(snapshot["bids"]), levels(snapshot["asks"]), None
    for event in events:
        if event["u"] <= snapshot["lastUpdateId"]:
            continue
        if last is None:
            assert event["U"] <= snapshot["lastUpdateId"] <= event["u"]
        else:
            assert event["U"] == last + 1
        last = event["u"]
        merge(bids, event["b"])
        merge(asks, event["a"])
    return bids, asks


@pytest.mark.parametrize("bars_before_the_snapshot", [0, 1, 2])
@PROTOCOLS
async def test_a_local_book_kept_as_documented_is_the_books_next_snapshot(
    sandbox: Running, root: str, api: str, bars_before_the_snapshot: int
) -> None:
    async with listening(sandbox, root, "btcusdt@depth@100ms") as receive:
        await sandbox.advance(bars_before_the_snapshot)
        snapshot = await get(sandbox, f"{api}/depth", symbol="BTCUSDT", limit=1000)
        await sandbox.advance(4)
        events = [data for _, data in await receive(MOMENTS * (4 + bars_before_the_snapshot))]
    follow = follow_usdm if root == USDM else follow_spot
    bids, asks = follow(snapshot, events)
    fresh = await get(sandbox, f"{api}/depth", symbol="BTCUSDT", limit=1000)
    assert (bids, asks) == (levels(fresh["bids"]), levels(fresh["asks"]))
    assert max(bids) < min(asks)


async def test_a_diff_that_is_missed_is_noticed(sandbox: Running) -> None:
    async with listening(sandbox, USDM, "btcusdt@depth") as receive:
        snapshot = await get(sandbox, "/fapi/v1/depth", symbol="BTCUSDT")
        await sandbox.advance(2)
        events = [data for _, data in await receive(2 * MOMENTS)]
    with pytest.raises(AssertionError):
        follow_usdm(snapshot, events[:5] + events[6:])


@PROTOCOLS
async def test_partial_books_and_best_prices_are_the_top_of_the_book(sandbox: Running, root: str, api: str) -> None:
    names = ("btcusdt@depth5", "btcusdt@depth20@100ms", "btcusdt@bookTicker")
    async with listening(sandbox, root, *names) as receive:
        await sandbox.advance()
        events = await receive(3 * MOMENTS)
    last = dict(events)
    whole = await get(sandbox, f"{api}/depth", symbol="BTCUSDT", limit=20)
    for name, count in (("btcusdt@depth5", 5), ("btcusdt@depth20@100ms", 20)):
        keys = ("b", "a") if root == USDM else ("bids", "asks")
        assert [last[name][key] for key in keys] == [whole["bids"][:count], whole["asks"][:count]]
    best = last["btcusdt@bookTicker"]
    assert ([best["b"], best["B"]], [best["a"], best["A"]]) == (whole["bids"][0], whole["asks"][0])


# --- trades ------------------------------------------------------------------------------------------------


@PROTOCOLS
async def test_streamed_trades_are_those_of_rest_and_add_up_to_the_bar(sandbox: Running, root: str, api: str) -> None:
    async with listening(sandbox, root, "btcusdt@trade", "btcusdt@aggTrade") as receive:
        await sandbox.advance()
        events = await receive(2 * MOMENTS)
    trades = [data for stream, data in events if stream == "btcusdt@trade"]
    aggregates = [data for stream, data in events if stream == "btcusdt@aggTrade"]
    told = await get(sandbox, f"{api}/trades", symbol="BTCUSDT", limit=MOMENTS)
    assert [(t["t"], t["p"], t["q"], t["T"], t["m"]) for t in trades] == [
        (t["id"], t["price"], t["qty"], t["time"], t["isBuyerMaker"]) for t in told
    ]
    told = await get(sandbox, f"{api}/aggTrades", symbol="BTCUSDT", limit=MOMENTS)
    assert told == [{key: a[key] for key in row} for a, row in zip(aggregates, told, strict=True)]
    bar = (await get(sandbox, f"{api}/klines", symbol="BTCUSDT", interval="1m", limit=1))[0]
    assert sum((Decimal(t["q"]) for t in trades), Decimal(0)) == Decimal(bar[5])
    prices = [Decimal(t["p"]) for t in trades]
    assert [prices[0], max(prices), min(prices), prices[-1]] == [Decimal(price) for price in bar[1:5]]
    assert all(bar[0] <= t["T"] <= bar[6] for t in trades)


@PROTOCOLS
async def test_all_trades_can_be_paged_by_id_and_by_time_without_hole_or_repetition(
    sandbox: Running, root: str, api: str
) -> None:
    by_id: list[int] = []
    while page := await get(
        sandbox, f"{api}/aggTrades", symbol="BTCUSDT", fromId=by_id[-1] + 1 if by_id else 0, limit=1000
    ):
        by_id += [trade["a"] for trade in page]
    assert by_id == list(range(1, len(by_id) + 1))
    start = START_MS - 10 * MINUTE_MS
    spans = [
        [
            t["a"]
            for t in await get(sandbox, f"{api}/aggTrades", symbol="BTCUSDT", startTime=a, endTime=a + MINUTE_MS - 1)
        ]
        for a in range(start, START_MS + 3 * MINUTE_MS, MINUTE_MS)
    ]
    assert [number for span in spans for number in span] == by_id[-13 * MOMENTS :]
    last = await get(sandbox, f"{api}/historicalTrades", symbol="BTCUSDT", fromId=by_id[-3])
    assert [trade["id"] for trade in last] == by_id[-3:]
    both = await get(sandbox, f"{api}/aggTrades", symbol="BTCUSDT", fromId=1, startTime=start)
    assert both["code"] == -1128


# --- klines and tickers ------------------------------------------------------------------------------------


@PROTOCOLS
async def test_a_longer_kline_grows_with_every_minute_and_is_final_with_its_last(
    sandbox: Running, root: str, api: str
) -> None:
    async with listening(sandbox, root, "btcusdt@kline_5m", "btcusdt@kline_1m") as receive:
        await sandbox.advance(7)
        events = await receive(14)
    fives = [data["k"] for stream, data in events if stream == "btcusdt@kline_5m"]
    assert [(k["t"] - START_MS) // MINUTE_MS for k in fives] == [0, 0, 5, 5, 5, 5, 5]
    assert [k["x"] for k in fives] == [False, True, False, False, False, False, True]
    rows = await get(sandbox, f"{api}/klines", symbol="BTCUSDT", interval="5m", limit=2)
    assert [[k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"]] for k in (fives[1], fives[-1])] == [
        row[:7] for row in rows
    ]
    minutes = await get(sandbox, f"{api}/klines", symbol="BTCUSDT", interval="1m", startTime=rows[1][0], limit=5)
    assert Decimal(rows[1][5]) == sum((Decimal(row[5]) for row in minutes), Decimal(0))
    assert (rows[1][1], rows[1][4]) == (minutes[0][1], minutes[-1][4])


async def test_every_timeframe_of_the_exchange_is_served_and_any_other_is_refused(sandbox: Running) -> None:
    for interval in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"):
        for path in ("/fapi/v1/klines", "/api/v3/klines", "/api/v3/uiKlines", "/fapi/v1/markPriceKlines"):
            rows = await get(sandbox, path, symbol="BTCUSDT", interval=interval, limit=2)
            assert rows[-1][0] <= sandbox.exchange.event_time <= rows[-1][6], (path, interval)
    asked = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "interval": "1h"}
    assert await get(sandbox, "/fapi/v1/continuousKlines", **asked) == await get(
        sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval="1h"
    )
    for interval in ("1s", "7m", "1y", ""):
        told = await get(sandbox, "/fapi/v1/klines", symbol="BTCUSDT", interval=interval)
        assert told["code"] == (-1120 if interval else -1102)


@PROTOCOLS
async def test_tickers_tell_the_last_day_alike_in_stream_and_rest(sandbox: Running, root: str, api: str) -> None:
    names = ("btcusdt@ticker", "btcusdt@miniTicker", "!ticker@arr", "!miniTicker@arr", "!bookTicker")
    async with listening(sandbox, root, *names) as receive:
        await sandbox.advance()
        events = dict(await receive(2 * MOMENTS + 4))
    day = await get(sandbox, f"{api}/ticker/24hr", symbol="BTCUSDT")
    ticker = events["btcusdt@ticker"]
    pairs = {"p": "priceChange", "c": "lastPrice", "h": "highPrice", "v": "volume", "q": "quoteVolume", "n": "count"}
    assert {key: ticker[key] for key in pairs} == {key: day[name] for key, name in pairs.items()}
    assert events["!ticker@arr"][0] == ticker
    assert [row["s"] for row in events["!miniTicker@arr"]] == ["BTCUSDT", "ETHUSDT"]
    assert events["btcusdt@miniTicker"]["c"] == day["lastPrice"]
    rows = await get(sandbox, f"{api}/klines", symbol="BTCUSDT", interval="1m", limit=1000)
    assert Decimal(day["volume"]) == sum((Decimal(row[5]) for row in rows), Decimal(0))
    assert Decimal(day["highPrice"]) == max(Decimal(row[2]) for row in rows)


async def test_mark_price_average_price_and_funding(sandbox: Running) -> None:
    async with listening(sandbox, USDM, "btcusdt@markPrice@1s", "!markPrice@arr") as receive:
        await sandbox.advance()
        marks = dict(await receive(2))
    told = await get(sandbox, "/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert marks["btcusdt@markPrice@1s"]["p"] == told["markPrice"]
    assert marks["!markPrice@arr"][0] == marks["btcusdt@markPrice@1s"]
    async with listening(sandbox, SPOT, "btcusdt@avgPrice") as receive:
        await sandbox.advance()
        ((_, average),) = await receive(1)
    assert average["w"] == (await get(sandbox, "/api/v3/avgPrice", symbol="BTCUSDT"))["price"]
    paid = await get(sandbox, "/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert [row["fundingTime"] for row in paid] == [START_MS - 8 * 3_600_000, START_MS][-len(paid) :]


async def test_a_rolling_window_covers_what_it_says(sandbox: Running) -> None:
    told = await get(sandbox, "/api/v3/ticker", symbol="BTCUSDT", windowSize="3m")
    rows = await get(sandbox, "/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=3)
    assert Decimal(told["volume"]) == sum((Decimal(row[5]) for row in rows), Decimal(0))
    assert (told["openPrice"], told["lastPrice"]) == (rows[0][1], rows[-1][4])
    both = await get(sandbox, "/api/v3/ticker/tradingDay", symbols='["BTCUSDT","ETHUSDT"]')
    assert [row["symbol"] for row in both] == ["BTCUSDT", "ETHUSDT"]
    assert (await get(sandbox, "/api/v3/ticker", symbol="BTCUSDT", windowSize="9w"))["code"] == -1100
    assert (await get(sandbox, "/api/v3/ticker"))["code"] == -1102


# --- who is told -------------------------------------------------------------------------------------------


async def test_the_two_protocols_share_stream_names_and_nothing_else(sandbox: Running) -> None:
    async with (
        listening(sandbox, USDM, "btcusdt@aggTrade") as usdm,
        listening(sandbox, SPOT, "btcusdt@aggTrade") as spot,
    ):
        await sandbox.advance()
        (_, theirs), (_, ours) = (await usdm(MOMENTS))[0], (await spot(MOMENTS))[0]
    assert "M" in ours
    assert "M" not in theirs
    assert Decimal(ours["p"]) == Decimal(theirs["p"])


async def test_streams_that_nobody_names_are_not_even_computed(
    sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.venues.sandbox.depth import Depth
    from include.venues.sandbox.prints import Prints

    def refuse(*args: Any) -> None:
        raise AssertionError("nobody asked for this")

    monkeypatch.setattr(Depth, "through", refuse)
    monkeypatch.setattr(Prints, "of", refuse)
    async with listening(sandbox, USDM, "btcusdt@kline_1m", "btcusdt@forceOrder") as receive:
        await sandbox.advance(2)
        assert [stream for stream, _ in await receive(2)] == ["btcusdt@kline_1m"] * 2


async def test_subscriptions_can_be_added_listed_and_taken_away_on_a_combined_connection(sandbox: Running) -> None:
    address = sandbox.url.replace("http", "ws") + f"{SPOT}/stream"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(address) as socket,
        asyncio.timeout(10),
    ):

        async def ask(method: str, *names: str) -> Any:
            await socket.send_json({"method": method, "params": list(names), "id": 7})
            return await socket.receive_json()

        assert await ask("SUBSCRIBE", "btcusdt@kline_1m", "btcusdt@kline_3m") == {"result": None, "id": 7}
        assert (await ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@kline_1m", "btcusdt@kline_3m"]
        assert await ask("UNSUBSCRIBE", "btcusdt@kline_3m") == {"result": None, "id": 7}
        await sandbox.advance()
        assert (await socket.receive_json())["stream"] == "btcusdt@kline_1m"
        assert (await ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@kline_1m"]
