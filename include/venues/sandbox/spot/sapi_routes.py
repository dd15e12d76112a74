"""What clients ask beside the market and the orders: currencies, permissions, fees, and the markets that are not here.

An unmodified ccxt asks COIN-M for its markets too, and the wallet for its currencies. The transfer route is the
sandbox's own: money that comes from outside, so that somebody can watch it arrive.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import Permission
from include.venues.sandbox.errors import ApiError
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.gateway import told
from include.venues.sandbox.http import EXCHANGE, Params, answer, decimal, private, public, wall_ms
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.spot.numbers import eight


def routes() -> list[web.RouteDef]:
    get = {
        "/sapi/v1/capital/config/getall": currencies,
        "/sapi/v1/account/apiRestrictions": restrictions,
        "/sapi/v1/asset/tradeFee": trade_fees,
        "/sapi/v1/margin/allPairs": nothing,
        "/sapi/v1/margin/isolated/allPairs": nothing,
        "/sapi/v1/capital/deposit/hisrec": nothing,
        "/sapi/v1/capital/withdraw/history": nothing,
        "/sapi/v1/account/status": lambda exchange, name, params: {"data": "Normal"},
    }
    return [
        *(web.get(path, private(route)) for path, route in get.items()),
        # In maintenance this is refused like everything else.
        web.get("/sapi/v1/system/status", public(lambda exchange, params: {"status": 0, "msg": "normal"})),
        web.get("/dapi/v1/exchangeInfo", public(no_coin_margined_markets)),
        web.post("/sandbox/v1/spot/transfer", transfer),
    ]


def nothing(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    """A list that is always empty here."""
    return []


def currencies(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    """Every currency of the account; nothing can be deposited or withdrawn, so none has a network."""
    none_of = dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")
    return [
        {"coin": asset, "depositAllEnable": False, "withdrawAllEnable": False, "name": asset,
         "free": eight(held.free), "locked": eight(held.locked), **none_of, "isLegalMoney": False, "trading": True,
         "networkList": []}
        for asset, held in exchange.spot.accounts[name].balances().items()
    ]  # fmt: skip


def restrictions(exchange: Exchange, name: str, params: Params) -> JsonObject:
    """What the API key may do: never withdraw."""
    may_trade = Permission.TRADE in exchange.credentials.spec(name).permissions
    return {
        "ipRestrict": False, "createTime": 0, "enableReading": True, "enableWithdrawals": False,
        "enableInternalTransfer": False, "enableMargin": False, "enableFutures": may_trade,
        "permitsUniversalTransfer": False, "enableVanillaOptions": False, "enableFixApiTrade": False,
        "enableFixReadOnly": False, "enableSpotAndMarginTrading": may_trade, "enablePortfolioMarginTrading": False,
    }  # fmt: skip


def trade_fees(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    tapes = [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())
    return [
        {"symbol": tape.id, "makerCommission": eight(tape.instrument.maker_fee_rate),
         "takerCommission": eight(tape.instrument.taker_fee_rate)}
        for tape in tapes
    ]  # fmt: skip


def no_coin_margined_markets(exchange: Exchange, params: Params) -> JsonObject:
    return {"timezone": "UTC", "serverTime": wall_ms(), "rateLimits": [], "exchangeFilters": [], "symbols": []}


async def transfer(request: web.Request) -> web.StreamResponse:
    """Move `amount` (out of the account when below zero) of `asset` for `account`: POST with a JSON body."""
    try:
        asked: Any = orjson.loads(await request.read())
        params = {name: str(asked[name]) for name in ("account", "asset", "amount")}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return answer({"error": 'write {"account": .., "asset": .., "amount": ..}'}, 400)
    exchange = request.app[EXCHANGE]
    try:
        if params["account"] not in exchange.spot.accounts:
            raise ApiError(errors.UNKNOWN_KEY)
        amount = decimal(params, "amount")
        exchange.spot.transfer(params["account"], params["asset"], amount, exchange.event_time)
    except ApiError as error:
        return answer(told(error.denial), 400)
    return answer({"account": params["account"], "asset": params["asset"], "amount": eight(amount)})
