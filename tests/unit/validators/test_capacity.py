"""Market impact grows with the square root of size."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from include.backtesting.portfolio import run_portfolio
from include.strategies.protocol import load_strategy
from include.validators.capacity import daily_liquidity, study_capacity
from include.validators.costs import scaled
from tests.hourly_market import CAPITAL, PARAMS, TREND, bars_of, market

WALK = market(symbols=("BTC/USDT", "ETH/USDT"))
RUN = run_portfolio(load_strategy(TREND, PARAMS), WALK, CAPITAL)


def test_four_times_the_capital_doubles_the_impact_of_a_fill() -> None:
    one, four = study_capacity(WALK, RUN, (1.0, 4.0)).points
    assert four.impact_bps == pytest.approx(2 * one.impact_bps)
    assert four.participation == pytest.approx(4 * one.participation)
    assert four.capital == 4 * float(CAPITAL)


def test_at_its_capacity_impact_eats_half_of_the_profit() -> None:
    gains = replace(RUN.trades, pnl=np.abs(RUN.trades.pnl))
    found = study_capacity(WALK, replace(RUN, trades=gains))
    assert found.capacity is not None
    (point,) = study_capacity(WALK, replace(RUN, trades=gains), (found.capacity / float(CAPITAL),)).points
    assert point.net_profit == pytest.approx(0.5 * float(gains.pnl.sum()) * found.capacity / float(CAPITAL))


def test_without_profit_there_is_no_capacity() -> None:
    losses = replace(RUN.trades, pnl=-np.abs(RUN.trades.pnl))
    assert study_capacity(WALK, replace(RUN, trades=losses)).capacity is None


def test_less_volume_means_more_impact() -> None:
    thin = WALK.with_histories(lambda bars: replace(bars, volume=bars.volume / 100))
    assert study_capacity(thin, RUN, (1.0,)).points[0].impact_bps == pytest.approx(
        10 * study_capacity(WALK, RUN, (1.0,)).points[0].impact_bps
    )


def test_without_trades_nothing_is_charged() -> None:
    quiet = run_portfolio(load_strategy(TREND, {**PARAMS, "weight": 1e-6}), WALK, CAPITAL)
    found = study_capacity(WALK.with_instruments(lambda i: scaled(i, Decimal(1))), quiet)
    assert len(quiet.trades) == 0 and found.capacity is None
    assert {p.impact_bps for p in found.points} == {0.0}


def test_turnover_is_the_mean_of_the_days_so_far() -> None:
    days, _, turnover = daily_liquidity(bars_of(np.full(72, 50.0)))
    assert len(days) == 3 and turnover == pytest.approx([24 * 50 * 100] * 3)
