"""Spot orders, trades and accounts in Binance's shapes: REST answers and user-stream events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Any

from include.domain.enums import Liquidity, OrderType, Side, TimeInForce
from include.domain.instruments import Instrument
from include.venues.matching import Execution, ExecutionType, Resting, Trade
from include.venues.matching.spot import SpotAccount, SpotBalance, SpotExecution, commission_asset
from include.venues.sandbox.messages import STATUS, JsonObject
from include.venues.sandbox.spot.filters import SELF_TRADE_PREVENTION
from include.venues.sandbox.spot.numbers import eight

ZERO = Decimal(0)
KINDS: Mapping[str, OrderType] = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT_MARKET,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}
"""The exchange's order types as the core knows them; a LIMIT_MAKER is a LIMIT that may not take."""
_NAMES = {kind: name for name, kind in KINDS.items() if name != "LIMIT_MAKER"}


def kind_of(order: Resting) -> str:
    """An order's type in the exchange's words."""
    request = order.request
    is_maker_only = request.type is OrderType.LIMIT and request.time_in_force is TimeInForce.GTX
    return "LIMIT_MAKER" if is_maker_only else _NAMES[request.type]


def time_in_force(order: Resting) -> str:
    """A LIMIT_MAKER is told as GTC."""
    return "GTC" if order.request.time_in_force is TimeInForce.GTX else order.request.time_in_force.value


# --- REST --------------------------------------------------------------------------------------------------


def order_json(account: SpotAccount, order: Resting, market_id: str) -> JsonObject:
    """Answer of GET /api/v3/order; a row of openOrders and allOrders."""
    return {
        **_common(account, order, market_id), "stopPrice": eight(order.request.stop_price or ZERO),
        "icebergQty": eight(ZERO), "time": order.created_at, "updateTime": order.updated_at,
        "isWorking": not order.is_waiting, "workingTime": _working_time(order),
    }  # fmt: skip


def _common(account: SpotAccount, order: Resting, market_id: str) -> JsonObject:
    request = order.request
    return {
        "symbol": market_id, "orderId": order.id, "orderListId": -1, "clientOrderId": request.client_order_id,
        "price": eight(request.price or ZERO), "origQty": eight(request.quantity), "executedQty": eight(order.filled),
        "origQuoteOrderQty": eight(account.quote_quantities.get(order.id, ZERO)),
        "cummulativeQuoteQty": eight(order.cost), "status": STATUS[order.status], "timeInForce": time_in_force(order),
        "type": kind_of(order), "side": request.side.value, "selfTradePreventionMode": SELF_TRADE_PREVENTION,
    }  # fmt: skip


def _working_time(order: Resting) -> int:
    return -1 if order.is_waiting else order.triggered_at or order.created_at


def acceptance_json(account: SpotAccount, order: Resting, market_id: str, detail: str) -> JsonObject:
    """Answer of POST /api/v3/order. `detail`: ACK, RESULT or FULL."""
    request = order.request
    ack = {
        "symbol": market_id, "orderId": order.id, "orderListId": -1, "clientOrderId": request.client_order_id,
        "transactTime": order.created_at,
    }  # fmt: skip
    if detail == "ACK":
        return ack
    told = {**_common(account, order, market_id), **ack, "workingTime": _working_time(order)}
    if request.stop_price is not None:
        told["stopPrice"] = eight(request.stop_price)
    if detail == "FULL":
        instrument = account.instruments[request.symbol]
        told["fills"] = [
            {"price": eight(t.price), "qty": eight(t.quantity), "commission": eight(t.fee),
             "commissionAsset": commission_asset(instrument, t.side), "tradeId": t.id}
            for t in reversed([*takewhile(lambda t: t.order_id == order.id, reversed(account.trades))])
        ]  # fmt: skip
    return told


def cancel_json(account: SpotAccount, order: Resting, market_id: str, cancel_id: str) -> JsonObject:
    """Answer of DELETE /api/v3/order."""
    return {
        **_common(account, order, market_id), "origClientOrderId": order.request.client_order_id,
        "clientOrderId": cancel_id, "transactTime": order.updated_at,
    }  # fmt: skip


def trade_json(trade: Trade, instrument: Instrument, market_id: str) -> JsonObject:
    """A row of GET /api/v3/myTrades."""
    return {
        "symbol": market_id, "id": trade.id, "orderId": trade.order_id, "orderListId": -1, "price": eight(trade.price),
        "qty": eight(trade.quantity), "quoteQty": eight(trade.quantity * trade.price), "commission": eight(trade.fee),
        "commissionAsset": commission_asset(instrument, trade.side), "time": trade.at,
        "isBuyer": trade.side is Side.BUY, "isMaker": trade.liquidity is Liquidity.MAKER, "isBestMatch": True,
    }  # fmt: skip


def account_json(account: SpotAccount, at: int, *, omit_zero: bool) -> JsonObject:
    """Answer of GET /api/v3/account."""
    instrument = next(iter(account.instruments.values()))
    maker, taker = instrument.maker_fee_rate, instrument.taker_fee_rate
    balances = [
        {"asset": asset, "free": eight(held.free), "locked": eight(held.locked)}
        for asset, held in account.balances().items()
        if held.total or not omit_zero
    ]
    return {
        "makerCommission": int(maker * 10_000), "takerCommission": int(taker * 10_000), "buyerCommission": 0,
        "sellerCommission": 0, "commissionRates": {
            "maker": eight(maker), "taker": eight(taker), "buyer": eight(ZERO), "seller": eight(ZERO)},
        "canTrade": True, "canWithdraw": False, "canDeposit": False, "brokered": False,
        "requireSelfTradePrevention": False, "preventSor": False, "updateTime": at, "accountType": "SPOT",
        "balances": balances, "permissions": ["SPOT"], "uid": 1,
    }  # fmt: skip


def commission_json(instrument: Instrument, market_id: str) -> JsonObject:
    """Answer of GET /api/v3/account/commission."""
    none = dict.fromkeys(("maker", "taker", "buyer", "seller"), eight(ZERO))
    rates = {**none, "maker": eight(instrument.maker_fee_rate), "taker": eight(instrument.taker_fee_rate)}
    discount = {
        "enabledForAccount": False, "enabledForSymbol": False, "discountAsset": "BNB", "discount": eight(ZERO),
    }  # fmt: skip
    return {
        "symbol": market_id, "standardCommission": rates, "specialCommission": none, "taxCommission": none,
        "discount": discount,
    }  # fmt: skip


# --- user stream -------------------------------------------------------------------------------------------

_TOLD_AS = {ExecutionType.TRIGGERED: "NEW"}
"""A stop that has triggered is a new order on the book."""


def user_events(
    account: SpotAccount, told: SpotExecution, market_id: str, cancel_id: str | None = None
) -> Iterable[JsonObject]:
    """What the user stream says about one execution: the order, then the balances."""
    yield execution_report(account, told.execution, market_id, cancel_id)
    yield position_event(told.balances, told.execution.at)


def execution_report(
    account: SpotAccount, execution: Execution, market_id: str, cancel_id: str | None = None
) -> JsonObject:
    order, trade, request = execution.order, execution.trade, execution.order.request
    is_cancel = execution.type is ExecutionType.CANCELED and cancel_id is not None
    told: dict[str, Any] = {
        "e": "executionReport", "E": execution.at, "s": market_id,
        "c": cancel_id if is_cancel else request.client_order_id, "S": request.side.value, "o": kind_of(order),
        "f": time_in_force(order), "q": eight(request.quantity), "p": eight(request.price or ZERO),
        "P": eight(request.stop_price or ZERO), "F": eight(ZERO), "g": -1,
        "C": request.client_order_id if is_cancel else "", "x": _TOLD_AS.get(execution.type, execution.type.value),
        "X": STATUS[order.status], "r": "NONE", "i": order.id, "l": eight(trade.quantity if trade else ZERO),
        "z": eight(order.filled), "L": eight(trade.price if trade else ZERO), "n": eight(trade.fee) if trade else "0",
        "N": commission_asset(account.instruments[request.symbol], request.side) if trade else None,
        "T": execution.at, "t": trade.id if trade else -1,
        "w": order.is_open and not order.is_waiting,
        "m": trade is not None and trade.liquidity is Liquidity.MAKER, "M": False, "O": order.created_at,
        "Z": eight(order.cost), "Y": eight(trade.quantity * trade.price if trade else ZERO),
        "Q": eight(account.quote_quantities.get(order.id, ZERO)), "V": SELF_TRADE_PREVENTION,
    }  # fmt: skip
    if not order.is_waiting:
        told["W"] = _working_time(order)
    return told


def position_event(balances: Mapping[str, SpotBalance], at: int) -> JsonObject:
    rows = [{"a": asset, "f": eight(held.free), "l": eight(held.locked)} for asset, held in balances.items()]
    return {"e": "outboundAccountPosition", "E": at, "u": at, "B": rows}


def balance_event(asset: str, amount: Decimal, at: int) -> JsonObject:
    """Money came in or went out other than by a trade."""
    return {"e": "balanceUpdate", "E": at, "a": asset, "d": eight(amount), "T": at}
