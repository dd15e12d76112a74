"""What happens to an account besides its orders: money that moves without a trade, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from include.domain.enums import PositionSide
from include.domain.holding import ZERO
from include.venues.matching.orders import Trade
from include.venues.matching.positions import Position


class IncomeType(StrEnum):
    TRANSFER = "TRANSFER"
    FUNDING_FEE = "FUNDING_FEE"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    """The liquidation fee."""


@dataclass(frozen=True, slots=True)
class Income:
    """One change of a wallet in quote currency; positive is received."""

    type: IncomeType
    amount: Decimal
    at: int
    number: int
    """Unique within its type."""
    symbol: str = ""
    trade_id: int | None = None


def incomes_of(trade: Trade) -> list[Income]:
    """What a trade did to the wallet; what is zero is left out."""
    commission = trade.fee - trade.clearance
    amounts = (
        (IncomeType.REALIZED_PNL, trade.realised),
        (IncomeType.COMMISSION, -commission),
        (IncomeType.INSURANCE_CLEAR, -trade.clearance),
    )
    return [Income(kind, x, trade.at, trade.id, trade.symbol, trade.id) for kind, x in amounts if x]


@dataclass(frozen=True, slots=True)
class MarginMove:
    """Margin put behind an isolated position, or taken back (negative)."""

    symbol: str
    side: PositionSide
    amount: Decimal
    at: int


class ChangeReason(StrEnum):
    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    LEVERAGE = "LEVERAGE"
    MARGIN_CALL = "MARGIN_CALL"


@dataclass(frozen=True, slots=True)
class Held:
    """A position as it is told: flat ones too, because being flat is news. `mark` is where its market stands."""

    symbol: str
    side: PositionSide
    position: Position | None
    mark: Decimal
    is_isolated: bool
    margin: Decimal
    """Isolated margin; zero under crossed."""
    maintenance: Decimal
    realised: Decimal
    """Before fees, since the account was opened."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account after something has changed it. `amount`: what came into the wallet other than by a trade."""

    reason: ChangeReason
    at: int
    wallet: Decimal
    cross_wallet: Decimal
    held: tuple[Held, ...] = ()
    amount: Decimal = ZERO
    symbol: str = ""
    leverage: int = 0
