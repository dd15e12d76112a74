"""A lake in memory: bars by symbol, made from numbers in the test itself. Implements `ports.MarketData`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from include.domain.bars import Bars
from include.domain.errors import ConfigurationError, DataError
from include.domain.ids import digest
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, from_ms, to_ms

MINUTE = Timeframe(60)


def make_instrument(symbol: str, tick: str = "0.1", lot: str = "0.001") -> Instrument:
    """A market with round costs: a basis point of spread and slippage together, fees of 2 and 4 basis points."""
    return Instrument(
        symbol=symbol, tick_size=Decimal(tick), lot_size=Decimal(lot), min_notional=Decimal(5),
        maker_fee_rate=Decimal("0.0002"), taker_fee_rate=Decimal("0.0004"), half_spread_bps=Decimal("0.5"),
        slippage_bps=Decimal("0.5"),
    )  # fmt: skip


def random_bars(symbol: str, start: datetime, count: int, *, seed: int, price: float = 100.0) -> Bars:
    """A seeded walk of one-minute bars on a grid of a tenth; later bars depend on earlier draws only."""
    noise = np.random.default_rng(seed)
    closes = np.round(price + np.cumsum(noise.normal(0, price / 500, count)), 1)
    opens = np.round(np.concatenate(([price], closes[:-1])) + noise.choice([-0.1, 0.0, 0.1], count), 1)
    highs = np.round(np.maximum(opens, closes) + np.abs(noise.normal(0, price / 700, count)), 1)
    lows = np.round(np.minimum(opens, closes) - np.abs(noise.normal(0, price / 700, count)), 1)
    times = to_ms(start) + np.arange(count, dtype=np.int64) * MINUTE.ms
    return Bars(symbol, MINUTE, times, opens, highs, lows, closes, np.round(noise.uniform(1, 9, count), 3))


class MemoryMarket:
    """Holds the given bars; every venue name means the same data."""

    def __init__(self, bars: Mapping[str, Bars], instruments: Mapping[str, Instrument]) -> None:
        self._bars, self._instruments = dict(bars), dict(instruments)

    def bars(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Bars:
        held = self._held(symbol)
        first, last = np.searchsorted(held.open_time, [to_ms(start), to_ms(end)])
        if first == last:
            raise DataError(f"{symbol}: no bars from {start.isoformat()} to {end.isoformat()}")
        return held.window(int(first), int(last))

    def rows(self, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime) -> Any:
        raise DataError(f"{symbol}: this lake keeps no raw rows")

    def span(self, venue: str, symbol: str, timeframe: Timeframe) -> tuple[datetime, datetime]:
        held = self._held(symbol)
        return from_ms(int(held.open_time[0])), from_ms(int(held.open_time[-1]))

    def holdings(self, symbol: str) -> Sequence[tuple[str, Timeframe]]:
        return (("memory", MINUTE),) if symbol in self._bars else ()

    def fingerprint(
        self, venue: str, symbols: Sequence[str], timeframe: Timeframe, start: datetime, end: datetime
    ) -> str:
        return digest({symbol: self._held(symbol).close.tobytes().hex() for symbol in sorted(symbols)})

    def instrument(self, venue: str, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            raise ConfigurationError(f"symbol {symbol!r} is not declared for venue {venue!r}")
        return self._instruments[symbol]

    def is_synthetic(self, venue: str) -> bool:
        return True

    def _held(self, symbol: str) -> Bars:
        if symbol not in self._bars:
            raise DataError(f"{symbol}: not in the lake")
        return self._bars[symbol]
