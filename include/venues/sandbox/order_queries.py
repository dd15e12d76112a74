"""Asking about orders and trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from include.venues.matching import Resting, Trade
from include.venues.sandbox import errors, messages
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import Params, integer, page
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.tape import Tape

WEEK_MS = 7 * 86_400_000
T = TypeVar("T")


def find_plain(exchange: Exchange, account: str, tape: Tape, params: Params, denial: errors.Denial) -> Resting:
    """The order a request names by either id, as the matching engine knows it. Raises ApiError(denial)."""
    state, number = exchange.accounts[account], integer(params, "orderId")
    if number is not None:
        found = state.orders.get(state.children.get(number, number))
    else:
        found = state.order(_client_id(params, "origClientOrderId", "orderId"))
    if found is None or not messages.is_plain(found) or found.request.symbol != tape.instrument.symbol:
        raise errors.ApiError(denial)
    if number not in (None, messages.order_id(found)):  # the number of a conditional order is not its child's
        raise errors.ApiError(denial)
    return found


def find_algo(exchange: Exchange, account: str, params: Params, denial: errors.Denial) -> Resting:
    """The conditional order a request names by either id. Raises ApiError(denial)."""
    state, number = exchange.accounts[account], integer(params, "algoId")
    if number is not None:
        found = state.orders.get(number - messages.ALGO_ID_BASE)
    else:
        found = state.order(_client_id(params, "clientAlgoId", "algoId"))
    if found is None or not found.request.is_conditional:
        raise errors.ApiError(denial)
    return found


def _client_id(params: Params, name: str, id_name: str) -> str:
    client_id = params.get(name)
    if not client_id:
        raise errors.ApiError(errors.missing(id_name))
    return client_id


def get_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    return messages.order_json(find_plain(exchange, account, tape, params, errors.ORDER_NOT_FOUND), tape)


def get_open_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    order = find_plain(exchange, account, tape, params, errors.ORDER_NOT_FOUND)
    if not order.is_open:
        raise errors.ApiError(errors.ORDER_NOT_FOUND)
    return messages.order_json(order, tape)


def get_algo_order(exchange: Exchange, account: str, params: Params) -> JsonObject:
    order = find_algo(exchange, account, params, errors.ORDER_NOT_FOUND)
    return messages.algo_json(order, exchange.tapes[order.request.symbol])


def open_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    working = _working(exchange, account, params)
    return [messages.order_json(o, exchange.tapes[o.request.symbol]) for o in working if messages.is_plain(o)]


def open_algo_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    working = _working(exchange, account, params)
    return [messages.algo_json(o, exchange.tapes[o.request.symbol]) for o in working if o.is_waiting]


def _working(exchange: Exchange, account: str, params: Params) -> list[Resting]:
    symbol = exchange.tape(params["symbol"]).instrument.symbol if params.get("symbol") else None
    return exchange.accounts[account].open_orders(symbol)


def all_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    plain = sorted((o for o in _orders(exchange, account, tape) if messages.is_plain(o)), key=messages.order_id)
    kept = window(
        plain, params, at=lambda o: o.triggered_at or o.created_at, number=messages.order_id, from_key="orderId"
    )
    return [messages.order_json(order, tape) for order in kept]


def all_algo_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    algo = [order for order in _orders(exchange, account, tape) if order.request.is_conditional]
    kept = window(algo, params, at=lambda o: o.created_at, number=messages.algo_id, from_key="algoId")
    return [messages.algo_json(order, tape) for order in kept]


def force_orders(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """The exchange's own orders of the account: liquidations (there is no auto-deleveraging here)."""
    if params.get("autoCloseType", "LIQUIDATION") != "LIQUIDATION":
        return []
    tapes = [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())
    closed = [o for tape in tapes for o in _orders(exchange, account, tape) if o.is_liquidation]
    kept = window(closed, params, at=lambda o: o.created_at, number=messages.order_id, from_key="orderId")
    return [messages.order_json(order, exchange.tapes[order.request.symbol]) for order in kept]


def user_trades(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    tape = exchange.tape(params.get("symbol"))
    state, order_id, symbol = exchange.accounts[account], integer(params, "orderId"), tape.instrument.symbol
    trades: Iterable[Trade] = state.trades if order_id is None else state.trades_of.get(order_id, ())
    own = [trade for trade in trades if trade.symbol == symbol]
    kept = window(own, params, at=lambda t: t.at, number=lambda t: t.id, from_key="fromId")
    return [messages.trade_json(trade, tape) for trade in kept]


def _orders(exchange: Exchange, account: str, tape: Tape) -> list[Resting]:
    symbol = tape.instrument.symbol
    return [order for order in exchange.accounts[account].orders.values() if order.request.symbol == symbol]


def window(
    rows: Sequence[T], params: Params, *, at: Callable[[T], int], number: Callable[[T], int], from_key: str
) -> Sequence[T]:
    """Rows (oldest first) inside the asked time window or from a number on: the earliest when there is a start, else
    the latest. Raises ApiError: the window is longer than a week.
    """
    start, end, first = integer(params, "startTime"), integer(params, "endTime"), integer(params, from_key)
    limit = page(params)
    if start is not None and (end or start) - start > WEEK_MS:
        raise errors.ApiError(errors.WINDOW_TOO_LONG)
    if start is not None and end is None:
        end = start + WEEK_MS
    kept = [
        row
        for row in rows
        if (start is None or at(row) >= start)
        and (end is None or at(row) <= end)
        and (first is None or number(row) >= first)
    ]
    return kept[:limit] if start is not None or first is not None else kept[-limit:]
