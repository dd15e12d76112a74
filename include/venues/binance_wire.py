"""Binance USD-M messages read into our values, and what spot has in common with them.

Pure; a field that is missing or unreadable raises KeyError, ValueError, TypeError or ArithmeticError, and the caller
decides what an unreadable answer means there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.enums import Liquidity, MarginType, OrderStatus, Side
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, OrderReport, Position
from include.domain.times import from_ms
from include.venues.dialect import Json, Market, MarketMessage, Markets, UserMessage

USER_EVENTS = frozenset({"ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE"})

ORDER_STATUS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
_WINDOW_SECS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400}
_LIMIT_HEADERS = {"REQUEST_WEIGHT": "x-mbx-used-weight", "ORDERS": "x-mbx-order-count"}
ALGO_STATUS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.ACCEPTED,
    "TRIGGERING": OrderStatus.TRIGGERED,
    "TRIGGERED": OrderStatus.TRIGGERED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
"""A conditional order that has triggered goes on as an order of its own, whose events tell the rest."""
ALGO_FINISHED = "FINISHED"
PLAIN_TYPES = frozenset({"MARKET", "LIMIT"})
FILLS = frozenset({"TRADE", "CALCULATED"})
"""Execution types that carry a fill; the second is the exchange's own closing of a position."""
HOUR_MS = 3_600_000


def market_message(message: Any, markets: Markets) -> MarketMessage | None:
    """A kline event, with its bar if that is finished (`x`); None for anything else."""
    if not isinstance(message, dict) or message.get("e") != "kline":
        return None
    k = message["k"]
    market = markets.get(k["s"])
    bars = (kline_event(k, market.symbol),) if k["x"] and market is not None else ()
    return MarketMessage(int(message["E"]), bars)


def user_message(message: Any, markets: Markets) -> UserMessage | None:
    """An order or account event; balances and positions are asked for when needed. None for anything else."""
    if not isinstance(message, dict) or message.get("e") not in USER_EVENTS:
        return None
    event_ms = int(message["E"])
    if message["e"] == "ACCOUNT_UPDATE":
        return UserMessage(event_ms, funding_update(message, markets))
    body = message["o"]
    market = markets.get(body["s"])
    if market is None:
        return UserMessage(event_ms)
    read = order_update if message["e"] == "ORDER_TRADE_UPDATE" else algo_update
    report = read(body, event_ms, market)
    return UserMessage(event_ms, () if report is None else (report,))


def funding_update(message: Json, markets: Markets) -> tuple[FundingPayment, ...]:
    """The payment of an ACCOUNT_UPDATE that tells one. Under isolated margin it names the position; where it does not,
    nothing is told, and reconciliation asks."""
    account = message["a"]
    positions, balances = account.get("P") or [], account.get("B") or []
    if account["m"] != "FUNDING_FEE" or len(positions) != 1 or len(balances) != 1:
        return ()
    market = markets.get(positions[0]["s"])
    at = int(message["T"])
    return () if market is None else (funding_payment(market, Decimal(balances[0]["bc"]), at),)


def funding_answer(row: Json, market: Market) -> FundingPayment:
    """A row of GET income."""
    return funding_payment(market, Decimal(row["income"]), int(row["time"]))


def funding_payment(market: Market, amount: Decimal, at_ms: int) -> FundingPayment:
    """Streams and routes share no id for a payment, but there is at most one in an hour."""
    return FundingPayment(str(at_ms // HOUR_MS), market.symbol, amount, from_ms(at_ms))


def kline_event(k: Json, symbol: str) -> Bar:
    """The `k` object of a kline event."""
    return Bar(
        symbol, from_ms(k["t"]), Decimal(k["o"]), Decimal(k["h"]), Decimal(k["l"]), Decimal(k["c"]), Decimal(k["v"])
    )


def kline_row(row: Sequence[Any], symbol: str) -> Bar:
    """A row of GET klines."""
    return Bar(symbol, from_ms(row[0]), *(Decimal(value) for value in row[1:6]))


def order_update(o: Json, event_ms: int, market: Market) -> OrderReport:
    """The `o` object of an ORDER_TRADE_UPDATE."""
    fill = None
    if o["x"] in FILLS:
        fill = Fill(
            trade_id=str(o["t"]), client_order_id=o["c"], symbol=market.symbol, side=Side(o["S"]),
            quantity=Decimal(o["l"]), price=Decimal(o["L"]),
            fee=quote_fee(market, Decimal(o.get("n") or "0"), o.get("N") or market.quote, Decimal(o["L"])),
            liquidity=liquidity(o["m"]), filled_at=from_ms(o["T"]),
        )  # fmt: skip
    return OrderReport(
        o["c"], str(o["i"]), market.symbol, order_status(o["X"], o.get("ot")), Decimal(o["z"]), from_ms(event_ms), fill,
        reason(o),
    )  # fmt: skip


def algo_update(o: Json, event_ms: int, market: Market) -> OrderReport | None:
    """The `o` object of an ALGO_UPDATE; None once its order has taken over."""
    if o["X"] == ALGO_FINISHED:
        return None
    status = ALGO_STATUS[o["X"]]
    return OrderReport(
        o["caid"], str(o["aid"]), market.symbol, status, Decimal(0), from_ms(event_ms), None, str(o.get("rm") or "")
    )


def order_answer(order: Json, market: Market) -> OrderReport:
    """An order as the order routes answer it."""
    status = order_status(order["status"], order.get("origType"))
    return OrderReport(
        order["clientOrderId"], str(order["orderId"]), market.symbol, status, Decimal(order["executedQty"]),
        from_ms(int(order["updateTime"])),
    )  # fmt: skip


def order_status(raw: str, original_type: str | None) -> OrderStatus:
    """Status of an order of the book. One that was conditional is there only once it has triggered."""
    if raw == "NEW" and original_type is not None and original_type not in PLAIN_TYPES:
        return OrderStatus.TRIGGERED
    return ORDER_STATUS[raw]


def algo_answer(order: Json, market: Market) -> OrderReport:
    """A conditional order as the algo routes answer it."""
    filled, asked = Decimal(order.get("actualQty") or "0"), Decimal(order["quantity"])
    raw = order["algoStatus"]
    if raw == ALGO_FINISHED:
        status = OrderStatus.FILLED if filled == asked else OrderStatus.EXPIRED
    else:
        status = ALGO_STATUS[raw]
    venue_order_id = str(order.get("actualOrderId") or order["algoId"])
    at = from_ms(int(order["updateTime"]))
    return OrderReport(order["clientAlgoId"], venue_order_id, market.symbol, status, filled, at)


def trade_answer(trade: Json, market: Market, client_order_id: str) -> Fill:
    """A row of GET userTrades; it names the order by the exchange's id only, so our id comes in beside it."""
    price = Decimal(trade["price"])
    return Fill(
        trade_id=str(trade["id"]), client_order_id=client_order_id, symbol=market.symbol, side=Side(trade["side"]),
        quantity=Decimal(trade["qty"]), price=price,
        fee=quote_fee(market, Decimal(trade["commission"]), trade.get("commissionAsset") or market.quote, price),
        liquidity=liquidity(trade["maker"]), filled_at=from_ms(int(trade["time"])),
    )  # fmt: skip


def positions_answer(rows: Any, markets: Markets) -> list[Position]:
    """Rows of GET positionRisk for the connected markets; flat ones included."""
    return [
        Position(market.symbol, Decimal(row["positionAmt"]), Decimal(row["entryPrice"]))
        for row in rows
        if (market := markets.get(row["symbol"])) is not None
    ]


def balances_answer(rows: Any) -> list[Balance]:
    """Entries of `assets` in GET account."""
    return [Balance(asset["asset"], Decimal(asset["walletBalance"])) for asset in rows]


def instrument(market: Market, fees: Any) -> Instrument:
    """A symbol of exchangeInfo with the account's commission rates.

    Spread and slippage are assumptions of the fill rule, not facts of a venue: zero here.
    """
    tick, lot = steps(market.info)
    return Instrument(
        symbol=market.symbol,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(filters(market.info)["MIN_NOTIONAL"]["notional"]),
        maker_fee_rate=Decimal(fees["makerCommissionRate"]),
        taker_fee_rate=Decimal(fees["takerCommissionRate"]),
        half_spread_bps=Decimal(0),
        slippage_bps=Decimal(0),
    )


def filters(info: Json) -> Mapping[str, Any]:
    """A symbol's filters by type."""
    return {entry["filterType"]: entry for entry in info["filters"]}


def steps(info: Json) -> tuple[Decimal, Decimal]:
    """Tick and lot of a symbol of exchangeInfo."""
    found = filters(info)
    return Decimal(found["PRICE_FILTER"]["tickSize"]), Decimal(found["LOT_SIZE"]["stepSize"])


def market_time(answer: Any) -> datetime:
    """`time` of an answer, as GET time and GET premiumIndex have it."""
    return from_ms(int(answer["time"]))


def clock(answer: Any) -> datetime:
    """GET time."""
    return from_ms(int(answer["serverTime"]))


def permissions(answer: Json) -> tuple[bool, bool]:
    """GET apiRestrictions: (may trade contracts or spot, may withdraw)."""
    trades = bool(answer["enableFutures"]) or bool(answer["enableSpotAndMarginTrading"])
    return trades, bool(answer["enableWithdrawals"])


def is_hedged(answer: Any) -> bool:
    """GET positionSide/dual."""
    found = answer["dualSidePosition"]
    return found is True or str(found).lower() == "true"


def margin_type(rows: Any) -> MarginType:
    """GET symbolConfig of one symbol."""
    return MarginType(rows[0]["marginType"].upper())


def leverage(rows: Any) -> int:
    """GET symbolConfig of one symbol."""
    return int(rows[0]["leverage"])


def quote_fee(market: Market, amount: Decimal, currency: str, price: Decimal) -> Decimal:
    """A commission in quote currency.

    Raises:
        ValueError: it was taken in a third currency (a discount token); what that is worth is not in the message.
    """
    if currency == market.quote:
        return amount
    if currency == market.base:
        return amount * price
    raise ValueError(f"commission in {currency}; switch off paying fees in a discount token")


def liquidity(is_maker: bool) -> Liquidity:
    return Liquidity.MAKER if is_maker else Liquidity.TAKER


def reason(o: Json) -> str:
    """Why an order was refused or ended, in the exchange's word; empty for no reason."""
    found = str(o.get("r") or "")
    return "" if found == "NONE" else found


def stated_limits(answer: Json) -> Mapping[str, tuple[int, int]]:
    """`rateLimits` of exchangeInfo as (limit, window in seconds) by the header that tells the use."""
    return {
        f"{_LIMIT_HEADERS[row['rateLimitType']]}-{row['intervalNum']}{row['interval'][0].lower()}": (
            int(row["limit"]),
            int(row["intervalNum"]) * _WINDOW_SECS[row["interval"]],
        )
        for row in answer["rateLimits"]
        if row["rateLimitType"] in _LIMIT_HEADERS and int(row["limit"]) > 0
    }
