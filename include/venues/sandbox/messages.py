"""Orders, trades and accounts in the shapes of Binance USD-M: REST answers and user-stream events.

A STOP_MARKET order lives in the exchange's algo service (`algoId`, ALGO_UPDATE). When it triggers, it becomes a market
order with an id of its own that carries the same client id; the events come in the order in which Binance sends them:
the child order and its fill (ORDER_TRADE_UPDATE), the account (ACCOUNT_UPDATE), then the algo order's own end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from include.domain.enums import Liquidity, OrderStatus, OrderType
from include.venues.matching import Account, Execution, ExecutionType, Resting, Trade
from include.venues.sandbox.filters import text
from include.venues.sandbox.tape import Tape

JsonObject = dict[str, Any]

STATUS = {
    OrderStatus.ACCEPTED: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
ALGO_ID_BASE = 1_000_000_000_000_000
"""Algo ids and order ids are two number spaces; a client that mixes them up shall notice."""


def is_algo(order: Resting) -> bool:
    """Whether the order lives in the algo service."""
    return order.request.type is OrderType.STOP_MARKET


def algo_id(order: Resting) -> int:
    return ALGO_ID_BASE + order.id


def order_json(order: Resting, tape: Tape) -> JsonObject:
    """A plain order as REST tells it; a triggered stop is told as the market order that it became."""
    request = order.request
    kind = OrderType.MARKET if is_algo(order) else request.type
    limit = request.level if request.type is OrderType.LIMIT and request.level is not None else Decimal(0)
    quote = text(order.filled * order.average_price)
    filled = tape.quantity_text(order.filled)
    return {
        "orderId": order.triggered_id or order.id, "symbol": tape.id, "status": STATUS[order.status],
        "clientOrderId": request.client_order_id, "price": tape.price_text(limit),
        "avgPrice": tape.price_text(order.average_price), "origQty": tape.quantity_text(request.quantity),
        "executedQty": filled, "cumQty": filled, "cumQuote": quote, "timeInForce": request.time_in_force.value,
        "type": kind.value, "reduceOnly": request.reduce_only, "closePosition": False, "side": request.side.value,
        "positionSide": "BOTH", "stopPrice": tape.price_text(Decimal(0)), "workingType": "CONTRACT_PRICE",
        "priceProtect": False, "origType": kind.value, "priceMatch": "NONE", "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0, "time": order.triggered_at or order.created_at, "updateTime": order.updated_at,
    }  # fmt: skip


def algo_status(order: Resting) -> str:
    """Status of a conditional order in the algo service."""
    if order.triggered_id is not None:
        return "FINISHED"
    return STATUS[order.status]


def algo_json(order: Resting, tape: Tape) -> JsonObject:
    """A conditional order as the algo endpoints tell it."""
    request = order.request
    triggered = order.triggered_id is not None
    return {
        "algoId": algo_id(order), "clientAlgoId": request.client_order_id, "algoType": "CONDITIONAL",
        "orderType": request.type.value, "symbol": tape.id, "side": request.side.value, "positionSide": "BOTH",
        "timeInForce": request.time_in_force.value, "quantity": tape.quantity_text(request.quantity),
        "algoStatus": algo_status(order), "actualOrderId": str(order.triggered_id) if triggered else "",
        "actualPrice": tape.price_text(order.average_price), "actualQty": tape.quantity_text(order.filled),
        "actualType": "MARKET" if triggered else "", "triggerPrice": tape.price_text(request.level or Decimal(0)),
        "price": tape.price_text(Decimal(0)), "icebergQuantity": None, "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER", "workingType": "CONTRACT_PRICE", "priceMatch": "NONE",
        "closePosition": False, "priceProtect": False, "reduceOnly": request.reduce_only,
        "createTime": order.created_at, "updateTime": order.updated_at, "triggerTime": order.triggered_at or 0,
        "goodTillDate": 0,
    }  # fmt: skip


def trade_json(trade: Trade, tape: Tape) -> JsonObject:
    """A fill as GET /fapi/v1/userTrades tells it."""
    quote = tape.instrument.quote
    return {
        "symbol": tape.id, "id": trade.id, "orderId": trade.order_id, "side": trade.side.value,
        "price": tape.price_text(trade.price), "qty": tape.quantity_text(trade.quantity),
        "realizedPnl": text(trade.realised), "marginAsset": quote, "quoteQty": text(trade.quantity * trade.price),
        "commission": text(trade.fee), "commissionAsset": quote, "time": trade.at, "positionSide": "BOTH",
        "buyer": trade.side.sign > 0, "maker": trade.liquidity is Liquidity.MAKER,
    }  # fmt: skip


def position_json(account: Account, tape: Tape, updated_at: int) -> JsonObject:
    """A position as GET /fapi/v3/positionRisk tells it, with the fields that v2 had besides."""
    symbol = tape.instrument.symbol
    holding = account.holding(symbol)
    mark = account.mark(symbol) or Decimal(0)
    margin = text(account.position_margin(symbol))
    return {
        "symbol": tape.id, "positionSide": "BOTH", "positionAmt": tape.quantity_text(holding.quantity),
        "entryPrice": text(holding.entry_price), "breakEvenPrice": text(holding.entry_price),
        "markPrice": tape.price_text(mark), "unRealizedProfit": text(account.unrealised(symbol)),
        "liquidationPrice": "0", "isolatedMargin": "0", "notional": text(holding.quantity * mark),
        "marginAsset": tape.instrument.quote, "isolatedWallet": "0", "initialMargin": margin, "maintMargin": "0",
        "positionInitialMargin": margin, "openOrderInitialMargin": text(account.order_margin(symbol)), "adl": 0,
        "bidNotional": "0", "askNotional": "0", "updateTime": updated_at,
        "leverage": str(account.leverage[symbol]), "maxNotionalValue": "1000000000", "marginType": "cross",
        "isAutoAddMargin": "false", "isolated": False, "adlQuantile": 0,
    }  # fmt: skip


def account_json(account: Account, tapes: Sequence[Tape], updated_at: int) -> JsonObject:
    """Answer of GET /fapi/v2|v3/account."""
    symbols = [tape.instrument.symbol for tape in tapes]
    unrealised = text(sum((account.unrealised(s) for s in symbols), Decimal(0)))
    position_margin = sum((account.position_margin(s) for s in symbols), Decimal(0))
    order_margin = sum((account.order_margin(s) for s in symbols), Decimal(0))
    initial, wallet, equity = text(position_margin + order_margin), text(account.wallet), text(account.equity)
    available = text(max(Decimal(0), account.available))
    asset = {
        "asset": tapes[0].instrument.quote, "walletBalance": wallet, "unrealizedProfit": unrealised,
        "marginBalance": equity, "maintMargin": "0", "initialMargin": initial,
        "positionInitialMargin": text(position_margin), "openOrderInitialMargin": text(order_margin),
        "crossWalletBalance": wallet, "crossUnPnl": unrealised, "availableBalance": available,
        "maxWithdrawAmount": available, "marginAvailable": True, "updateTime": updated_at,
    }  # fmt: skip
    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False, "updateTime": 0,
        "multiAssetsMargin": False, "tradeGroupId": -1, "totalInitialMargin": initial, "totalMaintMargin": "0",
        "totalWalletBalance": wallet, "totalUnrealizedProfit": unrealised, "totalMarginBalance": equity,
        "totalPositionInitialMargin": text(position_margin), "totalOpenOrderInitialMargin": text(order_margin),
        "totalCrossWalletBalance": wallet, "totalCrossUnPnl": unrealised, "availableBalance": available,
        "maxWithdrawAmount": available, "assets": [asset],
        "positions": [_account_position(account, tape, updated_at) for tape in tapes],
    }  # fmt: skip


def _account_position(account: Account, tape: Tape, updated_at: int) -> JsonObject:
    risk = position_json(account, tape, updated_at)
    names = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "isolatedWallet", "notional", "initialMargin",
             "maintMargin", "updateTime", "entryPrice", "leverage", "isolated", "positionInitialMargin",
             "openOrderInitialMargin", "breakEvenPrice")  # fmt: skip
    return {**{name: risk[name] for name in names}, "unrealizedProfit": risk["unRealizedProfit"]}


def balance_json(account: Account, tapes: Sequence[Tape], updated_at: int) -> list[JsonObject]:
    """Answer of GET /fapi/v2|v3/balance."""
    asset = account_json(account, tapes, updated_at)["assets"][0]
    return [
        {
            "accountAlias": "sandbox", "asset": asset["asset"], "balance": asset["walletBalance"],
            "crossWalletBalance": asset["crossWalletBalance"], "crossUnPnl": asset["crossUnPnl"],
            "availableBalance": asset["availableBalance"], "maxWithdrawAmount": asset["maxWithdrawAmount"],
            "marginAvailable": True, "updateTime": updated_at,
        }
    ]  # fmt: skip


# --- user stream -------------------------------------------------------------------------------------------


def user_events(execution: Execution, tape: Tape) -> Iterator[JsonObject]:
    """What the user stream says about one execution, in Binance's order."""
    order, kind, at = execution.order, execution.type, execution.at
    if kind is ExecutionType.TRIGGERED:
        yield _algo_update(order, tape, "TRIGGERING", at)
        yield _order_update(order, tape, "NEW", "NEW", None, at)
        return
    if is_algo(order) and order.triggered_id is None:
        yield _algo_update(order, tape, algo_status(order), at)
        return
    yield _order_update(order, tape, kind.value, STATUS[order.status], execution.trade, at)
    if kind is ExecutionType.TRADE:
        yield _account_update(execution, tape)
        if is_algo(order):
            yield _algo_update(order, tape, "TRIGGERED", at)
            yield _algo_update(order, tape, "FINISHED", at)


def _order_update(order: Resting, tape: Tape, kind: str, status: str, trade: Trade | None, at: int) -> JsonObject:
    request = order.request
    order_type = (OrderType.MARKET if is_algo(order) else request.type).value
    limit = request.level if request.type is OrderType.LIMIT and request.level is not None else Decimal(0)
    zero = tape.price_text(Decimal(0))
    body: JsonObject = {
        "s": tape.id, "c": request.client_order_id, "S": request.side.value, "o": order_type,
        "f": request.time_in_force.value, "q": tape.quantity_text(request.quantity), "p": tape.price_text(limit),
        "ap": tape.price_text(order.average_price), "sp": zero, "x": kind, "X": status,
        "i": order.triggered_id or order.id, "l": tape.quantity_text(trade.quantity if trade else Decimal(0)),
        "z": tape.quantity_text(order.filled), "L": tape.price_text(trade.price) if trade else zero, "T": at,
        "t": trade.id if trade else 0, "b": "0", "a": "0",
        "m": trade is not None and trade.liquidity is Liquidity.MAKER, "R": request.reduce_only,
        "wt": "CONTRACT_PRICE", "ot": order_type, "ps": "BOTH", "cp": False,
        "rp": text(trade.realised) if trade else "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE",
        "gtd": 0,
    }  # fmt: skip
    if trade is not None:
        body |= {"n": text(trade.fee), "N": tape.instrument.quote}
    return {"e": "ORDER_TRADE_UPDATE", "T": at, "E": at, "o": body}


def _algo_update(order: Resting, tape: Tape, status: str, at: int) -> JsonObject:
    request = order.request
    child = order.triggered_id is not None and status != "TRIGGERING"
    body = {
        "caid": request.client_order_id, "aid": algo_id(order), "at": "CONDITIONAL", "o": request.type.value,
        "s": tape.id, "S": request.side.value, "ps": "BOTH", "f": request.time_in_force.value,
        "q": tape.quantity_text(request.quantity), "X": status, "ai": str(order.triggered_id) if child else "",
        "ap": tape.price_text(order.average_price), "aq": tape.quantity_text(order.filled),
        "act": "MARKET" if child else "0", "tp": tape.price_text(request.level or Decimal(0)),
        "p": tape.price_text(Decimal(0)), "V": "EXPIRE_MAKER", "wt": "CONTRACT_PRICE", "pm": "NONE", "cp": False,
        "pP": False, "R": request.reduce_only, "tt": order.triggered_at or 0, "gtd": 0,
    }  # fmt: skip
    return {"e": "ALGO_UPDATE", "T": at, "E": at, "o": body}


def _account_update(execution: Execution, tape: Tape) -> JsonObject:
    holding, trade = execution.holding, execution.trade
    wallet = text(execution.wallet)
    balance = {"a": tape.instrument.quote, "wb": wallet, "cw": wallet, "bc": "0"}
    position = {
        "s": tape.id, "pa": tape.quantity_text(holding.quantity), "ep": text(holding.entry_price),
        "bep": text(holding.entry_price), "cr": text(trade.realised) if trade else "0",
        "up": text(holding.unrealised(trade.price)) if trade else "0", "mt": "cross", "iw": "0", "ps": "BOTH",
        "ma": tape.instrument.quote,
    }  # fmt: skip
    return {
        "e": "ACCOUNT_UPDATE", "T": execution.at, "E": execution.at,
        "a": {"m": "ORDER", "B": [balance], "P": [position]},
    }  # fmt: skip
