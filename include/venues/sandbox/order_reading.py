"""Parameters of an order request as a `Request` of the matching core. Refuses what the exchange refuses."""

from __future__ import annotations

import re
from decimal import Decimal

from include.domain.enums import OrderType, PositionSide, Side, TimeInForce
from include.domain.ids import is_liquidation
from include.venues.matching import Request
from include.venues.matching.orders import PRICED, TRIGGERED
from include.venues.sandbox import errors
from include.venues.sandbox.http import Params, decimal, flag, integer
from include.venues.sandbox.messages import GOOD_TILL_DATE, TYPES
from include.venues.sandbox.tape import Tape

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
TYPE_OF = {name: kind for kind, name in TYPES.items()}
PLAIN = frozenset({OrderType.MARKET, OrderType.LIMIT})
CLOSERS = frozenset({OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET})
WORKING_TYPES = frozenset({"CONTRACT_PRICE", "MARK_PRICE"})
GOOD_TILL_MIN_MS, GOOD_TILL_MAX = 600_000, 253_402_300_799_000
PERCENT = Decimal(100)


def order_type(params: Params) -> OrderType:
    """Raises ApiError for a type that the exchange does not know."""
    kind = TYPE_OF.get(params.get("type", ""))
    if kind is None:
        raise errors.ApiError(errors.INVALID_ORDER_TYPE)
    return kind


def plain_request(tape: Tape, params: Params, spare_id: str, now_ms: int) -> Request:
    """What POST /order asks for.

    Args:
        spare_id: client id of an order that was sent without one.
        now_ms: market time.

    Raises:
        ApiError: the request is not one; conditional orders belong to the algo service.
    """
    kind = order_type(params)
    if kind not in PLAIN:
        raise errors.ApiError(errors.USE_ALGO_ENDPOINT)
    return _request(tape, params, kind, params.get("newClientOrderId") or spare_id, now_ms)


def algo_request(tape: Tape, params: Params, spare_id: str, now_ms: int) -> Request:
    """What POST /algoOrder asks for. Arguments and errors as of `plain_request`."""
    kind = order_type(params)
    if params.get("algoType") != "CONDITIONAL" or kind in PLAIN:
        raise errors.ApiError(errors.INVALID_ORDER_TYPE)
    if params.get("workingType", "CONTRACT_PRICE") not in WORKING_TYPES:
        raise errors.ApiError(errors.INVALID_WORKING_TYPE)
    return _request(tape, params, kind, params.get("clientAlgoId") or spare_id, now_ms)


def _request(tape: Tape, params: Params, kind: OrderType, client_id: str, now_ms: int) -> Request:
    if not CLIENT_ID.fullmatch(client_id) or is_liquidation(client_id):
        raise errors.ApiError(errors.INVALID_CLIENT_ID)
    time_in_force, good_till = _time_in_force(params, kind, now_ms)
    side, position_side = _side(params), _position_side(params)
    closes = _closes_position(params, kind)
    if position_side is not PositionSide.BOTH and "reduceOnly" in params:
        raise errors.ApiError(errors.REDUCE_ONLY_CONFLICT)
    return Request(
        client_id, tape.instrument.symbol, side, kind,
        quantity=Decimal(0) if closes else _positive(decimal(params, "quantity")),
        price=decimal(params, "price") if kind in PRICED else None,
        stop_price=decimal(params, _trigger_name(params)) if kind in TRIGGERED else None,
        reduce_only=flag(params, "reduceOnly"), time_in_force=time_in_force, position_side=position_side,
        close_position=closes,
        callback=decimal(params, "callbackRate") / PERCENT if kind is OrderType.TRAILING_STOP_MARKET else None,
        activation=_activation(params, kind), good_till=good_till,
    )  # fmt: skip


def _positive(quantity: Decimal) -> Decimal:
    if quantity <= 0:
        raise errors.ApiError(errors.QUANTITY_NOT_POSITIVE)
    return quantity


def _side(params: Params) -> Side:
    side = params.get("side", "")
    if side not in Side.__members__:
        raise errors.ApiError(errors.INVALID_SIDE)
    return Side(side)


def _position_side(params: Params) -> PositionSide:
    side = params.get("positionSide") or "BOTH"
    if side not in PositionSide.__members__:
        raise errors.ApiError(errors.INVALID_POSITION_SIDE)
    return PositionSide(side)


def _closes_position(params: Params, kind: OrderType) -> bool:
    if not flag(params, "closePosition"):
        return False
    if kind not in CLOSERS:
        raise errors.ApiError(errors.no_close_position(TYPES[kind]))
    if params.get("quantity"):
        raise errors.ApiError(errors.QUANTITY_WITH_CLOSE_POSITION)
    return True


def _trigger_name(params: Params) -> str:
    return "triggerPrice" if "triggerPrice" in params else "stopPrice"


def _activation(params: Params, kind: OrderType) -> Decimal | None:
    """Binance's algo service says activatePrice, its order service said activationPrice."""
    if kind is not OrderType.TRAILING_STOP_MARKET:
        return None
    name = next((n for n in ("activatePrice", "activationPrice") if params.get(n)), None)
    return None if name is None else decimal(params, name)


def _time_in_force(params: Params, kind: OrderType, now_ms: int) -> tuple[TimeInForce, int | None]:
    """Time in force and last moment; what has no limit price takes what there is anyway."""
    asked = params.get("timeInForce") or ("" if kind is OrderType.LIMIT else "GTC")
    if not asked:
        raise errors.ApiError(errors.missing("timeInForce"))
    if asked == GOOD_TILL_DATE:
        until = integer(params, "goodTillDate")
        if until is None:
            raise errors.ApiError(errors.missing("goodTillDate"))
        if not now_ms + GOOD_TILL_MIN_MS < until < GOOD_TILL_MAX:
            raise errors.ApiError(errors.INVALID_GOOD_TILL)
        return TimeInForce.GTC, until // 1_000 * 1_000
    if asked not in TimeInForce.__members__:
        raise errors.ApiError(errors.INVALID_TIME_IN_FORCE)
    return (TimeInForce(asked) if kind in PRICED else TimeInForce.GTC), None
