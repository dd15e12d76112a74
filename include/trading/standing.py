"""How one symbol stood at a close: money and position from fills and funding alone, whenever it is asked.

A close decides from what had happened before it. An engine that starts anew may know more by then (an order it had
sent has filled), so the state is folded from facts up to that instant, and a bar decided again comes out the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from include.domain.holding import ZERO
from include.domain.orders import Fill, FundingPayment

Fact = Fill | FundingPayment


@dataclass(frozen=True, slots=True)
class Standing:
    """One symbol at one instant, quote and base currency."""

    cash: Decimal = ZERO
    """What its fills, fees and funding have brought so far; negative while a long is open."""
    quantity: Decimal = ZERO
    """Signed position."""
    opened_at: datetime | None = None
    """First fill of the present position; None when flat."""
    has_shrunk: bool = False
    """Whether the present position was larger before."""

    def equity(self, allocation: Decimal, price: Decimal) -> Decimal:
        """What the symbol's allocation has become, open profit at `price` included."""
        return allocation + self.cash + self.quantity * price

    def after(self, fact: Fact) -> Standing:
        """The state after one more fact."""
        if isinstance(fact, FundingPayment):
            return replace(self, cash=self.cash + fact.amount)
        moved = fact.side.sign * fact.quantity
        quantity, cash = self.quantity + moved, self.cash - moved * fact.price - fact.fee
        if not quantity:
            return Standing(cash)
        if self.quantity * quantity <= 0:  # from flat, or turned over
            return Standing(cash, quantity, fact.filled_at)
        return Standing(cash, quantity, self.opened_at, self.has_shrunk or abs(quantity) < abs(self.quantity))


class History:
    """Facts of one symbol, kept in venue order as far back as somebody may still ask."""

    def __init__(self) -> None:
        self._settled = Standing()
        self._facts: list[Fact] = []

    def add(self, fact: Fact) -> None:
        """Take a fact, in whatever order they arrive; the caller has seen to it that it is new."""
        insort(self._facts, fact, key=_time)

    def before(self, moment: datetime) -> Standing:
        """The state just before `moment`: what happens at a close belongs to the bar that opens then."""
        standing = self._settled
        for fact in self._facts:
            if _time(fact) >= moment:
                break
            standing = standing.after(fact)
        return standing

    def filled_since(self, moment: datetime) -> Mapping[str, Decimal]:
        """What orders have filled at `moment` or later, by client id."""
        filled: dict[str, Decimal] = {}
        for fact in self._facts:
            if isinstance(fact, Fill) and fact.filled_at >= moment:
                filled[fact.client_order_id] = filled.get(fact.client_order_id, ZERO) + fact.quantity
        return filled

    def settle(self, moment: datetime) -> None:
        """Nobody will ask about a time before `moment` any more: what lies there is summed up, so memory stays flat."""
        self._settled = self.before(moment)
        self._facts = [fact for fact in self._facts if _time(fact) >= moment]


def _time(fact: Fact) -> datetime:
    return fact.filled_at if isinstance(fact, Fill) else fact.paid_at
