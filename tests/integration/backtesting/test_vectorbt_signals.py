"""Kernel and vectorbt trade alike from signals on, where vectorbt can express the rule: orders at the next open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.backtesting.kernel import simulate
from include.backtesting.trades import trades_of
from include.domain.bars import Bars, Signals
from include.domain.conversion import to_decimal
from include.domain.fill_rule import entry_quantity
from include.domain.instruments import Instrument
from tests.adapters.memory_market import make_instrument, random_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
ALLOCATION = Decimal(40_000)
# vectorbt knows neither ticks nor the cap at the bar's range, so nothing worsens the open here; fees are the same.
INSTRUMENT = replace(
    make_instrument("X/USDT"), half_spread_bps=Decimal(0), slippage_bps=Decimal(0), maker_fee_rate=Decimal("0.0004")
)


def vectorbt_trades(bars: Bars, signals: Signals, instrument: Instrument) -> list[tuple[Any, ...]]:
    """Closed trades of vectorbt's own signal simulator: decided at a close, filled at the next open."""
    import vectorbt as vbt

    def after(rows: np.ndarray[Any, Any], empty: Any) -> np.ndarray[Any, Any]:
        return np.concatenate(([empty], rows[:-1]))

    target = signals.target
    closes = [to_decimal(float(close), instrument.tick_size) for close in bars.close]
    weights = [Decimal(repr(float(weight))) for weight in signals.weight]
    size = [float(entry_quantity(instrument, ALLOCATION, w, c)) for w, c in zip(weights, closes, strict=True)]
    index = pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]"))
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(bars.close, index=index), entries=after(target == 1, False), exits=after(target == 0, False),
        short_entries=after(target == -1, False), short_exits=after(target == 0, False),
        price=bars.open, size=after(np.array(size), np.nan), size_type="amount", fees=float(instrument.taker_fee_rate),
        init_cash=1e9, accumulate=False, upon_opposite_entry="reverse", freq="1min",
    )  # fmt: skip
    closed = portfolio.trades.closed.records
    return [
        (
            int(r.entry_idx), int(r.exit_idx), 1 if r.direction == 0 else -1, round(float(r.size), 8),
            round(float(r.entry_price), 8), round(float(r.exit_price), 8), round(float(r.pnl), 6),
        )
        for r in closed.itertuples()
    ]  # fmt: skip


def kernel_trades(bars: Bars, signals: Signals, instrument: Instrument) -> list[tuple[Any, ...]]:
    trades = trades_of(simulate(bars, signals, instrument, ALLOCATION))
    row = {int(t): i for i, t in enumerate(bars.open_time)}
    return [
        (
            row[int(trades.entry_ms[i])], row[int(trades.exit_ms[i])], int(trades.side[i]),
            round(float(trades.quantity[i]), 8), round(float(trades.entry_price[i]), 8),
            round(float(trades.exit_price[i]), 8), round(float(trades.pnl[i]), 6),
        )
        for i in range(len(trades))
    ]  # fmt: skip


def signals_of(targets: np.ndarray[Any, Any], weight: float) -> Signals:
    nowhere = np.full(len(targets), np.nan)
    return Signals(targets, np.full(len(targets), weight), nowhere, nowhere)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    targets=st.lists(st.sampled_from((1.0, -1.0, 0.0, np.nan)), min_size=2, max_size=80),
    weight=st.sampled_from((0.05, 0.333333, 1.0)),
)
def test_trade_lists_are_equal_over_random_markets_and_signals(seed: int, targets: list[float], weight: float) -> None:
    bars = random_bars("X/USDT", START, len(targets), seed=seed, price=1000.0)
    signals = signals_of(np.array(targets), weight)
    assert kernel_trades(bars, signals, INSTRUMENT) == vectorbt_trades(bars, signals, INSTRUMENT)


@pytest.mark.parametrize("cross", [(8, 30), (20, 90)])
def test_trade_lists_are_equal_for_a_crossover_on_a_long_market(cross: tuple[int, int]) -> None:
    from include.strategies.trend import MovingAverageTrend

    bars = random_bars("X/USDT", START, 20_000, seed=11, price=1000.0)
    signals = MovingAverageTrend(fast=cross[0], slow=cross[1], weight=0.5).signals(bars)
    ours = kernel_trades(bars, signals, INSTRUMENT)
    assert len(ours) > 100
    assert ours == vectorbt_trades(bars, signals, INSTRUMENT)
