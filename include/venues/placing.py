"""An order as arguments of ccxt's `create_order`, in an exchange's own words. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from include.domain.enums import OrderType, Side, TimeInForce
from include.domain.errors import RejectedError
from include.domain.orders import Intent, Order
from include.venues.dialect import Dialect, Words

NOT_SENT_HERE = "NOT_SUPPORTED"
OFF_LOT = "-1111"
OFF_TICK = "-4014"
_TAKES_PROFIT = frozenset({OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT})


class Arguments(NamedTuple):
    """What `create_order` takes besides the symbol."""

    kind: str
    side: str
    quantity: str
    price: str | None
    params: dict[str, Any]


def arguments(dialect: Dialect, order: Order) -> Arguments:
    """Arguments of `create_order`.

    Raises:
        RejectedError: this exchange has no such order.
    """
    intent, words = order.intent, dialect.words
    if intent.type not in dialect.order_types:
        raise RejectedError(f"{intent.symbol}: {dialect.name} has no {intent.type.value} orders", code=NOT_SENT_HERE)
    params: dict[str, Any] = {words.client_id: order.client_order_id}
    params |= _reducing(dialect, intent) | _trigger(words, intent)
    if intent.price is not None:
        params |= _resting(order.time_in_force)
    price = None if intent.price is None else plain(intent.price)
    kind = "market" if price is None else "limit"
    return Arguments(kind, intent.side.value.lower(), plain(intent.quantity), price, params)


def require_steps(intent: Intent, tick: Decimal, lot: Decimal) -> None:
    """ccxt would round what is off the steps without a word; refuse it instead. Raises RejectedError."""
    if intent.quantity % lot:
        raise RejectedError(
            f"{intent.symbol}: quantity {intent.quantity} is no multiple of the lot {lot}", code=OFF_LOT
        )
    for level in (intent.price, intent.stop_price):
        if level is not None and level % tick:
            raise RejectedError(f"{intent.symbol}: price {level} is no multiple of the tick {tick}", code=OFF_TICK)


def plain(value: Decimal) -> str:
    """A number as exchanges write it, never with an exponent."""
    return format(value, "f")


def _reducing(dialect: Dialect, intent: Intent) -> dict[str, Any]:
    if not intent.reduce_only:
        return {}
    if dialect.words.reduce_only:
        return {dialect.words.reduce_only: True}
    if intent.side is Side.BUY:
        raise RejectedError(f"{intent.symbol}: {dialect.name} has no short positions to reduce", code=NOT_SENT_HERE)
    return {}  # a sell cannot take more than what is there


def _trigger(words: Words, intent: Intent) -> dict[str, Any]:
    if intent.callback_rate is not None:
        return {words.callback: plain((intent.callback_rate * words.callback_scale).normalize())}
    if intent.stop_price is None:
        return {}
    takes_profit = intent.type in _TAKES_PROFIT
    found = {words.take_profit if takes_profit else words.stop_loss: plain(intent.stop_price)}
    if words.directed:
        found["triggerDirection"] = "ascending" if (intent.side is Side.BUY) != takes_profit else "descending"
    return found


def _resting(time_in_force: TimeInForce) -> dict[str, Any]:
    return {"postOnly": True} if time_in_force is TimeInForce.GTX else {"timeInForce": time_in_force.value}
