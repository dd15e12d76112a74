"""Bybit v5 linear perpetuals read into our values. Pure; raises like `binance_wire` when something is unreadable.

The exchange tells orders and executions on two topics. What an order has filled is taken from executions alone, so
that each fill is told once and with its price; the order topic tells everything else that happens to an order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.enums import MarginType, OrderStatus, Side
from include.domain.ids import LIQUIDATION_PREFIX
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, OrderReport, Position
from include.domain.times import from_ms
from include.venues.binance_wire import funding_payment, liquidity
from include.venues.dialect import Json, Market, MarketMessage, Markets, UserMessage

ORDER_STATUS: Mapping[str, OrderStatus] = {
    "Created": OrderStatus.ACCEPTED,
    "New": OrderStatus.ACCEPTED,
    "Untriggered": OrderStatus.ACCEPTED,
    "Triggered": OrderStatus.TRIGGERED,
    "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELED,
    "PartiallyFilledCanceled": OrderStatus.CANCELED,
    "Deactivated": OrderStatus.CANCELED,
    "Rejected": OrderStatus.REJECTED,
}
EXPIRED_REASONS = frozenset({"EC_NoImmediateQtyToFill", "EC_ReachMaxTradeNum", "EC_NoEnoughQtyToFill"})
"""Cancels that nobody asked for: the order's own time in force ended it."""
TOLD_BY_EXECUTIONS = frozenset({"PartiallyFilled", "Filled"})
TRADES = frozenset({"Trade", "AdlTrade", "BustTrade"})
LIQUIDATION = "BustTrade"
FUNDING = "Funding"


def market_message(message: Any, markets: Markets) -> MarketMessage | None:
    """A kline message with the bars that are confirmed; None for anything else."""
    topic = message.get("topic") if isinstance(message, dict) else None
    if not isinstance(topic, str) or not topic.startswith("kline."):
        return None
    market = markets.get(topic.rpartition(".")[2])
    rows = [row for row in message["data"] if row["confirm"]] if market is not None else []
    bars = tuple(_bar(market.symbol, row["start"], row) for row in rows) if market is not None else ()
    return MarketMessage(int(message["ts"]), bars)


def user_message(message: Any, markets: Markets) -> UserMessage | None:
    """An order or execution message; None for anything else."""
    topic = message.get("topic") if isinstance(message, dict) else None
    if topic not in {"order", "execution", "wallet", "position"}:
        return None
    event_ms = int(message["creationTime"])
    read: list[OrderReport | FundingPayment] = []
    if topic == "execution":
        rows = [row for row in message["data"] if row["symbol"] in markets]
        read += [execution(row, markets[row["symbol"]]) for row in rows if row["execType"] in TRADES]
        read += [funding_answer(row, markets[row["symbol"]]) for row in rows if row["execType"] == FUNDING]
    elif topic == "order":
        rows = [row for row in message["data"] if row["orderStatus"] not in TOLD_BY_EXECUTIONS]
        read += [order_answer(row, markets[row["symbol"]]) for row in rows if row["symbol"] in markets]
    return UserMessage(event_ms, tuple(read))


def kline_row(row: Sequence[Any], symbol: str) -> Bar:
    """A row of GET kline."""
    return Bar(symbol, from_ms(int(row[0])), *(Decimal(value) for value in row[1:6]))


def _bar(symbol: str, start: int, row: Json) -> Bar:
    values = (Decimal(row[name]) for name in ("open", "high", "low", "close", "volume"))
    return Bar(symbol, from_ms(int(start)), *values)


def order_answer(order: Json, market: Market) -> OrderReport:
    """An order as routes and the order topic tell it."""
    status, why = ORDER_STATUS[order["orderStatus"]], str(order.get("rejectReason") or "")
    if status is OrderStatus.CANCELED and str(order.get("cancelType") or "") == "CancelByReduceOnly":
        status = OrderStatus.EXPIRED
    if status is OrderStatus.CANCELED and why in EXPIRED_REASONS:
        status = OrderStatus.EXPIRED
    return OrderReport(
        order["orderLinkId"], order["orderId"], market.symbol, status, Decimal(order["cumExecQty"] or "0"),
        from_ms(int(order["updatedTime"])), None, "" if why in {"", "EC_NoError"} else why,
    )  # fmt: skip


def execution(row: Json, market: Market) -> OrderReport:
    """A row of the execution topic: a fill, and where it leaves its order."""
    filled = Decimal(row["orderQty"]) - Decimal(row["leavesQty"])
    status = OrderStatus.PARTIALLY_FILLED if Decimal(row["leavesQty"]) else OrderStatus.FILLED
    fill = trade_answer(row, market, client_id(row))
    return OrderReport(fill.client_order_id, row["orderId"], market.symbol, status, filled, fill.filled_at, fill)


def trade_answer(trade: Json, market: Market, client_order_id: str) -> Fill:
    """An execution; fees of linear perpetuals are in the settlement currency."""
    return Fill(
        trade_id=trade["execId"], client_order_id=client_order_id, symbol=market.symbol,
        side=Side(trade["side"].upper()), quantity=Decimal(trade["execQty"]), price=Decimal(trade["execPrice"]),
        fee=Decimal(trade["execFee"]), liquidity=liquidity(trade["isMaker"]),
        filled_at=from_ms(int(trade["execTime"])),
    )  # fmt: skip


def client_id(trade: Json) -> str:
    """Our id of an execution's order; the exchange's own order that closes a position gets Binance's name for it."""
    if trade["execType"] == LIQUIDATION:
        return LIQUIDATION_PREFIX + str(trade["orderId"])
    return str(trade["orderLinkId"])


def is_trade(row: Json) -> bool:
    return row["execType"] in TRADES


def funding_answer(row: Json, market: Market) -> FundingPayment:
    """An execution of type Funding; its fee is what was paid."""
    return funding_payment(market, -Decimal(row["execFee"]), int(row["execTime"]))


def positions_answer(rows: Any, markets: Markets) -> list[Position]:
    """Rows of GET position/list; the side is told apart from the size."""
    found = []
    for row in rows:
        market = markets.get(row["symbol"])
        if market is not None:
            sign = -1 if row["side"] == "Sell" else 1
            found.append(Position(market.symbol, sign * Decimal(row["size"]), Decimal(row["avgPrice"] or "0")))
    return found


def balances_answer(rows: Any) -> list[Balance]:
    """Coins of the unified account."""
    return [Balance(coin["coin"], Decimal(coin["walletBalance"])) for row in rows for coin in row["coin"]]


def instrument(market: Market, fees: Any) -> Instrument:
    """A row of GET instruments-info with the account's fee rates. Spread and slippage are no facts of a venue."""
    tick, lot = steps(market.info)
    rates = next(row for row in fees if row["symbol"] == market.id) if len(fees) > 1 else fees[0]
    return Instrument(
        symbol=market.symbol,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(market.info["lotSizeFilter"]["minNotionalValue"]),
        maker_fee_rate=Decimal(rates["makerFeeRate"]),
        taker_fee_rate=Decimal(rates["takerFeeRate"]),
        half_spread_bps=Decimal(0),
        slippage_bps=Decimal(0),
    )


def steps(info: Json) -> tuple[Decimal, Decimal]:
    """Tick and lot of a row of GET instruments-info."""
    return Decimal(info["priceFilter"]["tickSize"]), Decimal(info["lotSizeFilter"]["qtyStep"])


def clock(answer: Any) -> datetime:
    """`time` that every answer of v5 carries."""
    return from_ms(int(answer["time"]))


def permissions(answer: Json) -> tuple[bool, bool]:
    """GET query-api: (may trade, may withdraw)."""
    rights = answer["result"]["permissions"]
    trades = not int(answer["result"]["readOnly"]) and bool(rights["ContractTrade"])
    return trades, "Withdraw" in rights["Wallet"]


def is_hedged(rows: Any) -> bool:
    """GET position/list of one symbol: two entries with an index where positions have sides."""
    return any(int(row["positionIdx"]) for row in rows)


def leverage(rows: Any) -> int:
    """GET position/list of one symbol."""
    return int(Decimal(rows[0]["leverage"]))


def margin_type(answer: Any) -> MarginType:
    """GET account/info: the unified account has one margin mode for everything."""
    return MarginType.ISOLATED if answer["result"]["marginMode"] == "ISOLATED_MARGIN" else MarginType.CROSSED
