"""Accounting from fills alone: wallet, positions, realised profit, fees, equity. Pure, exact decimals, quote currency.

Law: wallet + unrealised == capital + sum over fills of (-sign x quantity x price - fee) + position x mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

from include.domain.orders import Fill, Position

ZERO = Decimal(0)
COST_STEP = Decimal("0.00000001")
"""Eight decimals of quote currency, the precision in which venues report realised profit."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Open part of one symbol: signed quantity and what it cost, signed alike (quantity x average entry price).

    The cost is kept instead of the average price because sums are exact and divisions are not.
    """

    quantity: Decimal
    cost: Decimal

    @property
    def entry_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost

    def share_of_cost(self, closed: Decimal) -> Decimal:
        """Cost of a part. Rounded to `COST_STEP`; the rest keeps the remainder, so no money leaks from flat to flat."""
        return self.cost if closed == self.quantity else (self.cost * closed / self.quantity).quantize(COST_STEP)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """State of a deployment's account. Never edited: `apply_fill` returns the next one."""

    capital: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    holdings: Mapping[str, Holding] = field(default_factory=lambda: MappingProxyType({}))
    """Non-zero positions by symbol."""

    @property
    def wallet(self) -> Decimal:
        """Capital plus realised profit less fees; open profit is not in it."""
        return self.capital + self.realised - self.fees

    def quantity(self, symbol: str) -> Decimal:
        """Signed position, zero when flat."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding is not None else ZERO

    def quantities(self) -> dict[str, Decimal]:
        """Signed non-zero positions by symbol."""
        return {symbol: holding.quantity for symbol, holding in self.holdings.items()}

    def positions(self) -> tuple[Position, ...]:
        """Non-zero positions in symbol order."""
        return tuple(Position(symbol, h.quantity, h.entry_price) for symbol, h in sorted(self.holdings.items()))

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Open profit at the marks.

        Raises:
            KeyError: a held symbol has no mark; a profit that cannot be valued is not zero.
        """
        return sum((holding.unrealised(marks[symbol]) for symbol, holding in self.holdings.items()), ZERO)

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Wallet plus open profit at the marks."""
        return self.wallet + self.unrealised(marks)


def apply_fill(portfolio: Portfolio, fill: Fill) -> Portfolio:
    """Portfolio after one fill: adds at cost, closes at the average cost, and turns over when a fill does both."""
    signed = fill.side.sign * fill.quantity
    held = portfolio.holdings.get(fill.symbol, Holding(ZERO, ZERO))
    if held.quantity * signed >= 0:
        realised, after = ZERO, Holding(held.quantity + signed, held.cost + signed * fill.price)
    else:
        closed = -signed if abs(signed) <= abs(held.quantity) else held.quantity
        closed_cost = held.share_of_cost(closed)
        opened = signed + closed
        realised = closed * fill.price - closed_cost
        after = Holding(held.quantity - closed + opened, held.cost - closed_cost + opened * fill.price)
    holdings = dict(portfolio.holdings)
    if after.quantity:
        holdings[fill.symbol] = after
    else:
        holdings.pop(fill.symbol, None)
    return replace(
        portfolio,
        realised=portfolio.realised + realised,
        fees=portfolio.fees + fill.fee,
        holdings=MappingProxyType(holdings),
    )


def replay_fills(capital: Decimal, fills: Iterable[Fill]) -> Portfolio:
    """Portfolio after all fills, in the order given (venue order)."""
    portfolio = Portfolio(capital)
    for fill in fills:
        portfolio = apply_fill(portfolio, fill)
    return portfolio
