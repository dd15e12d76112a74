"""A small market of hourly bars and the trend strategy on it, for tests of the robustness checks."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from include.backtesting.portfolio import Market
from include.domain.bars import Bars, FloatArray
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, to_ms

TREND = "include.strategies.trend:MovingAverageTrend"
PARAMS = {"fast": 8, "slow": 40, "weight": 0.5}
HOUR = Timeframe(3_600)
START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS, WARMUP = 240, 60
CAPITAL = Decimal(10_000)


def instrument(symbol: str = "BTC/USDT") -> Instrument:
    return Instrument(
        symbol, tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), min_notional=Decimal(5),
        maker_fee_rate=Decimal("0.0002"), taker_fee_rate=Decimal("0.0005"), half_spread_bps=Decimal("0.5"),
        slippage_bps=Decimal(1),
    )  # fmt: skip


def bars_of(close: FloatArray, symbol: str = "BTC/USDT", start: datetime = START) -> Bars:
    """Hourly bars that open at the close before and have no wicks; volume 100 each."""
    close = np.round(close, 2)
    opened = np.concatenate((close[:1], close[:-1]))
    times = to_ms(start) + HOUR.ms * np.arange(len(close), dtype=np.int64)
    return Bars(
        symbol, HOUR, times, opened, np.maximum(opened, close), np.minimum(opened, close), close,
        np.full(len(close), 100.0),
    )  # fmt: skip


def market(seed: int = 1, symbols: tuple[str, ...] = ("BTC/USDT",), days: int = DAYS) -> Market:
    """Random walks with warm-up before the start."""
    random = np.random.default_rng(seed)
    histories = tuple(
        bars_of(
            100 * np.exp(np.cumsum(0.004 * random.standard_normal(days * 24 + WARMUP))), symbol,
            START - WARMUP * HOUR.delta,
        )
        for symbol in symbols
    )  # fmt: skip
    return Market(histories, tuple(instrument(symbol) for symbol in symbols), START)
