"""Walk-forward: nothing of a test window is known when its parameters are chosen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.backtesting.portfolio import Market, run_portfolio
from include.backtesting.sweep import Sweep, run_sweep
from include.domain.bars import Bars
from include.domain.errors import ConfigurationError
from include.domain.times import DAY_MS, to_ms
from include.strategies.protocol import load_strategy
from include.validators.neighbourhood import axes
from include.validators.walk_forward import MIN_TEST_DAYS, Scheme, plan_splits, walk_forward
from tests.hourly_market import CAPITAL, DAYS, PARAMS, START, TREND, WARMUP, market


@pytest.fixture(scope="module")
def swept() -> tuple[Market, Sweep]:
    found = market()
    return found, run_sweep(TREND, [p.params for p in axes(PARAMS)], found, CAPITAL)


@given(days=st.integers(0, 3_000), purge=st.integers(0, 40), scheme=st.sampled_from(Scheme))
def test_test_windows_follow_each_other_and_training_ends_before_them(days: int, purge: int, scheme: Scheme) -> None:
    splits = plan_splits(days, purge, scheme)
    for split, after in pairwise(splits):
        assert split.test_end == after.test_first
    for split in splits:
        assert 0 <= split.train_first < split.train_end == split.test_first - purge
        assert split.test_end <= days and split.test_end - split.test_first >= MIN_TEST_DAYS
        assert split.train_first == 0 or scheme is Scheme.ROLLING


def test_too_few_days_give_no_fold() -> None:
    assert plan_splits(5 * MIN_TEST_DAYS - 1, 1, Scheme.ROLLING) == ()
    assert len(plan_splits(5 * MIN_TEST_DAYS, 1, Scheme.ROLLING)) == 1


@pytest.mark.parametrize("scheme", Scheme)
def test_what_comes_after_a_fold_does_not_change_it(swept: tuple[Market, Sweep], scheme: Scheme) -> None:
    found, sweep = swept
    whole = walk_forward(TREND, sweep, found, CAPITAL, purge_days=2, scheme=scheme)
    fold = whole.folds[1]
    later = to_ms(fold.test[1])

    def crash(bars: Bars) -> Bars:
        factor = np.where(bars.open_time >= later, 0.3, 1.0)
        return replace(
            bars, open=bars.open * factor, high=bars.high * factor, low=bars.low * factor, close=bars.close * factor
        )

    other = found.with_histories(crash)
    again = walk_forward(
        TREND, run_sweep(TREND, [t.params for t in sweep.trials], other, CAPITAL), other, CAPITAL, purge_days=2,
        scheme=scheme,
    )  # fmt: skip
    assert again.folds[:2] == whole.folds[:2]
    assert again.folds[2:] != whole.folds[2:]


def test_a_test_window_is_traded_from_flat_with_the_chosen_parameters(swept: tuple[Market, Sweep]) -> None:
    found, sweep = swept
    whole = walk_forward(TREND, sweep, found, CAPITAL, purge_days=2, scheme=Scheme.ROLLING)
    fold = whole.folds[0]
    assert fold.params is not None
    strategy = load_strategy(TREND, fold.params)
    alone = run_portfolio(strategy, found.between(*fold.test, strategy.warmup), CAPITAL)
    rows = slice(0, len(alone.returns))
    assert np.array_equal(whole.returns[rows], alone.returns)
    assert (fold.trades, fold.net_profit) == (len(alone.trades), float(alone.curve.profit[-1]))
    assert int(alone.trades.entry_ms.min()) >= to_ms(fold.test[0])


def test_the_stitched_days_are_those_of_the_test_windows_once_each(swept: tuple[Market, Sweep]) -> None:
    found, sweep = swept
    whole = walk_forward(TREND, sweep, found, CAPITAL, purge_days=2, scheme=Scheme.ANCHORED)
    assert len(whole.returns) == len(whole.day_ms) == sum((f.test[1] - f.test[0]).days for f in whole.folds)
    assert set(np.diff(whole.day_ms)) == {DAY_MS}
    assert whole.completed == len(whole.folds) == (DAYS - 4 * MIN_TEST_DAYS) // MIN_TEST_DAYS


def test_nothing_is_traded_where_training_gives_no_choice(swept: tuple[Market, Sweep]) -> None:
    found, sweep = swept
    silent = replace(sweep, trials=tuple(replace(t, returns=np.zeros(len(t.returns))) for t in sweep.trials))
    whole = walk_forward(TREND, silent, found, CAPITAL, purge_days=2, scheme=Scheme.ROLLING)
    assert whole.completed == 0 and not whole.returns.any()
    assert all(fold.params is None for fold in whole.folds)
    assert whole.sharpe is None and whole.efficiency is None


def test_points_that_the_strategy_refuses_are_left_out_by_name_and_none_at_all_is_an_error() -> None:
    short = market().between(START, START + timedelta(days=3), WARMUP)
    good, bad = PARAMS, {**PARAMS, "fast": 50}
    sweep = run_sweep(TREND, [bad, good], short, CAPITAL)
    assert [t.index for t in sweep.trials] == [1] and "fast must be" in sweep.refused[0]
    with pytest.raises(ConfigurationError, match="none of 1"):
        run_sweep(TREND, [bad], short, CAPITAL)


def test_a_parameter_point_gives_what_running_it_alone_gives(swept: tuple[Market, Sweep]) -> None:
    found, sweep = swept
    for trial in sweep.trials[:3]:
        alone = run_portfolio(load_strategy(TREND, trial.params), found, CAPITAL)
        assert np.array_equal(trial.returns, alone.returns) and trial.trades == len(alone.trades)


def test_profitable_folds_show_an_edge_that_lived_in_the_first_ones_only(swept: tuple[Market, Sweep]) -> None:
    market, sweep = swept
    found = walk_forward(TREND, sweep, market, CAPITAL, purge_days=1, scheme=Scheme.ROLLING)
    profits = (10.0, 500.0, -1.0, 0.0)
    told = replace(found, folds=tuple(replace(found.folds[0], net_profit=profit) for profit in profits))
    assert told.profitable == 2


def test_a_point_whose_signals_leave_their_range_is_left_out_like_one_that_the_strategy_refuses() -> None:
    short = market().between(START, START + timedelta(days=3), WARMUP)
    sweep = run_sweep("tests.adapters.strategies:Churn", [{"weight": 1.5}, {"weight": 1.0}], short, CAPITAL)
    assert [t.index for t in sweep.trials] == [1]
    assert "weight of an entry is not above 0 and at most 1" in sweep.refused[0] and "weight=1.5," in sweep.refused[0]
    assert "with {'weight': 1.5}" in sweep.refused[0]
