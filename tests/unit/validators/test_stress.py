"""Stress: crashes laid over the candidate's own bars."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from include.strategies.protocol import load_strategy
from include.validators.benchmark import BuyAndHold
from include.validators.stress import AFTER, BEFORE, SCENARIOS, draw_starts, shocked, stress
from tests.hourly_market import CAPITAL, PARAMS, START, TREND, market

WALK = market(days=120)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_shocked_bar_is_possible_and_bars_before_the_shock_are_untouched(name: str) -> None:
    (bars,) = WALK.histories
    start = START + timedelta(days=30, minutes=17)
    hit = shocked(bars, start, SCENARIOS[name])
    assert (hit.low <= np.minimum(hit.open, hit.close)).all() and (hit.high >= np.maximum(hit.open, hit.close)).all()
    before = bars.open_time + bars.timeframe.ms <= int(start.timestamp() * 1000)
    assert np.array_equal(hit.close[before], bars.close[before]) and np.array_equal(hit.low[before], bars.low[before])
    assert hit.close[-1] == pytest.approx(bars.close[-1] * SCENARIOS[name].left[-1])


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_path_reaches_its_extreme(name: str) -> None:
    (bars,) = WALK.histories
    hit = shocked(bars, START + timedelta(days=30), SCENARIOS[name])
    left = np.concatenate((hit.low / bars.low, hit.high / bars.high))
    extreme = min(SCENARIOS[name].left) if min(SCENARIOS[name].left) < 1 else max(SCENARIOS[name].left)
    assert min(abs(left - extreme)) < 0.04 * extreme


def test_holding_through_a_crash_loses_what_the_crash_takes() -> None:
    found = {result.name: result for result in stress(BuyAndHold(), WALK, CAPITAL, seed=1).results}
    assert found["covid-2020"].worst_drawdown > 0.45
    assert found["exchange-failure-2022"].worst_result == pytest.approx(-0.26, abs=0.05)
    assert found["squeeze"].mean_result > 0


def test_the_same_seed_gives_the_same_result_and_all_days_lie_in_the_market() -> None:
    strategy = load_strategy(TREND, PARAMS)
    assert stress(strategy, WALK, CAPITAL, seed=5) == stress(strategy, WALK, CAPITAL, seed=5)
    for start in draw_starts(WALK, 5):
        assert start - BEFORE >= START and start + AFTER <= START + timedelta(days=120)


def test_a_market_too_short_for_a_shock_gives_no_result() -> None:
    short = WALK.between(START, START + BEFORE + AFTER, 60)
    assert stress(load_strategy(TREND, PARAMS), short, CAPITAL, seed=1).results == ()
