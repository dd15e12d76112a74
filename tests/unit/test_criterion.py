"""A criterion decides on the point value exactly as written; absence never passes."""

import math

import pytest

from include.qualification.criterion import Comparison, Criterion, DecideOn, Measurement, evaluate_criterion
from include.qualification.verdict import Verdict
from include.qualification.wording import format_metric

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


@pytest.mark.parametrize(
    ("criterion", "value", "reason"),
    [
        (Criterion("win_rate", GE, 0.93), 0.45, "win_rate >= 93 %: measured 45.00 %, 48.00 points short"),
        (Criterion("win_rate", GE, 0.93), 0.929996, "win_rate >= 93 %: measured 92.9996 %, 0.0004 points short"),
        (Criterion("max_drawdown", LE, 0.125), 0.0345612, "max_drawdown <= 12.5 %: measured 3.46 %"),
        (Criterion("max_drawdown", LE, 0.1), 0.3456, "max_drawdown <= 10 %: measured 34.56 %, 24.56 points too much"),
        (Criterion("net_profit", GT, 0.0), -1234.5, "net_profit > 0: measured -1,234.50, 1,234.50 short"),
        (Criterion("net_profit", GT, 0.0), 0.0, "net_profit > 0: measured 0.00, exactly the threshold, which is not "
         "enough"),
        (Criterion("sharpe", GT, 1.0), 0.5, "sharpe > 1: measured 0.50, 0.50 short"),
        (Criterion("lookahead_rows", LE, 0.0), 1234.0, "lookahead_rows <= 0: measured 1,234, 1,234 too much"),
        (Criterion("history_days", GE, 1825.0), 1824.5, "history_days >= 1,825 days: measured 1,824.5 days, 0.5 days "
         "short"),
        (Criterion("break_even_slippage_bps", GE, 1.0), 0.5, "break_even_slippage_bps >= 1 bps: measured 0.5 bps, "
         "0.5 bps short"),
        (Criterion("win_rate", GE, 0.93, on=DecideOn.LOWER_BOUND), 0.95, "win_rate >= 93 %: lower bound measured "
         "91.25 %, 1.75 points short"),
    ],
)  # fmt: skip
def test_a_reason_reads_in_the_units_of_its_metric(criterion: Criterion, value: float, reason: str) -> None:
    measured = {criterion.metric: Measurement(value, low=0.9125, high=0.9442)}
    assert evaluate_criterion(criterion, measured).reason == reason


def test_a_reason_without_a_value_says_what_was_sought() -> None:
    missing = {"win_rate": Measurement(None, samples=0)}
    found = [evaluate_criterion(Criterion("win_rate", GE, 0.5, on=on), missing).reason for on in DecideOn]
    assert found == [f"win_rate >= 50 %: the sample gives no {w}" for w in ("value", "lower bound", "upper bound")]
    small = {"win_rate": Measurement(1.0, samples=9)}
    few = evaluate_criterion(Criterion("win_rate", GE, 0.5, min_samples=1000), small)
    assert few.reason == "win_rate >= 50 %: 9 samples, 1,000 needed"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("win_rate", 0.9312, "93.12 %"), ("net_profit", 1234.5, "1,234.50"), ("trades", 1234.0, "1,234"),
     ("sharpe", None, "–"), ("sharpe", 1.005, "1.00"), ("max_gap_minutes", 2.5, "2.5"),
     ("history_days", 730.0, "730 days"), ("history_days", 7.25, "7.25 days"), ("feed_latency_p50_ms", 3.0, "3 ms"),
     ("sharpe", -0.0001, "0.00")],
)  # fmt: skip
def test_metrics_are_shown_in_their_unit(name: str, value: float | None, text: str) -> None:
    assert format_metric(name, value) == text
