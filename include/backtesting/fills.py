"""What the backtest kernel gives back: fills and funding payments of one symbol."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from include.domain.bars import FloatArray, IntArray
from include.domain.enums import Liquidity, OrderPurpose, Side
from include.domain.instruments import Instrument

ByteArray = NDArray[np.int8]

PURPOSES: tuple[OrderPurpose, ...] = (
    OrderPurpose.ENTRY,
    OrderPurpose.EXIT,
    OrderPurpose.STOP,
    OrderPurpose.TAKE_PROFIT,
    OrderPurpose.SCALE_IN,
    OrderPurpose.TIME_EXIT,
    OrderPurpose.TRAILING_STOP,
    OrderPurpose.LIQUIDATION,
)
"""Meaning of the codes in `Fills.purpose`."""
ENTRY, EXIT, STOP, TAKE_PROFIT, SCALE_IN, TIME_EXIT, TRAILING_STOP, LIQUIDATION = range(len(PURPOSES))


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of one symbol in the order in which they happened, shape (k,), and its funding payments, shape (p,).

    Attributes:
        bar_index: row of the bar that filled.
        time_ms: open time of that bar, epoch milliseconds UTC.
        side: +1 buy, -1 sell.
        lots: quantity in whole lots; `quantity` is the same in base currency.
        price: quote currency; converting to the tick grid restores the exact decimal.
        fee: quote currency, positive is paid.
        purpose: index into `PURPOSES`.
        funding_index: row of the bar at whose open a position paid or received funding, increasing; before any fill of
            that bar.
        funding_paid: quote currency, negative is received.
    """

    instrument: Instrument
    bar_index: IntArray
    time_ms: IntArray
    side: ByteArray
    lots: IntArray
    quantity: FloatArray
    price: FloatArray
    fee: FloatArray
    purpose: ByteArray
    funding_index: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    funding_paid: FloatArray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return int(self.bar_index.shape[0])

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def side_of(self, row: int) -> Side:
        return Side.BUY if self.side[row] > 0 else Side.SELL

    def purpose_of(self, row: int) -> OrderPurpose:
        return PURPOSES[int(self.purpose[row])]

    @property
    def maker(self) -> NDArray[np.bool_]:
        """Take-profits rest and pay the maker fee; everything else takes."""
        maker: NDArray[np.bool_] = self.purpose == TAKE_PROFIT
        return maker

    def liquidity_of(self, row: int) -> Liquidity:
        return Liquidity.MAKER if self.purpose[row] == TAKE_PROFIT else Liquidity.TAKER

    @property
    def notional(self) -> float:
        """Traded value, quote currency."""
        return float((self.quantity * self.price).sum())

    @property
    def liquidations(self) -> int:
        return int(np.count_nonzero(self.purpose == LIQUIDATION))
