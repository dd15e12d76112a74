"""Laws of the kernel on random markets: equal to the Decimal executor, blind to the future, books that balance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.backtesting.equity import profit_at, profit_curve
from include.backtesting.fills import Fills
from include.backtesting.kernel import simulate
from include.backtesting.trades import trades_of
from include.domain import fill_rule
from include.domain.bars import Bar, Bars, FloatArray, Signals
from include.domain.enums import OrderPurpose
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, to_ms
from tests.adapters.decimal_executor import Played, play
from tests.unit.fill_rule_cases import COIN, ODD_STEPS, PENNY, START
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
    timeframe: Timeframe
    rates: FloatArray | None

    def columns(self) -> Bars:
        names = ("open", "high", "low", "close", "volume")
        columns = (np.array([float(getattr(b, n)) for b in self.bars]) for n in names)
        times = np.array([to_ms(b.open_time) for b in self.bars], dtype=np.int64)
        extras = {} if self.rates is None else {"funding_rate": self.rates}
        return Bars(self.instrument.symbol, self.timeframe, times, *columns, MappingProxyType(extras))

    def fills(self) -> Fills:
        return simulate(self.columns(), self.signals, self.instrument, self.allocation)

    def play(self) -> Played:
        return play(self.bars, self.signals, self.instrument, self.allocation, self.timeframe, self.rates)


def _instrument(draw: st.DrawFn) -> Instrument:
    """Any of the instruments with any of what a venue or a candidate may add; each of it is off half of the time."""
    either = lambda *values: draw(st.one_of(st.just(values[0]), st.sampled_from(values)))  # noqa: E731
    leverage = either(1, 1, 2, 5, 20, 125)
    return replace(
        draw(st.sampled_from([COIN, PENNY, ODD_STEPS, FINE])),
        leverage=leverage,
        maintenance_margin_rate=Decimal(either("0", "0.004", "0.0065")),
        liquidation_fee_rate=Decimal(either("0", "0.0125")),
        funding_rate=Decimal(either("0", "0.0001", "-0.00037", "0.75")),
        participation=either(None, Decimal("0.1"), Decimal("0.333"), Decimal(1)),
    )


@st.composite
def markets(draw: st.DrawFn) -> Market:
    instrument = _instrument(draw)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(2, 60))
    base = draw(st.integers(40, 60_000))
    swing = max(2, base // draw(st.sampled_from([10, 100, 1000])))
    ticks = random.integers(max(1, base - swing), base + swing, (n, 4))
    timeframe = Timeframe(draw(st.sampled_from([60, 3_600, 86_400])))
    holes = random.choice([1, 1, 1, 1, 2, 7], n) if draw(st.booleans()) else np.ones(n, dtype=np.int64)
    allocation = Decimal(draw(st.integers(1, 10**8))) / 100
    whole = allocation / (base * instrument.tick_size * instrument.lot_size)  # lots that the allocation buys
    volume = random.integers(0, max(2, int(whole * draw(st.sampled_from([1, 5, 30])))), n) * (random.random(n) < 0.9)
    bars = tuple(
        Bar(
            instrument.symbol, START + int(at) * timeframe.delta, *(int(k) * instrument.tick_size for k in
            (row[0], row.max(), row.min(), row[3])), int(lots) * instrument.lot_size,
        )
        for at, row, lots in zip(np.cumsum(holes), ticks, volume, strict=True)
    )  # fmt: skip
    signals = _signals(draw, random, n, (base - swing, base + swing), float(instrument.tick_size))
    rates = random.choice([np.nan, 0.0, 0.0001, -0.000123456789, 0.5], n) if draw(st.booleans()) else None
    return Market(instrument, bars, signals, allocation, timeframe, rates)


def _signals(draw: st.DrawFn, random: np.random.Generator, n: int, between: tuple[int, int], tick: float) -> Signals:
    """Wishes; calm ones let positions live long enough to be added to, trailed and timed out."""
    level = lambda: np.where(  # noqa: E731 (half-tick steps, so that ties happen)
        random.random(n) < draw(st.sampled_from([0.1, 0.7])),
        random.integers(2 * between[0], 2 * between[1], n).clip(2) * tick / 2, np.nan,
    )  # fmt: skip
    calm = draw(st.booleans())
    optional = lambda values: random.choice([np.nan, *values], n) if draw(st.booleans()) else None  # noqa: E731
    return Signals(
        target=random.choice([1.0, -1.0, 0.0, np.nan], n, p=[0.45, 0.05, 0.05, 0.45] if calm else None),
        weight=random.choice([1.0, 0.1, 0.333333333, 0.0000015, 1e-9], n),
        stop=level(), take_profit=level(),
        trailing=optional([0.001, 0.0015, 0.0124999, 0.05, 0.1]), hold=optional([1.0, 2.0, 7.0, 1e12]),
        add=optional([0.1, 0.5, 1.0, 0.0000004]),
    )  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(markets())
def test_kernel_and_decimal_executor_agree_to_the_last_digit(market: Market) -> None:
    fills, played = market.fills(), market.play()
    assert as_expected(fills) == list(played.fills)
    assert list(fills.funding_index) == [bar for bar, _ in played.funding]
    paid = [float(amount) for _, amount in played.funding]
    assert fills.funding_paid == pytest.approx(paid, rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(markets())
def test_both_loops_of_the_kernel_play_alike(market: Market) -> None:
    """What the tracked loop gives where nothing needs tracking is what the other one gives."""
    plain = replace(market, signals=replace(market.signals, trailing=None, add=None))
    plain = replace(plain, instrument=replace(market.instrument, participation=None))
    tracked = replace(plain, signals=replace(plain.signals, add=np.full(len(plain.bars), np.nan)))
    one, other = plain.fills(), tracked.fills()
    assert as_expected(one) == as_expected(other)
    assert one.funding_paid.tolist() == other.funding_paid.tolist()


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(1, 59))
def test_later_bars_never_change_earlier_fills(market: Market, cut: int) -> None:
    cut = min(cut, len(market.bars))
    part = simulate(
        market.columns().window(0, cut), market.signals.window(0, cut), market.instrument, market.allocation
    )
    assert as_expected(part) == [fill for fill in as_expected(market.fills()) if fill.bar < cut]


@settings(max_examples=100, deadline=None)
@given(markets())
def test_no_fill_lies_outside_its_bar_but_a_liquidation_the_insurance_fund_pays(market: Market) -> None:
    for fill in as_expected(market.fills()):
        if fill.purpose is not OrderPurpose.LIQUIDATION:
            assert market.bars[fill.bar].low <= fill.price <= market.bars[fill.bar].high


@settings(max_examples=100, deadline=None)
@given(markets())
def test_fills_take_no_more_than_their_share_of_the_volume_and_nothing_follows_a_liquidation(market: Market) -> None:
    taken = dict.fromkeys(range(len(market.bars)), Decimal(0))
    purposes = []
    for fill in as_expected(market.fills()):
        purposes.append(fill.purpose)
        taken[fill.bar] += 0 if fill.purpose is OrderPurpose.LIQUIDATION else fill.quantity
    for bar, quantity in taken.items():
        capacity = fill_rule.bar_capacity(market.instrument, market.bars[bar].volume)
        assert capacity is None or quantity <= capacity
    assert OrderPurpose.LIQUIDATION not in purposes[:-1]


@settings(max_examples=200, deadline=None)
@given(markets())
def test_the_profit_curve_is_the_exact_account_and_closed_trades_add_up_to_it(market: Market) -> None:
    fills, played = market.fills(), market.play()
    curve, trades = profit_curve(market.columns(), fills), trades_of(fills)
    assert curve.profit == pytest.approx([float(value) for value in played.profit], rel=1e-9, abs=1e-6)
    rows = np.arange(-1, len(market.bars))
    assert profit_at(market.columns(), fills, rows)[1:].tolist() == curve.profit.tolist()
    if not trades.open_trades:
        assert curve.profit[-1] == pytest.approx(trades.pnl.sum(), rel=1e-9, abs=1e-6)
        assert trades.fees.sum() == pytest.approx(fills.fee.sum(), rel=1e-9)
        assert trades.funding.sum() == pytest.approx(fills.funding_paid.sum(), rel=1e-9, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(markets())
def test_the_same_input_gives_the_same_fills(market: Market) -> None:
    assert as_expected(market.fills()) == as_expected(market.fills())
