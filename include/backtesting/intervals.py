"""Intervals of a proportion (win rate): for one look, and for a look after every trade."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from include.domain.bars import FloatArray

Z_95 = 1.959963984540054
ALPHA = 0.05
_TOLERANCE = 1e-12


class Interval(NamedTuple):
    low: float
    high: float


def percentile_interval(values: FloatArray) -> Interval:
    """Middle 95 % of resampled values, shape (k,)."""
    low, high = np.percentile(values, (100 * ALPHA / 2, 100 - 100 * ALPHA / 2))
    return Interval(float(low), float(high))


def wilson_interval(successes: int, n: int, z: float = Z_95) -> Interval | None:
    """Score interval of a proportion (Wilson 1927; Newcombe 1998, method 3); None without samples."""
    if n == 0:
        return None
    p, z2 = successes / n, z * z
    centre, half = p + z2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At 0 and 1 the bound is the proportion itself; rounding must not move it past.
    return Interval(min(p, (centre - half) / (1 + z2 / n)), max(p, (centre + half) / (1 + z2 / n)))


def always_valid_interval(successes: int, n: int, alpha: float = ALPHA) -> Interval | None:
    """Interval that covers a proportion at every look at once, whenever one stops; None without samples.

    Confidence sequence of Robbins (1970), Statistical methods related to the law of the iterated logarithm: all p whose
    likelihood ratio against a uniform mixture of alternatives, B(s+1, f+1) / (p^s (1-p)^f), is below 1/alpha. Under p
    that ratio is a martingale from 1, which Ville's inequality keeps below 1/alpha for ever with probability 1 - alpha.
    """
    if n == 0:
        return None
    wins, losses = successes, n - successes
    mixture = math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(n + 2) + math.log(alpha)

    def refused(p: float) -> bool:
        likelihood = (wins * math.log(p) if wins else 0.0) + (losses * math.log1p(-p) if losses else 0.0)
        return mixture >= likelihood

    estimate = wins / n
    low = _boundary(refused, 0.0, estimate) if wins else 0.0
    high = _boundary(refused, 1.0, estimate) if losses else 1.0
    return Interval(low, high)


def _boundary(refused: Callable[[float], bool], outside: float, inside: float) -> float:
    """Bisection between a refused and an accepted proportion; ends on the refused side, so rounding only widens."""
    while abs(outside - inside) > _TOLERANCE:
        middle = (outside + inside) / 2
        if refused(middle):
            outside = middle
        else:
            inside = middle
    return outside
