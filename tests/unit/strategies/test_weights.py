"""Sizing by hand-computed examples and by law: every weight is a share, and a wish without data has none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.strategies import weights

NAN = math.nan


def row(*values: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_a_fixed_fraction_is_the_same_at_every_bar() -> None:
    assert weights.fixed_fraction(row(1, 0, -1), 0.25).tolist() == [0.25] * 3


def test_two_percent_at_risk_buys_what_the_stop_distance_allows() -> None:
    close, stop = row(100, 100, 100, 100), row(90, 99, 104, NAN)
    found = weights.risk_fraction(close, stop)
    np.testing.assert_allclose(found, [0.2, 1.0, 0.5, NAN])
    geared = weights.risk_fraction(row(100), row(92), cost=0.02, leverage=2)
    np.testing.assert_allclose(geared, [0.1])


@given(st.floats(1, 1e5), st.floats(0.5, 0.999), st.floats(0.001, 0.1), st.floats(0, 0.01), st.integers(1, 20))
def test_being_stopped_out_never_loses_more_than_was_risked(
    close: float, distance: float, risk: float, cost: float, leverage: int
) -> None:
    stop = close * distance
    weight = weights.risk_fraction(row(close), row(stop), risk=risk, cost=cost, leverage=leverage)[0]
    assert 0 < weight <= 1
    assert weight * leverage * ((close - stop) / close + cost) <= risk * (1 + 1e-9)


@pytest.mark.parametrize(
    ("win_rate", "ratio", "share", "cap", "expected"),
    [
        (0.6, 1.0, 1.0, 1.0, 0.2),
        (0.6, 1.0, 0.5, 1.0, 0.1),
        (0.9, 2.0, 1.0, 0.2, 0.2),
        (0.5, 1.0, 1.0, 1.0, 0.0),
        (0.3, 1.0, 1.0, 1.0, 0.0),
        (1.0, 5.0, 1.0, 1.0, 1.0),
    ],
)
def test_kelly_is_capped_and_never_below_zero(
    win_rate: float, ratio: float, share: float, cap: float, expected: float
) -> None:
    assert weights.kelly_fraction(win_rate, ratio, share=share, cap=cap) == pytest.approx(expected)


@given(st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_full_kelly_grows_capital_no_slower_than_its_neighbours(win_rate: float, ratio: float) -> None:
    best = weights.kelly_fraction(win_rate, ratio, share=1.0, cap=1.0)

    def growth(fraction: float) -> float:
        return win_rate * math.log1p(fraction * ratio) + (1 - win_rate) * math.log1p(-fraction)

    for near in (best - 0.01, best + 0.01):
        if 0 <= near < 1:
            assert growth(best) >= growth(near) - 1e-12


def test_volatility_above_the_target_makes_positions_smaller() -> None:
    found = weights.volatility_target(row(0.01, 0.02, 0.04, 0.0, NAN), 0.02)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.5, NAN, NAN])


def test_an_entry_takes_no_more_than_its_share_of_the_volume() -> None:
    found = weights.liquidity_cap(
        row(0.5, 0.5, 0.5), row(100, 100, 100), row(1_000, 10, NAN), allocation=10_000, participation=0.1
    )
    np.testing.assert_allclose(found, [0.5, 0.01, NAN])


@pytest.mark.parametrize(
    ("correlation", "expected"), [(0.0, 0.4), (1.0, 0.2), (-0.5, 0.4), (0.5, 0.4 / math.sqrt(2.5))]
)
def test_positions_that_move_together_are_smaller(correlation: float, expected: float) -> None:
    np.testing.assert_allclose(weights.correlation_aware(row(0.4), correlation, 4), [expected])


def test_the_true_range_spans_the_gap_from_the_close_before() -> None:
    high, low, close = row(11, 12, 20, 14), row(9, 10, 18, 13), row(10, 11, 19, 13)
    found = weights.average_true_range(high, low, close, 2)
    np.testing.assert_allclose(found, [NAN, NAN, (2 + 9) / 2, (9 + 6) / 2])
    assert np.isnan(weights.average_true_range(high, low, close, 4)).all()


@given(st.integers(1, 5), st.integers(8, 30), st.randoms())
def test_the_average_true_range_knows_only_its_window(window: int, count: int, random: Any) -> None:
    close = row(*(100 + random.random() for _ in range(count)))
    high, low = close + random.random(), close - random.random()
    whole = weights.average_true_range(high, low, close, window)
    part = weights.average_true_range(high[-window - 1 :], low[-window - 1 :], close[-window - 1 :], window)
    assert whole[-1] == part[-1]


def test_an_atr_stop_lies_below_a_long_and_above_a_short() -> None:
    found = weights.atr_stop(row(1, -1, 0, 1, 1), row(100, 100, 100, 100, 2), row(4, 4, 4, NAN, 4))
    np.testing.assert_allclose(found, [94, 106, NAN, NAN, NAN])


WRONG: list[Callable[[], Any]] = [
    lambda: weights.fixed_fraction(row(1), 0.0),
    lambda: weights.fixed_fraction(row(1), NAN),
    lambda: weights.risk_fraction(row(1), row(1), risk=1.5),
    lambda: weights.risk_fraction(row(1), row(1), cost=-0.1),
    lambda: weights.risk_fraction(row(1), row(1), leverage=0.5),
    lambda: weights.kelly_fraction(1.1, 1.0),
    lambda: weights.kelly_fraction(0.5, 0.0),
    lambda: weights.kelly_fraction(NAN, 1.0),
    lambda: weights.kelly_fraction(0.5, 1.0, cap=2.0),
    lambda: weights.volatility_target(row(1), 0.0),
    lambda: weights.liquidity_cap(row(1), row(1), row(1), allocation=0.0, participation=0.1),
    lambda: weights.liquidity_cap(row(1), row(1), row(1), allocation=1.0, participation=NAN),
    lambda: weights.correlation_aware(row(1), 1.5, 2),
    lambda: weights.average_true_range(row(1), row(1), row(1), 0),
    lambda: weights.atr_stop(row(1), row(1), row(1), multiple=0.0),
]


@pytest.mark.parametrize("call", WRONG)
def test_an_argument_outside_its_range_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        call()
