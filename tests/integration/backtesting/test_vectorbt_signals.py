"""Kernel and vectorbt trade alike from signals on, where vectorbt can express the rule: orders at the next open, and
additions to a position, and trailing stops on bars of a single price.

What vectorbt cannot express, and the Decimal executor stands in for: the path inside a bar (its stops come before its
take-profits whatever the bar does, and its trailing stops follow earlier bars only), a stop and a reversal on one bar,
levels on the entry bar, the cap of an entry at the symbol's equity, funding, liquidation, shares of a bar's volume.
"""

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
    return _rows(portfolio.trades.closed.records)


def _rows(closed: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [
        (
            int(r.entry_idx), int(r.exit_idx), 1 if r.direction == 0 else -1, round(float(r.size), 8),
            round(float(r.entry_price), 8), round(float(r.exit_price), 8), round(float(r.pnl), 6),
        )
        for r in closed.itertuples()
    ]  # fmt: skip


def vectorbt_trades_with_additions(bars: Bars, signals: Signals, instrument: Instrument) -> list[tuple[Any, ...]]:
    """The same with `accumulate="addonly"`: an entry signal on the side already held adds to it."""
    import vectorbt as vbt

    assert signals.add is not None
    n, held = len(bars), 0.0
    sides, sizes, exits = np.zeros(n), np.full(n, np.nan), np.zeros(n, dtype=bool)
    for t in range(n - 1):
        close, wanted = to_decimal(float(bars.close[t]), instrument.tick_size), signals.target[t]
        adding = wanted == held and not np.isnan(signals.add[t])
        if wanted in (1.0, -1.0) and (wanted != held or adding):
            share = Decimal(repr(float(signals.add[t] if adding else signals.weight[t])))
            sides[t + 1], sizes[t + 1] = wanted, float(entry_quantity(instrument, ALLOCATION, share, close))
        exits[t + 1] = wanted == 0
        held = held if np.isnan(wanted) else wanted
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(bars.close, index=pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]"))),
        entries=sides == 1, exits=exits, short_entries=sides == -1, short_exits=exits, price=bars.open, size=sizes,
        size_type="amount", fees=float(instrument.taker_fee_rate), init_cash=1e9, accumulate="addonly",
        upon_opposite_entry="reverse", freq="1min",
    )  # fmt: skip
    return _rows(portfolio.positions.closed.records)


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
    weight=st.sampled_from((0.05, 0.333333)),
)
def test_trade_lists_are_equal_over_random_markets_and_signals(seed: int, targets: list[float], weight: float) -> None:
    bars = random_bars("X/USDT", START, len(targets), seed=seed, price=1000.0)
    signals = signals_of(np.array(targets), weight)
    assert kernel_trades(bars, signals, INSTRUMENT) == vectorbt_trades(bars, signals, INSTRUMENT)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    wishes=st.lists(
        st.tuples(st.sampled_from((1.0, 1.0, -1.0, 0.0, np.nan)), st.sampled_from((0.01, np.nan))),
        min_size=2, max_size=60,
    ),
)  # fmt: skip
def test_trade_lists_are_equal_when_positions_are_added_to(seed: int, wishes: list[tuple[float, float]]) -> None:
    bars = random_bars("X/USDT", START, len(wishes), seed=seed, price=1000.0)
    targets, shares = (np.array([row[i] for row in wishes]) for i in range(2))
    signals = replace(signals_of(targets, 0.1), add=shares)
    assert kernel_trades(bars, signals, INSTRUMENT) == vectorbt_trades_with_additions(bars, signals, INSTRUMENT)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    targets=st.lists(st.sampled_from((1.0, 1.0, 0.0, np.nan, np.nan)), min_size=2, max_size=60),
    distance=st.sampled_from((0.003, 0.013, 0.05)),
    side=st.sampled_from((1.0, -1.0)),
)  # fmt: skip
def test_trade_lists_are_equal_with_trailing_stops_where_each_bar_has_one_price(
    seed: int, targets: list[float], distance: float, side: float
) -> None:
    import vectorbt as vbt

    fine = replace(INSTRUMENT, tick_size=Decimal("0.0001"))
    whole = random_bars("X/USDT", START, len(targets), seed=seed, price=1000.0)
    moves = np.random.default_rng(seed).normal(0, 0.01, len(targets))
    price = np.round(1000 * np.exp(np.cumsum(moves)), 4)
    bars = replace(whole, open=price, high=price, low=price, close=price)
    target = np.array(targets) * side
    signals = replace(signals_of(target, 0.05), trailing=np.full(len(targets), distance))
    closes = [to_decimal(float(close), fine.tick_size) for close in price]
    size = np.array([float(entry_quantity(fine, ALLOCATION, Decimal("0.05"), close)) for close in closes])
    wanted = np.concatenate(([np.nan], target[:-1]))
    portfolio = vbt.Portfolio.from_signals(
        pd.Series(price, index=pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]"))), entries=wanted == side,
        exits=wanted == 0, direction="longonly" if side > 0 else "shortonly", open=price, high=price, low=price,
        price=price, size=np.concatenate(([np.nan], size[:-1])), size_type="amount", sl_stop=distance, sl_trail=True,
        fees=float(fine.taker_fee_rate), init_cash=1e9, accumulate=False, freq="1min",
    )  # fmt: skip
    assert kernel_trades(bars, signals, fine) == _rows(portfolio.trades.closed.records)


@pytest.mark.parametrize("cross", [(8, 30), (20, 90)])
def test_trade_lists_are_equal_for_a_crossover_on_a_long_market(cross: tuple[int, int]) -> None:
    from include.strategies.trend import MovingAverageTrend

    bars = random_bars("X/USDT", START, 20_000, seed=11, price=1000.0)
    signals = MovingAverageTrend(fast=cross[0], slow=cross[1], weight=0.1).signals(bars)
    ours = kernel_trades(bars, signals, INSTRUMENT)
    assert len(ours) > 100
    assert ours == vectorbt_trades(bars, signals, INSTRUMENT)
