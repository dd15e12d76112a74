"""Entry quantities from signals."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from include.qualification.profile import RiskLimits
from include.risk.limits import build_limits
from include.risk.sizing import size_entry, size_scale_in
from tests.adapters.questions import BTC

CASES = [
    ("half the allocation, rounded down to the lot", 0.5, "10000", "49999.9", "0.100"),
    ("whole allocation", 1.0, "10000", "50000", "0.200"),
    ("below the minimum notional", 0.009, "10000", "50000", "0"),
    ("weight is not a number", math.nan, "10000", "50000", "0"),
    ("weight zero", 0.0, "10000", "50000", "0"),
    ("weight negative", -0.5, "10000", "50000", "0"),
    ("weight above one is not clipped", 1.2, "10000", "50000", "0"),
    ("weight infinite", math.inf, "10000", "50000", "0"),
]


@pytest.mark.parametrize(
    ("weight", "allocation", "close", "quantity"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_an_entry_is_sized_by_the_fill_rule(weight: float, allocation: str, close: str, quantity: str) -> None:
    assert size_entry(BTC, Decimal(allocation), weight, Decimal(close), Decimal(allocation)) == Decimal(quantity)


def test_limits_become_the_decimals_that_were_written() -> None:
    rules = RiskLimits(
        max_position_fraction=0.1, max_leverage=3.0, max_daily_loss_fraction=0.02, max_drawdown_fraction=0.1,
        max_orders_per_minute=60, price_collar_fraction=0.05, max_bar_age_bars=2,
    )  # fmt: skip
    limits = build_limits(rules)
    assert limits.max_position_fraction == Decimal("0.1")
    assert limits.max_daily_loss_fraction == Decimal("0.02")
    assert limits.price_collar_fraction == Decimal("0.05")


def test_less_equity_than_the_weight_asks_for_makes_the_entry_smaller() -> None:
    assert size_entry(BTC, Decimal(10_000), 0.5, Decimal(50_000), Decimal(2_500)) == Decimal("0.050")
    assert size_entry(BTC, Decimal(10_000), 0.5, Decimal(50_000), Decimal(-1)) == 0


@pytest.mark.parametrize("share", [float("nan"), 0.0, -0.5, 1.5, float("inf")])
def test_a_scale_in_of_a_share_that_makes_no_sense_is_none(share: float) -> None:
    everything = Decimal(10_000)
    assert size_scale_in(BTC, everything, share, Decimal(50_000), everything, Decimal(0)) == 0


def test_a_scale_in_stops_where_the_allocation_is_used_up() -> None:
    everything = Decimal(10_000)
    assert size_scale_in(BTC, everything, 1.0, Decimal(50_000), everything, Decimal("0.15")) == Decimal("0.050")
