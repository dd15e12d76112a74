"""How large an entry is: the fill rule's fixed share of the allocation, from what the strategy's signals said."""

from __future__ import annotations

import math
from decimal import Decimal

from include.domain.conversion import to_decimal
from include.domain.fill_rule import WEIGHT_STEP, entry_quantity
from include.domain.instruments import Instrument


def size_entry(instrument: Instrument, allocation: Decimal, weight: float, close: Decimal) -> Decimal:
    """Quantity of an entry in base currency; zero when nothing may be asked for.

    Args:
        allocation: the symbol's share of the capital, quote currency.
        weight: share of the allocation the strategy wants, in (0, 1]. Anything else (NaN, zero, above one) sizes to
            zero: a wish that makes no sense is not traded, and is not clipped into one that does.
        close: close of the deciding bar.
    """
    if not (math.isfinite(weight) and 0 < weight <= 1):
        return Decimal(0)
    return entry_quantity(instrument, allocation, to_decimal(weight, WEIGHT_STEP), close)
