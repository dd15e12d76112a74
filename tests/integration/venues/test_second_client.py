"""python-binance, a client that shares no code with ccxt, works against the sandbox with only its addresses changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.venues.sandbox import ALICE, START, Running, running

START_MS = int(START.timestamp() * 1_000)


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


@pytest.fixture(autouse=True)
def _closes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets look no more often than this whether they shall end."""
    from binance.ws.reconnecting_websocket import ReconnectingWebsocket

    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.1)


@asynccontextmanager
async def client_of(sandbox: Running) -> AsyncIterator[Any]:
    """An `AsyncClient` whose class attributes for addresses name the sandbox."""
    from binance import AsyncClient

    stream = sandbox.url.replace("http", "ws")

    class Local(AsyncClient):  # type: ignore[misc]
        API_URL = f"{sandbox.url}/api"
        MARGIN_API_URL = f"{sandbox.url}/sapi"
        FUTURES_URL = f"{sandbox.url}/fapi"
        WS_API_URL = f"{stream}/ws-api/v3"
        WS_FUTURES_URL = f"{stream}/ws-fapi/v1"

    client = await Local.create(ALICE.key.get_secret_value(), ALICE.secret.get_secret_value())
    try:
        yield client
    finally:
        await client.close_connection()


def sockets_of(sandbox: Running, client: Any) -> Any:
    from binance import BinanceSocketManager

    stream = sandbox.url.replace("http", "ws")

    class Local(BinanceSocketManager):  # type: ignore[misc]
        STREAM_URL = f"{stream}/streams/spot/"
        FSTREAM_URL = f"{stream}/"

    return Local(client)


# --- spot --------------------------------------------------------------------------------------------------


async def test_spot_market_data(sandbox: Running) -> None:
    async with client_of(sandbox) as client:
        info = await client.get_symbol_info("BTCUSDT")
        assert {f["filterType"] for f in info["filters"]} >= {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
        rows = await client.get_historical_klines("BTCUSDT", "1m", START_MS - 600 * 60_000, START_MS - 1)
        assert [row[0] for row in rows] == [START_MS - (600 - i) * 60_000 for i in range(600)]
        trades = [t async for t in client.aggregate_trade_iter("BTCUSDT")]
        assert [t["a"] for t in trades] == list(range(1, 600 * 13 + 1))
        book = await client.get_order_book(symbol="BTCUSDT", limit=5)
        assert Decimal(book["bids"][0][0]) < Decimal(rows[-1][4]) < Decimal(book["asks"][0][0])
        assert (await client.get_avg_price(symbol="BTCUSDT"))["mins"] == 5


async def test_spot_orders_and_account(sandbox: Running) -> None:
    from binance.exceptions import BinanceAPIException

    async with client_of(sandbox) as client:
        sent = await client.order_market_buy(symbol="BTCUSDT", quoteOrderQty=1_000)
        assert (sent["status"], sent["fills"]) == ("NEW", [])
        await sandbox.advance()
        bought = await client.get_order(symbol="BTCUSDT", orderId=sent["orderId"])
        assert bought["status"] == "FILLED"
        (trade,) = await client.get_my_trades(symbol="BTCUSDT")
        held = await client.get_asset_balance("BTC")
        assert Decimal(held["free"]) == Decimal(trade["qty"]) - Decimal(trade["commission"])
        assert trade["commissionAsset"] == "BTC"
        resting = await client.order_limit_sell(symbol="BTCUSDT", quantity="2", price="150")
        assert (await client.get_open_orders(symbol="BTCUSDT"))[0]["orderId"] == resting["orderId"]
        gone = await client.cancel_order(symbol="BTCUSDT", orderId=resting["orderId"])
        assert gone["status"] == "CANCELED"
        with pytest.raises(BinanceAPIException) as refused:
            await client.order_limit_buy(symbol="BTCUSDT", quantity="9000", price="99")
        assert refused.value.code == -2010
        assert await client.create_test_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1") == {}


async def test_spot_streams(sandbox: Running) -> None:
    async with client_of(sandbox) as client, asyncio.timeout(20):
        sockets = sockets_of(sandbox, client)
        names = ["btcusdt@kline_1m", "btcusdt@aggTrade", "btcusdt@bookTicker"]
        async with sockets.multiplex_socket(names) as stream, sockets.user_socket() as user:
            placed = await client.order_market_buy(symbol="BTCUSDT", quantity="1")
            await sandbox.advance(2)
            told = {event["stream"]: event["data"] for event in [await stream.recv() for _ in range(27)]}
            assert set(told) == set(names)
            assert told["btcusdt@kline_1m"]["k"]["x"]
            reports = [await user.recv() for _ in range(4)]
        kinds = [(r["e"], r.get("x"), r.get("i")) for r in reports]
        assert kinds == [
            ("executionReport", "NEW", placed["orderId"]), ("outboundAccountPosition", None, None),
            ("executionReport", "TRADE", placed["orderId"]), ("outboundAccountPosition", None, None),
        ]  # fmt: skip


async def test_its_own_depth_cache_follows_the_book(sandbox: Running) -> None:
    from binance.ws.depthcache import DepthCacheManager

    async with client_of(sandbox) as client, asyncio.timeout(20):
        manager = DepthCacheManager(client, "BTCUSDT", bm=sockets_of(sandbox, client), ws_interval=100)
        async with manager as depth:
            await sandbox.advance(3)
            for _ in range(3 * 13):
                cache = await depth.recv()
            fresh = await client.get_order_book(symbol="BTCUSDT", limit=50)
            assert cache.get_bids() == [[float(price), float(size)] for price, size in fresh["bids"]]
            assert cache.get_asks() == [[float(price), float(size)] for price, size in fresh["asks"]]


async def test_orders_over_the_websocket_api(sandbox: Running) -> None:
    async with client_of(sandbox) as client, asyncio.timeout(20):
        sent = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "60"}
        placed = await client.ws_create_order(**sent, quantity="1")
        assert (await client.ws_get_order(symbol="BTCUSDT", orderId=placed["orderId"]))["status"] == "NEW"
        assert (await client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"]))["status"] == "CANCELED"
        placed = await client.ws_futures_create_order(**sent, quantity="1")
        gone = await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
        assert gone["status"] == "CANCELED"


# --- USD-M -------------------------------------------------------------------------------------------------


async def test_futures_market_data(sandbox: Running) -> None:
    async with client_of(sandbox) as client:
        rows = await client.futures_historical_klines("BTCUSDT", "5m", START_MS - 600 * 60_000, START_MS - 1)
        assert [row[0] for row in rows] == [START_MS - (120 - i) * 300_000 for i in range(120)]
        last = Decimal(rows[-1][4])
        ticker = await client.futures_ticker(symbol="BTCUSDT")
        assert Decimal(ticker["lastPrice"]) == last
        assert Decimal((await client.futures_mark_price(symbol="BTCUSDT"))["markPrice"]) == last
        book = await client.futures_order_book(symbol="BTCUSDT", limit=5)
        assert Decimal(book["bids"][0][0]) < last < Decimal(book["asks"][0][0])
        assert len(await client.futures_aggregate_trades(symbol="BTCUSDT", limit=100)) == 100
        info = await client.futures_exchange_info()
        assert [s["symbol"] for s in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]


async def test_futures_orders_positions_and_account(sandbox: Running) -> None:
    async with client_of(sandbox) as client:
        assert (await client.futures_change_leverage(symbol="BTCUSDT", leverage=7))["leverage"] == 7
        entry = await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="2")
        await sandbox.advance()
        assert (await client.futures_get_order(symbol="BTCUSDT", orderId=entry["orderId"]))["status"] == "FILLED"
        (position,) = [
            row for row in await client.futures_position_information(symbol="BTCUSDT") if Decimal(row["positionAmt"])
        ]
        (trade,) = await client.futures_account_trades(symbol="BTCUSDT")
        assert (Decimal(position["positionAmt"]), Decimal(position["entryPrice"])) == (2, Decimal(trade["price"]))
        stop = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="STOP_MARKET", stopPrice="50", closePosition="true"
        )
        assert [o["algoId"] for o in await client.futures_get_open_algo_orders(symbol="BTCUSDT")] == [stop["algoId"]]
        await client.futures_cancel_algo_order(symbol="BTCUSDT", algoId=stop["algoId"])
        take = await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="LIMIT", timeInForce="GTC", quantity="2", price="150", reduceOnly="true"
        )
        assert [o["orderId"] for o in await client.futures_get_open_orders(symbol="BTCUSDT")] == [take["orderId"]]
        await client.futures_cancel_all_open_orders(symbol="BTCUSDT")
        balances = {row["asset"]: Decimal(row["balance"]) for row in await client.futures_account_balance()}
        assert balances["USDT"] == 100_000 - Decimal(trade["commission"])
        account = await client.futures_account()
        assert Decimal(account["totalWalletBalance"]) == balances["USDT"]


async def test_futures_streams(sandbox: Running) -> None:
    async with client_of(sandbox) as client, asyncio.timeout(20):
        sockets = sockets_of(sandbox, client)
        names = ["btcusdt@kline_1m", "btcusdt@markPrice"]
        async with sockets.futures_multiplex_socket(names) as stream, sockets.futures_user_socket() as user:
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
            await sandbox.advance(2)
            told = {event["stream"]: event["data"] for event in [await stream.recv() for _ in range(2)]}
            assert set(told) == set(names)
            kinds = [(await user.recv())["e"] for _ in range(3)]
        assert kinds[0] == "ORDER_TRADE_UPDATE"
        assert "ACCOUNT_UPDATE" in kinds
