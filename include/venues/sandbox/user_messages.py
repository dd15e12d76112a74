"""What an account's user stream says, in Binance's shapes and in its order.

A conditional order that triggers: ALGO_UPDATE (TRIGGERING), the order it becomes (ORDER_TRADE_UPDATE), ALGO_UPDATE
(TRIGGERED), then its fills, each with an ACCOUNT_UPDATE, and when it has ended ALGO_UPDATE (FINISHED).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from include.domain.enums import Liquidity
from include.venues.matching import Change, ChangeReason, Event, Execution, ExecutionType, Held
from include.venues.sandbox.filters import text
from include.venues.sandbox.messages import (
    STATUS,
    TYPES,
    ZERO,
    JsonObject,
    algo_id,
    algo_status,
    average_text,
    callback_text,
    order_id,
    original_type_text,
    time_in_force_text,
    type_text,
)
from include.venues.sandbox.tape import Tape


def user_events(event: Event, tapes: Mapping[str, Tape]) -> Iterator[JsonObject]:
    """All that is told of one event; `tapes` by the lake's symbol."""
    if isinstance(event, Execution):
        return _execution_events(event, tapes[event.order.request.symbol])
    return _change_events(event, tapes)


def _execution_events(execution: Execution, tape: Tape) -> Iterator[JsonObject]:
    order, kind = execution.order, execution.type
    if kind is ExecutionType.TRIGGERED:
        yield _algo_update(execution, tape, "TRIGGERING")
        yield _order_update(execution, tape, "NEW")
        yield _algo_update(execution, tape, "TRIGGERED")
    elif kind is ExecutionType.FINISHED or (order.request.is_conditional and order.triggered_id is None):
        yield _algo_update(execution, tape, algo_status(order))
    else:
        yield _order_update(execution, tape, kind.value)


def _order_update(execution: Execution, tape: Tape, kind: str) -> JsonObject:
    order, trade, at = execution.order, execution.trade, execution.at
    request, zero = order.request, tape.price_text(ZERO)
    body: JsonObject = {
        "s": tape.id, "c": request.client_order_id, "S": request.side.value, "o": type_text(order),
        "f": time_in_force_text(request), "q": tape.quantity_text(request.quantity),
        "p": tape.price_text(request.price or ZERO), "ap": average_text(order, tape),
        "sp": tape.price_text(request.stop_price or ZERO), "x": kind, "X": STATUS[order.status], "i": order_id(order),
        "l": tape.quantity_text(trade.quantity if trade else ZERO), "z": tape.quantity_text(order.filled),
        "L": tape.price_text(trade.price) if trade else zero, "T": at, "t": trade.id if trade else 0, "b": "0",
        "a": "0", "m": trade is not None and trade.liquidity is Liquidity.MAKER, "R": request.reduce_only,
        "wt": "CONTRACT_PRICE", "ot": original_type_text(order), "ps": request.position_side.value,
        "cp": request.close_position, "rp": text(trade.realised) if trade else "0", "pP": False, "si": 0, "ss": 0,
        "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": request.good_till or 0, "er": order.expiry.value,
    }  # fmt: skip
    if trade is not None:
        body |= {"n": text(trade.fee), "N": tape.instrument.quote}
    return {"e": "ORDER_TRADE_UPDATE", "T": at, "E": at, "o": body}


def _algo_update(execution: Execution, tape: Tape, status: str) -> JsonObject:
    order, at = execution.order, execution.at
    request = order.request
    child = order.triggered_id is not None and status != "TRIGGERING"
    body: JsonObject = {
        "caid": request.client_order_id, "aid": algo_id(order), "at": "CONDITIONAL", "o": TYPES[request.type],
        "s": tape.id, "S": request.side.value, "ps": request.position_side.value, "f": time_in_force_text(request),
        "q": tape.quantity_text(request.quantity), "X": status, "ai": str(order.triggered_id) if child else "",
        "ap": average_text(order, tape), "aq": tape.quantity_text(order.filled),
        "act": type_text(order) if child else "0", "tp": tape.price_text(request.stop_price or ZERO),
        "p": tape.price_text(request.price or ZERO), "V": "EXPIRE_MAKER", "wt": "CONTRACT_PRICE", "pm": "NONE",
        "cp": request.close_position, "pP": False, "R": request.reduce_only, "tt": order.triggered_at or 0,
        "gtd": request.good_till or 0, "rm": "",
    }  # fmt: skip
    if request.callback is not None:
        body |= {"cr": callback_text(request), "AP": tape.price_text(request.activation or ZERO)}
    return {"e": "ALGO_UPDATE", "T": at, "E": at, "o": body}


def _change_events(change: Change, tapes: Mapping[str, Tape]) -> Iterator[JsonObject]:
    at = change.at
    if change.reason is ChangeReason.LEVERAGE:
        told = {"s": tapes[change.symbol].id, "l": change.leverage}
        yield {"e": "ACCOUNT_CONFIG_UPDATE", "T": at, "E": at, "ac": told}
    elif change.reason is ChangeReason.MARGIN_CALL:
        positions = [_endangered(held, tapes[held.symbol]) for held in change.held]
        yield {"e": "MARGIN_CALL", "E": at, "cw": text(change.cross_wallet), "p": positions}
    else:
        quote = next(iter(tapes.values())).instrument.quote
        balance = {
            "a": quote, "wb": text(change.wallet), "cw": text(change.cross_wallet), "bc": text(change.amount),
        }  # fmt: skip
        positions = [_position(held, tapes[held.symbol]) for held in change.held]
        update = {"m": change.reason.value, "B": [balance], "P": positions}
        yield {"e": "ACCOUNT_UPDATE", "T": at, "E": at, "a": update}


def _position(held: Held, tape: Tape) -> JsonObject:
    holding = held.position.holding if held.position is not None else None
    entry = text(holding.entry_price) if holding is not None else "0"
    return {
        "s": tape.id, "pa": tape.quantity_text(holding.quantity if holding is not None else ZERO), "ep": entry,
        "bep": entry, "cr": text(held.realised),
        "up": text(holding.unrealised(held.mark)) if holding is not None else "0",
        "mt": "isolated" if held.is_isolated else "cross", "iw": text(held.margin), "ps": held.side.value,
        "ma": tape.instrument.quote,
    }  # fmt: skip


def _endangered(held: Held, tape: Tape) -> JsonObject:
    position = _position(held, tape)
    return {
        "s": tape.id, "ps": held.side.value, "pa": position["pa"], "mt": "ISOLATED" if held.is_isolated else "CROSSED",
        "iw": position["iw"], "mp": tape.price_text(held.mark), "up": position["up"], "mm": text(held.maintenance),
    }  # fmt: skip
