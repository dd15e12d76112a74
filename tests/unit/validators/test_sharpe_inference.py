"""Sharpe inference against the worked examples of the papers; what cannot be answered is said so, never NaN."""

import math

import numpy as np
import pytest
from scipy import stats

from include.domain.reason_codes import SampleCode
from include.validators.samples import Unanswered
from include.validators.sharpe_inference import (
    CONVENTION,
    DeflatedSharpe,
    MinimumLength,
    ProbabilisticSharpe,
    SharpeEstimate,
    Trials,
    deflated_sharpe,
    effective_trials,
    estimate_sharpe,
    expected_maximum,
    minimum_backtest,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    summarise_trials,
)

# Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier: two years of months with an annualised 1.585.
PROBABILISTIC = [
    (0.458, 0.0, 3.0, 0.982, 6e-4),
    (0.458, -2.448, 10.164, 0.913, 6e-4),
    (1.585 / math.sqrt(12), -2.448, 10.164, 0.913234306885, 1e-6),
]


@pytest.mark.parametrize(("sharpe", "skew", "kurtosis", "expected", "tolerance"), PROBABILISTIC)
def test_probabilistic_sharpe_gives_published_values(
    sharpe: float, skew: float, kurtosis: float, expected: float, tolerance: float
) -> None:
    found = probabilistic_sharpe(SharpeEstimate(sharpe, 24, skew, kurtosis))
    assert isinstance(found, ProbabilisticSharpe)
    assert found.value == pytest.approx(expected, abs=tolerance)
    assert found.convention == CONVENTION


# Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, numerical example: annualised 2.5 over five years of 250
# days, variance of the trials' annualised Sharpe ratios one half. Trials, skew, kurtosis, deflated Sharpe ratio.
DEFLATED = [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)]


@pytest.mark.parametrize(("trials", "skew", "kurtosis", "expected"), DEFLATED)
def test_deflated_sharpe_gives_published_values(trials: int, skew: float, kurtosis: float, expected: float) -> None:
    found = deflated_sharpe(SharpeEstimate(2.5 / math.sqrt(250), 1250, skew, kurtosis), Trials(trials, 0.5 / 250))
    assert isinstance(found, DeflatedSharpe)
    assert found.value == pytest.approx(expected, abs=1e-4)
    if trials == 100:
        assert found.benchmark == pytest.approx(0.1132, abs=5e-5)


def test_deflated_sharpe_of_the_population_variance_would_be_another_number() -> None:
    """The convention matters: the variance of trials is the sample's (ddof 1)."""
    found = summarise_trials([0.1, 0.2, 0.3])
    assert isinstance(found, Trials) and found.variance == pytest.approx(0.01)


# Bailey, Borwein, Lopez de Prado and Zhu (2014), Pseudo-mathematics and financial charlatanism.
@pytest.mark.parametrize(("trials", "expected", "tolerance"), [(10, 1.5746, 5e-4), (100, 2.530602893202, 1e-9)])
def test_expected_maximum_gives_published_values(trials: int, expected: float, tolerance: float) -> None:
    assert expected_maximum(trials) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("trials", [5, 20, 200])
def test_expected_maximum_is_close_to_the_exact_integral(trials: int) -> None:
    z = np.linspace(-10, 10, 20_001)
    exact = np.trapezoid(z * trials * stats.norm.pdf(z) * stats.norm.cdf(z) ** (trials - 1), z)
    assert expected_maximum(trials) == pytest.approx(exact, rel=0.03)


def test_forty_five_trials_need_five_years() -> None:
    assert minimum_backtest_years(45, 1.0) == pytest.approx(4.998087004, abs=1e-6)


# Bailey and Lopez de Prado (2012): years until an annualised Sharpe ratio of 2 is known to be above 1 with 95 %
# confidence, normal returns, by frequency.
@pytest.mark.parametrize(("periods", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_minimum_track_record_gives_published_values(periods: int, years: float) -> None:
    found = minimum_track_record(SharpeEstimate(2 / math.sqrt(periods), 100), 1 / math.sqrt(periods))
    assert isinstance(found, MinimumLength)
    assert found.needed / periods == pytest.approx(years, abs=0.005)


def test_at_the_minimum_track_record_the_probability_is_the_confidence() -> None:
    short = SharpeEstimate(0.08, 100, -0.7, 6.0)
    needed = minimum_track_record(short, confidence=0.99)
    assert isinstance(needed, MinimumLength) and needed.coverage < 1
    # A whole number of observations on either side of it.
    values = [
        probabilistic_sharpe(SharpeEstimate(0.08, n, -0.7, 6.0)).value  # type: ignore[union-attr]
        for n in (math.floor(needed.needed), math.ceil(needed.needed))
    ]
    assert values[0] < 0.99 <= values[1]


def test_moments_are_those_of_scipy() -> None:
    returns = np.random.default_rng(2).standard_t(5, 400) / 100 + 0.001
    found = estimate_sharpe(returns)
    assert isinstance(found, SharpeEstimate)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skew == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert found.observations == 400


GOOD = np.random.default_rng(3).normal(0.001, 0.01, 100)
UNANSWERED = [
    (np.empty(0), SampleCode.OBSERVATIONS_TOO_FEW),
    (GOOD[:19], SampleCode.OBSERVATIONS_TOO_FEW),
    (np.full(100, 0.01), SampleCode.VARIANCE_ZERO),
    (np.zeros(100), SampleCode.VARIANCE_ZERO),
    (np.where(np.arange(100) == 7, np.nan, GOOD), SampleCode.OBSERVATIONS_NOT_FINITE),
    (np.where(np.arange(100) == 7, np.inf, GOOD), SampleCode.OBSERVATIONS_NOT_FINITE),
]


@pytest.mark.parametrize(("returns", "code"), UNANSWERED)
def test_returns_that_cannot_answer_are_refused_with_a_reason(returns: np.ndarray, code: SampleCode) -> None:
    found = estimate_sharpe(returns)
    assert isinstance(found, Unanswered) and found.code is code


def test_trials_that_cannot_answer_are_refused_with_a_reason() -> None:
    nothing, broken = summarise_trials([]), summarise_trials([0.1, math.nan])
    assert isinstance(nothing, Unanswered) and nothing.code is SampleCode.TRIALS_TOO_FEW
    assert isinstance(broken, Unanswered) and broken.code is SampleCode.TRIALS_NOT_FINITE


def test_a_trial_that_never_traded_counts_as_a_trial() -> None:
    assert summarise_trials([0.1, None, 0.3]) == Trials(3.0, summarise_trials([0.1, 0.3]).variance)  # type: ignore[union-attr]
    lonely = summarise_trials([0.1, None, None])
    assert isinstance(lonely, Unanswered) and lonely.code is SampleCode.TRIALS_TOO_FEW  # no variance to deflate with


def test_no_length_is_enough_for_a_sharpe_ratio_below_the_benchmark() -> None:
    loser = SharpeEstimate(-0.1, 100)
    for found in (minimum_track_record(loser), minimum_backtest(loser, Trials(10, 0.01), 365)):
        assert isinstance(found, Unanswered) and found.code is SampleCode.SHARPE_NOT_ABOVE


def test_two_point_returns_without_standard_error_give_no_certainty() -> None:
    """Skew SR = 2 with the lowest possible kurtosis: the formula's spread is zero, and zero is not certainty."""
    skew = 4.0
    found = probabilistic_sharpe(SharpeEstimate(2 / skew, 100, skew, 1 + skew**2))
    assert isinstance(found, Unanswered) and found.code is SampleCode.VARIANCE_ZERO


def test_excess_kurtosis_is_recognised_where_it_is_impossible() -> None:
    with pytest.raises(ValueError, match="excess kurtosis"):
        SharpeEstimate(0.1, 100, skew=0.0, kurtosis=0.0)
    with pytest.raises(ValueError, match="finite"):
        SharpeEstimate(math.nan, 100)


def test_annual_sharpe_ratios_of_trials_are_scaled_to_days() -> None:
    annual = summarise_trials([0.5, 1.0, 2.0], periods_per_year=365)
    daily = summarise_trials([s / math.sqrt(365) for s in (0.5, 1.0, 2.0)])
    assert isinstance(annual, Trials) and isinstance(daily, Trials)
    assert annual.variance == pytest.approx(daily.variance)


def test_correlated_trials_count_for_fewer() -> None:
    assert effective_trials(0.0, 100) == 100
    assert effective_trials(1.0, 100) == 1
    assert effective_trials(0.4, 100) == pytest.approx(60.4)
    with pytest.raises(ValueError, match="between 1 and"):
        summarise_trials([0.1, 0.2], effective=3)
    with pytest.raises(ValueError, match="at least 1"):
        expected_maximum(0.5)
