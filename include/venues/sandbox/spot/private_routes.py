"""Account and order routes of spot: what a signed request may do."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from aiohttp import web

from include.domain.enums import OrderType, Side, TimeInForce
from include.domain.times import DAY_MS
from include.venues.matching import Request, Resting
from include.venues.matching.orders import PRICED, TRIGGERED
from include.venues.sandbox import errors
from include.venues.sandbox.errors import ApiError, Denial
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import Params, about_limits, decimal, flag, integer, page, private
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.spot import filters, messages
from include.venues.sandbox.tape import Tape

CLIENT_ID = re.compile(r"[a-zA-Z0-9-_]{1,36}")
RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
TOO_LONG_SPAN = Denial(-1127, "More than 24 hours between startTime and endTime.")
CANCEL_REPLACE_FAILED = -2022
CANCEL_REPLACE_HALF_DONE = -2021


def routes() -> list[web.RouteDef]:
    get = {
        "/api/v3/order": get_order,
        "/api/v3/openOrders": open_orders,
        "/api/v3/allOrders": all_orders,
        "/api/v3/myTrades": my_trades,
        "/api/v3/account": account_information,
        "/api/v3/account/commission": commission,
    }
    post = {
        "/api/v3/order": new_order,
        "/api/v3/order/test": check_order,
        "/api/v3/order/cancelReplace": cancel_replace,
    }
    delete = {"/api/v3/order": cancel_order, "/api/v3/openOrders": cancel_all_orders}
    return [
        web.get("/api/v3/rateLimit/order", about_limits(lambda limits: limits)),
        *(web.get(path, private(route)) for path, route in get.items()),
        *(web.post(path, private(route)) for path, route in post.items()),
        *(web.delete(path, private(route)) for path, route in delete.items()),
    ]


# --- sending -----------------------------------------------------------------------------------------------


def new_order(exchange: Exchange, name: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    request, amount = read_request(exchange, name, tape, params)
    order = exchange.spot.submit(name, request, exchange.event_time, amount)
    detail = params.get("newOrderRespType") or ("FULL" if request.stop_price is None else "ACK")
    return messages.acceptance_json(exchange.spot.accounts[name], order, tape.id, detail)


def check_order(exchange: Exchange, name: str, params: Params) -> JsonObject:
    """Everything that `new_order` checks before it asks for money; nothing is placed."""
    tape = exchange.tape(params.get("symbol"))
    request, _ = read_request(exchange, name, tape, params)
    exchange.spot.check(name, request)
    if not flag(params, "computeCommissionRates"):
        return {}
    told = messages.commission_json(tape.instrument, tape.id)
    return {f"{key}ForOrder" if key != "discount" else key: told[key] for key in told if key != "symbol"}


def read_request(exchange: Exchange, name: str, tape: Tape, params: Params) -> tuple[Request, Decimal | None]:
    """The order that is asked for, and the amount where it is given by amount. Raises ApiError."""
    side, kind = params.get("side", ""), messages.KINDS.get(params.get("type", ""))
    if side not in Side.__members__:
        raise ApiError(errors.INVALID_SIDE)
    if kind is None:
        raise ApiError(errors.INVALID_ORDER_TYPE)
    if params.get("newOrderRespType", "ACK") not in RESPONSES:
        raise ApiError(errors.illegal("newOrderRespType", "^(ACK|RESULT|FULL)$"))
    force = _time_in_force(params, kind)
    _refuse_strays(params, kind)
    amount = decimal(params, "quoteOrderQty") if _by_amount(params, kind) else None
    symbol = tape.instrument.symbol
    asked = None if amount is None else exchange.spot.sized(name, symbol, Side(side), amount)
    quantity = decimal(params, "quantity") if asked is None else asked
    filters.check_quantity(tape.instrument, kind, quantity)
    price = decimal(params, "price") if kind in PRICED else None
    stop = decimal(params, "stopPrice") if kind in TRIGGERED else None
    client_id = params.get("newClientOrderId") or f"auto-{exchange.spot.accounts[name].last_id + 1}"
    if not CLIENT_ID.fullmatch(client_id):
        raise ApiError(errors.illegal("newClientOrderId", f"^{CLIENT_ID.pattern}$"))
    return Request(client_id, symbol, Side(side), kind, quantity, price, stop, time_in_force=force), amount


def _time_in_force(params: Params, kind: OrderType) -> TimeInForce:
    asked = params.get("timeInForce")
    if params["type"] == "LIMIT_MAKER":
        if asked:
            raise ApiError(_not_required("timeInForce"))
        return TimeInForce.GTX
    if kind not in PRICED:
        if asked:
            raise ApiError(_not_required("timeInForce"))
        return TimeInForce.GTC
    if not asked:
        raise ApiError(errors.missing("timeInForce"))
    if asked not in {"GTC", "IOC", "FOK"}:
        raise ApiError(errors.INVALID_TIME_IN_FORCE)
    return TimeInForce(asked)


def _refuse_strays(params: Params, kind: OrderType) -> None:
    """Raises ApiError for a parameter that the order type does not have, or that the sandbox does not serve."""
    strays = {"trailingDelta", "icebergQty"}
    strays |= set() if kind in PRICED else {"price"}
    strays |= set() if kind in TRIGGERED else {"stopPrice"}
    strays |= set() if kind is OrderType.MARKET else {"quoteOrderQty"}
    for name in sorted(strays):
        if params.get(name):
            raise ApiError(_not_required(name))


def _by_amount(params: Params, kind: OrderType) -> bool:
    if kind is not OrderType.MARKET or not params.get("quoteOrderQty"):
        return False
    if params.get("quantity"):
        raise ApiError(errors.TOO_MANY_PARAMETERS)
    return True


def _not_required(name: str) -> Denial:
    return Denial(-1106, f"Parameter '{name}' sent when not required.")


# --- cancelling --------------------------------------------------------------------------------------------


def cancel_order(exchange: Exchange, name: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = _find(exchange, name, tape, params, "orderId", "origClientOrderId", errors.UNKNOWN_ORDER)
    return _cancel(exchange, name, tape, order, params.get("newClientOrderId"))


def _cancel(exchange: Exchange, name: str, tape: Tape, order: Resting, cancel_id: str | None) -> JsonObject:
    cancel_id = cancel_id or f"cancel-{order.id}"
    if not CLIENT_ID.fullmatch(cancel_id):
        raise ApiError(errors.illegal("newClientOrderId", f"^{CLIENT_ID.pattern}$"))
    order = exchange.spot.cancel(name, order, cancel_id, exchange.event_time)
    return messages.cancel_json(exchange.spot.accounts[name], order, tape.id, cancel_id)


def cancel_all_orders(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    """Raises ApiError when nothing works there."""
    tape = exchange.tape(params.get("symbol"))
    working = exchange.spot.accounts[name].open_orders(tape.instrument.symbol)
    if not working:
        raise ApiError(errors.UNKNOWN_ORDER)
    return [_cancel(exchange, name, tape, order, None) for order in working]


def cancel_replace(exchange: Exchange, name: str, params: Params) -> JsonObject:
    """Cancel one order and send another; what became of both is told in the answer or in the refusal's data."""
    mode = params.get("cancelReplaceMode")
    if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
        raise ApiError(errors.missing("cancelReplaceMode"))
    tape = exchange.tape(params.get("symbol"))
    read_request(exchange, name, tape, params)  # a malformed order cancels nothing
    cancelled, cancel_failure = _tried(lambda: _cancel_named(exchange, name, tape, params))
    if cancel_failure is not None and mode == "STOP_ON_FAILURE":
        raise ApiError(_half_done(CANCEL_REPLACE_FAILED, cancel_failure, None, "NOT_ATTEMPTED"))
    placed, failure = _tried(lambda: new_order(exchange, name, params))
    results = [("FAILURE" if failed else "SUCCESS") for failed in (cancel_failure, failure)]
    if cancel_failure is not None and failure is not None:
        raise ApiError(_half_done(CANCEL_REPLACE_FAILED, cancel_failure, failure, "FAILURE"))
    if cancel_failure is None and failure is None:
        return {
            "cancelResult": results[0], "newOrderResult": results[1], "cancelResponse": cancelled,
            "newOrderResponse": placed,
        }  # fmt: skip
    raise ApiError(_half_done(CANCEL_REPLACE_HALF_DONE, cancel_failure or cancelled, failure or placed, results[1]))


def _cancel_named(exchange: Exchange, name: str, tape: Tape, params: Params) -> JsonObject:
    order = _find(exchange, name, tape, params, "cancelOrderId", "cancelOrigClientOrderId", errors.UNKNOWN_ORDER)
    return _cancel(exchange, name, tape, order, params.get("cancelNewClientOrderId"))


def _tried(action: Any) -> tuple[JsonObject | None, JsonObject | None]:
    """(answer, None), or (None, refusal as it is told)."""
    try:
        return action(), None
    except ApiError as error:
        return None, {"code": error.denial.code, "msg": error.denial.msg}


def _half_done(code: int, cancel: JsonObject | None, placed: JsonObject | None, result: str) -> Denial:
    is_half = code == CANCEL_REPLACE_HALF_DONE
    data = {
        "cancelResult": "FAILURE" if cancel is not None and "code" in cancel else "SUCCESS", "newOrderResult": result,
        "cancelResponse": cancel, "newOrderResponse": placed,
    }  # fmt: skip
    words = "Order cancel-replace partially failed." if is_half else "Order cancel-replace failed."
    return Denial(code, words, 409 if is_half else 400, data)


# --- asking ------------------------------------------------------------------------------------------------


def _find(
    exchange: Exchange, name: str, tape: Tape, params: Params, id_key: str, client_key: str, denial: Denial
) -> Resting:
    """The order that a request names by either id. Raises ApiError(denial)."""
    account = exchange.spot.accounts[name]
    number, client_id = integer(params, id_key), params.get(client_key)
    if number is None and not client_id:
        raise ApiError(errors.missing(id_key))
    found = account.orders.get(number if number is not None else account.ids.get(client_id or "", -1))
    if found is None or found.request.symbol != tape.instrument.symbol:
        raise ApiError(denial)
    if client_id and found.request.client_order_id != client_id:
        raise ApiError(denial)
    return found


def get_order(exchange: Exchange, name: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = _find(exchange, name, tape, params, "orderId", "origClientOrderId", errors.ORDER_NOT_FOUND)
    return messages.order_json(exchange.spot.accounts[name], order, tape.id)


def open_orders(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    account = exchange.spot.accounts[name]
    symbol = exchange.tape(params["symbol"]).instrument.symbol if params.get("symbol") else None
    working = account.open_orders(symbol)
    return [messages.order_json(account, order, exchange.tapes[order.request.symbol].id) for order in working]


def all_orders(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    tape, account = exchange.tape(params.get("symbol")), exchange.spot.accounts[name]
    orders = (order for order in account.orders.values() if order.request.symbol == tape.instrument.symbol)
    documents = [messages.order_json(account, order, tape.id) for order in orders]
    return _window(documents, params, "orderId", "orderId")


def my_trades(exchange: Exchange, name: str, params: Params) -> list[JsonObject]:
    tape, account = exchange.tape(params.get("symbol")), exchange.spot.accounts[name]
    order_id, symbol = integer(params, "orderId"), tape.instrument.symbol
    trades = (t for t in account.trades if t.symbol == symbol and order_id in (None, t.order_id))
    documents = [messages.trade_json(trade, tape.instrument, tape.id) for trade in trades]
    return _window(documents, params, "id", "fromId")


def _window(documents: list[JsonObject], params: Params, id_key: str, from_key: str) -> list[JsonObject]:
    """Documents of the asked span or from an id on; the earliest when there is a start, else the latest."""
    start, end, first_id = integer(params, "startTime"), integer(params, "endTime"), integer(params, from_key)
    limit = page(params)
    if start is not None and end is not None and end - start > DAY_MS:
        raise ApiError(TOO_LONG_SPAN)
    kept = [
        d
        for d in documents
        if (start is None or d["time"] >= start)
        and (end is None or d["time"] <= end)
        and (first_id is None or d[id_key] >= first_id)
    ]
    return kept[:limit] if start is not None or first_id is not None else kept[-limit:]


def account_information(exchange: Exchange, name: str, params: Params) -> JsonObject:
    account = exchange.spot.accounts[name]
    return messages.account_json(account, exchange.event_time, omit_zero=flag(params, "omitZeroBalances"))


def commission(exchange: Exchange, name: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    return messages.commission_json(tape.instrument, tape.id)
