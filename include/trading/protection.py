"""Which stop and take-profit should rest for a position, and what to place or cancel to get there. Pure.

One function serves the normal course (after every fill), the sweep at each close and the start after a crash. It
compares what should rest, which follows from the entry order alone, with what does. So there is no state to
restore, and a crash between a fill and its protection is repaired by the same lines that place it normally.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.domain.enums import OrderPurpose, OrderStatus, OrderType
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Intent, Order

PROTECTIVE = (OrderPurpose.STOP, OrderPurpose.TAKE_PROFIT)
_REFUSED = (OrderStatus.REJECTED, OrderStatus.DENIED)


@dataclass(frozen=True, slots=True)
class ProtectionPlan:
    """Orders to cancel and intents to place; `unprotected` says that a stop was refused, so the position must go."""

    cancel: tuple[Order, ...] = ()
    place: tuple[Intent, ...] = ()
    unprotected: bool = False


def plan_protection(position: Decimal, orders: Sequence[Order]) -> ProtectionPlan:
    """Compare the protection one symbol should have with the one it has.

    Args:
        position: signed quantity held now.
        orders: the deployment's orders of this symbol, any status.

    A cancelled or expired protective order of a position that is still open is placed anew under the next sequence
    number. A refused stop is not tried again: the position is reported unprotected. A refused take-profit is
    left out; the strategy's own exit remains.
    """
    resting = [order for order in orders if order.intent.purpose in PROTECTIVE and _working(order)]
    entry = _entry_of(position, orders)
    if entry is None:
        # Flat (or a position nobody here opened, which reconciliation judges): nothing may rest.
        return ProtectionPlan(cancel=_cancellable(resting))
    stale = [order for order in resting if order.intent.bar_time != entry.intent.bar_time]
    if _working(entry):
        # More of the entry may fill; protecting a part now would leave the rest out. A market order is done at once.
        return ProtectionPlan(cancel=_cancellable(stale))
    place: list[Intent] = []
    unprotected = False
    for purpose, level in (
        (OrderPurpose.STOP, entry.intent.protective_stop),
        (OrderPurpose.TAKE_PROFIT, entry.intent.protective_take_profit),
    ):
        if level is None:
            continue
        attempts = [o for o in orders if o.intent.purpose is purpose and o.intent.bar_time == entry.intent.bar_time]
        if any(_working(order) for order in attempts):
            continue
        if any(order.status in _REFUSED for order in attempts):
            unprotected = unprotected or purpose is OrderPurpose.STOP
            continue
        place.append(_protective(entry, purpose, level, abs(position), len(attempts)))
    return ProtectionPlan(_cancellable(stale), tuple(place), unprotected)


def _entry_of(position: Decimal, orders: Iterable[Order]) -> Order | None:
    """The entry that opened the position: the newest with fills on its side."""
    if position == 0:
        return None
    filled = [
        order
        for order in orders
        if order.intent.purpose is OrderPurpose.ENTRY
        and order.filled_quantity > 0
        and order.intent.side.sign * position > 0
    ]
    return max(filled, key=lambda order: order.intent.bar_time, default=None)


def _protective(entry: Order, purpose: OrderPurpose, level: Decimal, quantity: Decimal, sequence: int) -> Intent:
    stop = purpose is OrderPurpose.STOP
    return Intent(
        deployment_id=entry.intent.deployment_id,
        symbol=entry.intent.symbol,
        bar_time=entry.intent.bar_time,
        purpose=purpose,
        side=entry.intent.side.opposite,
        type=OrderType.STOP_MARKET if stop else OrderType.LIMIT,
        quantity=quantity,
        reference_price=entry.intent.reference_price,
        price=None if stop else level,
        stop_price=level if stop else None,
        reduce_only=True,
        sequence=sequence,
    )


def _working(order: Order) -> bool:
    return not is_terminal(ORDER_TRANSITIONS, order.status)


def _cancellable(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Those for which a cancel is not already on its way and whose arrival at the venue is certain."""
    return tuple(order for order in orders if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED))
