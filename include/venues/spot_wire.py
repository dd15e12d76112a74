"""Binance spot messages read into our values; what it shares with USD-M is in `binance_wire`.

Spot knows no positions: what an account holds of a market's base currency stands for one, without an entry price. The
exchange takes a buyer's commission in the base currency, so holdings are smaller than the sum of fills by that much.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from include.domain.enums import Side
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, OrderReport, Position
from include.domain.times import from_ms
from include.venues import binance_wire as wire
from include.venues.dialect import Json, Market, Markets, UserMessage

ACCOUNT_EVENTS = frozenset({"outboundAccountPosition", "balanceUpdate"})


def user_message(message: Any, markets: Markets) -> UserMessage | None:
    """An execution report or account event, bare or in the envelope of the websocket API; None for anything else."""
    body = message.get("event", message) if isinstance(message, dict) else None
    if not isinstance(body, dict):
        return None
    if body.get("e") in ACCOUNT_EVENTS:
        return UserMessage(int(body["E"]))
    if body.get("e") != "executionReport":
        return None
    market = markets.get(body["s"])
    return UserMessage(int(body["E"]), () if market is None else (execution_report(body, market),))


def execution_report(o: Json, market: Market) -> OrderReport:
    """An `executionReport`; a cancel carries our id in `C` and one of its own in `c`."""
    client_order_id = o["C"] if o["x"] == "CANCELED" and o.get("C") else o["c"]
    fill = None
    if o["x"] == "TRADE":
        price = Decimal(o["L"])
        fill = Fill(
            trade_id=str(o["t"]), client_order_id=client_order_id, symbol=market.symbol, side=Side(o["S"]),
            quantity=Decimal(o["l"]), price=price,
            fee=wire.quote_fee(market, Decimal(o["n"]), o["N"] or market.quote, price),
            liquidity=wire.liquidity(o["m"]), filled_at=from_ms(int(o["T"])),
        )  # fmt: skip
    return OrderReport(
        client_order_id, str(o["i"]), market.symbol, wire.ORDER_STATUS[o["X"]], Decimal(o["z"]),
        from_ms(int(o["E"])), fill, wire.reason(o),
    )  # fmt: skip


def order_answer(order: Json, market: Market) -> OrderReport:
    """An order as the order routes answer it; a cancel names our id as the original one."""
    at = order.get("updateTime") or order.get("transactTime") or order["time"]
    return OrderReport(
        order.get("origClientOrderId") or order["clientOrderId"], str(order["orderId"]), market.symbol,
        wire.ORDER_STATUS[order["status"]], Decimal(order["executedQty"]), from_ms(int(at)),
    )  # fmt: skip


def trade_answer(trade: Json, market: Market, client_order_id: str) -> Fill:
    """A row of GET myTrades, which says buyer and maker by flags."""
    price = Decimal(trade["price"])
    return Fill(
        trade_id=str(trade["id"]), client_order_id=client_order_id, symbol=market.symbol,
        side=Side.BUY if trade["isBuyer"] else Side.SELL, quantity=Decimal(trade["qty"]), price=price,
        fee=wire.quote_fee(market, Decimal(trade["commission"]), trade["commissionAsset"], price),
        liquidity=wire.liquidity(trade["isMaker"]), filled_at=from_ms(int(trade["time"])),
    )  # fmt: skip


def positions_answer(rows: Any, markets: Markets) -> list[Position]:
    """What the account holds of each connected market's base currency, free or bound by orders."""
    held = {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in rows}
    return [Position(market.symbol, held.get(market.base, Decimal(0)), Decimal(0)) for market in markets.values()]


def balances_answer(rows: Any) -> list[Balance]:
    """Entries of `balances` in GET account."""
    return [Balance(row["asset"], Decimal(row["free"]) + Decimal(row["locked"])) for row in rows]


def instrument(market: Market, fees: Any) -> Instrument:
    """A symbol of exchangeInfo with the account's commission rates. Spread and slippage are no facts of a venue."""
    tick, lot = wire.steps(market.info)
    found = wire.filters(market.info)
    smallest = found.get("NOTIONAL") or found["MIN_NOTIONAL"]
    return Instrument(
        symbol=market.symbol,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(smallest["minNotional"]),
        maker_fee_rate=Decimal(fees["standardCommission"]["maker"]),
        taker_fee_rate=Decimal(fees["standardCommission"]["taker"]),
        half_spread_bps=Decimal(0),
        slippage_bps=Decimal(0),
    )


def market_time(answer: Any) -> datetime:
    """When the newest trade of the last 24 hours was counted."""
    return from_ms(int(answer["closeTime"]))
