"""The one place where float64 becomes Decimal. Research is float; anything that trades is Decimal."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal

from include.domain.errors import DataError


def to_decimal(value: float, step: Decimal) -> Decimal:
    """Nearest multiple of `step` to a float that research produced.

    Lake prices are decimal ticks that went through float64; the nearest tick restores them exactly.

    Raises:
        DataError: the value is NaN or infinite; a number that is not there is never traded on.
    """
    if not math.isfinite(value):
        raise DataError(f"{value!r} is not a finite number and cannot become a price or a quantity")
    return (Decimal(repr(float(value))) / step).to_integral_value(rounding=ROUND_HALF_EVEN) * step


def to_float(value: Decimal) -> float:
    """Decimal to float64, for research and pictures only."""
    return float(value)
