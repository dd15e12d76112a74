"""Is one Sharpe ratio better than another on the same days? Paired stationary bootstrap of their difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from include.backtesting.bootstrap import (
    RESAMPLES,
    block_length,
    draw_rows,
    mean_and_deviation,
    rounding_noise,
)
from include.backtesting.intervals import Interval, percentile_interval
from include.backtesting.metrics import sharpe_ratio
from include.domain.bars import FloatArray
from include.domain.reason_codes import SampleCode
from include.domain.times import DAYS_PER_YEAR
from include.qualification.verdict import Verdict
from include.validators.samples import Unanswered, judge_sample

MIN_DAYS = 10
MIN_VERDICT_DAYS = 30
"""Below, the interval is too narrow to decide on: at 14 days it holds the truth in 82 % of samples, at 60 in 93 %."""


@dataclass(frozen=True, slots=True)
class SharpeComparison:
    """Annualised Sharpe ratios on the same days, and the 95 % interval of their difference.

    Attributes:
        required: the difference that counts as improvement, `min_improvement` x |baseline|.
        verdict: INCONCLUSIVE while the interval holds zero or there are fewer than `MIN_VERDICT_DAYS`, otherwise
            whether the difference reaches `required`.
    """

    candidate: float
    baseline: float
    difference: float
    interval: Interval
    required: float
    days: int
    block: float
    verdict: Verdict
    reason: str


def compare_sharpe(
    candidate: FloatArray, baseline: FloatArray, *, min_improvement: float, seed: int, resamples: int = RESAMPLES
) -> SharpeComparison | Unanswered:
    """Compare daily returns of two strategies on the same days, shape (d,) each.

    Both are resampled with the same rows, so days that were good or bad for both cancel (Ledoit and Wolf 2008, Robust
    performance hypothesis testing with the Sharpe ratio; theirs is studentised, this is the percentile interval).

    Args:
        min_improvement: as a fraction of the baseline's Sharpe ratio (0.05 for "5 % better").

    Raises:
        ValueError: the two do not cover the same number of days.
    """
    if candidate.shape != baseline.shape:
        raise ValueError(
            f"{len(candidate)} days of the candidate, {len(baseline)} of the baseline: they must be the same"
        )
    for returns in (candidate, baseline):
        if refused := judge_sample(returns, at_least=MIN_DAYS, what="days"):
            return refused
    ours, theirs = sharpe_ratio(candidate), sharpe_ratio(baseline)
    if ours is None or theirs is None:
        return Unanswered(SampleCode.VARIANCE_ZERO, f"days={len(candidate)}")
    block = max(block_length(candidate), block_length(baseline))
    noise = max(rounding_noise(candidate), rounding_noise(baseline))
    random = np.random.default_rng(seed)
    found = _resample_pairs(random, candidate, baseline, block, resamples, noise) * math.sqrt(DAYS_PER_YEAR)
    if not np.isfinite(found).all():
        return Unanswered(SampleCode.VARIANCE_ZERO, f"resamples_without_variance={int(np.isnan(found).sum())}")
    interval, difference, required = percentile_interval(found), ours - theirs, min_improvement * abs(theirs)
    verdict = _judge(difference, interval, required, len(candidate))
    reason = (
        f"Sharpe {ours:.3g} against {theirs:.3g}: difference {difference:.3g} "
        f"({interval.low:.3g} to {interval.high:.3g}), {required:.3g} wanted"
    )
    return SharpeComparison(
        ours, theirs, difference, interval, required, len(candidate), block, verdict, reason
    )  # fmt: skip


def _judge(difference: float, interval: Interval, required: float, days: int) -> Verdict:
    if days < MIN_VERDICT_DAYS or interval.low <= 0 <= interval.high:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if difference >= required else Verdict.FAIL


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _resample_pairs(
    random: np.random.Generator, first: FloatArray, second: FloatArray, block: float, resamples: int, noise: float
) -> FloatArray:
    """Difference of per-period Sharpe ratios on each resample, shape (resamples,); NaN where one does not vary."""
    rows, found = np.empty(first.shape[0], np.int64), np.full(resamples, np.nan)
    for k in range(resamples):
        draw_rows(random, rows, first.shape[0], block)
        mean, deviation = mean_and_deviation(first, rows)
        other_mean, other_deviation = mean_and_deviation(second, rows)
        if deviation > noise and other_deviation > noise:
            found[k] = mean / deviation - other_mean / other_deviation
    return found
