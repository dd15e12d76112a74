"""Account and order routes: what a signed request may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from include.domain.enums import OrderType, Side, TimeInForce
from include.venues.matching import Request, Resting
from include.venues.sandbox import errors, messages
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.filters import text
from include.venues.sandbox.http import Params, decimal, flag, integer, keyed, page, private
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.tape import Tape

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
WEEK_MS = 7 * 86_400_000
MAX_LEVERAGE = 125


def routes() -> list[web.RouteDef]:
    get = {
        "/fapi/v1/order": get_order,
        "/fapi/v1/openOrder": get_open_order,
        "/fapi/v1/openOrders": open_orders,
        "/fapi/v1/allOrders": all_orders,
        "/fapi/v1/algoOrder": get_algo_order,
        "/fapi/v1/openAlgoOrders": open_algo_orders,
        "/fapi/v1/allAlgoOrders": all_algo_orders,
        "/fapi/v1/userTrades": user_trades,
        "/fapi/v1/leverageBracket": leverage_bracket,
        "/fapi/v1/commissionRate": commission_rate,
        "/fapi/v1/positionSide/dual": lambda exchange, account, params: {"dualSidePosition": False},
        "/fapi/v1/multiAssetsMargin": lambda exchange, account, params: {"multiAssetsMargin": False},
        "/fapi/v1/symbolConfig": symbol_config,
    }
    for version in (2, 3):
        get[f"/fapi/v{version}/account"] = account_information
        get[f"/fapi/v{version}/balance"] = balance
        get[f"/fapi/v{version}/positionRisk"] = position_risk
    post = {
        "/fapi/v1/order": new_order,
        "/fapi/v1/algoOrder": new_algo_order,
        "/fapi/v1/leverage": set_leverage,
        "/fapi/v1/marginType": set_margin_type,
        "/fapi/v1/positionSide/dual": set_position_side,
    }
    delete = {
        "/fapi/v1/order": cancel_order,
        "/fapi/v1/allOpenOrders": cancel_all_orders,
        "/fapi/v1/algoOrder": cancel_algo_order,
        "/fapi/v1/algoOpenOrders": cancel_all_algo_orders,
    }
    return [
        *(web.get(path, private(route)) for path, route in get.items()),
        *(web.post(path, private(route)) for path, route in post.items()),
        *(web.delete(path, private(route)) for path, route in delete.items()),
        web.post("/fapi/v1/listenKey", keyed(lambda exchange, a: {"listenKey": exchange.credentials.listen_key(a)})),
        web.put("/fapi/v1/listenKey", keyed(lambda exchange, a: {"listenKey": exchange.credentials.listen_key(a)})),
        web.delete("/fapi/v1/listenKey", keyed(close_listen_key)),
    ]


def close_listen_key(exchange: Exchange, account: Any) -> JsonObject:
    exchange.credentials.close_listen_key(account)
    return {}


# --- sending and cancelling --------------------------------------------------------------------------------


def new_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    kind = params.get("type", "")
    if kind in {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}:
        raise errors.ApiError(errors.USE_ALGO_ENDPOINT)
    if kind not in {OrderType.MARKET, OrderType.LIMIT}:
        raise errors.ApiError(errors.INVALID_ORDER_TYPE)
    tape = exchange.tape(params.get("symbol"))
    level = decimal(params, "price") if kind == OrderType.LIMIT else None
    client_id = params.get("newClientOrderId")
    order = exchange.submit(account, _request(exchange, account, tape, params, OrderType(kind), level, client_id))
    return messages.order_json(order, tape)


def new_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    if params.get("algoType") != "CONDITIONAL" or params.get("type") != OrderType.STOP_MARKET:
        raise errors.ApiError(errors.INVALID_ORDER_TYPE)
    tape = exchange.tape(params.get("symbol"))
    level, client_id = decimal(params, "triggerPrice"), params.get("clientAlgoId")
    order = exchange.submit(account, _request(exchange, account, tape, params, OrderType.STOP_MARKET, level, client_id))
    return messages.algo_json(order, tape)


def _request(
    exchange: Exchange, account: str, tape: Tape, params: Params, kind: OrderType, level: Any, client_id: str | None
) -> Request:
    """Read what all order types share. Raises ApiError for anything the sandbox does not understand."""
    side = params.get("side", "")
    if side not in Side.__members__:
        raise errors.ApiError(errors.INVALID_SIDE)
    if params.get("positionSide", "BOTH") != "BOTH":
        raise errors.ApiError(errors.HEDGE_MODE)
    time_in_force = params.get("timeInForce") or ("" if kind is OrderType.LIMIT else "GTC")
    if not time_in_force:
        raise errors.ApiError(errors.missing("timeInForce"))
    if time_in_force not in TimeInForce.__members__:
        raise errors.ApiError(errors.INVALID_TIME_IN_FORCE)
    client_id = client_id or f"auto-{len(exchange.accounts[account].orders) + 1}"
    if not CLIENT_ID.fullmatch(client_id):
        raise errors.ApiError(errors.INVALID_CLIENT_ID)
    return Request(
        client_order_id=client_id, symbol=tape.instrument.symbol, side=Side(side), type=kind,
        quantity=decimal(params, "quantity"), level=level, reduce_only=flag(params, "reduceOnly"),
        time_in_force=TimeInForce(time_in_force),
    )  # fmt: skip


def cancel_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = _find_plain(exchange, account, tape, params, errors.UNKNOWN_ORDER)
    return messages.order_json(exchange.cancel(account, order.request.client_order_id), tape)


def cancel_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    order = _find_algo(exchange, account, params, errors.UNKNOWN_ORDER)
    exchange.cancel(account, order.request.client_order_id)
    return {
        "algoId": messages.algo_id(order), "clientAlgoId": order.request.client_order_id, "code": "200",
        "msg": "success",
    }  # fmt: skip


def cancel_all_orders(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    for order in exchange.accounts[account].open_orders(tape.instrument.symbol):
        if not messages.is_algo(order):
            exchange.cancel(account, order.request.client_order_id)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def cancel_all_algo_orders(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    for order in exchange.accounts[account].open_orders(tape.instrument.symbol):
        if messages.is_algo(order):
            exchange.cancel(account, order.request.client_order_id)
    return {"code": "200", "msg": "The operation of cancel all open order is done."}


# --- asking about orders -----------------------------------------------------------------------------------


def _orders(exchange: Exchange, account: str, tape: Tape) -> list[Resting]:
    symbol = tape.instrument.symbol
    return [order for order in exchange.accounts[account].orders.values() if order.request.symbol == symbol]


def _plain(exchange: Exchange, account: str, tape: Tape) -> list[Resting]:
    """Orders the matching engine knows: all but the stops that have not triggered."""
    orders = _orders(exchange, account, tape)
    return [order for order in orders if not messages.is_algo(order) or order.triggered_id is not None]


def _algo(exchange: Exchange, account: str, tape: Tape) -> list[Resting]:
    return [order for order in _orders(exchange, account, tape) if messages.is_algo(order)]


def _find_plain(exchange: Exchange, account: str, tape: Tape, params: Params, denial: errors.Denial) -> Resting:
    """The order a request names by either id, as the matching engine knows it. Raises ApiError(denial)."""
    order_id, client_id = integer(params, "orderId"), params.get("origClientOrderId")
    for order in _named(exchange, account, order_id, client_id, "orderId"):
        is_plain = not messages.is_algo(order) or order.triggered_id is not None
        own_id = order.triggered_id or order.id
        if is_plain and order.request.symbol == tape.instrument.symbol and order_id in (None, own_id):
            return order
    raise errors.ApiError(denial)


def _find_algo(exchange: Exchange, account: str, params: Params, denial: errors.Denial) -> Resting:
    """The conditional order a request names by either id. Raises ApiError(denial)."""
    algo_id, client_id = integer(params, "algoId"), params.get("clientAlgoId")
    for order in _named(exchange, account, algo_id, client_id, "algoId"):
        if messages.is_algo(order) and algo_id in (None, messages.algo_id(order)):
            return order
    raise errors.ApiError(denial)


def _named(
    exchange: Exchange, account: str, number: int | None, client_id: str | None, id_key: str
) -> Iterable[Resting]:
    """Orders that may be meant: the one with the client id, or all when only the exchange's number is given."""
    orders = exchange.accounts[account].orders
    if number is not None:
        return orders.values()
    if not client_id:
        raise errors.ApiError(errors.missing(id_key))
    return [orders[client_id]] if client_id in orders else []


def get_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    return messages.order_json(_find_plain(exchange, account, tape, params, errors.ORDER_NOT_FOUND), tape)


def get_open_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = _find_plain(exchange, account, tape, params, errors.ORDER_NOT_FOUND)
    if not order.is_open:
        raise errors.ApiError(errors.ORDER_NOT_FOUND)
    return messages.order_json(order, tape)


def get_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    order = _find_algo(exchange, account, params, errors.ORDER_NOT_FOUND)
    return messages.algo_json(order, exchange.tapes[order.request.symbol])


def open_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    working = _working(exchange, account, params)
    return [messages.order_json(o, exchange.tapes[o.request.symbol]) for o in working if not messages.is_algo(o)]


def open_algo_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    working = _working(exchange, account, params)
    return [messages.algo_json(o, exchange.tapes[o.request.symbol]) for o in working if messages.is_algo(o)]


def _working(exchange: Exchange, account: str, params: Params) -> list[Resting]:
    symbol = exchange.tape(params["symbol"]).instrument.symbol if params.get("symbol") else None
    return exchange.accounts[account].open_orders(symbol)


def all_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    documents = [messages.order_json(order, tape) for order in _plain(exchange, account, tape)]
    documents.sort(key=lambda document: int(document["orderId"]))
    return _window(documents, params, time_key="time", id_key="orderId", from_key="orderId")


def all_algo_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    documents = [messages.algo_json(order, tape) for order in _algo(exchange, account, tape)]
    return _window(documents, params, time_key="createTime", id_key="algoId", from_key="algoId")


def user_trades(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    symbol, order_id = tape.instrument.symbol, integer(params, "orderId")
    trades = (t for t in exchange.accounts[account].trades if t.symbol == symbol and order_id in (None, t.order_id))
    documents = [messages.trade_json(trade, tape) for trade in trades]
    return _window(documents, params, time_key="time", id_key="id", from_key="fromId")


def _window(
    documents: list[JsonObject], params: Params, *, time_key: str, id_key: str, from_key: str
) -> list[JsonObject]:
    """Documents inside the asked time window or from an id on; the earliest when there is a start, else the latest."""
    start, end, first_id = integer(params, "startTime"), integer(params, "endTime"), integer(params, from_key)
    limit = page(params)
    if start is not None and (end or start) - start > WEEK_MS:
        raise errors.ApiError(errors.WINDOW_TOO_LONG)
    if start is not None and end is None:
        end = start + WEEK_MS
    kept = [
        d
        for d in documents
        if (start is None or d[time_key] >= start)
        and (end is None or d[time_key] <= end)
        and (first_id is None or d[id_key] >= first_id)
    ]
    return kept[:limit] if start is not None or first_id is not None else kept[-limit:]


# --- account -----------------------------------------------------------------------------------------------


def account_information(exchange: Exchange, account: str, params: Params) -> JsonObject:
    return messages.account_json(exchange.accounts[account], list(exchange.tapes.values()), exchange.event_time)


def balance(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    return messages.balance_json(exchange.accounts[account], list(exchange.tapes.values()), exchange.event_time)


def position_risk(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """Symbols with a position or a working order, as v3 does."""
    state = exchange.accounts[account]
    tapes = [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())
    busy = [t for t in tapes if state.holding(t.instrument.symbol).quantity or state.open_orders(t.instrument.symbol)]
    return [messages.position_json(state, tape, exchange.event_time) for tape in busy]


def leverage_bracket(exchange: Exchange, account: str, params: Params) -> Any:
    """One bracket for all sizes: brackets are not modelled."""
    bracket = {
        "bracket": 1, "initialLeverage": MAX_LEVERAGE, "notionalCap": 1_000_000_000, "notionalFloor": 0,
        "maintMarginRatio": 0.0, "cum": 0.0,
    }  # fmt: skip
    tapes = [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())
    return [{"symbol": tape.id, "brackets": [bracket]} for tape in tapes]


def commission_rate(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    maker, taker = text(tape.instrument.maker_fee_rate), text(tape.instrument.taker_fee_rate)
    return {"symbol": tape.id, "makerCommissionRate": maker, "takerCommissionRate": taker}


def symbol_config(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tapes = [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())
    leverage = exchange.accounts[account].leverage
    return [
        {"symbol": tape.id, "marginType": "CROSSED", "isAutoAddMargin": False,
         "leverage": leverage[tape.instrument.symbol], "maxNotionalValue": "1000000000"}
        for tape in tapes
    ]  # fmt: skip


def set_leverage(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    leverage = integer(params, "leverage") or 0
    if not 1 <= leverage <= MAX_LEVERAGE:
        raise errors.ApiError(errors.INVALID_LEVERAGE)
    exchange.accounts[account].leverage[tape.instrument.symbol] = leverage
    return {"symbol": tape.id, "leverage": leverage, "maxNotionalValue": "1000000000"}


def set_margin_type(exchange: Exchange, account: str, params: Params) -> JsonObject:
    exchange.tape(params.get("symbol"))
    asked_cross = params.get("marginType") == "CROSSED"
    raise errors.ApiError(errors.NO_MARGIN_TYPE_CHANGE if asked_cross else errors.NOT_IN_SANDBOX)


def set_position_side(exchange: Exchange, account: str, params: Params) -> JsonObject:
    dual = flag(params, "dualSidePosition")
    raise errors.ApiError(errors.NOT_IN_SANDBOX if dual else errors.NO_POSITION_SIDE_CHANGE)
