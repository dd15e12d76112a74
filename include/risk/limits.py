"""A profile's risk limits as exact decimals: the form in which the gate compares them with money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from include.qualification.profile import RiskLimits

RATE_WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate enforces. Fractions are of the deployment's equity; names share the stem of their reason code."""

    max_position_fraction: Decimal
    max_leverage: Decimal
    max_daily_loss_fraction: Decimal
    max_drawdown_fraction: Decimal
    max_orders_per_minute: int
    price_collar_fraction: Decimal
    max_bar_age_bars: int


def build_limits(rules: RiskLimits) -> Limits:
    """Limits of a profile; each float becomes the decimal that was written in the file."""
    return Limits(
        max_position_fraction=Decimal(repr(rules.max_position_fraction)),
        max_leverage=Decimal(repr(rules.max_leverage)),
        max_daily_loss_fraction=Decimal(repr(rules.max_daily_loss_fraction)),
        max_drawdown_fraction=Decimal(repr(rules.max_drawdown_fraction)),
        max_orders_per_minute=rules.max_orders_per_minute,
        price_collar_fraction=Decimal(repr(rules.price_collar_fraction)),
        max_bar_age_bars=rules.max_bar_age_bars,
    )
