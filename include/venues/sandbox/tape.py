"""A symbol's bars as the sandbox tells them: exact decimals for matching, text for the wire, made on demand.

The arrays stay float64 views of the lake; a bar becomes decimal only when it is played or asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from include.domain.bars import Bars, IntArray
from include.domain.conversion import to_decimal
from include.domain.fill_rule import RATE_STEP
from include.domain.instruments import Instrument, symbol_id
from include.venues.matching import Prices

FUNDING_COLUMN = "funding_rate"
"""Extra column of the data with all the funding that is due at a bar's open; NaN for nothing."""


def places(step: Decimal) -> int:
    """Decimal places a multiple of `step` is written with."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class Tape:
    """One symbol's bars: warm-up history before `start` and the replayed window from it."""

    instrument: Instrument
    bars: Bars
    start: int
    """Row of the first replayed bar."""
    id: str = field(init=False)
    """The symbol as the exchange spells it (BTCUSDT)."""
    price_format: str = field(init=False)
    quantity_format: str = field(init=False)
    lots: IntArray = field(init=False, repr=False)
    """Volume of every bar in lots, rounded to the nearest (ties to the even one), shape (n,)."""
    changed: list[int] = field(init=False, default_factory=list, repr=False)
    """Rows that faults have rewritten: who keeps something computed from the bars looks here."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", symbol_id(self.instrument.symbol))
        object.__setattr__(self, "price_format", f".{places(self.instrument.tick_size)}f")
        object.__setattr__(self, "quantity_format", f".{places(self.instrument.lot_size)}f")
        lots = np.rint(self.bars.volume / float(self.instrument.lot_size)).astype(np.int64)
        object.__setattr__(self, "lots", lots)

    def bar_changed(self, row: int) -> None:
        """Take note of a bar that a fault has rewritten."""
        self.lots[row] = round(float(self.bars.volume[row]) / float(self.instrument.lot_size))
        self.changed.append(row)

    @property
    def interval_ms(self) -> int:
        return self.bars.timeframe.ms

    def price_text(self, price: Decimal) -> str:
        return format(price, self.price_format)

    def quantity_text(self, quantity: Decimal) -> str:
        return format(quantity, self.quantity_format)

    def prices(self, row: int) -> Prices:
        """Exact prices of a bar on the tick, its volume on the lot, and the funding rate where the data has one."""
        tick, bars = self.instrument.tick_size, self.bars
        rates = bars.extras.get(FUNDING_COLUMN)
        open_, high, low, close = (
            to_decimal(float(column[row]), tick) for column in (bars.open, bars.high, bars.low, bars.close)
        )
        volume = int(self.lots[row]) * self.instrument.lot_size
        return Prices(open_, high, low, close, volume, None if rates is None else _rate(float(rates[row])))


def _rate(value: float) -> Decimal:
    """A funding rate of the data; nothing is due where it is NaN."""
    return Decimal(0) if math.isnan(value) else to_decimal(value, RATE_STEP)
