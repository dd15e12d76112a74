"""How large an order is that opens or enlarges a position: the fill rule's formulas on a strategy's signals."""

from __future__ import annotations

import math
from decimal import Decimal

from include.domain.conversion import to_decimal
from include.domain.fill_rule import WEIGHT_STEP, entry_quantity, scale_in_quantity
from include.domain.instruments import Instrument


def size_entry(instrument: Instrument, allocation: Decimal, weight: float, close: Decimal, equity: Decimal) -> Decimal:
    """Quantity of an entry in base currency; zero when nothing may be asked for.

    Args:
        allocation: the symbol's share of the capital, quote currency.
        weight: share of the allocation the strategy wants, in (0, 1]. Anything else (NaN, zero, above one) sizes to
            zero: a wish that makes no sense is not traded, and is not clipped into one that does.
        close: close of the deciding bar.
        equity: what the allocation has become at this close.
    """
    if not _is_share(weight):
        return Decimal(0)
    return entry_quantity(instrument, allocation, to_decimal(weight, WEIGHT_STEP), close, equity)


def size_scale_in(
    instrument: Instrument, allocation: Decimal, share: float, close: Decimal, equity: Decimal, held: Decimal
) -> Decimal:
    """Quantity to add to a position of `held` (unsigned); zero when nothing may be asked for. Arguments as above."""
    if not _is_share(share):
        return Decimal(0)
    return scale_in_quantity(instrument, allocation, to_decimal(share, WEIGHT_STEP), close, equity, held)


def _is_share(value: float) -> bool:
    return math.isfinite(value) and 0 < value <= 1
