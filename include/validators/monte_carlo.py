"""Monte Carlo: what drawdown and result could have been had the same trades or days come in another order.

Trades are put in random order (their total stays, the path differs); days are drawn again in blocks, so totals differ
too. Seeded and reproducible. Definitions and limits: `docs/statistics.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from include.backtesting.bootstrap import block_length, draw_rows, walk_days
from include.backtesting.daily_moves import DailyMoves
from include.domain.bars import FloatArray, IntArray
from include.domain.reason_codes import SampleCode
from include.qualification.criterion import Measurement
from include.validators.distributions import Distribution, Fan, distribution, fan, fan_marks, percentile, share
from include.validators.samples import Unanswered, judge_sample

PATHS = 10_000
MIN_PATHS = 1_000
MAX_STEPS = 50_000_000
"""Paths x steps beyond which fewer paths are walked, down to `MIN_PATHS`: about two seconds."""
MIN_TRADES = 30
MIN_DAYS = 30


@dataclass(frozen=True, slots=True)
class TradeReshuffle:
    """The same trades in random order.

    Attributes:
        drawdown: deepest fall of equity from its peak as a fraction of it, at trade closes only.
        drawdown_95: its 95th percentile, with the interval of the sampling error.
        ruin: share of paths on which equity falls to (1 - `ruin_fraction`) of the capital or below, with its interval.
    """

    trades: int
    paths: int
    seed: int
    drawdown: Distribution
    drawdown_95: Measurement
    ruin_fraction: float
    ruin: Measurement
    fan: Fan

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        return {"monte_carlo_drawdown": self.drawdown_95, "monte_carlo_ruin_probability": self.ruin}


@dataclass(frozen=True, slots=True)
class DayBootstrap:
    """Days drawn again in blocks of geometric length (stationary bootstrap), compounded.

    Attributes:
        block: mean block length in days.
        wealth: equity at the end as a multiple of the capital.
        drawdown: deepest fall from a peak, bar by bar, as a fraction of the peak.
        loss: share of paths that end below the capital; breach: share whose drawdown reaches `drawdown_limit`.
    """

    days: int
    paths: int
    seed: int
    block: float
    wealth: Distribution
    drawdown: Distribution
    drawdown_95: Measurement
    loss: Measurement
    drawdown_limit: float
    breach: Measurement
    fan: Fan

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        return {
            "bootstrap_drawdown": self.drawdown_95,
            "bootstrap_loss_probability": self.loss,
            "bootstrap_breach_probability": self.breach,
        }


def reshuffle_trades(
    pnl: FloatArray, capital: float, *, ruin_fraction: float, seed: int, paths: int = PATHS
) -> TradeReshuffle | Unanswered:
    """Walk the trades' net profits in `paths` random orders from `capital`.

    Args:
        pnl: shape (k,), quote currency, in order of exit.
        ruin_fraction: loss of the initial capital that counts as ruin, 0..1.

    Raises:
        ValueError: the capital is not positive.
    """
    if not capital > 0:
        raise ValueError(f"the capital {capital} must be above 0")
    if refused := judge_sample(pnl, at_least=MIN_TRADES, what="trades"):
        return refused
    paths, marks = _affordable(paths, len(pnl)), fan_marks(len(pnl))
    realised = np.empty((1, len(marks)))
    now = _walk_orders(np.random.default_rng(seed), pnl.copy(), capital, marks, realised, False)
    equity = np.empty((paths, len(marks)))
    drawdown, lowest = _walk_orders(np.random.default_rng(seed), pnl.copy(), capital, marks, equity, True)
    if not (np.isfinite(equity).all() and np.isfinite(drawdown).all()):
        return Unanswered(SampleCode.OBSERVATIONS_NOT_FINITE, f"trades={len(pnl)} equity_overflows=1")
    ruined = int(np.count_nonzero(lowest <= 1 - ruin_fraction))
    return TradeReshuffle(
        trades=len(pnl), paths=paths, seed=seed, drawdown=distribution(drawdown, float(now[0][0])),
        drawdown_95=percentile(drawdown, 0.95, len(pnl)), ruin_fraction=ruin_fraction,
        ruin=share(ruined, paths, len(pnl)), fan=fan(marks, equity, realised[0]),
    )  # fmt: skip


def bootstrap_days(
    moves: DailyMoves, *, drawdown_limit: float, seed: int, paths: int = PATHS
) -> DayBootstrap | Unanswered:
    """Walk as many days as were observed, drawn in blocks, on `paths` paths.

    Args:
        moves: of every day; empty where equity fell to zero.
        drawdown_limit: fraction of the peak whose loss counts as a breach.
    """
    columns = moves.close, moves.low, moves.high, moves.fall
    if not len(moves) or np.any(moves.close <= -1):
        return Unanswered(SampleCode.EQUITY_NOT_POSITIVE, f"days={len(moves)}")
    for column in columns:
        if refused := judge_sample(column, at_least=MIN_DAYS, what="days"):
            return refused
    days, block = len(moves), block_length(moves.close)
    paths, marks = _affordable(paths, days), fan_marks(days)
    realised = np.empty((1, len(marks)))
    now = _walk_blocks(np.random.default_rng(seed), *columns, 0.0, marks, realised)
    equity = np.empty((paths, len(marks)))
    drawdown = _walk_blocks(np.random.default_rng(seed), *columns, block, marks, equity)
    if not (np.isfinite(equity).all() and np.isfinite(drawdown).all()):
        return Unanswered(SampleCode.OBSERVATIONS_NOT_FINITE, f"days={days} equity_overflows=1")
    lost, breached = np.count_nonzero(equity[:, -1] < 1), np.count_nonzero(drawdown >= drawdown_limit)
    return DayBootstrap(
        days=days, paths=paths, seed=seed, block=block,
        wealth=distribution(equity[:, -1], float(realised[0, -1])), drawdown=distribution(drawdown, float(now[0])),
        drawdown_95=percentile(drawdown, 0.95, days), loss=share(int(lost), paths, days),
        drawdown_limit=drawdown_limit, breach=share(int(breached), paths, days),
        fan=fan(marks, equity, realised[0]),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _walk_orders(
    random: np.random.Generator, pnl: FloatArray, capital: float, marks: IntArray, equity: FloatArray, shuffle: bool
) -> tuple[FloatArray, FloatArray]:
    """Deepest fall and lowest equity of each path, shape (paths,); `equity` is filled at `marks`. Reorders `pnl`."""
    paths, n = equity.shape[0], pnl.shape[0]
    deepest, lowest = np.zeros(paths), np.empty(paths)
    for path in range(paths):
        now, peak, bottom, fall, mark = capital, capital, capital, 0.0, 0
        for i in range(n):
            if marks[mark] == i:
                equity[path, mark] = now / capital
                mark += 1
            if shuffle:  # Fisher-Yates on the order of the last path: every order remains equally likely
                j = i + int(random.random() * (n - i))
                pnl[i], pnl[j] = pnl[j], pnl[i]
            now += pnl[i]
            peak, bottom = max(peak, now), min(bottom, now)
            fall = max(fall, (peak - now) / peak)
        equity[path, mark] = now / capital
        deepest[path], lowest[path] = fall, bottom / capital
    return deepest, lowest


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _walk_blocks(
    random: np.random.Generator,
    close: FloatArray,
    low: FloatArray,
    high: FloatArray,
    fall: FloatArray,
    block: float,
    marks: IntArray,
    equity: FloatArray,
) -> FloatArray:
    """Deepest fall of each path, shape (paths,); `equity` is filled at `marks`. Block 0 keeps the days as they came."""
    n = close.shape[0]
    rows, wealth, deepest = np.arange(n), np.empty(n), np.empty(equity.shape[0])
    for path in range(equity.shape[0]):
        if block > 0:
            draw_rows(random, rows, n, block)
        deepest[path] = walk_days(low, high, fall, close, rows, wealth)
        for mark in range(marks.shape[0]):
            equity[path, mark] = wealth[marks[mark] - 1] if marks[mark] else 1.0
    return deepest


def _affordable(paths: int, steps: int) -> int:
    return min(paths, max(MIN_PATHS, MAX_STEPS // steps))
