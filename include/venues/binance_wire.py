"""Binance USD-M messages read into our values. Pure; strict on every field it uses, tolerant of additions.

A field that is missing or unreadable raises KeyError, ValueError or ArithmeticError; the caller decides what an
unreadable answer means there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.enums import Liquidity, OrderStatus, Side
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, OrderReport, Position
from include.domain.times import from_ms

Json = Mapping[str, Any]

ORDER_STATUS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
ALGO_STATUS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.ACCEPTED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
"""A conditional order that has triggered goes on as an order of its own, whose events tell the rest."""
ALGO_TRIGGERED = frozenset({"TRIGGERING", "TRIGGERED", "FINISHED"})


def kline_event(k: Json, symbol: str) -> Bar:
    """The `k` object of a kline event."""
    return Bar(
        symbol, from_ms(k["t"]), Decimal(k["o"]), Decimal(k["h"]), Decimal(k["l"]), Decimal(k["c"]), Decimal(k["v"])
    )


def kline_row(row: Sequence[Any], symbol: str) -> Bar:
    """A row of GET klines."""
    return Bar(symbol, from_ms(row[0]), *(Decimal(value) for value in row[1:6]))


def order_update(o: Json, event_ms: int, symbol: str) -> OrderReport:
    """The `o` object of an ORDER_TRADE_UPDATE."""
    fill = None
    if o["x"] == "TRADE":
        fill = Fill(
            trade_id=str(o["t"]), client_order_id=o["c"], symbol=symbol, side=Side(o["S"]),
            quantity=Decimal(o["l"]), price=Decimal(o["L"]), fee=Decimal(o.get("n", "0")),
            liquidity=_liquidity(o["m"]), filled_at=from_ms(o["T"]),
        )  # fmt: skip
    return OrderReport(
        o["c"], str(o["i"]), symbol, ORDER_STATUS[o["X"]], Decimal(o["z"]), from_ms(event_ms), fill, _reason(o)
    )


def algo_update(o: Json, event_ms: int, symbol: str) -> OrderReport | None:
    """The `o` object of an ALGO_UPDATE; None once it has triggered."""
    if o["X"] in ALGO_TRIGGERED:
        return None
    status = ALGO_STATUS[o["X"]]
    return OrderReport(
        o["caid"], str(o["aid"]), symbol, status, Decimal(0), from_ms(event_ms), None, str(o.get("rm") or "")
    )


def order_answer(order: Json, symbol: str) -> OrderReport:
    """An order as the order routes answer it."""
    return OrderReport(
        order["clientOrderId"], str(order["orderId"]), symbol, ORDER_STATUS[order["status"]],
        Decimal(order["executedQty"]), from_ms(int(order["updateTime"])),
    )  # fmt: skip


def algo_answer(order: Json, symbol: str) -> OrderReport:
    """A conditional order as the algo routes answer it."""
    filled, asked = Decimal(order.get("actualQty") or "0"), Decimal(order["quantity"])
    raw = order["algoStatus"]
    if raw == "FINISHED":
        status = OrderStatus.FILLED if filled == asked else OrderStatus.EXPIRED
    else:
        status = OrderStatus.ACCEPTED if raw in ALGO_TRIGGERED else ALGO_STATUS[raw]
    venue_order_id = str(order.get("actualOrderId") or order["algoId"])
    at = from_ms(int(order["updateTime"]))
    return OrderReport(order["clientAlgoId"], venue_order_id, symbol, status, filled, at)


def trade_answer(trade: Json, symbol: str, client_order_id: str) -> Fill:
    """A row of GET userTrades; it names the order by the exchange's id only, so our id comes in beside it."""
    return Fill(
        trade_id=str(trade["id"]), client_order_id=client_order_id, symbol=symbol, side=Side(trade["side"]),
        quantity=Decimal(trade["qty"]), price=Decimal(trade["price"]), fee=Decimal(trade["commission"]),
        liquidity=_liquidity(trade["maker"]), filled_at=from_ms(int(trade["time"])),
    )  # fmt: skip


def position_answer(position: Json, symbol: str) -> Position:
    """A row of GET positionRisk."""
    return Position(symbol, Decimal(position["positionAmt"]), Decimal(position["entryPrice"]))


def balance_answer(asset: Json) -> Balance:
    """An entry of `assets` in GET account."""
    return Balance(asset["asset"], Decimal(asset["walletBalance"]))


def instrument(market: Json, symbol: str, fees: Json) -> Instrument:
    """A symbol of exchangeInfo with the account's commission rates.

    Spread and slippage are assumptions of the fill rule, not facts of a venue: zero here.
    """
    filters = {entry["filterType"]: entry for entry in market["filters"]}
    return Instrument(
        symbol=symbol,
        tick_size=Decimal(filters["PRICE_FILTER"]["tickSize"]),
        lot_size=Decimal(filters["LOT_SIZE"]["stepSize"]),
        min_notional=Decimal(filters["MIN_NOTIONAL"]["notional"]),
        maker_fee_rate=Decimal(fees["makerCommissionRate"]),
        taker_fee_rate=Decimal(fees["takerCommissionRate"]),
        half_spread_bps=Decimal(0),
        slippage_bps=Decimal(0),
    )


def is_multiple(value: Decimal, step: str) -> bool:
    """Whether a quantity or price lies on the exchange's grid."""
    return not value % Decimal(step)


def _liquidity(is_maker: bool) -> Liquidity:
    return Liquidity.MAKER if is_maker else Liquidity.TAKER


def _reason(o: Json) -> str:
    reason = str(o.get("r") or "")
    return "" if reason == "NONE" else reason
