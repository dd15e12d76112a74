"""Accounting from fills and funding alone: wallet, positions, realised profit, fees, equity. Pure and exact.

Law: wallet + unrealised == capital + sum over fills of (-sign x quantity x price - fee) + funding + position x mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType

from include.domain.holding import ZERO, Holding
from include.domain.orders import Fill, FundingPayment, Position


@dataclass(frozen=True, slots=True)
class Portfolio:
    """State of a deployment's account. Never edited: `apply_fill` returns the next one."""

    capital: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    """Received less paid."""
    holdings: Mapping[str, Holding] = field(default_factory=lambda: MappingProxyType({}))
    """Non-zero positions by symbol."""

    @property
    def wallet(self) -> Decimal:
        """Capital and what has been `earned`; open profit is not in it."""
        return self.capital + self.earned

    @property
    def earned(self) -> Decimal:
        """Realised profit less fees, and funding: how much the venue's wallet has changed."""
        return self.realised - self.fees + self.funding

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
    after, realised = portfolio.holdings.get(fill.symbol, Holding()).after(fill.side, fill.quantity, fill.price)
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


def apply_funding(portfolio: Portfolio, payment: FundingPayment) -> Portfolio:
    """Portfolio after one funding payment."""
    return replace(portfolio, funding=portfolio.funding + payment.amount)


def replay_fills(capital: Decimal, fills: Iterable[Fill], funding: Iterable[FundingPayment] = ()) -> Portfolio:
    """Portfolio after all fills, in the order given (venue order), and all funding, in any order."""
    portfolio = Portfolio(capital)
    for fill in fills:
        portfolio = apply_fill(portfolio, fill)
    for payment in funding:
        portfolio = apply_funding(portfolio, payment)
    return portfolio
