"""Balances, positions, settings, income: what an account has and how it is set."""

from __future__ import annotations

from decimal import Decimal

from include.domain.enums import MarginType, PositionSide
from include.venues.matching.retention import INCOME_MS
from include.venues.sandbox import account_messages as told
from include.venues.sandbox import errors
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.filters import text
from include.venues.sandbox.http import Params, decimal, flag, integer, page
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.tape import Tape

ADD, REDUCE = 1, 2
MAX_INCOME = 1_000


def tapes_of(exchange: Exchange, params: Params) -> list[Tape]:
    """The named symbol, or all. Raises ApiError."""
    return [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())


# --- what there is -----------------------------------------------------------------------------------------


def account_information(exchange: Exchange, account: str, params: Params) -> JsonObject:
    return told.account_json(exchange.accounts[account], list(exchange.tapes.values()), exchange.event_time)


def account_config(exchange: Exchange, account: str, params: Params) -> JsonObject:
    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False,
        "dualSidePosition": exchange.accounts[account].margin.hedged, "updateTime": 0, "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }  # fmt: skip


def balance(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    return told.balance_json(exchange.accounts[account], list(exchange.tapes.values()), exchange.event_time)


def position_risk(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """Positions, and the flat sides of symbols with a working order, as v3 does."""
    state, rows = exchange.accounts[account], []
    for tape in tapes_of(exchange, params):
        symbol = tape.instrument.symbol
        for side in state.margin.sides:
            if (symbol, side) in state.margin.positions or state.working(symbol):
                rows.append(told.position_json(state, tape, side, exchange.event_time))
    return rows


def adl_quantile(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """Nobody is deleveraged here: all are at the safe end of the queue."""
    sides = {"LONG": 0, "SHORT": 0} if exchange.accounts[account].margin.hedged else {"BOTH": 0}
    return [{"symbol": tape.id, "adlQuantile": sides} for tape in tapes_of(exchange, params)]


def trading_status(exchange: Exchange, account: str, params: Params) -> JsonObject:
    """No quantitative rule is ever broken here."""
    return {"indicators": {}, "updateTime": exchange.event_time}


def commission_rate(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape = exchange.tape(params.get("symbol"))
    maker, taker = text(tape.instrument.maker_fee_rate), text(tape.instrument.taker_fee_rate)
    return {"symbol": tape.id, "makerCommissionRate": maker, "takerCommissionRate": taker}


def income(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """What moved the wallet in the last ninety days, oldest first; pages by number where it is more than `limit`."""
    tapes, wanted = exchange.tapes, params.get("incomeType")
    symbol = exchange.tape(params["symbol"]).instrument.symbol if params.get("symbol") else None
    start, end = integer(params, "startTime"), integer(params, "endTime")
    oldest = exchange.event_time - INCOME_MS
    rows = [
        row
        for row in exchange.accounts[account].incomes()
        if row.at >= oldest
        and wanted in (None, row.type)
        and symbol in (None, row.symbol)
        and (start is None or row.at >= start)
        and (end is None or row.at <= end)
    ]
    limit, number = page(params, default=100, most=MAX_INCOME), integer(params, "page")
    if number is not None:
        rows = rows[max(0, number - 1) * limit :][:limit]
    else:
        rows = rows[:limit] if start is not None else rows[-limit:]
    quote = next(iter(tapes.values())).instrument.quote
    return [told.income_json(row, tapes.get(row.symbol), quote) for row in rows]


# --- how it is set -----------------------------------------------------------------------------------------


def leverage_bracket(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    brackets = exchange.accounts[account].margin.brackets
    return [
        {"symbol": tape.id, "notionalCoef": 1.0,
         "brackets": [told.bracket_json(b) for b in brackets[tape.instrument.symbol]]}
        for tape in tapes_of(exchange, params)
    ]  # fmt: skip


def symbol_config(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    state, rows = exchange.accounts[account], []
    for tape in tapes_of(exchange, params):
        terms = state.margin.terms[tape.instrument.symbol]
        rows.append({
            "symbol": tape.id, "marginType": terms.margin_type.value, "isAutoAddMargin": False,
            "leverage": terms.leverage, "maxNotionalValue": told.max_notional_text(state, tape.instrument.symbol),
        })  # fmt: skip
    return rows


def set_leverage(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape, leverage = exchange.tape(params.get("symbol")), integer(params, "leverage")
    if leverage is None:
        raise errors.ApiError(errors.missing("leverage"))
    state, symbol = exchange.accounts[account], tape.instrument.symbol
    exchange.change(account, lambda: state.set_leverage(symbol, leverage, exchange.event_time))
    return {"symbol": tape.id, "leverage": leverage, "maxNotionalValue": told.max_notional_text(state, symbol)}


def set_margin_type(exchange: Exchange, account: str, params: Params) -> JsonObject:
    tape, asked = exchange.tape(params.get("symbol")), params.get("marginType", "")
    if asked not in MarginType.__members__:
        raise errors.ApiError(errors.missing("marginType"))
    state, symbol = exchange.accounts[account], tape.instrument.symbol
    exchange.change(account, lambda: state.set_margin_type(symbol, MarginType(asked), exchange.event_time))
    return {"code": 200, "msg": "success"}


def position_mode(exchange: Exchange, account: str, params: Params) -> JsonObject:
    return {"dualSidePosition": exchange.accounts[account].margin.hedged}


def set_position_mode(exchange: Exchange, account: str, params: Params) -> JsonObject:
    if "dualSidePosition" not in params:
        raise errors.ApiError(errors.missing("dualSidePosition"))
    wanted, state = flag(params, "dualSidePosition"), exchange.accounts[account]
    exchange.change(account, lambda: state.set_hedged(wanted))
    return {"code": 200, "msg": "success"}


def set_multi_assets_mode(exchange: Exchange, account: str, params: Params) -> JsonObject:
    wants = flag(params, "multiAssetsMargin")
    raise errors.ApiError(errors.NOT_IN_SANDBOX if wants else errors.NO_MULTI_ASSETS_CHANGE)


def move_margin(exchange: Exchange, account: str, params: Params) -> JsonObject:
    """Add margin to an isolated position (type 1) or take added margin back (type 2)."""
    tape, kind = exchange.tape(params.get("symbol")), integer(params, "type")
    amount, side = decimal(params, "amount"), params.get("positionSide") or "BOTH"
    if kind not in (ADD, REDUCE):
        raise errors.ApiError(errors.missing("type"))
    if amount <= 0:
        raise errors.ApiError(errors.AMOUNT_NOT_POSITIVE)
    if side not in PositionSide.__members__:
        raise errors.ApiError(errors.INVALID_POSITION_SIDE)
    state, symbol = exchange.accounts[account], tape.instrument.symbol
    signed: Decimal = amount if kind == ADD else -amount
    exchange.change(account, lambda: state.add_margin(symbol, PositionSide(side), signed, exchange.event_time))
    return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": kind}


def margin_moves(exchange: Exchange, account: str, params: Params) -> list[JsonObject]:
    """History of `move_margin`, oldest first."""
    tape, kind = exchange.tape(params.get("symbol")), integer(params, "type")
    rows = [
        {"symbol": tape.id, "type": ADD if move.amount > 0 else REDUCE, "deltaType": "USER_ADJUST",
         "amount": text(abs(move.amount)), "asset": tape.instrument.quote, "time": move.at,
         "positionSide": move.side.value}
        for move in exchange.accounts[account].margin_moves
        if move.symbol == tape.instrument.symbol
    ]  # fmt: skip
    return [row for row in rows if kind in (None, row["type"])][-page(params) :]
