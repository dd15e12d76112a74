"""A criterion and its pure evaluation against measured metrics."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from include.qualification.verdict import Verdict
from include.qualification.wording import measured_text, missed_text, wanted_text


class Comparison(StrEnum):
    GE = ">="
    GT = ">"
    LE = "<="
    LT = "<"


class DecideOn(StrEnum):
    """Which number a criterion decides on: the point value as written, or a bound of its interval."""

    POINT = "point"
    LOWER_BOUND = "lower_bound"
    UPPER_BOUND = "upper_bound"


_COMPARE: Mapping[Comparison, Callable[[float, float], bool]] = MappingProxyType(
    {Comparison.GE: operator.ge, Comparison.GT: operator.gt, Comparison.LE: operator.le, Comparison.LT: operator.lt}
)
_SOUGHT: Mapping[DecideOn, str] = MappingProxyType(
    {DecideOn.POINT: "value", DecideOn.LOWER_BOUND: "lower bound", DecideOn.UPPER_BOUND: "upper bound"}
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured metric: its value, its 95 % interval where one exists, and how many samples stand behind it.

    `value` is None when the sample cannot answer (no trades, zero variance); that never passes a gate.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """`metric op threshold`, decided over `min_samples` or more. Ratios are fractions, money is quote currency."""

    metric: str
    op: Comparison
    threshold: float
    min_samples: int = 0
    on: DecideOn = DecideOn.POINT
    window: str = "all"
    """What the metric is measured over, in words of `docs/metrics.md` (`all`, `rolling 100 trades`, ...)."""


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """A criterion with what was measured, the verdict and the reason in one line."""

    criterion: Criterion
    measurement: Measurement | None
    verdict: Verdict
    reason: str


def evaluate_criterion(criterion: Criterion, measured: Mapping[str, Measurement]) -> CriterionResult:
    """Decide one criterion. A missing, non-finite or under-sampled metric is INCONCLUSIVE, never PASS."""
    measurement = measured.get(criterion.metric)
    name, threshold = criterion.metric, criterion.threshold
    wanted = wanted_text(name, criterion.op.value, threshold)
    if measurement is None:
        return CriterionResult(criterion, None, Verdict.INCONCLUSIVE, f"{wanted}: not measured")
    number = {
        DecideOn.POINT: measurement.value,
        DecideOn.LOWER_BOUND: measurement.low,
        DecideOn.UPPER_BOUND: measurement.high,
    }[criterion.on]
    if number is None or not math.isfinite(number):
        return CriterionResult(
            criterion, measurement, Verdict.INCONCLUSIVE, f"{wanted}: the sample gives no {_SOUGHT[criterion.on]}"
        )
    if criterion.min_samples and (measurement.samples is None or measurement.samples < criterion.min_samples):
        counted = "an unknown number of" if measurement.samples is None else f"{measurement.samples:,}"
        return CriterionResult(
            criterion, measurement, Verdict.INCONCLUSIVE,
            f"{wanted}: {counted} samples, {criterion.min_samples:,} needed",
        )  # fmt: skip
    found = f"{wanted}: {measured_text(name, number, threshold, criterion.on.value)}"
    if _COMPARE[criterion.op](number, threshold):
        return CriterionResult(criterion, measurement, Verdict.PASS, found)
    return CriterionResult(criterion, measurement, Verdict.FAIL, f"{found}, {missed_text(name, number, threshold)}")
