"""The paired bootstrap says PASS or FAIL only where the difference of two Sharpe ratios is clear."""

import numpy as np
import pytest

from include.backtesting.metrics import sharpe_ratio
from include.domain.reason_codes import SampleCode
from include.qualification.verdict import Verdict
from include.validators.samples import Unanswered
from include.validators.sharpe_comparison import SharpeComparison, compare_sharpe


def compared(candidate: np.ndarray, baseline: np.ndarray, improvement: float = 0.05) -> SharpeComparison:
    found = compare_sharpe(candidate, baseline, min_improvement=improvement, seed=1)
    assert isinstance(found, SharpeComparison)
    return found


BASE = np.random.default_rng(1).normal(0.0005, 0.01, 730)
OWN = np.random.default_rng(2).normal(0.0, 0.002, 730)


def test_a_clear_improvement_passes_and_a_clear_loss_fails() -> None:
    better = compared(BASE + OWN + 0.001, BASE)
    assert better.verdict is Verdict.PASS
    assert better.interval.low > 0
    assert better.difference == pytest.approx(sharpe_ratio(BASE + OWN + 0.001) - sharpe_ratio(BASE))  # type: ignore[operator]
    assert compared(BASE + OWN - 0.001, BASE).verdict is Verdict.FAIL


def test_a_clear_improvement_that_is_too_small_fails() -> None:
    found = compared(BASE + OWN + 0.001, BASE, improvement=50.0)
    assert found.interval.low > 0 and found.difference < found.required
    assert found.verdict is Verdict.FAIL


def test_five_percent_in_two_weeks_cannot_be_told_from_luck() -> None:
    """Drawn from strategies with Sharpe 1.5 and 1.6, which is better by more than 5 %."""
    random = np.random.default_rng(3)
    scale = 0.01 / np.sqrt(365)
    found = compared(random.normal(1.6 * scale, 0.01, 14), random.normal(1.5 * scale, 0.01, 14))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.interval.low < 0 < found.interval.high


def test_a_few_days_decide_nothing_however_clear_they_look() -> None:
    found = compared(BASE[:29] + 0.02 + OWN[:29], BASE[:29])
    assert found.interval.low > 0 and found.verdict is Verdict.INCONCLUSIVE
    assert compared(BASE[:30] + 0.02 + OWN[:30], BASE[:30]).verdict is Verdict.PASS


def test_a_strategy_is_not_better_than_itself() -> None:
    found = compared(BASE, BASE)
    assert found.interval == (0.0, 0.0) and found.verdict is Verdict.INCONCLUSIVE


def test_days_that_both_share_cancel() -> None:
    """The same pair without its pairing has an interval several times as wide."""
    paired = compared(BASE + OWN + 0.001, BASE).interval
    apart = compared(np.random.default_rng(4).permutation(BASE + OWN + 0.001), BASE).interval
    assert apart.high - apart.low > 2 * (paired.high - paired.low)


def test_less_loss_than_a_losing_baseline_is_an_improvement() -> None:
    losing = BASE - 0.004
    found = compared(losing + 0.003, losing)
    assert found.required > 0 and found.verdict is Verdict.PASS


def test_the_reason_names_the_numbers() -> None:
    found = compared(BASE + OWN + 0.001, BASE)
    assert found.reason.startswith(f"Sharpe {found.candidate:.3g} against {found.baseline:.3g}: difference")


@pytest.mark.parametrize(
    ("candidate", "code"),
    [
        (BASE[:9], SampleCode.OBSERVATIONS_TOO_FEW),
        (np.full(50, 0.01), SampleCode.VARIANCE_ZERO),
        (np.append(BASE[:49], np.nan), SampleCode.OBSERVATIONS_NOT_FINITE),
        (np.append(np.zeros(49), 0.01), SampleCode.VARIANCE_ZERO),  # resamples without that one day do not vary
    ],
)
def test_returns_that_cannot_answer_are_refused_with_a_reason(candidate: np.ndarray, code: SampleCode) -> None:
    found = compare_sharpe(candidate, BASE[: len(candidate)], min_improvement=0.05, seed=1)
    assert isinstance(found, Unanswered) and found.code is code


def test_different_numbers_of_days_are_no_pair() -> None:
    with pytest.raises(ValueError, match="729 days of the candidate, 730 of the baseline"):
        compare_sharpe(BASE[1:], BASE, min_improvement=0.05, seed=1)
