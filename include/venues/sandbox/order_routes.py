"""Sending, changing and cancelling orders: what changes an account's orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from include.domain.enums import Side
from include.venues.matching import Resting
from include.venues.sandbox import errors, messages
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import Params, decimal, integer
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.order_queries import find_algo, find_plain
from include.venues.sandbox.order_reading import algo_request, plain_request

MAX_BATCH = 5
MAX_CANCEL_BATCH = 10
MAX_COUNTDOWN_MS = 30 * 86_400_000
ALL_CANCELED = "The operation of cancel all open order is done."
Route = Callable[[Exchange, str, Params], Any]


def new_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    request = plain_request(tape, params, exchange.spare_id(account), exchange.event_time)
    return messages.order_json(exchange.submit(account, request), tape)


def new_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    request = algo_request(tape, params, exchange.spare_id(account), exchange.event_time)
    return messages.algo_json(exchange.submit(account, request), tape)


def modify_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    """A limit order's quantity and price; side has to be told and cannot change."""
    tape = exchange.tape(params.get("symbol"))
    order = find_plain(exchange, account, tape, params, errors.ORDER_NOT_FOUND)
    if not order.is_open:
        raise errors.ApiError(errors.ORDER_NOT_FOUND)
    if params.get("side", "") not in Side.__members__ or params["side"] != order.request.side:
        raise errors.ApiError(errors.INVALID_SIDE)
    quantity, price = decimal(params, "quantity"), decimal(params, "price")
    return messages.order_json(exchange.modify(account, order, quantity, price), tape)


def cancel_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = find_plain(exchange, account, tape, params, errors.UNKNOWN_ORDER)
    return messages.order_json(exchange.cancel(account, order), tape)


def cancel_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    order = find_algo(exchange, account, params, errors.UNKNOWN_ORDER)
    if not order.is_waiting:  # what it has become is the order service's
        raise errors.ApiError(errors.UNKNOWN_ORDER)
    exchange.cancel(account, order)
    return {
        "algoId": messages.algo_id(order), "clientAlgoId": order.request.client_order_id, "code": "200",
        "msg": "success",
    }  # fmt: skip


def cancel_all_orders(exchange: Exchange, account: str, params: Params) -> JsonObject:
    _cancel_where(exchange, account, params, messages.is_plain)
    return {"code": 200, "msg": ALL_CANCELED}


def cancel_all_algo_orders(exchange: Exchange, account: str, params: Params) -> JsonObject:
    _cancel_where(exchange, account, params, lambda order: order.is_waiting)
    return {"code": "200", "msg": ALL_CANCELED}


def _cancel_where(exchange: Exchange, account: str, params: Params, chosen: Callable[[Resting], bool]) -> None:
    symbol = exchange.tape(params.get("symbol")).instrument.symbol
    for order in exchange.accounts[account].open_orders(symbol):
        if chosen(order):
            exchange.cancel(account, order)


def count_down(exchange: Exchange, account: str, params: Params) -> JsonObject:
    """Cancel all of a symbol's orders when that much market time has passed without another call; 0 stops it."""
    tape = exchange.tape(params.get("symbol"))
    duration = integer(params, "countdownTime")
    if duration is None or not 0 <= duration <= MAX_COUNTDOWN_MS:
        raise errors.ApiError(errors.missing("countdownTime"))
    deadline = exchange.event_time + duration if duration else None
    exchange.accounts[account].set_countdown(tape.instrument.symbol, deadline)
    return {"symbol": tape.id, "countdownTime": str(duration)}


# --- batches -----------------------------------------------------------------------------------------------


def new_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    return _each(new_order, exchange, account, params)


def modify_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    return _each(modify_order, exchange, account, params)


def cancel_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """Orders of one symbol by either kind of id; clients write the lists' names with and without capitals."""
    lists = {key.lower(): value for key, value in params.items()}
    numbers = _json_list(lists.get("orderidlist") or "[]", "orderIdList")
    names = _json_list(lists.get("origclientorderidlist") or "[]", "origClientOrderIdList")
    if not 1 <= len(numbers) + len(names) <= MAX_CANCEL_BATCH:
        raise errors.ApiError(errors.missing("orderIdList"))
    wanted = [{"orderId": str(n)} for n in numbers] + [{"origClientOrderId": str(n)} for n in names]
    symbol = params.get("symbol", "")
    return [_one(cancel_order, exchange, account, {"symbol": symbol, **one}) for one in wanted]


def _each(route: Route, exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    orders = _json_list(params.get("batchOrders") or "", "batchOrders")
    if not 1 <= len(orders) <= MAX_BATCH:
        raise errors.ApiError(errors.INVALID_BATCH_SIZE)
    if not all(isinstance(order, dict) for order in orders):
        raise errors.ApiError(errors.missing("batchOrders"))
    return [_one(route, exchange, account, _as_params(order)) for order in orders]


def _one(route: Route, exchange: Exchange, account: str, params: Params) -> JsonObject:
    """One of a batch: its refusal is its answer."""
    try:
        found: JsonObject = route(exchange, account, params)
    except errors.ApiError as error:
        return {"code": error.denial.code, "msg": error.denial.msg}
    return found


def _json_list(raw: str, name: str) -> list[Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise errors.ApiError(errors.missing(name))
    return found


def _as_params(order: dict[str, Any]) -> Params:
    """JSON values as the text that they are in a single request."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in order.items()}
