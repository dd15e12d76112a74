"""Commands of a paper account as plain JSON and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.orders import Intent, Order
from include.venues.matching import Prices

_LEVELS = ("price", "stop_price", "callback_rate")


def order_command(order: Order) -> dict[str, Any]:
    """What an account needs to know of an order."""
    intent = order.intent
    levels = {name: format(value, "f") for name in _LEVELS if (value := getattr(intent, name)) is not None}
    return {
        "do": "submit", "id": order.client_order_id, "symbol": intent.symbol, "side": intent.side.value,
        "type": intent.type.value, "quantity": format(intent.quantity, "f"), "reduce_only": intent.reduce_only,
        "time_in_force": order.time_in_force.value, "purpose": intent.purpose.value,
        "bar_time": intent.bar_time.isoformat(), "reference_price": format(intent.reference_price, "f"),
        "deployment": intent.deployment_id, **levels,
    }  # fmt: skip


def read_order(command: Mapping[str, Any]) -> Order:
    """The order of a command; what the account does not look at is left at its beginning."""
    at = datetime.fromisoformat(command["bar_time"])
    levels: dict[str, Any] = {name: Decimal(command[name]) for name in _LEVELS if name in command}
    intent = Intent(
        deployment_id=command["deployment"], symbol=command["symbol"], bar_time=at,
        purpose=OrderPurpose(command["purpose"]), side=Side(command["side"]), type=OrderType(command["type"]),
        quantity=Decimal(command["quantity"]), reference_price=Decimal(command["reference_price"]),
        reduce_only=command["reduce_only"], **levels,
    )  # fmt: skip
    tif = TimeInForce(command["time_in_force"])
    return Order(command["id"], intent, tif, OrderStatus.SUBMITTED, Decimal(0), None, "", at)


def write_prices(prices: Prices) -> list[str]:
    values = (prices.open, prices.high, prices.low, prices.close, prices.volume or Decimal(0))
    return [format(value, "f") for value in values]


def read_prices(texts: Sequence[str]) -> Prices:
    return Prices(*(Decimal(text) for text in texts))
