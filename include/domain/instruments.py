"""What the venue fixes about a market: steps, minimums, fees, and the cost assumptions of the fill rule."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from include.domain.enums import Liquidity, Side


def symbol_id(symbol: str) -> str:
    """`BTC/USDT`, `BTC-USDT` and `BTCUSDT` name the same market; this is the one key they share."""
    return symbol.replace("/", "").replace("-", "").split(":")[0].upper()


MAX_LEVERAGE = 125
DERIVED = "~"
"""Joins a lake venue's name and that of a series derived from its bars (`bitfinex~repaired`)."""


def base_venue(venue: str) -> str:
    """The declared venue behind a derived one; instruments and whether bars were generated are that venue's."""
    return venue.partition(DERIVED)[0]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market on one venue. Prices in quote currency, quantities in base currency, rates as fractions.

    Attributes:
        participation: share of a bar's volume that fills may take; None when volume limits nothing.
        funding_rate: what a long pays a short at every funding time where the bars do not say; negative turns it.
        maintenance_margin_rate: share of a position's value that its margin may not fall below.
        liquidation_fee_rate: what the exchange takes for closing a position, besides the taker fee.
        leverage: what the account is set to for this market; the candidate's, not the venue's.
    """

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal
    maker_fee_rate: Decimal
    taker_fee_rate: Decimal
    half_spread_bps: Decimal
    slippage_bps: Decimal
    participation: Decimal | None = None
    funding_rate: Decimal = Decimal(0)
    maintenance_margin_rate: Decimal = Decimal(0)
    liquidation_fee_rate: Decimal = Decimal(0)
    leverage: int = 1

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{self.symbol}: {name} must be positive")
        for name in (
            "min_notional", "maker_fee_rate", "taker_fee_rate", "half_spread_bps", "slippage_bps",
            "maintenance_margin_rate", "liquidation_fee_rate",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{self.symbol}: {name} must not be negative")
        if self.participation is not None and not 0 < self.participation <= 1:
            raise ValueError(f"{self.symbol}: participation must be above 0 and at most 1")
        if not 1 <= self.leverage <= MAX_LEVERAGE:
            raise ValueError(f"{self.symbol}: leverage must be from 1 to {MAX_LEVERAGE}")
        if self.maintenance_margin_rate * self.leverage >= 1:
            raise ValueError(
                f"{self.symbol}: at leverage {self.leverage} the margin would be below the maintenance margin at once"
            )

    @property
    def quote(self) -> str:
        """Settlement currency; USDT unless the symbol says otherwise."""
        return self.symbol.split("/")[1].split(":")[0] if "/" in self.symbol else "USDT"

    @property
    def market_cost_fraction(self) -> Decimal:
        """How much worse than the reference price a market order fills: half the spread plus slippage."""
        return (self.half_spread_bps + self.slippage_bps) / 10_000

    def floor_quantity(self, quantity: Decimal) -> Decimal:
        """Largest multiple of the lot not above `quantity`: rounding never asks for more than was decided."""
        return (quantity / self.lot_size).to_integral_value(rounding=ROUND_DOWN) * self.lot_size

    def worse_price(self, price: Decimal, side: Side) -> Decimal:
        """Round to the tick against ourselves: buys up, sells down."""
        rounding = ROUND_UP if side is Side.BUY else ROUND_DOWN
        return (price / self.tick_size).to_integral_value(rounding=rounding) * self.tick_size

    def fee(self, quantity: Decimal, price: Decimal, liquidity: Liquidity) -> Decimal:
        """Fee in quote currency, unrounded."""
        rate = self.maker_fee_rate if liquidity is Liquidity.MAKER else self.taker_fee_rate
        return quantity * price * rate
