"""Buy and hold by the same fill rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.backtesting.portfolio import Market, run_portfolio
from include.strategies.protocol import load_strategy
from include.validators.benchmark import BuyAndHold, compare_with_holding
from tests.hourly_market import CAPITAL, PARAMS, START, TREND, bars_of, instrument, market


def test_holding_earns_the_move_of_the_market_less_one_entry() -> None:
    rising = Market((bars_of(np.linspace(100.0, 200.0, 480)),), (instrument(),), START)
    found = compare_with_holding(rising, CAPITAL, run_portfolio(BuyAndHold(), rising, CAPITAL))
    assert found.total_return == pytest.approx(1.0, abs=0.01)
    assert found.max_drawdown < 0.001


def test_holding_compared_with_itself_has_beta_one_and_no_alpha() -> None:
    walk = market(symbols=("BTC/USDT", "ETH/USDT"))
    found = compare_with_holding(walk, CAPITAL, run_portfolio(BuyAndHold(), walk, CAPITAL))
    assert found.beta == pytest.approx(1.0) and found.correlation == pytest.approx(1.0)
    assert found.alpha_annual == pytest.approx(0.0, abs=1e-9)
    assert found.excess_sharpe is None


def test_a_flat_market_has_no_beta() -> None:
    flat = Market((bars_of(np.full(480, 100.0)),), (instrument(),), START)
    found = compare_with_holding(flat, CAPITAL, run_portfolio(load_strategy(TREND, PARAMS), flat, CAPITAL))
    assert found.correlation is None


def test_a_trend_follower_is_compared_on_the_same_days() -> None:
    walk = market()
    own = run_portfolio(load_strategy(TREND, PARAMS), walk, CAPITAL)
    found = compare_with_holding(walk, CAPITAL, own)
    assert len(found.daily.day_ms) == len(own.daily.day_ms)
    assert found.correlation is not None and -1 <= found.correlation <= 1


def test_holding_uses_no_leverage_whatever_the_candidate_uses() -> None:
    walk = market()
    lent = walk.with_instruments(lambda one: replace(one, leverage=20))
    own = run_portfolio(load_strategy(TREND, PARAMS), walk, CAPITAL)
    assert compare_with_holding(lent, CAPITAL, own).document() == compare_with_holding(walk, CAPITAL, own).document()
