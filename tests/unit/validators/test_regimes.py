"""Regimes are labelled from the past alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.backtesting.portfolio import Market, run_portfolio
from include.domain.times import DAY_MS
from include.strategies.protocol import load_strategy
from include.validators.regimes import MIN_HISTORY_DAYS, Regime, basket, label_days, study_regimes
from tests.hourly_market import CAPITAL, PARAMS, START, TREND, bars_of, instrument, market


def days(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return DAY_MS * np.arange(count, dtype=np.int64)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), day=st.integers(MIN_HISTORY_DAYS, 199))
def test_a_label_does_not_change_with_what_happens_on_its_day_or_later(seed: int, day: int) -> None:
    level = np.cumsum(np.random.default_rng(seed).standard_normal(200) * 0.02)
    other = level.copy()
    other[day:] = -50.0
    assert np.array_equal(label_days(level, days(200))[: day + 1], label_days(other, days(200))[: day + 1])


def test_no_label_before_there_is_enough_history() -> None:
    labels = label_days(np.cumsum(np.full(200, 0.01)), days(200))
    assert (labels[:MIN_HISTORY_DAYS] == -1).all() and (labels[MIN_HISTORY_DAYS:] >= 0).all()


def test_trend_and_volatility_are_told_apart() -> None:
    random = np.random.default_rng(3)
    calm, wild = 0.005 * random.standard_normal(100), 0.05 * random.standard_normal(100)
    up = np.full(60, 0.06) + 0.005 * random.standard_normal(60)
    level = np.cumsum(np.concatenate((calm, wild, up, -up)))
    labels = [list(Regime)[i] if i >= 0 else None for i in label_days(level, days(len(level)))]
    assert set(labels[140:200]) <= {Regime.VOLATILE_DOWN, Regime.VOLATILE_SIDEWAYS, Regime.VOLATILE_UP}
    assert labels[258] in (Regime.CALM_UP, Regime.VOLATILE_UP)
    assert labels[318] in (Regime.CALM_DOWN, Regime.VOLATILE_DOWN)


def test_every_labelled_day_and_trade_is_counted_once() -> None:
    walk = market(symbols=("BTC/USDT", "ETH/USDT"))
    run = run_portfolio(load_strategy(TREND, PARAMS), walk, CAPITAL)
    found = study_regimes(walk, run)
    assert sum(r.days for r in found.results) == int((found.labels >= 0).sum())
    entered_before = int((run.trades.entry_ms < found.day_ms[MIN_HISTORY_DAYS]).sum())
    assert sum(r.trades for r in found.results) == len(run.trades) - entered_before
    assert [r.regime for r in found.results] == list(Regime)


def test_without_a_covered_regime_there_is_no_worst_sharpe() -> None:
    short = Market((bars_of(np.full(480, 100.0)),), (instrument(),), START)
    found = study_regimes(short, run_portfolio(load_strategy(TREND, PARAMS), short, CAPITAL))
    assert found.covered == () and found.worst_sharpe is None


def test_a_symbol_that_is_listed_later_moves_the_basket_only_from_then_on() -> None:
    early = bars_of(np.full(10 * 24, 100.0))
    late = bars_of(np.full(5 * 24, 100.0) * np.exp(np.linspace(0, 0.5, 5 * 24)), "ETH/USDT")
    shifted = Market((early, late.window(0, len(late))), (instrument(), instrument("ETH/USDT")), START)
    daily = run_portfolio(load_strategy(TREND, PARAMS), shifted, CAPITAL).daily
    level = basket(shifted, daily)
    assert level[0] == 0.0 and np.isclose(level[4], level[-1])
