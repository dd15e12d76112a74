"""Unmodified ccxt and ccxt.pro `binance` clients, with nothing but their addresses changed, trade spot here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from include.venues.ccxt_client import redirected
from tests.integration.venues.sandbox import ALICE, START, Running, plan, running

BTC, ETH = "BTC/USDT", "ETH/USDT"
START_MS = int(START.timestamp() * 1_000)


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


@asynccontextmanager
async def spot_client(sandbox: Running, *, pro: bool = False, **options: Any) -> AsyncIterator[Any]:
    """Every address points at the sandbox; the spot streams have their own base there."""
    import ccxt.async_support
    import ccxt.pro

    keys = {"apiKey": ALICE.key.get_secret_value(), "secret": ALICE.secret.get_secret_value()}
    client = (ccxt.pro if pro else ccxt.async_support).binance({**keys, "enableRateLimit": False, "options": options})
    client.urls["api"] = redirected(client.urls["api"], sandbox.url)
    if pro:
        client.urls["api"]["ws"]["spot"] = sandbox.url.replace("http", "ws") + "/streams/spot/ws"
    try:
        yield client
    finally:
        await client.close()


async def buy(sandbox: Running, client: Any, amount: float, symbol: str = BTC) -> Any:
    order = await client.create_order(symbol, "market", "buy", amount)
    await sandbox.advance()
    return await client.fetch_order(order["id"], symbol)


async def test_load_markets_finds_both_markets_of_every_pair(sandbox: Running) -> None:
    async with spot_client(sandbox) as client:
        markets = await client.load_markets()
        assert set(markets) == {BTC, ETH, f"{BTC}:USDT", f"{ETH}:USDT"}
        market = markets[BTC]
        assert (market["spot"], market["active"], market["margin"]) == (True, True, False)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
        assert market["limits"]["cost"]["min"] == 5
        assert (await client.fetch_trading_fee(BTC))["taker"] == 0.0004
        assert set(client.currencies) >= {"BTC", "ETH", "USDT"}


async def test_history_can_be_paged_forwards_without_hole_or_repetition(sandbox: Running) -> None:
    async with spot_client(sandbox) as client:
        since, rows = START_MS - 600 * 60_000, []
        while page := await client.fetch_ohlcv(BTC, "1m", since=since, limit=250):
            rows += page
            since = page[-1][0] + 60_000
        assert [row[0] for row in rows] == [START_MS - (600 - i) * 60_000 for i in range(600)]
        hours = await client.fetch_ohlcv(BTC, "1h", limit=10)
        assert [row[0] for row in hours] == [START_MS - k * 3_600_000 for k in range(10, 0, -1)]
        assert sum(row[5] for row in hours) == pytest.approx(sum(row[5] for row in rows))


async def test_market_data_through_unified_calls(sandbox: Running) -> None:
    async with spot_client(sandbox) as client:
        last = (await client.fetch_ohlcv(BTC, "1m", limit=1))[-1][4]
        ticker = await client.fetch_ticker(BTC)
        assert ticker["last"] == last
        assert ticker["bid"] < last < ticker["ask"]
        book = await client.fetch_order_book(BTC, 5)
        assert (book["bids"][0][0], book["asks"][0][0]) == (ticker["bid"], ticker["ask"])
        trades = await client.fetch_trades(BTC, limit=13)
        assert trades[-1]["price"] == last
        assert (await client.fetch_last_prices([BTC]))[BTC]["price"] == last
        assert set(await client.fetch_tickers()) == {BTC, ETH}
        assert (await client.fetch_time()) > 0


async def test_the_life_of_orders_through_unified_calls(sandbox: Running) -> None:
    async with spot_client(sandbox) as client:
        bought = await buy(sandbox, client, 2)
        assert (bought["status"], bought["filled"], bought["type"]) == ("closed", 2, "market")
        balance = await client.fetch_balance()
        assert balance["BTC"]["total"] == pytest.approx(2 * (1 - 0.0004))
        assert balance["USDT"]["total"] == pytest.approx(100_000 - bought["cost"])

        take = await client.create_order(BTC, "limit", "sell", 1, 150)
        stop = await client.create_order(BTC, "market", "sell", 0.5, None, {"stopLossPrice": 50})
        guard = await client.create_order(BTC, "limit", "sell", 0.25, 40, {"stopLossPrice": 45})
        assert [o["id"] for o in await client.fetch_open_orders(BTC)] == [take["id"], stop["id"], guard["id"]]
        kinds = {o["id"]: o["info"]["type"] for o in await client.fetch_open_orders(BTC)}
        assert kinds == {take["id"]: "LIMIT", stop["id"]: "STOP_LOSS", guard["id"]: "STOP_LOSS_LIMIT"}
        assert (await client.fetch_balance())["BTC"]["used"] == 1.75

        assert (await client.cancel_order(take["id"], BTC))["status"] == "canceled"
        moved = await client.edit_order(guard["id"], BTC, "limit", "sell", 0.25, 160)
        assert [o["id"] for o in await client.fetch_open_orders(BTC)] == [stop["id"], moved["id"]]
        await client.cancel_all_orders(BTC)
        assert await client.fetch_open_orders(BTC) == []
        assert len(await client.fetch_orders(BTC)) == 5
        assert (await client.fetch_balance())["BTC"]["used"] == 0

        await client.create_order(BTC, "market", "sell", 1)
        await sandbox.advance()
        trades = await client.fetch_my_trades(BTC)
        assert [(t["side"], t["amount"], t["fee"]["currency"]) for t in trades] == [
            ("buy", 2, "BTC"), ("sell", 1, "USDT"),
        ]  # fmt: skip
        assert (await client.fetch_closed_orders(BTC))[0]["id"] == bought["id"]


async def test_every_order_type_and_time_in_force_is_taken_or_refused_as_the_exchange_does(sandbox: Running) -> None:
    import ccxt

    async with spot_client(sandbox) as client:
        await buy(sandbox, client, 5)
        last = (await client.fetch_ticker(BTC))["last"]
        maker = await client.create_order(BTC, "limit", "sell", 1, last + 20, {"postOnly": True})
        assert maker["info"]["type"] == "LIMIT_MAKER"
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order(BTC, "limit", "sell", 1, last - 20, {"postOnly": True})
        with pytest.raises(ccxt.ExchangeError, match="immediately"):
            await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": last + 20})
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(BTC, "limit", "sell", 10, last + 20)
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(ETH, "market", "sell", 1)
        with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
            await client.privatePostOrder({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.0005"})
        with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
            await client.create_order(BTC, "limit", "buy", 0.01, 100)
        killed = await client.create_order(BTC, "limit", "buy", 1, last - 30, {"timeInForce": "IOC"})
        await sandbox.advance(2)
        assert (await client.fetch_order(killed["id"], BTC))["status"] in {"expired", "canceled"}
        profit = await client.create_order(BTC, "market", "sell", 1, None, {"takeProfitPrice": last + 40})
        assert (await client.fetch_order(profit["id"], BTC))["info"]["type"] == "TAKE_PROFIT"
        await client.create_order(BTC, "market", "buy", 1, None, {"test": True})
        assert len(await client.fetch_open_orders(BTC)) == 2


async def test_a_market_order_by_amount_spends_that_and_no_more(sandbox: Running) -> None:
    async with spot_client(sandbox) as client:
        order = await client.create_market_buy_order_with_cost(BTC, 1_000)
        await sandbox.advance()
        order = await client.fetch_order(order["id"], BTC)
        assert order["status"] == "closed"
        assert 1_000 - order["average"] * 0.001 < order["cost"] <= 1_000
        balance = await client.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(100_000 - order["cost"])
        assert balance["USDT"]["used"] == 0


async def test_refusals_arrive_as_the_exceptions_that_ccxt_users_know(sandbox: Running) -> None:
    import ccxt

    async with spot_client(sandbox) as client:
        await client.load_markets()
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order("4711", BTC)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("4711", BTC)
        with pytest.raises(ccxt.BadSymbol):
            await client.publicGetKlines({"symbol": "DOGEUSDT", "interval": "1m"})
        with pytest.raises(ccxt.BadRequest, match="-1106"):
            request = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "stopPrice": "50"}
            await client.privatePostOrder(request)
        client.secret = "not-the-secret"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await client.fetch_balance()


async def test_a_replacement_that_is_refused_leaves_the_old_order_or_says_that_it_is_gone(sandbox: Running) -> None:
    import ccxt

    async with spot_client(sandbox) as client:
        order = await client.create_order(BTC, "limit", "buy", 1, 50)
        base = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "51"}
        asked = {**base, "cancelReplaceMode": "STOP_ON_FAILURE", "quantity": "1", "cancelOrderId": "4711"}
        with pytest.raises(ccxt.ExchangeError, match=r"-2022.*NOT_ATTEMPTED"):
            await client.privatePostOrderCancelReplace(asked)
        assert [o["id"] for o in await client.fetch_open_orders(BTC)] == [order["id"]]
        too_much = {**asked, "cancelOrderId": order["id"], "quantity": "9999"}
        with pytest.raises(ccxt.ExchangeError, match=r"-2021.*insufficient"):
            await client.privatePostOrderCancelReplace(too_much)
        assert await client.fetch_open_orders(BTC) == []


# --- streams -----------------------------------------------------------------------------------------------


async def test_watch_market_data() -> None:
    async with running(plan(60, speed="600")) as sandbox, spot_client(sandbox, pro=True) as client:
        async with asyncio.timeout(30):
            candles, book, trades, ticker, best = await asyncio.gather(
                client.watch_ohlcv(BTC, "5m"),
                client.watch_order_book(BTC),
                client.watch_trades(BTC),
                client.watch_ticker(ETH),
                client.watch_bids_asks([ETH]),
            )
        assert candles[-1][0] % 300_000 == 0
        assert book["bids"][0][0] < book["asks"][0][0]
        assert trades[-1]["symbol"] == BTC
        assert ticker["symbol"] == ETH
        assert best[ETH]["bid"] < best[ETH]["ask"]


async def test_a_watched_book_stays_in_step_with_the_exchange(sandbox: Running) -> None:
    async with spot_client(sandbox, pro=True) as client, asyncio.timeout(20):
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


async def test_watch_orders_own_trades_and_balance(sandbox: Running) -> None:
    async with spot_client(sandbox, pro=True) as client, asyncio.timeout(20):
        orders = asyncio.create_task(client.watch_orders())
        trades = asyncio.create_task(client.watch_my_trades())
        balances = asyncio.create_task(client.watch_balance())
        while not [c for c in sandbox.exchange.hub._connections if c.account == "alice"]:
            await asyncio.sleep(0.01)
        placed = await client.create_order(BTC, "limit", "buy", 1, 90)
        assert (await orders)[0]["id"] == placed["id"]
        assert (await balances)["USDT"]["used"] == 90
        orders = asyncio.create_task(client.watch_orders())
        await client.cancel_order(placed["id"], BTC)
        assert (await orders)[-1]["status"] == "canceled"
        bought = await client.create_order(BTC, "market", "buy", 1)
        await sandbox.advance()
        assert (await trades)[0]["order"] == bought["id"]


async def test_orders_through_the_websocket_api(sandbox: Running) -> None:
    async with spot_client(sandbox, pro=True) as client, asyncio.timeout(20):
        placed = await client.create_order_ws(BTC, "limit", "buy", 1, 60)
        assert (await client.fetch_order_ws(placed["id"], BTC))["status"] == "open"
        assert (await client.cancel_order_ws(placed["id"], BTC))["status"] == "canceled"
        account = (await client.fetch_balance_ws())["info"]  # ccxt reads spot balances out of REST answers only
        assert {"asset": "USDT", "free": "100000.00000000", "locked": "0.00000000"} in account["balances"]


async def test_money_that_comes_in_is_told(sandbox: Running) -> None:
    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": ALICE.key.get_secret_value()}) as session:
        async with session.post(f"{sandbox.url}/api/v3/userDataStream") as response:
            listen_key = (await response.json())["listenKey"]
        address = sandbox.url.replace("http", "ws") + f"/streams/spot/ws/{listen_key}"
        async with session.ws_connect(address) as socket:
            sent = {"account": "alice", "asset": "BTC", "amount": "1.5"}
            async with session.post(f"{sandbox.url}/sandbox/v1/spot/transfer", json=sent) as response:
                assert response.status == 200
            update, position = [await socket.receive_json(timeout=5) for _ in range(2)]
            assert (update["e"], update["a"], Decimal(update["d"])) == ("balanceUpdate", "BTC", Decimal("1.5"))
            assert position["B"] == [{"a": "BTC", "f": "1.50000000", "l": "0.00000000"}]
            sent["amount"] = "-2"
            async with session.post(f"{sandbox.url}/sandbox/v1/spot/transfer", json=sent) as response:
                assert (response.status, (await response.json())["code"]) == (400, -2010)
