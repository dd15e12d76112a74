"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting, Journal of Computational
Finance 20(4). Rows are days, columns are trials; the days are cut into S blocks, and for each of the C(S, S/2) halves
the trial with the best Sharpe ratio in it is ranked by its Sharpe ratio in the other half. All halves are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from include.domain.bars import FloatArray, IntArray
from include.domain.reason_codes import SampleCode
from include.qualification.criterion import Measurement
from include.validators.distributions import histogram
from include.validators.samples import Unanswered

BLOCKS = 16
"""As the paper proposes: 12,870 halves. More would be 48,620 and up for hardly another digit."""
MIN_ROWS_PER_BLOCK = 10
MIN_TRIALS = 2
GRID, MOST_RANKS = 30, 100
"""Evidence keeps a grid of that many cells a side and that many groups of ranks, however many halves and trials."""


@dataclass(frozen=True, slots=True)
class TrialReturns:
    """Returns of every trial on the same days.

    Attributes:
        day_ms: shape (days,), increasing, epoch milliseconds UTC; names the rows.
        names: one for each trial; names the columns.
        returns: shape (days, trials). A trial that never traded has zeros.

    Raises:
        ValueError: the matrix does not have a row a day and a column a trial (a transposed one is refused), or the days
            do not increase.
    """

    day_ms: IntArray
    names: tuple[str, ...]
    returns: FloatArray

    def __post_init__(self) -> None:
        wanted = (len(self.day_ms), len(self.names))
        if self.returns.shape != wanted:
            raise ValueError(
                f"returns of shape {self.returns.shape}; rows are days, columns are trials: {wanted} needed"
            )
        if np.any(np.diff(self.day_ms) <= 0):
            raise ValueError("the days of trial returns must increase")


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Result of CSCV; arrays have shape (combinations,), Sharpe ratios are per period.

    Attributes:
        probability: share of logits at or below 0: the chosen trial was not better than the median out of sample.
        logits: ln(w / (1 - w)) with w = rank / (trials + 1) of the chosen trial out of sample, ties ranked on average.
        in_sample, out_of_sample: Sharpe ratio of the chosen trial in either half.
        slope: of out-of-sample on in-sample Sharpe ratios (least squares); None where all in-sample ones are equal.
        loss_probability: share of chosen trials with a negative Sharpe ratio out of sample.
        by_rank: shape (trials,), mean Sharpe ratio out of sample of the trial that was best, second, ... in sample.
        rows: days used; the oldest are left out so that the blocks are equally long.
    """

    probability: float
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    slope: float | None
    loss_probability: float
    by_rank: FloatArray
    trials: int
    rows: int
    blocks: int

    def measurements(self) -> dict[str, Measurement]:
        return {
            "probability_of_overfitting": Measurement(self.probability, samples=self.rows),
            "out_of_sample_loss_probability": Measurement(self.loss_probability, samples=self.rows),
        }

    def document(self, periods_per_year: float) -> dict[str, Any]:
        """Plain JSON for evidence and report, bounded in size; Sharpe ratios are annualised.

        `cells` are (in sample, out of sample, halves) of the middle of every cell of a grid that holds any.
        """
        year = np.sqrt(periods_per_year)
        counts, across, up = np.histogram2d(year * self.in_sample, year * self.out_of_sample, bins=GRID)
        x, y = (across[:-1] + across[1:]) / 2, (up[:-1] + up[1:]) / 2
        cells = [(x[i], y[j], counts[i, j]) for i, j in np.argwhere(counts)]
        groups = np.array_split(np.arange(self.trials), min(self.trials, MOST_RANKS))
        logits = histogram(self.logits)
        return {
            "halves": len(self.logits), "blocks": self.blocks, "days": self.rows, "trials": self.trials,
            "slope": self.slope, "logits": {"edges": list(logits.edges), "counts": list(logits.counts)},
            "cells": [[round(float(a), 4), round(float(b), 4), int(n)] for a, b, n in cells],
            "by_rank": [[float(np.mean(g)) + 1, round(float(year * self.by_rank[g].mean()), 4)] for g in groups],
        }  # fmt: skip


def probability_of_overfitting(trials: TrialReturns, blocks: int = BLOCKS) -> Overfitting | Unanswered:
    """Rank the best trial of every half of the days among all trials in the other half.

    Several trials that are equally best in sample share one rank, the mean of theirs.

    Raises:
        ValueError: `blocks` is odd or not within 4..16.
    """
    if blocks % 2 or not 4 <= blocks <= BLOCKS:
        raise ValueError(f"{blocks} blocks: an even number from 4 to {BLOCKS} is needed")
    if refused := _refused(trials.returns, blocks):
        return refused
    returns = trials.returns[len(trials.returns) % blocks :]
    size, count = len(returns) // blocks, returns.shape[1]
    # Squares around the column's mean: sums of raw squares would cancel.
    mean = returns.mean(axis=0)
    centred = (returns - mean).reshape(blocks, size, count)
    halves = np.array(list(combinations(range(blocks), blocks // 2)), dtype=np.int64)
    noise = 1e-12 * max(1.0, float(np.abs(returns).max()))
    sums, squares = centred.sum(axis=1), (centred**2).sum(axis=1)
    rank, in_sample, out_of_sample, by_rank = _cross_validate(
        sums, squares, sums.sum(axis=0), squares.sum(axis=0), mean, halves, size, noise
    )
    share = rank / (count + 1)
    logits = np.log(share / (1 - share))
    spread = in_sample - in_sample.mean()
    slope = float(spread @ out_of_sample / (spread @ spread)) if np.ptp(in_sample) > 1e-12 else None
    return Overfitting(
        probability=float(np.mean(logits <= 1e-12)), logits=logits, in_sample=in_sample, out_of_sample=out_of_sample,
        slope=slope, loss_probability=float(np.mean(out_of_sample < 0)),
        by_rank=by_rank, trials=count, rows=len(returns), blocks=blocks,
    )  # fmt: skip


def _refused(returns: NDArray[np.float64], blocks: int) -> Unanswered | None:
    rows, trials = returns.shape
    if trials < MIN_TRIALS:
        return Unanswered(SampleCode.TRIALS_TOO_FEW, f"trials={trials} needed={MIN_TRIALS}")
    if rows < blocks * MIN_ROWS_PER_BLOCK:
        return Unanswered(SampleCode.OBSERVATIONS_TOO_FEW, f"days={rows} needed={blocks * MIN_ROWS_PER_BLOCK}")
    if not np.isfinite(returns).all():
        return Unanswered(SampleCode.OBSERVATIONS_NOT_FINITE, f"trials={trials}")
    steady = np.ptp(returns, axis=0) == 0
    if steady.all() or np.any(returns[0, steady] != 0):
        return Unanswered(SampleCode.VARIANCE_ZERO, f"trials={trials} without_variance={int(steady.sum())}")
    return None


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cross_validate(
    sums: FloatArray,
    squares: FloatArray,
    total: FloatArray,
    total_squares: FloatArray,
    mean: FloatArray,
    halves: IntArray,
    size: int,
    noise: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rank out of sample and Sharpe ratio in either half of the best trial in each half, shape (halves,) each; and
    `Overfitting.by_rank`.

    `sums` and `squares` of centred returns have shape (blocks, trials), their totals (trials,). A trial without
    variance in a half has 0 there.
    """
    trials, n = mean.shape[0], halves.shape[1] * size
    rank, chosen, after = np.empty(halves.shape[0]), np.empty(halves.shape[0]), np.empty(halves.shape[0])
    inside, outside = np.empty(trials), np.empty(trials)
    within, by_rank = np.empty((2, trials)), np.zeros(trials)
    for h in range(halves.shape[0]):
        within[:] = 0.0
        for block in halves[h]:
            for trial in range(trials):
                within[0, trial] += sums[block, trial]
                within[1, trial] += squares[block, trial]
        for trial in range(trials):
            inside[trial] = _sharpe(within[0, trial], within[1, trial], mean[trial], n, noise)
            outside[trial] = _sharpe(
                total[trial] - within[0, trial], total_squares[trial] - within[1, trial], mean[trial], n, noise
            )
        chosen[h] = inside.max()
        rank[h], after[h] = _winners(inside, outside, chosen[h])
        by_rank += outside[np.argsort(-inside, kind="mergesort")]
    return rank, chosen, after, by_rank / halves.shape[0]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _winners(inside: FloatArray, outside: FloatArray, best: float) -> tuple[float, float]:
    """Mean rank and mean result out of sample of the trials that are best inside; equal results share a rank."""
    ranks, results, winners, rank, known = 0.0, 0.0, 0, 0.0, np.nan
    for trial in range(inside.shape[0]):
        if inside[trial] == best:
            if outside[trial] != known:  # copies of one trial are often the tie; they are counted once
                known, below, equal = outside[trial], 0, 0
                for other in outside:
                    below += other < known
                    equal += other == known
                rank = below + (equal + 1) / 2
            ranks, results, winners = ranks + rank, results + known, winners + 1
    return ranks / winners, results / winners


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sharpe(total: float, squares: float, mean: float, n: int, noise: float) -> float:
    """Per-period Sharpe ratio (ddof 1) of n returns from sums around a column's mean; 0 without variance."""
    shift = total / n
    deviation = np.sqrt(max(0.0, squares - n * shift**2) / (n - 1))
    return (mean + shift) / deviation if deviation > noise else 0.0
