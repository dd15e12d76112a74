"""Intervals of a proportion against published values, and what they promise."""

import math

import numpy as np
import pytest

from include.backtesting.intervals import always_valid_interval, wilson_interval

# Successes, samples, 95 % bounds. Newcombe, R. G. (1998), Two-sided confidence intervals for the single proportion,
# Statistics in Medicine 17, Table I, method 3; the last row recomputed independently.
WILSON = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (930, 1000, 0.9125, 0.9442)]


@pytest.mark.parametrize(("wins", "n", "low", "high"), WILSON)
def test_wilson_interval_gives_published_values(wins: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(wins, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize("interval_of", [wilson_interval, always_valid_interval])
@pytest.mark.parametrize(("wins", "n"), [(0, 10), (10, 10), (0, 1), (1, 1)])
def test_intervals_stay_inside_zero_and_one(interval_of, wins: int, n: int) -> None:  # type: ignore[no-untyped-def]
    interval = interval_of(wins, n)
    assert interval is not None
    assert 0 <= interval.low <= wins / n <= interval.high <= 1


def test_an_interval_of_nothing_is_nothing() -> None:
    assert wilson_interval(0, 0) is None
    assert always_valid_interval(0, 0) is None


def test_one_who_looks_after_every_trade_needs_the_wider_interval() -> None:
    interval = always_valid_interval(930, 1000)
    assert interval == pytest.approx((0.8961, 0.9561), abs=1e-4)


def test_always_valid_bounds_are_where_the_mixture_reaches_twenty() -> None:
    interval = always_valid_interval(3, 7)
    assert interval is not None
    beta = math.factorial(3) * math.factorial(4) / math.factorial(8)
    for p in interval:
        assert beta / (p**3 * (1 - p) ** 4) == pytest.approx(20)
    # Without a loss the lower bound solves 1 / ((n + 1) p^n) = 20 and there is no upper one.
    whole = always_valid_interval(50, 50)
    assert whole == pytest.approx(((1 / (51 * 20)) ** (1 / 50), 1.0))


def test_the_truth_leaves_the_always_valid_interval_at_any_look_in_under_five_percent_of_runs() -> None:
    """And leaves Wilson's, which holds for one look, in far more."""
    random, truth, runs, looks = np.random.default_rng(8), 0.9, 300, range(20, 1000, 20)
    wins = np.cumsum(random.random((runs, 1000)) < truth, axis=1)

    def escaped(interval_of) -> float:  # type: ignore[no-untyped-def]
        table = {(int(w), n): interval_of(int(w), n) for n in looks for w in np.unique(wins[:, n - 1])}
        out = [
            any(not table[int(row[n - 1]), n][0] <= truth <= table[int(row[n - 1]), n][1] for n in looks)
            for row in wins
        ]
        return float(np.mean(out))

    assert escaped(always_valid_interval) <= 0.05
    assert escaped(wilson_interval) > 0.2
