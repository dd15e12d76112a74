"""A symbol's bars as the sandbox tells them: exact decimals for matching, text for the wire, made on demand.

The arrays stay float64 views of the lake; a bar becomes decimal only when it is played or asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from include.domain.bars import Bars
from include.domain.conversion import to_decimal
from include.domain.instruments import Instrument, symbol_id
from include.venues.matching import Prices


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", symbol_id(self.instrument.symbol))
        object.__setattr__(self, "price_format", f".{places(self.instrument.tick_size)}f")
        object.__setattr__(self, "quantity_format", f".{places(self.instrument.lot_size)}f")

    @property
    def interval_ms(self) -> int:
        return self.bars.timeframe.ms

    def price_text(self, price: Decimal) -> str:
        return format(price, self.price_format)

    def quantity_text(self, quantity: Decimal) -> str:
        return format(quantity, self.quantity_format)

    def prices(self, row: int) -> Prices:
        """Exact prices of a bar, on the tick."""
        tick, bars = self.instrument.tick_size, self.bars
        return Prices(
            *(to_decimal(float(column[row]), tick) for column in (bars.open, bars.high, bars.low, bars.close))
        )

    def rows(self, first_ms: int | None, last_ms: int | None, limit: int, known: int) -> range:
        """Rows with first_ms <= open time <= last_ms among the first `known`: from the start when `first_ms` is given,
        else the last `limit` of them."""
        times = self.bars.open_time[:known]
        begin = 0 if first_ms is None else int(np.searchsorted(times, first_ms))
        end = known if last_ms is None else int(np.searchsorted(times, last_ms, side="right"))
        return range(begin, min(end, begin + limit)) if first_ms is not None else range(max(begin, end - limit), end)

    def kline(self, row: int, *, finished: bool = True) -> list[Any]:
        """A bar as a row of GET /fapi/v1/klines; of an unfinished one only the open has happened."""
        k = self.kline_fields(row, finished=finished)
        return [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"]

    def kline_fields(self, row: int, *, finished: bool = True) -> dict[str, Any]:
        """A bar as the `k` object of a kline event.

        The lake keeps no quote volume: it is told as volume x close. Trade count and taker volume are the lake's
        where it has them (extras `trade_count`, `taker_buy_volume`), else zero.
        """
        bars, tick = self.bars, self.instrument.tick_size
        opened = self.price_text(to_decimal(float(bars.open[row]), tick))
        high, low, close = (
            (self.price_text(to_decimal(float(column[row]), tick)) for column in (bars.high, bars.low, bars.close))
            if finished
            else (opened, opened, opened)
        )
        volume = float(bars.volume[row]) if finished else 0.0
        taken = self._extra("taker_buy_volume", row) if finished else 0.0
        price = float(bars.close[row])
        open_time = int(bars.open_time[row])
        return {
            "t": open_time, "T": open_time + self.interval_ms - 1, "s": self.id, "i": str(bars.timeframe),
            "f": -1, "L": -1, "o": opened, "c": close, "h": high, "l": low, "v": format(volume, self.quantity_format),
            "n": int(self._extra("trade_count", row)) if finished else 0, "x": finished, "q": f"{volume * price:.5f}",
            "V": format(taken, self.quantity_format), "Q": f"{taken * price:.5f}", "B": "0",
        }  # fmt: skip

    def _extra(self, name: str, row: int) -> float:
        column = self.bars.extras.get(name)
        return float(column[row]) if column is not None else 0.0
