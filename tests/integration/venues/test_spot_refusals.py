"""What spot refuses, in the exchange's codes and words: one table, one exchange."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.integration.venues.sandbox import ALICE, Running, running

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "60"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_LOSS", "quantity": "1", "stopPrice": "150"}

REFUSED: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no symbol": ({**LIMIT, "symbol": None}, -1102, "symbol"),
    "an unknown symbol": ({**LIMIT, "symbol": "DOGEUSDT"}, -1121, "Invalid symbol."),
    "no side": ({**LIMIT, "side": None}, -1117, "side"),
    "a type of futures": ({**LIMIT, "type": "STOP_MARKET"}, -1116, "orderType"),
    "a limit without a price": ({**LIMIT, "price": None}, -1102, "price"),
    "a limit without a time in force": ({**LIMIT, "timeInForce": None}, -1102, "timeInForce"),
    "a time in force of futures": ({**LIMIT, "timeInForce": "GTX"}, -1115, "timeInForce"),
    "a maker order with a time in force": ({**LIMIT, "type": "LIMIT_MAKER"}, -1106, "timeInForce"),
    "a market order with a price": ({**MARKET, "price": "60"}, -1106, "price"),
    "a market order with a time in force": ({**MARKET, "timeInForce": "IOC"}, -1106, "timeInForce"),
    "a market order without a quantity": ({**MARKET, "quantity": None}, -1102, "quantity"),
    "quantity and amount at once": ({**MARKET, "quoteOrderQty": "100"}, -1128, "optional parameters"),
    "a limit by amount": ({**LIMIT, "quoteOrderQty": "100"}, -1106, "quoteOrderQty"),
    "an iceberg": ({**LIMIT, "icebergQty": "0.5"}, -1106, "icebergQty"),
    "a trailing delta": ({**STOP, "trailingDelta": "100"}, -1106, "trailingDelta"),
    "a stop without a trigger": ({**STOP, "stopPrice": None}, -1102, "stopPrice"),
    "a stop on the wrong side": ({**STOP, "stopPrice": "60"}, -2010, "trigger immediately"),
    "a profit on the wrong side": ({**STOP, "type": "TAKE_PROFIT"}, -2010, "trigger immediately"),
    "a maker order that would take": (
        {**LIMIT, "type": "LIMIT_MAKER", "timeInForce": None, "price": "150"},
        -2010,
        "immediately match",
    ),
    "a price off the tick": ({**LIMIT, "price": "60.05"}, -1013, "PRICE_FILTER"),
    "a price of nothing": ({**LIMIT, "price": "0"}, -1013, "PRICE_FILTER"),
    "a quantity off the lot": ({**LIMIT, "quantity": "1.0005"}, -1013, "LOT_SIZE"),
    "a quantity below zero": ({**LIMIT, "quantity": "-1"}, -1013, "LOT_SIZE"),
    "a market quantity off the lot": ({**MARKET, "quantity": "1.0005"}, -1013, "MARKET_LOT_SIZE"),
    "an amount below a lot": ({**MARKET, "quantity": None, "quoteOrderQty": "0.01"}, -1013, "LOT_SIZE"),
    "a notional below the minimum": ({**LIMIT, "quantity": "0.01"}, -1013, "NOTIONAL"),
    "a notional above the maximum": ({**LIMIT, "quantity": "999999"}, -1013, "NOTIONAL"),
    "more than the account has": ({**LIMIT, "quantity": "5000"}, -2010, "insufficient balance"),
    "a sale of what it has not": ({**MARKET, "side": "SELL"}, -2010, "insufficient balance"),
    "a client id with a blank": ({**LIMIT, "newClientOrderId": "a b"}, -1100, "newClientOrderId"),
    "an answer of no kind": ({**LIMIT, "newOrderRespType": "ALL"}, -1100, "newOrderRespType"),
    "a number that is none": ({**LIMIT, "quantity": "NaN"}, -1102, "quantity"),
}


async def send(session: aiohttp.ClientSession, url: str, method: str, path: str, params: dict[str, Any]) -> Any:
    text = urlencode({**{k: v for k, v in params.items() if v is not None}, "timestamp": time.time_ns() // 1_000_000})
    signature = hmac.new(ALICE.secret.get_secret_value().encode(), text.encode(), hashlib.sha256).hexdigest()
    async with session.request(method, f"{url}{path}?{text}&signature={signature}") as response:
        return await response.json()


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"X-MBX-APIKEY": ALICE.key.get_secret_value()})


async def test_what_is_wrong_with_an_order_is_said_in_the_exchanges_code_and_nothing_is_placed() -> None:
    async with running() as sandbox, client() as session:
        told = {
            name: await send(session, sandbox.url, "POST", "/api/v3/order", params)
            for name, (params, _, _) in REFUSED.items()
        }
        assert {name: answer.get("code") for name, answer in told.items()} == {
            name: code for name, (_, code, _) in REFUSED.items()
        }
        assert [name for name, (_, _, words) in REFUSED.items() if words not in told[name]["msg"]] == []
        assert untouched(sandbox)


async def test_a_test_order_is_held_to_the_same_rules_and_places_nothing() -> None:
    async with running() as sandbox, client() as session:
        for name in ("a limit without a price", "a price off the tick", "a notional below the minimum"):
            params, code, _ = REFUSED[name]
            told = await send(session, sandbox.url, "POST", "/api/v3/order/test", params)
            assert told["code"] == code
        assert await send(session, sandbox.url, "POST", "/api/v3/order/test", LIMIT) == {}
        asked = {**LIMIT, "computeCommissionRates": "true"}
        rates = await send(session, sandbox.url, "POST", "/api/v3/order/test", asked)
        assert rates["standardCommissionForOrder"]["taker"] == "0.00040000"
        assert untouched(sandbox)


async def test_a_client_id_is_taken_while_its_order_works_and_free_again_afterwards() -> None:
    async with running() as sandbox, client() as session:
        order = {**LIMIT, "newClientOrderId": "mine"}
        first = await send(session, sandbox.url, "POST", "/api/v3/order", order)
        assert (await send(session, sandbox.url, "POST", "/api/v3/order", order))["msg"] == "Duplicate order sent."
        gone = await send(
            session, sandbox.url, "DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
        )
        assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "mine")
        second = await send(session, sandbox.url, "POST", "/api/v3/order", order)
        assert second["orderId"] > first["orderId"]


async def test_no_more_than_the_promised_number_of_orders_can_work() -> None:
    async with running() as sandbox, client() as session:
        order = {**LIMIT, "quantity": "0.1"}
        codes = [(await send(session, sandbox.url, "POST", "/api/v3/order", order)).get("code") for _ in range(201)]
        assert codes == [None] * 200 + [-1013]


def untouched(sandbox: Running) -> bool:
    account = sandbox.exchange.spot.accounts["alice"]
    return not account.orders and all(balance.locked == 0 for balance in account.balances().values())
