"""Accounting of one position in one-way mode, the same for the exchange's account and the engine's portfolio; exact.

A position is kept as signed quantity and signed cost (sum of quantity x price of what is still open), not as an average
price: averages need divisions whose rounding would leak money. Where a partial close forces one, the share of cost
is rounded to `COST_STEP` and the rest keeps the remainder, so realised profit from flat to flat equals the cash that
the fills moved, to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from include.domain.enums import Side

COST_STEP = Decimal("0.00000001")
"""Eight decimals of quote currency, the precision in which Binance reports realised profit."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Holding:
    """Open position of one symbol: `quantity` > 0 long, < 0 short; `cost` has the same sign."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        """Average entry price; zero when flat."""
        return self.cost / self.quantity if self.quantity else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        """Open profit at `mark`, quote currency."""
        return self.quantity * mark - self.cost

    def closable(self, side: Side) -> Decimal:
        """How much an order on `side` could close; zero when flat or when it would enlarge the position."""
        return abs(self.quantity) if self.quantity * side.sign < 0 else ZERO

    def after(self, side: Side, quantity: Decimal, price: Decimal) -> tuple[Holding, Decimal]:
        """Apply a fill.

        Returns:
            the position after it, and the profit it realised (before fees).
        """
        closed = min(quantity, self.closable(side))
        share = self._share_of_cost(closed)
        realised = -side.sign * closed * price - share if closed else ZERO
        opened = side.sign * (quantity - closed)
        return Holding(self.quantity + side.sign * quantity, self.cost - share + opened * price), realised

    def _share_of_cost(self, closed: Decimal) -> Decimal:
        if closed == abs(self.quantity):
            return self.cost
        return (
            (self.cost * closed / abs(self.quantity)).quantize(COST_STEP, rounding=ROUND_HALF_EVEN) if closed else ZERO
        )
