"""Unmodified ccxt and ccxt.pro clients, with nothing but their addresses changed, can trade on the sandbox exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.integration.venues.sandbox import START, Running, plan, running, stock_client

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
START_MS = int(START.timestamp() * 1_000)


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


async def test_load_markets_tells_steps_and_limits(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        markets = await client.load_markets()
        assert set(markets) == {BTC, ETH}
        market = markets[BTC]
        assert (market["swap"], market["linear"], market["active"]) == (True, True, True)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
        assert market["limits"]["cost"]["min"] == 5


async def test_history_can_be_paged_forwards_without_hole_or_repetition(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        since, rows = START_MS - 600 * 60_000, []
        while page := await client.fetch_ohlcv(BTC, "1m", since=since, limit=250):
            rows += page
            since = page[-1][0] + 60_000
        assert [row[0] for row in rows] == [START_MS - (600 - i) * 60_000 for i in range(600)]


async def test_paginated_history_is_the_same(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        first = START_MS - 600 * 60_000
        asked = {"paginate": True, "until": START_MS - 1}
        rows = await client.fetch_ohlcv(BTC, "1m", since=first, limit=600, params=asked)
        assert len({row[0] for row in rows}) == len(rows) == 600


async def test_server_time_is_wall_time_so_that_any_clock_setting_can_sign(sandbox: Running) -> None:
    async with stock_client(sandbox, adjustForTimeDifference=True) as client:
        assert abs(await client.fetch_time() - client.milliseconds()) < 5_000
        assert (await client.fetch_balance())["USDT"]["total"] == 100_000


async def test_tickers_quote_the_market_where_it_stands(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        last = (await client.fetch_ohlcv(BTC, "1m", limit=1))[-1][4]
        assert (await client.fetch_ticker(BTC))["last"] == last
        book = (await client.fetch_bids_asks([BTC]))[BTC]
        assert book["bid"] < last < book["ask"]


async def test_longer_timeframes_and_mark_prices_are_made_of_the_replayed_minutes(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        minutes = await client.fetch_ohlcv(BTC, "1m", since=START_MS - 3_600_000)
        for fetch in (client.fetch_ohlcv, client.fetch_mark_ohlcv, client.fetch_index_ohlcv):
            (hour,) = await fetch(BTC, "1h", since=START_MS - 3_600_000)
            assert hour[:5] == [
                minutes[0][0], minutes[0][1], max(m[2] for m in minutes), min(m[3] for m in minutes), minutes[-1][4],
            ]  # fmt: skip
        (hour,) = await client.fetch_ohlcv(BTC, "1h", since=START_MS - 3_600_000)
        assert hour[5] == pytest.approx(sum(m[5] for m in minutes))
        assert (await client.fetch_ohlcv(BTC, "1M", limit=1))[0][0] == int(START.replace(month=2).timestamp() * 1_000)


async def test_book_trades_funding_and_open_interest(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        book, ticker = await client.fetch_order_book(BTC, 20), await client.fetch_ticker(BTC)
        assert book["bids"][0][0] < ticker["last"] < book["asks"][0][0]
        trades = await client.fetch_trades(BTC, limit=13)
        assert trades[-1]["price"] == ticker["last"]
        bar = (await client.fetch_ohlcv(BTC, "1m", limit=1))[0]
        assert sum(trade["amount"] for trade in trades) == pytest.approx(bar[5])
        assert (await client.fetch_funding_rate(BTC))["fundingRate"] == 0
        assert (await client.fetch_funding_rate_history(BTC))[-1]["timestamp"] == START_MS - 8 * 3_600_000
        assert (await client.fetch_open_interest(BTC))["openInterestAmount"] == 0
        await client.create_order(BTC, "market", "buy", 2)
        await sandbox.advance()
        assert (await client.fetch_open_interest(BTC))["openInterestAmount"] == 2


async def test_the_life_of_orders_through_unified_calls(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        entry = await client.create_order(BTC, "market", "buy", 2)
        assert (entry["status"], entry["filled"]) == ("open", 0)
        await sandbox.advance()
        entry = await client.fetch_order(entry["id"], BTC)
        assert (entry["status"], entry["filled"], entry["type"]) == ("closed", 2, "market")

        stop = await client.create_order(BTC, "market", "sell", 2, None, {"stopLossPrice": 50, "reduceOnly": True})
        take = await client.create_order(BTC, "limit", "sell", 2, 150, {"reduceOnly": True})
        assert [o["id"] for o in await client.fetch_open_orders(BTC)] == [take["id"]]
        assert [o["id"] for o in await client.fetch_open_orders(BTC, params={"trigger": True})] == [stop["id"]]
        held = (await client.fetch_positions([BTC]))[0]
        assert (held["contracts"], held["side"]) == (2, "long")

        assert (await client.cancel_order(take["id"], BTC))["status"] == "canceled"
        await client.cancel_order(stop["id"], BTC, {"trigger": True})
        assert (await client.fetch_order(stop["id"], BTC, {"trigger": True}))["status"] == "canceled"
        await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
        trades = await client.fetch_my_trades(BTC, since=START_MS)
        assert [trade["side"] for trade in trades] == ["buy", "sell"]
        spent = sum(t["amount"] * t["price"] * (1 if t["side"] == "sell" else -1) - t["fee"]["cost"] for t in trades)
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(100_000 + spent, abs=1e-6)


async def test_all_working_orders_of_a_symbol_can_be_cancelled_at_once(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        for price in (50, 51, 52):
            await client.create_order(BTC, "limit", "buy", 1, price)
        other = await client.create_order(ETH, "limit", "buy", 1, 90)
        await client.cancel_all_orders(BTC)
        assert [o["id"] for o in await client.fetch_open_orders(ETH)] == [other["id"]]
        assert await client.fetch_open_orders(BTC) == []
        assert len(await client.fetch_orders(BTC)) == 3


async def test_a_setting_that_is_already_so_is_refused_as_the_real_exchange_does(sandbox: Running) -> None:
    import ccxt

    async with stock_client(sandbox) as client:
        assert (await client.set_leverage(5, BTC))["leverage"] == 5
        assert (await client.fetch_position_mode(BTC))["hedged"] is False
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await client.set_margin_mode("cross", BTC)
        with pytest.raises(ccxt.ExchangeError, match="-4059"):
            await client.set_position_mode(False)


async def test_margin_mode_position_mode_and_leverage_can_be_set_and_are_told(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        await client.set_leverage(5, BTC)
        await client.set_margin_mode("isolated", BTC)
        await client.set_position_mode(True)
        assert (await client.fetch_position_mode(BTC))["hedged"] is True
        leverage = await client.fetch_leverage(BTC)
        assert (leverage["longLeverage"], leverage["marginMode"]) == (5, "isolated")


async def test_both_sides_can_be_held_in_hedge_mode(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        await client.set_position_mode(True)
        for side, held in (("buy", "LONG"), ("sell", "SHORT")):
            await client.create_order(BTC, "market", side, 1, None, {"positionSide": held})
        await sandbox.advance()
        positions = await client.fetch_positions([BTC])
        assert {(p["side"], p["contracts"], p["hedged"]) for p in positions} == {("long", 1, True), ("short", 1, True)}


async def test_every_order_type_of_the_unified_calls_is_taken(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        await client.create_order(BTC, "market", "buy", 5)
        await sandbox.advance()
        last = (await client.fetch_ticker(BTC))["last"]
        reduce = {"reduceOnly": True}
        asked = {
            "STOP_MARKET": ("market", None, {"stopLossPrice": last - 9}),
            "STOP": ("limit", last - 10, {"stopLossPrice": last - 9}),
            "TAKE_PROFIT_MARKET": ("market", None, {"takeProfitPrice": last + 9}),
            "TAKE_PROFIT": ("limit", last + 10, {"takeProfitPrice": last + 9}),
            "TRAILING_STOP_MARKET": ("market", None, {"trailingPercent": 5}),
        }
        for kind, price, extra in asked.values():
            await client.create_order(BTC, kind, "sell", 1, price, {**reduce, **extra})
        waiting = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert [order["info"]["orderType"] for order in waiting] == list(asked)
        maker = await client.create_order(BTC, "limit", "sell", 1, last + 5, {"postOnly": True})
        assert (maker["postOnly"], maker["status"]) == (True, "open")
        for force in ("IOC", "FOK"):
            order = await client.create_order(BTC, "limit", "buy", 1, last - 20, {"timeInForce": force})
            await sandbox.advance(2)
            assert (await client.fetch_order(order["id"], BTC))["status"] in {"expired", "canceled"}


async def test_a_working_order_can_be_edited(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        order = await client.create_order(BTC, "limit", "buy", 1, 60)
        edited = await client.edit_order(order["id"], BTC, "limit", "buy", 2, 61)
        assert (edited["id"], edited["amount"], edited["price"]) == (order["id"], 2, 61)
        (held,) = await client.fetch_open_orders(BTC)
        assert (held["amount"], held["price"]) == (2, 61)


async def test_refusals_arrive_as_the_exceptions_that_ccxt_users_know(sandbox: Running) -> None:
    import ccxt

    async with stock_client(sandbox) as client:
        await client.load_markets()
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order("4711", BTC)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("4711", BTC)
        with pytest.raises(ccxt.BadRequest, match="-1120"):
            await client.fapiPublicGetKlines({"symbol": "BTCUSDT", "interval": "7m"})
        with pytest.raises(ccxt.BadSymbol):
            await client.fapiPublicGetKlines({"symbol": "DOGEUSDT", "interval": "1m"})
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            await client.create_order(BTC, "market", "sell", 1, None, {"reduceOnly": True})
        with pytest.raises(ccxt.ExchangeError, match="-1115"):
            await client.create_order(BTC, "limit", "buy", 1, 50, {"timeInForce": "DAY"})
        with pytest.raises(ccxt.ExchangeError, match="-4120"):
            request = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_MARKET", "quantity": "1", "stopPrice": "50"}
            await client.fapiPrivatePostOrder(request)


async def test_a_wrong_secret_a_wrong_key_and_a_stale_timestamp_are_refused(sandbox: Running) -> None:
    import ccxt

    async with stock_client(sandbox) as client:
        client.secret = "not-the-secret"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await client.fetch_balance()
    async with stock_client(sandbox) as client:
        client.apiKey = "not-the-key"
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            await client.fetch_balance()
    async with stock_client(sandbox, timeDifference=60_000) as client:
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await client.fetch_balance()


async def test_every_answer_tells_the_used_weight(sandbox: Running) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/fapi/v1/ping") as response:
        assert int(response.headers["X-MBX-USED-WEIGHT-1M"]) >= 1


async def test_an_unknown_path_is_refused_in_the_exchanges_shape(sandbox: Running) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/fapi/v1/nothing") as response:
        assert response.status == 404
        assert set(await response.json()) == {"code", "msg"}


async def test_watch_ohlcv_brings_the_replayed_bars() -> None:
    async with running(plan(60, speed="max")) as sandbox, stock_client(sandbox, pro=True) as client:
        seen: dict[int, list[float]] = {}
        async with asyncio.timeout(30):
            while START_MS + 59 * 60_000 not in seen:
                for candle in await client.watch_ohlcv(BTC, "1m"):
                    seen[candle[0]] = candle
        rows = await client.fetch_ohlcv(BTC, "1m", since=START_MS)
        assert {row[0]: row for row in rows} == {at: seen.get(at, row) for at, row in ((r[0], r) for r in rows)}


async def test_watch_market_data() -> None:
    async with running(plan(60, speed="600")) as sandbox, stock_client(sandbox, pro=True) as client:
        async with asyncio.timeout(30):
            candles, book, trades, ticker, marks, best = await asyncio.gather(
                client.watch_ohlcv(BTC, "5m"),
                client.watch_order_book(BTC),
                client.watch_trades(BTC),
                client.watch_ticker(ETH),
                client.watch_mark_price(BTC),
                client.watch_bids_asks([ETH]),
            )
        assert candles[-1][0] % 300_000 == 0
        assert book["bids"][0][0] < book["asks"][0][0]
        assert trades[-1]["symbol"] == BTC
        assert ticker["symbol"] == ETH
        assert marks["markPrice"] > 0
        assert best[ETH]["bid"] < best[ETH]["ask"]


async def test_a_watched_book_stays_in_step_with_the_exchange(sandbox: Running) -> None:
    async with stock_client(sandbox, pro=True) as client, asyncio.timeout(20):
        watching = asyncio.create_task(client.watch_order_book(BTC, 1_000))
        while not sandbox.exchange.hub.listened:
            await asyncio.sleep(0.01)
        await sandbox.advance()
        await watching
        await sandbox.advance(5)
        fresh = await client.fetch_order_book(BTC, 1_000)
        while (book := client.orderbooks[BTC])["nonce"] < fresh["nonce"] - 1:
            await client.watch_order_book(BTC, 1_000)
        assert (book["bids"][:], book["asks"][:]) == (fresh["bids"], fresh["asks"])


async def test_watch_orders_and_watch_my_trades_bring_own_activity(sandbox: Running) -> None:
    async with stock_client(sandbox, pro=True) as client:
        orders = asyncio.create_task(client.watch_orders())
        trades = asyncio.create_task(client.watch_my_trades())
        async with asyncio.timeout(10):
            while not [c for c in sandbox.exchange.hub._connections if c.account == "alice"]:
                await asyncio.sleep(0.01)
            placed = await client.create_order(BTC, "market", "buy", 1)
            assert (await orders)[0]["id"] == placed["id"]
            await sandbox.advance()
            assert (await trades)[0]["order"] == placed["id"]


async def test_watch_balance_follows_a_fill(sandbox: Running) -> None:
    async with stock_client(sandbox, pro=True) as client:
        watching = asyncio.create_task(client.watch_balance())
        async with asyncio.timeout(10):
            while not [c for c in sandbox.exchange.hub._connections if c.account == "alice"]:
                await asyncio.sleep(0.01)
            await client.create_order(BTC, "market", "buy", 1)
            await sandbox.advance()
            assert (await watching)["USDT"]["total"] < 100_000


async def test_a_running_clock_tells_each_bar_at_its_open_and_at_its_close() -> None:
    async with running(plan(20, speed="3000")) as sandbox, aiohttp.ClientSession() as session:
        address = sandbox.url.replace("http", "ws") + "/ws/btcusdt@kline_1m"
        told = []
        async with session.ws_connect(address) as socket, asyncio.timeout(30):
            while not told or not (told[-1]["x"] and told[-1]["t"] == START_MS + 19 * 60_000):
                told.append((await socket.receive_json())["k"])
        times = [k["t"] for k in told]
        assert times == sorted(times)
        assert {k["x"] for k in told} == {True, False}
        finished = [k["t"] for k in told if k["x"]]
        assert finished == list(range(finished[0], START_MS + 20 * 60_000, 60_000))


async def test_subscribing_unsubscribing_and_listing_by_message(sandbox: Running) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(sandbox.url.replace("http", "ws") + "/ws") as socket,
        asyncio.timeout(10),
    ):

        async def ask(text: str) -> dict[str, object]:
            await socket.send_str(text)
            return dict(await socket.receive_json())

        stream = "btcusdt@kline_1m"
        assert await ask(f'{{"method":"SUBSCRIBE","params":["{stream}"],"id":1}}') == {"result": None, "id": 1}
        assert await ask('{"method":"LIST_SUBSCRIPTIONS","id":2}') == {"result": [stream], "id": 2}
        assert await ask(f'{{"method":"UNSUBSCRIBE","params":["{stream}"],"id":3}}') == {"result": None, "id": 3}
        assert await ask('{"method":"LIST_SUBSCRIPTIONS","id":4}') == {"result": [], "id": 4}
        for nonsense in ("hello", "[]", '{"method":"SUBSCRIBE","params":"x"}', '{"method":"DANCE","id":5}'):
            assert "error" in await ask(nonsense)


async def test_a_user_stream_needs_a_listen_key_that_was_handed_out(sandbox: Running) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(sandbox.url.replace("http", "ws") + "/private/ws?listenKey=made-up")


async def test_a_clock_that_runs_by_itself_cannot_be_stepped() -> None:
    async with (
        running(plan(20, speed="60")) as sandbox,
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.url}/sandbox/v1/advance") as response,
    ):
        assert response.status == 409


async def test_the_state_route_shows_accounts_but_no_credentials(sandbox: Running) -> None:
    async with stock_client(sandbox) as client:
        await client.create_order(BTC, "market", "buy", 1)
        await sandbox.advance()
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/sandbox/v1/state") as response:
        text = await response.text()
        state = await response.json()
    assert [p["positionAmt"] for p in state["accounts"]["alice"]["positions"]] == ["1.000"]
    assert len(state["accounts"]["alice"]["trades"]) == 1
    assert "key-of-alice" not in text
    assert "secret-of-alice" not in text
