"""One position under margin: what it holds, what stands behind it, and where it is liquidated. Pure and exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from include.domain import fill_rule
from include.domain.enums import MarginType, OrderType, Side
from include.domain.holding import COST_STEP, ZERO, Holding
from include.domain.instruments import Instrument
from include.venues.matching.brackets import Bracket


@dataclass(frozen=True, slots=True)
class Terms:
    """What a symbol is set to in an account."""

    leverage: int
    margin_type: MarginType


@dataclass(frozen=True, slots=True)
class Position:
    """A position that is not flat; replaced, never edited.

    `added` is margin beyond |cost| / leverage, isolated only. `liquidation` and `bankruptcy` are set where the position
    has its own margin; under crossed margin they depend on the whole account (`crossed_level`).
    """

    holding: Holding
    added: Decimal = ZERO
    liquidation: Decimal | None = None
    bankruptcy: Decimal | None = None
    updated_at: int = 0

    @property
    def closing_side(self) -> Side:
        return Side.SELL if self.holding.quantity > 0 else Side.BUY

    @property
    def size(self) -> Decimal:
        return abs(self.holding.quantity)

    def is_liquidated_at(self, price: Decimal) -> bool:
        """Whether its own margin is gone; never under crossed margin."""
        level = self.liquidation
        return level is not None and fill_rule.is_reached(OrderType.STOP_MARKET, self.closing_side, level, price)

    def margin(self, leverage: int) -> Decimal:
        """Isolated margin: what was put aside at entry, and what has been added."""
        return abs(self.holding.cost) / leverage + self.added


def after_fill(
    position: Position | None, side: Side, quantity: Decimal, price: Decimal, at: int
) -> tuple[Position | None, Decimal, bool]:
    """Apply a fill; levels of an enlarged position are for `with_levels`.

    Returns:
        the position (None when flat), the profit realised before fees, and whether the position is larger or turned.
    """
    before = position.holding if position is not None else Holding()
    after, realised = before.after(side, quantity, price)
    if not after.quantity:
        return None, realised, False
    if position is None or before.quantity * after.quantity < 0:
        return Position(after, updated_at=at), realised, True
    if abs(after.quantity) > abs(before.quantity):
        return replace(position, holding=after, updated_at=at), realised, True
    kept = (position.added * after.quantity / before.quantity).quantize(COST_STEP, rounding=ROUND_HALF_EVEN)
    return replace(position, holding=after, added=kept, updated_at=at), realised, False


def with_levels(position: Position, instrument: Instrument, terms: Terms, bracket: Bracket) -> Position:
    """The position with its levels of liquidation and bankruptcy (rule 14); without any under crossed margin."""
    if terms.margin_type is MarginType.CROSSED:
        return replace(position, liquidation=None, bankruptcy=None)
    own = replace(instrument, leverage=terms.leverage, maintenance_margin_rate=bracket.rate)
    side, entry, size = position.closing_side, position.holding.entry_price, position.size
    return replace(
        position,
        liquidation=fill_rule.liquidation_level(own, side, entry, (position.added + bracket.amount) / size),
        bankruptcy=fill_rule.bankruptcy_price(own, side, entry, position.added / size),
    )


class CrossedPosition(NamedTuple):
    """A crossed position, where its market stands, and its maintenance bracket there."""

    symbol: str
    position: Position
    mark: Decimal
    bracket: Bracket

    @property
    def unrealised(self) -> Decimal:
        return self.position.holding.unrealised(self.mark)

    @property
    def maintenance(self) -> Decimal:
        return self.position.size * self.mark * self.bracket.rate - self.bracket.amount


def crossed_level(
    wallet: Decimal, positions: Iterable[CrossedPosition], symbol: str, instrument: Instrument
) -> tuple[Side, Decimal] | None:
    """Price of one symbol at which the crossed account's equity falls to the sum of its maintenance margins, the other
    symbols staying where they are; brackets are those of now.

    Args:
        wallet: the crossed wallet.

    Returns:
        side of the liquidation and the level on the tick, rounded to the safe side as rule 14 does; None where the
        symbol's price cannot bring it about.
    """
    free, slope = wallet, ZERO
    for p in positions:
        if p.symbol == symbol:
            slope += p.position.holding.quantity - p.position.size * p.bracket.rate
            free += p.bracket.amount - p.position.holding.cost
        else:
            free += p.unrealised - p.maintenance
    if not slope:
        return None
    side = Side.SELL if slope > 0 else Side.BUY
    return side, instrument.worse_price(max(ZERO, -free / slope), side.opposite)


def crossed_bankruptcy(
    wallet: Decimal, positions: Iterable[CrossedPosition], chosen: CrossedPosition, instrument: Instrument
) -> Decimal:
    """Price of one crossed position at which nothing is left of the account, all others staying where they are."""
    others = sum((p.unrealised for p in positions if p != chosen), wallet)
    holding = chosen.position.holding
    used_up = max(ZERO, (holding.cost - others) / holding.quantity)
    return instrument.worse_price(used_up, chosen.position.closing_side.opposite)
