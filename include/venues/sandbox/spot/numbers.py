"""Spot writes every price, quantity and amount with eight decimals."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

STEP = Decimal("0.00000001")


def eight(value: Decimal) -> str:
    """Eight decimals; all of them where a value has more, so that whoever adds them up gets our sums."""
    if value == value.quantize(STEP, rounding=ROUND_HALF_EVEN):
        return format(value, ".8f")
    return format(value.normalize(), "f")
