"""Which stop, trailing stop and take-profit should rest for a position, and what to place or cancel for that. Pure.

One function serves the normal course (after every fill), the sweep at each close and the start after a crash. It
compares what should rest, which follows from the entry order alone, with what does. So there is no state to
restore, and a crash between any two steps is repaired by the same lines that take them normally.

A position that grows (an entry that fills bit by bit, a scale-in) needs larger orders, and must not be without a stop
meanwhile. So for stops the new order is placed first, and the old one cancelled only once the venue has confirmed the
new one; both are reduce-only, so even if both were met they close the position once. A take-profit is an
opportunity, not a protection: there the old one goes first, which keeps the sum of resting limit orders within
the position, as some venues demand. A position that shrinks needs no change: the venue cuts a reduce-only order to
what is left, and a new trailing stop would forget its best price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.domain.enums import OrderPurpose, OrderStatus, OrderType
from include.domain.holding import ZERO
from include.domain.orders import Intent, Order
from include.domain.reason_codes import RiskCode
from include.trading.book import is_working
from include.trading.decide import ENLARGING, STOPS, entry_of, is_met

PROTECTIVE = (*STOPS, OrderPurpose.TAKE_PROFIT)
_STATES = (RiskCode.STATE_HALTED.value, RiskCode.STATE_REDUCE_ONLY.value, RiskCode.STATE_UNKNOWN.value)
_CERTAIN = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
_TYPES = {
    OrderPurpose.STOP: OrderType.STOP_MARKET,
    OrderPurpose.TRAILING_STOP: OrderType.TRAILING_STOP_MARKET,
    OrderPurpose.TAKE_PROFIT: OrderType.LIMIT,
}


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
        orders: the deployment's orders of this symbol since the entry of its position, any status.

    A cancelled or expired protective order of a position that is still open is placed anew under the next sequence
    number. A refused stop is not tried again: the position is reported unprotected. A refused take-profit is
    left out; the strategy's own exit remains. What the plan has led to is looked at again, until nothing is left to do.
    """
    withdrawn = _withdrawn(orders)
    resting = [order for order in orders if order.intent.purpose in PROTECTIVE and is_working(order)]
    entry = entry_of(position, orders)
    if entry is None:
        # Flat (or a position nobody here opened, which reconciliation judges): nothing may rest.
        return ProtectionPlan(cancel=_cancellable([*withdrawn, *resting]))
    cancel = [*withdrawn, *(o for o in resting if o.intent.bar_time != entry.intent.bar_time)]
    place: list[Intent] = []
    unprotected = False
    for purpose in PROTECTIVE:
        level = _level_of(entry, purpose)
        if level is None:
            continue
        attempts = [o for o in orders if o.intent.purpose is purpose and o.intent.bar_time == entry.intent.bar_time]
        plan = (_plan_stop if purpose in STOPS else _plan_profit)(entry, purpose, level, abs(position), attempts)
        cancel += plan.cancel
        place += plan.place
        unprotected = unprotected or plan.unprotected
    return ProtectionPlan(_cancellable(cancel), tuple(place), unprotected)


def was_refused(order: Order) -> bool:
    """Whether asking for the same again would be in vain. A denial by the trading state holds only as long as that
    does: what it kept back is due once trading is released."""
    denied = order.status is OrderStatus.DENIED and not order.reason.startswith(_STATES)
    return denied or order.status is OrderStatus.REJECTED


def _withdrawn(orders: Sequence[Order]) -> list[Order]:
    """What is left of an entry whose position has been reduced, or is about to be by a stop that has triggered (7)."""
    filled = [o for o in orders if o.intent.purpose is OrderPurpose.ENTRY and o.filled_quantity > 0]
    entry = max(filled, key=lambda order: order.intent.bar_time, default=None)
    if entry is None:
        return []
    against = [
        order
        for order in orders
        if order.intent.reduce_only
        and order.intent.side is entry.intent.side.opposite
        and order.intent.bar_time >= entry.intent.bar_time
    ]
    if not any(order.filled_quantity > 0 or order.status is OrderStatus.TRIGGERED for order in against):
        return []
    return [
        order
        for order in orders
        if is_working(order)
        and order.intent.purpose in ENLARGING
        and (order is entry or order.intent.purpose is OrderPurpose.SCALE_IN)
    ]


def _level_of(entry: Order, purpose: OrderPurpose) -> Decimal | None:
    return {
        OrderPurpose.STOP: entry.intent.protective_stop,
        OrderPurpose.TRAILING_STOP: entry.intent.protective_trailing,
        OrderPurpose.TAKE_PROFIT: entry.intent.protective_take_profit,
    }[purpose]


def _plan_stop(
    entry: Order, purpose: OrderPurpose, level: Decimal, needed: Decimal, attempts: Sequence[Order]
) -> ProtectionPlan:
    """One stop for the whole position, larger ones before smaller ones go; once it is met, everything leaves."""
    met = [order for order in attempts if is_met(order)]
    if met:
        # It was met while the position grew, or ended early: the rest must not stay behind with the price gone.
        if any(was_refused(order) for order in met):
            return ProtectionPlan(unprotected=True)
        missing = needed - sum((order.remaining for order in met if is_working(order)), ZERO)
        rest = _protective(entry, purpose, None, missing, len(attempts)) if missing > 0 else None
        return ProtectionPlan(place=() if rest is None else (rest,))
    working = [order for order in attempts if is_working(order)]
    covering = [order for order in working if order.remaining >= needed]
    if covering:
        newest = max(covering, key=lambda order: order.intent.sequence)
        confirmed = newest.status is OrderStatus.ACCEPTED
        return ProtectionPlan(cancel=tuple(o for o in working if o is not newest) if confirmed else ())
    if any(was_refused(order) for order in attempts):
        return ProtectionPlan(unprotected=True)
    return ProtectionPlan(place=(_protective(entry, purpose, level, needed, len(attempts)),))


def _plan_profit(
    entry: Order, purpose: OrderPurpose, level: Decimal, needed: Decimal, attempts: Sequence[Order]
) -> ProtectionPlan:
    """One take-profit for the whole position, the smaller one cancelled before the larger one comes."""
    working = [order for order in attempts if is_working(order)]
    if working:
        return ProtectionPlan(cancel=tuple(order for order in working if order.remaining < needed))
    if any(was_refused(order) for order in attempts):
        return ProtectionPlan()
    return ProtectionPlan(place=(_protective(entry, purpose, level, needed, len(attempts)),))


def _protective(entry: Order, purpose: OrderPurpose, level: Decimal | None, quantity: Decimal, sequence: int) -> Intent:
    """A protective order; without a level it leaves at market."""
    kind = OrderType.MARKET if level is None else _TYPES[purpose]
    return Intent(
        deployment_id=entry.intent.deployment_id,
        symbol=entry.intent.symbol,
        bar_time=entry.intent.bar_time,
        purpose=purpose,
        side=entry.intent.side.opposite,
        type=kind,
        quantity=quantity,
        reference_price=entry.intent.reference_price,
        price=level if kind is OrderType.LIMIT else None,
        stop_price=level if kind is OrderType.STOP_MARKET else None,
        callback_rate=level if kind is OrderType.TRAILING_STOP_MARKET else None,
        reduce_only=True,
        sequence=sequence,
    )


def _cancellable(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Those for which a cancel is not already on its way and whose arrival at the venue is certain."""
    return tuple(order for order in orders if order.status in _CERTAIN)
