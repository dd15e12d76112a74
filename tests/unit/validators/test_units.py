"""Unit errors in prices and volumes."""

from __future__ import annotations

import numpy as np
import pytest

from include.validators.bar_rules import in_time_order
from include.validators.units import BLOCK_ROWS, WINDOW_BLOCKS, price_exponents, volume_exponents
from tests.market import Columns, bars

COUNT = 1_440
PRICES = ("open", "high", "low", "close")


def prices(columns: Columns) -> list[int]:
    return price_exponents(in_time_order(columns), np.zeros(len(columns["close"]), dtype=np.bool_), 0.10).tolist()


@pytest.mark.parametrize("power", [-3, -2, -1, 1, 2, 3, 6])
def test_prices_in_another_unit_from_a_bar_on_are_found_with_their_factor(power: int) -> None:
    columns = bars(100)
    for name in PRICES:
        columns[name][70:] *= 10.0**power
    assert prices(columns) == [0] * 70 + [power] * 30


def test_the_unit_of_most_rows_is_the_right_one() -> None:
    columns = bars(100)
    for name in PRICES:
        columns[name][30:] *= 1_000
    assert prices(columns) == [-3] * 30 + [0] * 70


def test_a_market_that_falls_by_nine_tenths_within_a_bar_changed_no_unit() -> None:
    columns = bars(100)
    for name in PRICES:
        columns[name][70:] /= 10
    columns["open"][70], columns["high"][70] = columns["close"][69], columns["close"][69]
    assert prices(columns) == [0] * 100


def test_a_move_that_is_no_power_of_ten_is_no_unit() -> None:
    columns = bars(100)
    for name in PRICES:
        columns[name][70:] *= 5.0
    assert prices(columns) == [0] * 100


@pytest.mark.parametrize("factor", [1_000.0, 0.001, 1e6])
def test_volumes_in_another_unit_are_found_at_their_first_bar(factor: float) -> None:
    volume = bars(COUNT)["volume"]
    volume[777:] *= factor
    assert np.flatnonzero(volume_exponents(volume)).tolist() == list(range(777, COUNT))
    assert volume_exponents(volume)[-1] == round(np.log10(factor))


def test_a_stretch_of_volumes_in_another_unit_is_found_whole() -> None:
    volume = bars(3 * COUNT)["volume"]
    volume[1_000:2_000] *= 1_000.0
    assert np.flatnonzero(volume_exponents(volume)).tolist() == list(range(1_000, 2_000))


@pytest.mark.parametrize("factor", [1.0, 10.0, 100.0])
def test_trading_a_hundred_times_as_much_is_no_unit_error(factor: float) -> None:
    volume = bars(COUNT)["volume"]
    volume[777:] *= factor
    assert not volume_exponents(volume).any()


def test_bars_without_volume_and_short_series_say_nothing_about_units() -> None:
    volume = bars(COUNT)["volume"]
    volume[::3] = 0.0
    volume[1] = np.nan
    assert not volume_exponents(volume).any()
    assert not volume_exponents(volume[: 2 * WINDOW_BLOCKS * BLOCK_ROWS - 1] ** 9).any()
