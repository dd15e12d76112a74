"""Sound series for tests of the data gate, and the gate's own rules on them without lake and Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe, to_ms
from include.qualification.profile import DataRules
from include.validators.data_quality import SymbolQuality, measure_symbol
from include.validators.symbols_compared import compare_symbols
from include.validators.time_zones import block_edges
from tests.market import NOW, RULES, START, Columns

HALF_HOUR = Timeframe.parse("30m")
HALF_HOURS = 60 * 48


def correlated(seed: int, count: int = HALF_HOURS) -> Columns:
    """Half hours of one of several markets that move together."""
    steps = np.random.default_rng(99).normal(0, 30, count) + np.random.default_rng(seed).normal(0, 15, count)
    close = np.round(50_000 + np.cumsum(np.clip(steps, -200, 200))) / 100.0
    opened = np.concatenate([[500.0], close[:-1]])
    noise = np.random.default_rng(seed + 1_000)
    return {
        "open_time": to_ms(START) + HALF_HOUR.ms * np.arange(count, dtype=np.int64),
        "open": opened, "high": np.maximum(opened, close) + 0.05, "low": np.minimum(opened, close) - 0.05,
        "close": close, "volume": 1.0 + noise.integers(0, 100, count) / 10.0,
    }  # fmt: skip


def market(symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT", "SOL/USDT")) -> dict[str, Columns]:
    """Columns of markets in half hours that break no rule."""
    return {symbol: correlated(seed) for seed, symbol in enumerate(symbols)}


def judge(
    columns: Mapping[str, Columns], timeframe: Timeframe = HALF_HOUR, count: int = HALF_HOURS,
    coarser: Mapping[Timeframe, Columns] | None = None, rules: DataRules = RULES, now: datetime = NOW,
) -> dict[str, SymbolQuality]:  # fmt: skip
    """Every symbol's quality over the window of `count` bars from START."""
    end = START + count * timedelta(milliseconds=timeframe.ms)
    measured = [
        measure_symbol(symbol, c, timeframe, START, end, rules, unfinished=[], now=now, coarser=coarser)
        for symbol, c in columns.items()
    ]
    compared = compare_symbols(measured, [], block_edges(to_ms(START), to_ms(end)))
    return {q.symbol: q for q in compared}


def broken(quality: SymbolQuality) -> set[DataRule]:
    return set(quality.counts)
