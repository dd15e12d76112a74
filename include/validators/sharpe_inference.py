"""How much a Sharpe ratio can be trusted: probabilistic and deflated Sharpe ratio, minimum lengths.

Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, and (2014), The deflated Sharpe ratio; Bailey,
Borwein, Lopez de Prado and Zhu (2014), Pseudo-mathematics and financial charlatanism. Sharpe ratios are per period, not
annualised; kurtosis is not excess (3 for a normal); the convention travels with every result. `docs/statistics.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from include.backtesting.bootstrap import rounding_noise
from include.domain.bars import FloatArray
from include.domain.reason_codes import SampleCode
from include.qualification.criterion import Measurement
from include.validators.samples import Unanswered, judge_sample

CONVENTION = (
    "Bailey and Lopez de Prado 2012/2014: Sharpe per period (ddof 1), kurtosis not excess, trials' variance ddof 1"
)
MIN_OBSERVATIONS = 20
"""Skewness and kurtosis of fewer are noise; the published examples start at 24."""
CONFIDENCE = 0.95
EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class SharpeEstimate:
    """A Sharpe ratio per period with the moments that its standard error depends on.

    Raises:
        ValueError: no distribution has these moments (kurtosis below 1 + skew^2), or fewer than two observations.
    """

    sharpe: float
    observations: int
    skew: float = 0.0
    kurtosis: float = 3.0

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.sharpe, self.skew, self.kurtosis))) or self.observations < 2:
            raise ValueError(f"a Sharpe ratio needs finite moments and two observations: {self}")
        if self.kurtosis < (1 + self.skew**2) * (1 - 1e-9):
            raise ValueError(
                f"kurtosis {self.kurtosis:g} is impossible with skew {self.skew:g}; is it excess kurtosis?"
            )

    @property
    def spread(self) -> float:
        """1 - skew SR + (kurtosis - 1)/4 SR^2 (Mertens 2002); never negative, by the moments' law."""
        return max(0.0, 1 - self.skew * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2)

    @property
    def standard_error(self) -> float:
        """sqrt(spread / (n - 1))."""
        return math.sqrt(self.spread / (self.observations - 1))


@dataclass(frozen=True, slots=True)
class ProbabilisticSharpe:
    """Probability that the true Sharpe ratio is above `benchmark` (per period)."""

    value: float
    estimate: SharpeEstimate
    benchmark: float
    convention: str = CONVENTION

    def measurements(self) -> dict[str, Measurement]:
        return {"probabilistic_sharpe": Measurement(self.value, samples=self.estimate.observations)}


@dataclass(frozen=True, slots=True)
class Trials:
    """Every backtest that was tried on the way: how many, and the variance (ddof 1) of their Sharpe ratios per period.

    `count` may be an effective number of independent trials, hence no integer.
    """

    count: float
    variance: float


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """Probability that the true Sharpe ratio is above `benchmark`, the best that luck alone gives that many trials."""

    value: float
    estimate: SharpeEstimate
    trials: Trials
    benchmark: float
    convention: str = CONVENTION

    def measurements(self) -> dict[str, Measurement]:
        return {"deflated_sharpe": Measurement(self.value, samples=self.estimate.observations)}


@dataclass(frozen=True, slots=True)
class MinimumLength:
    """Observations that `metric` needs, and those there are."""

    metric: str
    needed: float
    observed: int

    @property
    def coverage(self) -> float:
        """Observed over needed: 1 or more is enough."""
        return self.observed / self.needed

    def measurements(self) -> dict[str, Measurement]:
        return {self.metric: Measurement(self.coverage, samples=self.observed)}


def estimate_sharpe(returns: FloatArray) -> SharpeEstimate | Unanswered:
    """Sharpe ratio of returns per period, shape (n,), risk-free rate 0, with sample (ddof 0) skewness and kurtosis."""
    if refused := judge_sample(returns, at_least=MIN_OBSERVATIONS, what="observations"):
        return refused
    largest = float(np.abs(returns).max())
    if float(np.ptp(returns)) <= 2 * rounding_noise(returns):
        return Unanswered(SampleCode.VARIANCE_ZERO, f"observations={len(returns)}")
    scaled = returns / largest  # no moment here depends on scale, but fourth powers overflow and underflow
    deviations = scaled - scaled.mean()
    variance = float(np.mean(deviations**2))
    skew = float(np.mean(deviations**3)) / variance**1.5
    kurtosis = max(float(np.mean(deviations**4)) / variance**2, 1 + skew**2)  # rounding must not break the law
    return SharpeEstimate(float(scaled.mean() / np.std(scaled, ddof=1)), len(returns), skew, kurtosis)


def probabilistic_sharpe(estimate: SharpeEstimate, benchmark: float = 0.0) -> ProbabilisticSharpe | Unanswered:
    """PSR(SR*) = Phi((SR - SR*) / standard error) (2012)."""
    error = estimate.standard_error
    if error < 1e-12:
        return Unanswered(SampleCode.VARIANCE_ZERO, "the Sharpe ratio has no standard error")
    return ProbabilisticSharpe(_NORMAL.cdf((estimate.sharpe - benchmark) / error), estimate, benchmark)


def summarise_trials(
    sharpes: Sequence[float | None], *, periods_per_year: float = 1.0, effective: float | None = None
) -> Trials | Unanswered:
    """Number and variance of all trials' Sharpe ratios, the chosen one's included.

    Args:
        sharpes: None for a trial without one (it never traded): it counts as a trial, and the variance is the others'.
        periods_per_year: of annualised Sharpe ratios (365 for the `sharpe` metric); leave 1 for ratios per period.
        effective: number of independent trials if known to be smaller (`effective_trials`).

    Raises:
        ValueError: the effective number is below 1 or above the number of trials.
    """
    values = np.array([value for value in sharpes if value is not None], dtype=np.float64)
    if not len(values) or len(values) < min(2, len(sharpes)):
        return Unanswered(SampleCode.TRIALS_TOO_FEW, f"trials={len(sharpes)} with_sharpe={len(values)}")
    if not np.isfinite(values).all():
        return Unanswered(SampleCode.TRIALS_NOT_FINITE, f"trials={len(sharpes)}")
    count = float(len(sharpes)) if effective is None else effective
    if not 1 <= count <= len(sharpes):
        raise ValueError(f"effective number of trials {count:g} must lie between 1 and the {len(sharpes)} trials")
    variance = float(np.var(values / math.sqrt(periods_per_year), ddof=1)) if len(values) > 1 else 0.0
    return Trials(count, variance)


def effective_trials(average_correlation: float, trials: int) -> float:
    """Independent trials among correlated ones: rho + (1 - rho) N, rho between 0 and 1 (2014, appendix)."""
    rho = min(1.0, max(0.0, average_correlation))
    return rho + (1 - rho) * trials


def expected_maximum(trials: float) -> float:
    """Expected largest of N independent standard normals (2014): (1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e)); 0 for one.

    Raises:
        ValueError: fewer than one trial.
    """
    if not trials >= 1:
        raise ValueError(f"the number of trials {trials} must be at least 1")
    if trials == 1:
        return 0.0
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return max(0.0, (1 - EULER_GAMMA) * first + EULER_GAMMA * second)


def deflated_sharpe(estimate: SharpeEstimate, trials: Trials) -> DeflatedSharpe | Unanswered:
    """PSR against the Sharpe ratio expected of the best of N trials without skill: sqrt(V) expected_maximum(N).

    One trial deflates nothing: the value is then PSR(0).
    """
    benchmark = math.sqrt(trials.variance) * expected_maximum(trials.count)
    found = probabilistic_sharpe(estimate, benchmark)
    return found if isinstance(found, Unanswered) else DeflatedSharpe(found.value, estimate, trials, benchmark)


def minimum_track_record(
    estimate: SharpeEstimate, benchmark: float = 0.0, confidence: float = CONFIDENCE
) -> MinimumLength | Unanswered:
    """Observations after which PSR(benchmark) reaches `confidence` if the estimate stays as it is (2012)."""
    margin = estimate.sharpe - benchmark
    if margin <= 0:
        return Unanswered(SampleCode.SHARPE_NOT_ABOVE, f"sharpe={estimate.sharpe:.4g} benchmark={benchmark:.4g}")
    needed = 1 + estimate.spread * (_NORMAL.inv_cdf(confidence) / margin) ** 2
    return MinimumLength("track_record_coverage", needed, estimate.observations)


def minimum_backtest(estimate: SharpeEstimate, trials: Trials, periods_per_year: float) -> MinimumLength | Unanswered:
    """Observations below which the best of the trials shows the estimate's Sharpe ratio by luck alone."""
    annual = estimate.sharpe * math.sqrt(periods_per_year)
    if annual <= 0:
        return Unanswered(SampleCode.SHARPE_NOT_ABOVE, f"sharpe={estimate.sharpe:.4g} benchmark=0")
    needed = max(1.0, minimum_backtest_years(trials.count, annual) * periods_per_year)
    return MinimumLength("backtest_length_coverage", needed, estimate.observations)


def minimum_backtest_years(trials: float, target_sharpe: float) -> float:
    """(expected_maximum(N) / target)^2 years, target annualised (Bailey et al. 2014).

    Raises:
        ValueError: the target is not above 0.
    """
    if not target_sharpe > 0:
        raise ValueError(f"the target Sharpe ratio {target_sharpe} must be above 0")
    return float((expected_maximum(trials) / target_sharpe) ** 2)
