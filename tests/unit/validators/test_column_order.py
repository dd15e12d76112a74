"""Columns that were read under each other's names."""

from __future__ import annotations

import numpy as np
import pytest

from include.validators.bar_rules import in_time_order
from include.validators.column_order import find_swap
from tests.market import Columns, bars

PRICES = ("open", "high", "low", "close")


def found(columns: Columns) -> tuple[str, ...] | None:
    r = in_time_order(columns)
    inconsistent = (r.high < r.open) | (r.high < r.close) | (r.low > r.open) | (r.low > r.close)
    swap = find_swap(r, inconsistent)
    return swap.order if swap else None


def read_as(order: tuple[str, ...], count: int = 1_000) -> Columns:
    """Bars whose columns open, high, low, close really hold `order`."""
    clean = bars(count)
    return {**clean, **{name: clean[real] for name, real in zip(PRICES, order, strict=True)}}


def test_columns_under_their_own_names_look_right() -> None:
    assert found(bars(1_000)) is None


@pytest.mark.parametrize(
    "order",
    [
        ("open", "close", "high", "low"), ("open", "low", "high", "close"), ("close", "high", "low", "open"),
        ("high", "open", "low", "close"), ("low", "high", "open", "close"), ("close", "low", "high", "open"),
    ],
)  # fmt: skip
def test_the_order_that_the_columns_really_have_is_named(order: tuple[str, ...]) -> None:
    assert found(read_as(order)) == order


def test_a_swap_in_a_part_of_the_rows_is_named_too() -> None:
    columns, swapped = bars(1_000), read_as(("open", "low", "high", "close"))
    for name in PRICES:
        columns[name] = np.where(np.arange(1_000) < 200, swapped[name], columns[name])
    assert found(columns) == ("open", "low", "high", "close")


def test_single_inconsistent_rows_are_no_swap() -> None:
    columns = bars(1_000)
    columns["high"][::50] = columns["low"][::50] - 1.0
    assert found(columns) is None


def test_rows_that_no_order_explains_are_no_swap() -> None:
    columns, noise = bars(1_000), np.random.default_rng(3)
    for name in PRICES:
        columns[name] = noise.uniform(90, 110, 1_000)
    assert found(columns) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_rows_say_nothing(count: int) -> None:
    assert found({name: values[:count] for name, values in bars(5).items()}) is None
