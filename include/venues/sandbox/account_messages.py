"""Balances, positions, brackets and income in the shapes of Binance USD-M."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from include.domain.enums import PositionSide
from include.venues.matching import Account, Bracket, Income
from include.venues.matching.brackets import most_notional
from include.venues.sandbox.filters import text
from include.venues.sandbox.messages import ZERO, JsonObject
from include.venues.sandbox.tape import Tape


def position_json(account: Account, tape: Tape, side: PositionSide, updated_at: int) -> JsonObject:
    """A position as GET /fapi/v3/positionRisk tells it, with the fields that v2 had besides."""
    symbol, margin = tape.instrument.symbol, account.margin
    holding, mark = margin.holding(symbol, side), account.mark(symbol) or ZERO
    position = margin.positions.get((symbol, side))
    initial = text(margin.position_margin(symbol, side))
    isolated, leverage = margin.is_isolated(symbol), margin.terms[symbol].leverage
    put_aside = margin.isolated_margin(symbol, side)
    unrealised = holding.unrealised(mark)
    return {
        "symbol": tape.id, "positionSide": side.value, "positionAmt": tape.quantity_text(holding.quantity),
        "entryPrice": text(holding.entry_price), "breakEvenPrice": text(holding.entry_price),
        "markPrice": tape.price_text(mark), "unRealizedProfit": text(unrealised),
        "liquidationPrice": text(margin.liquidation_price(symbol, side)),
        "isolatedMargin": text(put_aside + unrealised) if isolated else "0", "notional": text(holding.quantity * mark),
        "marginAsset": tape.instrument.quote, "isolatedWallet": text(put_aside), "initialMargin": initial,
        "maintMargin": text(margin.maintenance(symbol, side)), "positionInitialMargin": initial,
        "openOrderInitialMargin": text(margin.order_margin(symbol)), "adl": 0, "bidNotional": "0", "askNotional": "0",
        "updateTime": position.updated_at if position is not None else updated_at, "leverage": str(leverage),
        "maxNotionalValue": max_notional_text(account, symbol), "marginType": "isolated" if isolated else "cross",
        "isAutoAddMargin": "false", "isolated": isolated, "adlQuantile": 0,
    }  # fmt: skip


def max_notional_text(account: Account, symbol: str) -> str:
    margin = account.margin
    return text(most_notional(margin.brackets[symbol], margin.terms[symbol].leverage))


def account_json(account: Account, tapes: Sequence[Tape], updated_at: int) -> JsonObject:
    """Answer of GET /fapi/v2|v3/account."""
    margin, symbols = account.margin, [tape.instrument.symbol for tape in tapes]
    wallet, equity = text(margin.wallet), text(margin.equity)
    unrealised, crossed = text(margin.equity - margin.wallet), text(margin.crossed_unrealised)
    position_margin = sum((margin.position_margin(s) for s in symbols), ZERO)
    order_margin = sum((margin.order_margin(s) for s in symbols), ZERO)
    maintenance = text(sum((margin.maintenance(s, side) for s, side in margin.positions), ZERO))
    initial, cross_wallet = text(position_margin + order_margin), text(margin.cross_wallet)
    available = text(max(ZERO, margin.available))
    asset = {
        "asset": tapes[0].instrument.quote, "walletBalance": wallet, "unrealizedProfit": unrealised,
        "marginBalance": equity, "maintMargin": maintenance, "initialMargin": initial,
        "positionInitialMargin": text(position_margin), "openOrderInitialMargin": text(order_margin),
        "crossWalletBalance": cross_wallet, "crossUnPnl": crossed, "availableBalance": available,
        "maxWithdrawAmount": available, "marginAvailable": True, "updateTime": updated_at,
    }  # fmt: skip
    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False, "updateTime": 0,
        "multiAssetsMargin": False, "tradeGroupId": -1, "totalInitialMargin": initial, "totalMaintMargin": maintenance,
        "totalWalletBalance": wallet, "totalUnrealizedProfit": unrealised, "totalMarginBalance": equity,
        "totalPositionInitialMargin": text(position_margin), "totalOpenOrderInitialMargin": text(order_margin),
        "totalCrossWalletBalance": cross_wallet, "totalCrossUnPnl": crossed, "availableBalance": available,
        "maxWithdrawAmount": available, "assets": [asset],
        "positions": [_account_position(account, tape, side, updated_at) for tape in tapes for side in margin.sides],
    }  # fmt: skip


def _account_position(account: Account, tape: Tape, side: PositionSide, updated_at: int) -> JsonObject:
    risk = position_json(account, tape, side, updated_at)
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


def bracket_json(bracket: Bracket) -> JsonObject:
    """A row of GET /fapi/v1/leverageBracket, which tells numbers as numbers."""
    return {
        "bracket": bracket.number, "initialLeverage": bracket.max_leverage, "notionalCap": _number(bracket.cap),
        "notionalFloor": _number(bracket.floor), "maintMarginRatio": float(bracket.rate), "cum": float(bracket.amount),
    }  # fmt: skip


def income_json(income: Income, tape: Tape | None, quote: str) -> JsonObject:
    """A row of GET /fapi/v1/income; the deposit that opened the account has no symbol."""
    return {
        "symbol": tape.id if tape is not None else "", "incomeType": income.type.value, "income": text(income.amount),
        "asset": quote, "info": "" if income.trade_id is None else str(income.trade_id), "time": income.at,
        "tranId": income.number, "tradeId": "" if income.trade_id is None else str(income.trade_id),
    }  # fmt: skip


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
