"""Orders and trades in the shapes of Binance USD-M, as REST answers tell them.

A conditional order lives in the exchange's algo service (`algoId`, ALGO_UPDATE). When it triggers, it becomes a market
or limit order with an id of its own that carries the same client id.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from include.domain.enums import Liquidity, OrderStatus, OrderType
from include.venues.matching import Request, Resting, Trade
from include.venues.sandbox.filters import text
from include.venues.sandbox.tape import Tape

JsonObject = dict[str, Any]

ZERO = Decimal(0)
STATUS = {
    OrderStatus.ACCEPTED: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP_MARKET: "STOP_MARKET",
    OrderType.STOP_LIMIT: "STOP",
    OrderType.TAKE_PROFIT_MARKET: "TAKE_PROFIT_MARKET",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
    OrderType.TRAILING_STOP_MARKET: "TRAILING_STOP_MARKET",
}
"""The exchange's names of the order types."""
LIQUIDATION = "LIQUIDATION"
GOOD_TILL_DATE = "GTD"
ALGO_ID_BASE = 1_000_000_000_000_000
"""Algo ids and order ids are two number spaces; a client that mixes them up shall notice."""


def algo_id(order: Resting) -> int:
    return ALGO_ID_BASE + order.id


def order_id(order: Resting) -> int:
    """Id of an order in the matching engine: of a conditional one that of what it has become."""
    return order.triggered_id or order.id


def is_plain(order: Resting) -> bool:
    """Whether the matching engine knows the order: all but the conditional ones that have not triggered."""
    return order.triggered_id is not None or not order.request.is_conditional


def type_text(order: Resting) -> str:
    """Type of an order in the matching engine."""
    if order.is_liquidation:
        return LIQUIDATION
    return (OrderType.MARKET if order.request.price is None else OrderType.LIMIT).value


def original_type_text(order: Resting) -> str:
    return LIQUIDATION if order.is_liquidation else TYPES[order.request.type]


def time_in_force_text(request: Request) -> str:
    return request.time_in_force.value if request.good_till is None else GOOD_TILL_DATE


def average_text(order: Resting, tape: Tape) -> str:
    """Average fill price: on the tick as a price, between ticks to eight decimals."""
    average = order.average_price
    return format(average, ".8f") if average % tape.instrument.tick_size else tape.price_text(average)


def callback_text(request: Request) -> str:
    """Distance of a trailing stop in percent."""
    return "" if request.callback is None else text(request.callback * 100)


def order_json(order: Resting, tape: Tape) -> JsonObject:
    """An order of the matching engine as REST tells it; a triggered one is told as the order that it became."""
    request = order.request
    filled = tape.quantity_text(order.filled)
    return {
        "orderId": order_id(order), "symbol": tape.id, "status": STATUS[order.status],
        "clientOrderId": request.client_order_id, "price": tape.price_text(request.price or ZERO),
        "avgPrice": average_text(order, tape), "origQty": tape.quantity_text(request.quantity),
        "executedQty": filled, "cumQty": filled, "cumQuote": text(order.cost),
        "timeInForce": time_in_force_text(request), "type": type_text(order), "reduceOnly": request.reduce_only,
        "closePosition": request.close_position, "side": request.side.value,
        "positionSide": request.position_side.value, "stopPrice": tape.price_text(request.stop_price or ZERO),
        "workingType": "CONTRACT_PRICE", "priceProtect": False, "origType": original_type_text(order),
        "priceMatch": "NONE", "selfTradePreventionMode": "EXPIRE_MAKER", "goodTillDate": request.good_till or 0,
        "time": order.triggered_at or order.created_at, "updateTime": order.updated_at,
    }  # fmt: skip


def algo_status(order: Resting) -> str:
    """Status of a conditional order in the algo service."""
    if order.triggered_id is not None:
        return "TRIGGERED" if order.is_open else "FINISHED"
    return STATUS[order.status]


def algo_json(order: Resting, tape: Tape) -> JsonObject:
    """A conditional order as the algo endpoints tell it."""
    request = order.request
    triggered = order.triggered_id is not None
    trailing = {}
    if request.callback is not None:
        activation = "" if request.activation is None else tape.price_text(request.activation)
        trailing = {"callbackRate": callback_text(request), "activatePrice": activation}
    return {
        "algoId": algo_id(order), "clientAlgoId": request.client_order_id, "algoType": "CONDITIONAL",
        "orderType": TYPES[request.type], "symbol": tape.id, "side": request.side.value,
        "positionSide": request.position_side.value, "timeInForce": time_in_force_text(request),
        "quantity": tape.quantity_text(request.quantity), "algoStatus": algo_status(order),
        "actualOrderId": str(order.triggered_id) if triggered else "", "actualPrice": average_text(order, tape),
        "actualQty": tape.quantity_text(order.filled), "actualType": type_text(order) if triggered else "",
        "triggerPrice": tape.price_text(request.stop_price or ZERO), "price": tape.price_text(request.price or ZERO),
        "icebergQuantity": None, "tpOrderType": "", "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "CONTRACT_PRICE", "priceMatch": "NONE", "closePosition": request.close_position,
        "priceProtect": False, "reduceOnly": request.reduce_only, "createTime": order.created_at,
        "updateTime": order.updated_at, "triggerTime": order.triggered_at or 0,
        "goodTillDate": request.good_till or 0, **trailing,
    }  # fmt: skip


def trade_json(trade: Trade, tape: Tape) -> JsonObject:
    """A fill as GET /fapi/v1/userTrades tells it. The commission of a liquidation holds the liquidation fee."""
    quote = tape.instrument.quote
    return {
        "symbol": tape.id, "id": trade.id, "orderId": trade.order_id, "side": trade.side.value,
        "price": tape.price_text(trade.price), "qty": tape.quantity_text(trade.quantity),
        "realizedPnl": text(trade.realised), "marginAsset": quote, "quoteQty": text(trade.quantity * trade.price),
        "commission": text(trade.fee), "commissionAsset": quote, "time": trade.at,
        "positionSide": trade.position_side.value, "buyer": trade.side.sign > 0,
        "maker": trade.liquidity is Liquidity.MAKER,
    }  # fmt: skip
