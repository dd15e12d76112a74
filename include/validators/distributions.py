"""What is kept of a quantity over many simulated paths: quantiles, a histogram, a fan of curves. Bounded in size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.backtesting.intervals import Z_95, wilson_interval
from include.domain.bars import FloatArray, IntArray
from include.qualification.criterion import Measurement

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FAN_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAN_POINTS = 200
BINS = 40


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equally wide bins.

    Attributes:
        edges: one more than counts, at most `BINS` + 1; a bin holds its lower edge, the last one its upper edge too.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A quantity over all paths: quantiles by their level, how often which value came, where the realised one lies.

    `realised_percentile` is the share of paths below the realised value, ties counted half.
    """

    quantiles: Mapping[float, float]
    histogram: Histogram
    realised: float
    realised_percentile: float


@dataclass(frozen=True, slots=True)
class Fan:
    """Quantiles of equity along the paths, for a chart. Equity is a multiple of the initial capital.

    Attributes:
        steps: shape (k,), k <= `FAN_POINTS`: after how many trades or days, from 0 to the end.
        levels: shape (q, k), one row for each of `FAN_QUANTILES`.
        realised: shape (k,), what really happened.
    """

    steps: IntArray
    levels: FloatArray
    realised: FloatArray


def histogram(values: FloatArray, bins: int = BINS) -> Histogram:
    """Finite values, shape (n,), counted in `bins` bins from the lowest to the highest; in one where all are equal."""
    low, high = float(values.min()), float(values.max())
    # Rounding differs from path to path: a spread of less than nine digits is none.
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):
        return Histogram((low, high), (len(values),))
    counts, edges = np.histogram(values, bins=bins)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))


def distribution(values: FloatArray, realised: float) -> Distribution:
    """Summary of finite values, shape (paths,)."""
    levels = np.quantile(values, QUANTILES)
    # Rounding differs from path to path: what is equal to nine digits is a tie.
    near = 1e-9 * max(1.0, abs(realised))
    below, upto = np.mean(values < realised - near), np.mean(values <= realised + near)
    return Distribution(
        dict(zip(QUANTILES, map(float, levels), strict=True)), histogram(values), realised, float((below + upto) / 2)
    )


def fan_marks(steps: int) -> IntArray:
    """Up to `FAN_POINTS` steps from 0 to the last, spread evenly."""
    return np.unique(np.linspace(0, steps, min(FAN_POINTS, steps + 1)).round().astype(np.int64))


def fan(marks: IntArray, equity: FloatArray, realised: FloatArray) -> Fan:
    """Fan of equity at the marks, shape (paths, marks)."""
    return Fan(marks, np.quantile(equity, FAN_QUANTILES, axis=0), realised)


def percentile(values: FloatArray, level: float, samples: int) -> Measurement:
    """A percentile with the distribution-free 95 % interval between two order statistics (David and Nagaraja 2003)."""
    ordered, n = np.sort(values), len(values)
    half = Z_95 * math.sqrt(n * level * (1 - level))
    low, high = max(0, math.floor(n * level - half)), min(n - 1, math.ceil(n * level + half))
    return Measurement(float(np.quantile(values, level)), float(ordered[low]), float(ordered[high]), samples)


def share(hits: int, paths: int, samples: int) -> Measurement:
    """Share of paths with Wilson's interval; no value where there is no path."""
    interval = wilson_interval(hits, paths)
    if interval is None:
        return Measurement(None, samples=samples)
    return Measurement(hits / paths, interval.low, interval.high, samples)
