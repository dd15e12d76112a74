"""What working orders bind: the margin of that part of each that may enlarge a position."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from include.venues.matching.margin import Margin
from include.venues.matching.orders import ZERO, Refusal, RefusedError, Request, Resting


@dataclass(frozen=True, slots=True)
class Bound:
    """What an order may add to a position, and the price at which that is valued."""

    quantity: Decimal
    price: Decimal

    @property
    def notional(self) -> Decimal:
        return self.quantity * self.price


class Reservations:
    """Bounds by order id; keeps `Margin.order_notional` up to date, so that nobody has to add them up."""

    def __init__(self, margin: Margin) -> None:
        self.bound: dict[int, Bound] = {}
        self._margin = margin

    def check_new(self, request: Request, mark: Decimal | None) -> Bound | None:
        """What a new order will bind: nothing if it only reduces.

        Raises:
            RefusedError: there is nothing to reduce, not that much margin, or no price to value the order by.
        """
        if request.reduces:
            if not self._closable(request):
                raise RefusedError(Refusal.NOTHING_TO_REDUCE)
            return None
        price = request.price or request.stop_price or mark
        if price is None:
            raise RefusedError(Refusal.NO_PRICE)
        bound = Bound(max(ZERO, request.quantity - self._closable(request)), price)
        self._margin.check_order(request.symbol, bound.notional)
        return bound

    def check_change(self, order: Resting, wanted: Request) -> Bound | None:
        """What a modified order will bind. Raises RefusedError: there is not as much margin."""
        if wanted.reduces or wanted.price is None:
            return None
        after = Bound(max(ZERO, wanted.quantity - order.filled - self._closable(wanted)), wanted.price)
        before = self.bound.get(order.id)
        grown = after.notional - (before.notional if before is not None else ZERO)
        if grown > 0:
            self._margin.check_order(wanted.symbol, grown)
        return after

    def bind(self, order: Resting, bound: Bound | None) -> None:
        """Replace what an order binds."""
        symbol, old = order.request.symbol, self.bound.pop(order.id, None)
        total = self._margin.order_notional.pop(symbol, ZERO)
        if old is not None:
            total -= old.notional
        if bound is not None:
            self.bound[order.id] = bound
            total += bound.notional
        if total:
            self._margin.order_notional[symbol] = total

    def update(self, order: Resting) -> None:
        """Let an order that has filled or ended bind less."""
        bound = self.bound.get(order.id)
        if bound is None:
            return
        if not order.is_open:
            self.bind(order, None)
        elif order.remaining < bound.quantity:
            self.bind(order, Bound(order.remaining, bound.price))

    def _closable(self, request: Request) -> Decimal:
        return self._margin.holding(request.symbol, request.position_side).closable(request.side)
