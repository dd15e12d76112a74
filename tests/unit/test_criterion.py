"""A criterion decides on the point value exactly as written; absence never passes."""

import math

import pytest

from include.qualification.criterion import Comparison, Criterion, DecideOn, Measurement, evaluate_criterion
from include.qualification.verdict import Verdict

GE, GT, LE, LT = Comparison.GE, Comparison.GT, Comparison.LE, Comparison.LT


@pytest.mark.parametrize(
    ("op", "threshold", "value", "expected"),
    [
        (GE, 0.93, 0.93, Verdict.PASS),
        (GE, 0.93, 0.9299999, Verdict.FAIL),
        (GT, 1.0, 1.0, Verdict.FAIL),
        (GT, 1.0, 1.0000001, Verdict.PASS),
        (LE, 0.10, 0.10, Verdict.PASS),
        (LE, 0.10, 0.1000001, Verdict.FAIL),
        (LT, 0.20, 0.20, Verdict.FAIL),
        (LT, 0.20, 0.19, Verdict.PASS),
    ],
)
def test_the_threshold_is_taken_exactly_as_written(
    op: Comparison, threshold: float, value: float, expected: Verdict
) -> None:
    result = evaluate_criterion(Criterion("m", op, threshold), {"m": Measurement(value)})
    assert result.verdict is expected


@pytest.mark.parametrize(
    "measured",
    [
        {},
        {"other": Measurement(1.0)},
        {"m": Measurement(None)},
        {"m": Measurement(math.nan)},
        {"m": Measurement(math.inf)},
        {"m": Measurement(1.0, samples=99)},
        {"m": Measurement(1.0, samples=None)},
    ],
)
def test_a_missing_unusable_or_undersampled_metric_is_inconclusive_never_pass(
    measured: dict[str, Measurement],
) -> None:
    result = evaluate_criterion(Criterion("m", GE, 0.5, min_samples=100), measured)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "m >= 0.5" in result.reason


@pytest.mark.parametrize(("on", "expected"), [(DecideOn.POINT, Verdict.PASS), (DecideOn.LOWER_BOUND, Verdict.FAIL)])
def test_a_profile_may_ask_for_the_bound_instead_of_the_point(on: DecideOn, expected: Verdict) -> None:
    measured = {"win_rate": Measurement(0.93, low=0.9125, high=0.9442, samples=1000)}
    assert evaluate_criterion(Criterion("win_rate", GE, 0.93, on=on), measured).verdict is expected


def test_the_reason_of_a_failure_says_how_far_it_is() -> None:
    reason = evaluate_criterion(Criterion("win_rate", GE, 0.93), {"win_rate": Measurement(0.45)}).reason
    assert reason == "win_rate >= 0.93: measured 0.45, 0.48 away from the threshold"
