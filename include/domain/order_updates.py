"""How a venue's report moves an order: the pure half of `Orders.apply`, shared by the ledger and by fakes.

Laws (tests/property): a repeated report changes nothing; a lagging one never moves an order back; every order of
arrival of the same fills ends in the same order; `filled_quantity` is the sum of the fills, never the venue's claim.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from include.domain.enums import OrderStatus
from include.domain.errors import FatalError
from include.domain.instruments import symbol_id
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Order, OrderReport

_OPEN = frozenset({OrderStatus.ACCEPTED, OrderStatus.TRIGGERED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED})


def apply_report(order: Order, report: OrderReport, *, new_fill: bool, last_reported_at: datetime | None) -> Order:
    """The order after a report; the same object when the report tells nothing new.

    An order counts as FILLED when its fills are in, whatever a report says: until then a FILLED report leaves it
    working, so a restart still looks for the fills. A late fill is added to a finished order, whose status stays.

    Args:
        new_fill: True when the report carries a fill whose trade id is not recorded yet.
        last_reported_at: venue time of the newest report applied before; None for the first.

    Raises:
        FatalError: the report is about another order, or fills more than was ordered.
    """
    _require_same_order(order, report)
    filled = order.filled_quantity
    if new_fill and report.fill is not None:
        filled += report.fill.quantity
    if filled > order.intent.quantity:
        raise FatalError(
            f"order {order.client_order_id}: fills of {filled} exceed the {order.intent.quantity} ordered; "
            "stop and compare with the venue"
        )
    newer = last_reported_at is None or report.reported_at > last_reported_at
    status = _next_status(order, report, filled, newer)
    venue_order_id = order.venue_order_id
    if report.venue_order_id and (venue_order_id is None or newer):
        venue_order_id = report.venue_order_id
    if (status, filled, venue_order_id) == (order.status, order.filled_quantity, order.venue_order_id):
        return order
    reason = report.reason if report.reason and status is report.status else order.reason
    return replace(
        order, status=status, filled_quantity=filled, venue_order_id=venue_order_id, reason=reason,
        version=order.version + 1,
    )  # fmt: skip


def _next_status(order: Order, report: OrderReport, filled: Decimal, newer: bool) -> OrderStatus:
    current, target = order.status, report.status
    if is_terminal(ORDER_TRANSITIONS, current):
        return current
    if filled == order.intent.quantity:
        target = OrderStatus.FILLED
    elif target in _OPEN:
        if filled or target is not OrderStatus.TRIGGERED:
            target = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
        # Only news from after the cancel may say that it failed; an echo from before must not.
        if current is OrderStatus.PENDING_CANCEL and not newer:
            return current
    return target if target in ORDER_TRANSITIONS[current] else current


def _require_same_order(order: Order, report: OrderReport) -> None:
    intent, fill = order.intent, report.fill
    wrong = (report.client_order_id, symbol_id(report.symbol)) != (order.client_order_id, symbol_id(intent.symbol))
    if fill is not None:
        wrong = wrong or (fill.client_order_id, symbol_id(fill.symbol), fill.side) != (
            order.client_order_id, symbol_id(intent.symbol), intent.side,
        )  # fmt: skip
    if wrong:
        raise FatalError(f"order {order.client_order_id}: a report about another order or market was handed to it")
