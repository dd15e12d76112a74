"""Laws of the kernel on random markets: equal to the Decimal executor, blind to the future, books that balance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.backtesting.equity import profit_curve
from include.backtesting.kernel import simulate
from include.backtesting.trades import trades_of
from include.domain.bars import Bar, Bars, Signals
from include.domain.instruments import Instrument
from tests.adapters.decimal_executor import play
from tests.unit.fill_rule_cases import COIN, MINUTE, ODD_STEPS, PENNY, START
from tests.unit.test_kernel import as_expected

FINE = replace(
    COIN,
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    half_spread_bps=Decimal("0.37"),
    slippage_bps=Decimal("1.21"),
)


@dataclass(frozen=True, slots=True)
class Market:
    """Random bars on the tick grid with random wishes, dense enough that every rule meets every other."""

    instrument: Instrument
    bars: tuple[Bar, ...]
    signals: Signals
    allocation: Decimal

    def columns(self) -> Bars:
        names = ("open", "high", "low", "close")
        columns = (np.array([float(getattr(b, n)) for b in self.bars]) for n in names)
        times = np.array([int(b.open_time.timestamp() * 1000) for b in self.bars], dtype=np.int64)
        return Bars(self.instrument.symbol, MINUTE, times, *columns, np.ones(len(self.bars)))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    instrument = draw(st.sampled_from([COIN, PENNY, ODD_STEPS, FINE]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 60))
    base = draw(st.integers(40, 60_000))
    swing = max(2, base // draw(st.sampled_from([10, 100, 1000])))
    ticks = random.integers(max(1, base - swing), base + swing, (n, 4))
    bars = tuple(
        Bar(
            instrument.symbol, START + t * MINUTE.delta, *(int(k) * instrument.tick_size for k in
            (row[0], row.max(), row.min(), row[3])), Decimal(1),
        )
        for t, row in enumerate(ticks)
    )  # fmt: skip
    tick = float(instrument.tick_size)
    level = lambda: np.where(  # noqa: E731 (half-tick steps, so that ties happen)
        random.random(n) < 0.7, random.integers(2 * (base - swing), 2 * (base + swing), n).clip(2) * tick / 2, np.nan
    )
    signals = Signals(
        target=random.choice([1.0, -1.0, 0.0, np.nan], n),
        weight=random.choice([1.0, 0.1, 0.333333333, 0.0000015, 1e-9], n),
        stop=level(), take_profit=level(),
    )  # fmt: skip
    allocation = Decimal(draw(st.integers(1, 10**8))) / 100
    return Market(instrument, bars, signals, allocation)


@settings(max_examples=300, deadline=None)
@given(markets())
def test_kernel_and_decimal_executor_agree_to_the_last_digit(market: Market) -> None:
    fills = simulate(market.columns(), market.signals, market.instrument, market.allocation)
    assert as_expected(fills) == play(market.bars, market.signals, market.instrument, market.allocation)


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(1, 59))
def test_later_bars_never_change_earlier_fills(market: Market, cut: int) -> None:
    bars, s = market.columns(), market.signals
    cut = min(cut, len(bars))
    early = Signals(s.target[:cut], s.weight[:cut], s.stop[:cut], s.take_profit[:cut])
    whole = simulate(bars, s, market.instrument, market.allocation)
    part = simulate(bars.window(0, cut), early, market.instrument, market.allocation)
    assert as_expected(part) == [fill for fill in as_expected(whole) if fill.bar < cut]


@settings(max_examples=100, deadline=None)
@given(markets())
def test_no_fill_lies_outside_its_bar(market: Market) -> None:
    for fill in as_expected(simulate(market.columns(), market.signals, market.instrument, market.allocation)):
        assert market.bars[fill.bar].low <= fill.price <= market.bars[fill.bar].high


@settings(max_examples=100, deadline=None)
@given(markets())
def test_equity_is_closed_trades_plus_the_open_position(market: Market) -> None:
    bars = market.columns()
    fills = simulate(bars, market.signals, market.instrument, market.allocation)
    trades, curve = trades_of(fills), profit_curve(bars, fills)
    if trades.open_trades:
        entry = len(fills) - 1
        move = fills.side[entry] * fills.quantity[entry] * (bars.close[-1] - fills.price[entry])
        assert curve.profit[-1] == pytest.approx(trades.pnl.sum() + move - fills.fee[entry], abs=1e-6)
    else:
        assert curve.profit[-1] == pytest.approx(trades.pnl.sum(), abs=1e-6)
    assert trades.fees.sum() == pytest.approx(fills.fee[: 2 * len(trades)].sum(), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(markets())
def test_the_same_input_gives_the_same_fills(market: Market) -> None:
    once = simulate(market.columns(), market.signals, market.instrument, market.allocation)
    again = simulate(market.columns(), market.signals, market.instrument, market.allocation)
    assert as_expected(once) == as_expected(again)
