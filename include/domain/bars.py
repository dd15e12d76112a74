"""Bars and signals of one symbol: small frozen containers of arrays, the only thing a strategy sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from include.domain.times import Timeframe, from_ms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PRICE_COLUMNS = ("open", "high", "low", "close")
BAR_COLUMNS = ("open_time", *PRICE_COLUMNS, "volume")
"""Names of the standard columns wherever bars are a table; everything else is an extra."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One finished bar as the engine and the venues handle it: exact decimals, aware UTC open time."""

    symbol: str
    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        if not (self.low <= self.open <= self.high and self.low <= self.close <= self.high and self.low > 0):
            raise ValueError(f"{self.symbol} {self.open_time}: not a possible bar: {self}")


@dataclass(frozen=True, slots=True)
class Bars:
    """Finished bars of one symbol, oldest first.

    Attributes:
        open_time: shape (n,), int64 epoch milliseconds UTC, strictly increasing.
        open, high, low, close: shape (n,), float64, quote currency.
        volume: shape (n,), float64, base currency.
        extras: further columns a model may ask for (trade count, funding, ...), shape (n,) each.
    """

    symbol: str
    timeframe: Timeframe
    open_time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    extras: Mapping[str, FloatArray] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        n = self.open_time.shape[0]
        columns = {"open": self.open, "high": self.high, "low": self.low, "close": self.close, "volume": self.volume}
        for name, column in {**columns, **self.extras}.items():
            if column.shape != (n,):
                raise ValueError(f"{self.symbol}: column {name} has shape {column.shape}, expected ({n},)")

    def __len__(self) -> int:
        return int(self.open_time.shape[0])

    def window(self, start: int, stop: int) -> Bars:
        """Rows start..stop-1 as views, no copy."""
        cut = slice(start, stop)
        return Bars(
            self.symbol, self.timeframe, self.open_time[cut], self.open[cut], self.high[cut], self.low[cut],
            self.close[cut], self.volume[cut], MappingProxyType({k: v[cut] for k, v in self.extras.items()}),
        )  # fmt: skip

    @property
    def first(self) -> datetime:
        return from_ms(int(self.open_time[0]))

    @property
    def last(self) -> datetime:
        return from_ms(int(self.open_time[-1]))


@dataclass(frozen=True, slots=True)
class Signals:
    """What a strategy wants after each bar's close; row t may use rows <= t only.

    Attributes:
        target: shape (n,), +1 be long, -1 be short, 0 be flat, NaN no opinion (keep what there is).
        weight: shape (n,), share of the symbol's allocation to use for an entry decided at t, in (0, 1].
        stop: shape (n,), protective stop price for an entry decided at t; NaN for none.
        take_profit: shape (n,), take-profit limit price for an entry decided at t; NaN for none.
        trailing: shape (n,), distance of the trailing stop of an entry decided at t below (above) the best price
            since, as a fraction of it, in [0.001, 0.1]; NaN for none. None when no row has one.
        hold: shape (n,), whole number of bars, at least 1, after which a position entered at t is left; NaN for no
            limit. None when no row has one.
        add: shape (n,), share of the allocation to add at t to a position already held on the side of `target`, in
            (0, 1]; NaN for nothing. None when no row has one: positions then go from flat to flat unchanged.

    What protects an entry is fixed when it is decided; later rows do not move it.
    """

    target: FloatArray
    weight: FloatArray
    stop: FloatArray
    take_profit: FloatArray
    trailing: FloatArray | None = None
    hold: FloatArray | None = None
    add: FloatArray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.target)
        for name in ("weight", "stop", "take_profit", "trailing", "hold", "add"):
            column = getattr(self, name)
            if column is not None and (np.shape(column) != shape or len(shape) != 1):
                raise ValueError(
                    f"signals: {name} has shape {np.shape(column)}, target has {shape}; give one number for each bar"
                )

    def window(self, start: int, stop: int) -> Signals:
        """Rows start..stop-1 as views, no copy."""
        cut = slice(start, stop)
        rows = (None if column is None else column[cut] for column in (self.trailing, self.hold, self.add))
        return Signals(self.target[cut], self.weight[cut], self.stop[cut], self.take_profit[cut], *rows)

    def __len__(self) -> int:
        return len(self.target)
