"""The backtest kernel gives the fills of the table, exactly."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from include.backtesting.fills import PURPOSES, Fills
from include.backtesting.kernel import nearest_steps, simulate
from include.domain.bars import Bars, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import Liquidity, OrderPurpose
from include.domain.errors import ConfigurationError, DataError
from include.domain.times import Timeframe, to_ms
from tests.unit.fill_rule_case import fee_of
from tests.unit.fill_rule_cases import CASES, COIN, ExpectedFill, FillCase

DAY = Timeframe(86_400)


def as_expected(fills: Fills) -> list[ExpectedFill]:
    """Fills of the kernel in the form of the table, through the project's one conversion."""
    i = fills.instrument
    return [
        ExpectedFill(
            int(fills.bar_index[k]), fills.side_of(k), to_decimal(float(fills.quantity[k]), i.lot_size),
            to_decimal(float(fills.price[k]), i.tick_size), fills.purpose_of(k),
        )
        for k in range(len(fills))
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_gives_the_fills_of_the_table(case: FillCase) -> None:
    fills = simulate(case.bars(), case.signals(), case.instrument, case.allocation)
    assert as_expected(fills) == list(case.fills)
    assert [int(ms) for ms in fills.time_ms] == [to_ms(case.time_of(fill)) for fill in case.fills]
    assert fills.funding_index.tolist() == [bar for bar, _ in case.funding]
    assert fills.funding_paid == pytest.approx([float(paid) for _, paid in case.funding], rel=1e-12)


def test_floats_of_prices_and_quantities_are_the_floats_of_the_exact_decimals() -> None:
    for case in CASES:
        fills = simulate(case.bars(), case.signals(), case.instrument, case.allocation)
        assert fills.price.tolist() == [float(f.price) for f in case.fills]
        assert fills.quantity.tolist() == [float(f.quantity) for f in case.fills]


def test_take_profits_pay_the_maker_fee_everything_else_the_taker_fee_and_liquidations_more() -> None:
    seen = set()
    for case in CASES:
        fills = simulate(case.bars(), case.signals(), case.instrument, case.allocation)
        for k, fill in enumerate(case.fills):
            maker = fill.purpose is OrderPurpose.TAKE_PROFIT
            assert fills.liquidity_of(k) is (Liquidity.MAKER if maker else Liquidity.TAKER)
            exact = fee_of(case.fills, k, case.instrument)
            assert fills.fee[k] == pytest.approx(float(exact), rel=1e-15)
            seen.add(fill.purpose)
    assert seen == set(PURPOSES)


@pytest.mark.parametrize("step", ["0.1", "0.01", "0.25", "0.3", "1", "0.00001"])
def test_nearest_steps_equals_the_decimal_conversion_also_at_halves(step: str) -> None:
    size = float(step)
    values = np.array([k * size / 2 + noise for k in range(1, 4000) for noise in (0.0, size * 1e-9, -size * 1e-9)])
    assert nearest_steps(values, Decimal(step)).tolist() == [
        int(to_decimal(float(v), Decimal(step)) / Decimal(step)) for v in values
    ]


def test_more_signals_than_bars_are_refused() -> None:
    case = CASES[0]
    with pytest.raises(ValueError, match="4 signals for 3 bars"):
        simulate(case.bars().window(0, 3), case.signals(), case.instrument, case.allocation)


@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
def test_steps_too_fine_for_exact_arithmetic_are_refused_and_not_rounded(field: str) -> None:
    case = CASES[0]
    with pytest.raises(ConfigurationError, match="too fine"):
        simulate(case.bars(), case.signals(), replace(COIN, **{field: Decimal("1e-18")}), Decimal(1000))


def test_fine_steps_and_uneven_money_stay_exact_beyond_64_bits() -> None:
    fine = replace(COIN, tick_size=Decimal("0.01"), lot_size=Decimal("0.00000001"), min_notional=Decimal(0))
    case = CASES[0]
    fills = simulate(case.bars(), case.signals(), fine, Decimal("266666.67"))
    assert int(fills.lots[0]) == int(Decimal("266666.67") / Decimal(100) / Decimal("0.00000001"))


def test_no_bars_give_no_fills() -> None:
    case = CASES[0]
    signals = case.signals()
    nothing = replace(signals, **{n: np.empty(0) for n in ("target", "weight", "stop", "take_profit")})
    assert len(simulate(case.bars().window(0, 0), nothing, case.instrument, case.allocation)) == 0


@pytest.mark.parametrize("rate", ["0.000000001", "1.5"])
@pytest.mark.parametrize("name", ["taker_fee_rate", "liquidation_fee_rate", "funding_rate"])
def test_rates_that_integers_cannot_carry_are_refused(name: str, rate: str) -> None:
    case = CASES[0]
    with pytest.raises(ConfigurationError, match="at most eight decimals"):
        simulate(case.bars(), case.signals(), replace(COIN, **{name: Decimal(rate)}), Decimal(1000))


def test_a_funding_rate_in_the_data_that_is_no_fraction_is_refused() -> None:
    case = CASES[0]
    bars = replace(case.bars(), extras={"funding_rate": np.array([np.nan, 0.01, np.inf, 0.0])})
    with pytest.raises(DataError, match="funding_rate is not between"):
        simulate(bars, case.signals(), case.instrument, case.allocation)


@pytest.mark.parametrize("volume", [np.nan, -1.0])
def test_a_volume_that_is_none_is_refused_where_fills_take_a_share_of_it(volume: float) -> None:
    case = CASES[0]
    bars = replace(case.bars(), volume=np.array([1.0, 1.0, volume, 1.0]))
    assert len(simulate(bars, case.signals(), COIN, Decimal(1000))) == 2
    with pytest.raises(DataError, match="volume at row 2"):
        simulate(bars, case.signals(), replace(COIN, participation=Decimal("0.1")), Decimal(1000))


def test_an_account_whose_sums_outgrow_the_integers_is_refused_and_not_wrapped() -> None:
    """A position that pays its whole value every day, for as long as no account could."""
    n = 200
    flat = np.full(n, 100.0)
    bars = Bars(
        "COIN/USDT", DAY, np.arange(n) * DAY.ms, flat, flat, flat, flat, np.ones(n), {"funding_rate": np.ones(n)}
    )
    nothing = np.full(n, np.nan)
    signals = Signals(np.ones(n), np.ones(n), nothing, nothing)
    fine = replace(COIN, tick_size=Decimal("0.000001"), lot_size=Decimal("0.0000001"))
    assert len(simulate(bars, signals, fine, Decimal(1000)).funding_paid) == n - 2
    with pytest.raises(ConfigurationError, match="too fine"):
        simulate(bars, signals, fine, Decimal(2_000))
