"""Samples that statistics are asked about, and what is returned instead of a number when one cannot answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from include.domain.bars import FloatArray
from include.domain.reason_codes import SampleCode
from include.qualification.criterion import Measurement


class Measured(Protocol):
    """A statistic that has an answer."""

    def measurements(self) -> Mapping[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        ...


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No value, and why. Never NaN: a criterion on it is INCONCLUSIVE."""

    code: SampleCode
    detail: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.detail}"


def judge_sample(values: FloatArray, *, at_least: int, what: str) -> Unanswered | None:
    """Why these values, shape (n,), cannot be used; None if they can."""
    if len(values) < at_least:
        return Unanswered(SampleCode.OBSERVATIONS_TOO_FEW, f"{what}={len(values)} needed={at_least}")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    return Unanswered(SampleCode.OBSERVATIONS_NOT_FINITE, f"{what}={len(values)} not_finite={bad}") if bad else None


def collect(results: Mapping[str, Measured | Unanswered]) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Metrics of the statistics that have an answer, and by name the reason of each that has none.

    A metric that is missing from the first is INCONCLUSIVE wherever a profile asks for it.
    """
    metrics: dict[str, Measurement] = {}
    for result in results.values():
        if not isinstance(result, Unanswered):
            metrics.update(result.measurements())
    return metrics, {name: str(result) for name, result in results.items() if isinstance(result, Unanswered)}
