"""Costs: what is left when every fill costs more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from include.backtesting.portfolio import Market, run_portfolio
from include.domain.bars import Bars, Signals
from include.domain.instruments import Instrument
from include.validators.costs import MOST_BPS, STEP_BPS, scaled, study_costs, with_fee, with_slippage
from tests.adapters.strategies import Idle
from tests.hourly_market import CAPITAL, START, bars_of, instrument


class InAndOut:
    """Long at every even bar, flat at every odd one: trades that differ in nothing but price."""

    warmup = 1

    def signals(self, bars: Bars) -> Signals:
        nowhere = np.full(len(bars), np.nan)
        target = ((bars.open_time // bars.timeframe.ms) % 2 == 0).astype(np.float64)
        return Signals(target, np.full(len(bars), 0.5), nowhere, nowhere)


def zigzag(gain: float) -> Market:
    """Bought at 100 and sold at 100 x (1 + gain), over and over; bars wide enough for any slippage."""
    bars = bars_of(np.full(400, 100.0))
    up = (bars.open_time // bars.timeframe.ms) % 2 == 0
    opened = np.where(up, 100.0 * (1 + gain), 100.0)
    wide = replace(
        bars, open=opened, close=np.full(len(bars), 100.0), high=np.full(len(bars), 200.0), low=np.full(len(bars), 50.0)
    )
    free = scaled(instrument(), Decimal(0))
    return Market((wide,), (replace(free, tick_size=Decimal("0.0001")),), START)


@pytest.mark.parametrize(
    ("gain", "break_even"), [(0.004, 19.5), (0.01, 49.5), pytest.param(0.02, float(MOST_BPS), id="beyond the search")]
)
def test_break_even_is_just_below_half_the_gain_of_a_round_trip(gain: float, break_even: float) -> None:
    market = zigzag(gain)
    found = study_costs(InAndOut(), market, CAPITAL, run_portfolio(InAndOut(), market, CAPITAL))
    assert (found.break_even_slippage_bps, found.break_even_fee_bps) == (break_even, break_even)


def test_a_candidate_that_loses_at_its_own_costs_would_have_to_pay_less() -> None:
    market = zigzag(0.0004).with_instruments(lambda _: replace(dear(), tick_size=Decimal("0.0001")))
    found = study_costs(InAndOut(), market, CAPITAL, run_portfolio(InAndOut(), market, CAPITAL))
    assert (found.break_even_slippage_bps, found.break_even_fee_bps) == (-1.5, -1.5)  # 4 bps gained, 3 and 3 bps paid
    assert len(found.curve) == 6


def test_a_candidate_that_loses_even_for_nothing_is_a_step_beyond_what_is_declared() -> None:
    market = zigzag(-0.001).with_instruments(lambda _: dear())
    found = study_costs(InAndOut(), market, CAPITAL, run_portfolio(InAndOut(), market, CAPITAL))
    assert (found.break_even_slippage_bps, found.break_even_fee_bps) == (-2.0, -2.0)


def dear() -> Instrument:
    """A basis point and a half for a market fill, and the same as a fee."""
    return replace(scaled(instrument(), Decimal(0)), half_spread_bps=Decimal("0.5"), slippage_bps=Decimal(1),
                   taker_fee_rate=Decimal("0.00015"), maker_fee_rate=Decimal("0.0001"))  # fmt: skip


def test_a_candidate_without_trades_has_no_break_even() -> None:
    market = zigzag(0.004)
    found = study_costs(Idle(warmup=1), market, CAPITAL, run_portfolio(Idle(warmup=1), market, CAPITAL))
    assert (found.break_even_slippage_bps, found.break_even_fee_bps) == (None, None)


def test_what_slips_less_comes_off_the_slippage_first_and_never_below_nothing() -> None:
    costs = [
        (i.slippage_bps, i.half_spread_bps) for i in (with_slippage(dear(), Decimal(b)) for b in (2, -1, "-1.2", -9))
    ]
    assert [(float(a), float(b)) for a, b in costs] == [(3.0, 0.5), (0.0, 0.5), (0.0, 0.3), (0.0, 0.0)]
    free = with_fee(dear(), Decimal(-9))
    assert not free.taker_fee_rate and not free.maker_fee_rate


def test_profit_falls_as_costs_grow_and_the_declared_costs_are_the_run_itself() -> None:
    free = zigzag(0.004)
    market = free.with_instruments(lambda _: instrument())
    own = run_portfolio(InAndOut(), market, CAPITAL)
    curve = study_costs(InAndOut(), market, CAPITAL, own).curve
    profits = [point.net_profit for point in curve]
    assert profits == sorted(profits, reverse=True)
    assert next(p.net_profit for p in curve if p.multiple == 1.0) == float(own.curve.profit[-1])
    without = run_portfolio(InAndOut(), free.with_instruments(lambda _: scaled(instrument(), Decimal(0))), CAPITAL)
    assert profits[0] == float(without.curve.profit[-1])


def test_a_fee_goes_on_both_kinds_of_fill() -> None:
    dearer = with_fee(instrument(), STEP_BPS)
    assert dearer.maker_fee_rate - instrument().maker_fee_rate == Decimal("0.00005")
    assert dearer.taker_fee_rate - instrument().taker_fee_rate == Decimal("0.00005")
