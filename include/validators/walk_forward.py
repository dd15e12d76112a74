"""Walk-forward analysis: choose parameters on the past, trade them on what follows, stitch what was traded.

Pardo (2008), The Evaluation and Optimization of Trading Strategies, chapter 11; purging after Lopez de Prado (2018),
Advances in Financial Machine Learning, chapter 7. Each test window is really traded again, from flat, with the
parameters that were best before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np

from include.backtesting.metrics import sharpe_ratio
from include.backtesting.portfolio import Market, run_portfolio
from include.backtesting.sweep import Sweep
from include.domain.bars import FloatArray, IntArray
from include.domain.times import DAY_MS, from_ms, iso
from include.ports import Progress, no_progress
from include.strategies.protocol import load_strategy

MIN_TEST_DAYS = 30
FOLDS = 16
TRAIN_TO_TEST = 4
"""A training window is four times as long as the test window that follows it."""


class Scheme(StrEnum):
    """Where training begins: a fixed time before the test, or always at the first day."""

    ROLLING = "rolling"
    ANCHORED = "anchored"


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a daily table: train on [train_first, train_end), test on [test_first, test_end)."""

    train_first: int
    train_end: int
    test_first: int
    test_end: int


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of the analysis; `params` is None, and nothing is traded, when training gave no Sharpe ratio at all."""

    train: tuple[datetime, datetime]
    test: tuple[datetime, datetime]
    params: Mapping[str, Any] | None
    train_sharpe: float | None
    test_sharpe: float | None
    trades: int
    net_profit: float


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Folds in order and the daily returns of all test windows, one after the other.

    Attributes:
        day_ms, returns: shape (days,); returns against the capital that every fold starts with.
    """

    scheme: Scheme
    folds: tuple[Fold, ...]
    day_ms: IntArray
    returns: FloatArray

    @property
    def completed(self) -> int:
        """Folds in which something was chosen and traded."""
        return sum(fold.params is not None and fold.trades > 0 for fold in self.folds)

    @property
    def profitable(self) -> int:
        """Folds that ended with a profit out of sample: an edge that lived in the first few only shows here."""
        return sum(fold.net_profit > 0 for fold in self.folds)

    @property
    def sharpe(self) -> float | None:
        return sharpe_ratio(self.returns)

    @property
    def efficiency(self) -> float | None:
        """Sharpe ratios out of sample over those in training, each summed over the folds; None without profit there.

        Pardo's walk-forward efficiency with Sharpe ratios in the place of annual profits, so that a fold with little
        risk counts like one with much.
        """
        pairs = [(f.train_sharpe, f.test_sharpe) for f in self.folds if f.train_sharpe is not None]
        trained = sum(train for train, _ in pairs)
        return sum(test or 0.0 for _, test in pairs) / trained if trained > 0 else None

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report; equity as a multiple of the capital."""
        equity = np.cumprod(1 + self.returns)
        return {
            "scheme": self.scheme.value, "completed": self.completed, "sharpe": self.sharpe,
            "efficiency": self.efficiency, "folds": [_fold_document(fold) for fold in self.folds],
            "equity": {"day": [iso(from_ms(int(d)))[:10] for d in self.day_ms], "value": equity.round(6).tolist()},
        }  # fmt: skip


def plan_splits(days: int, purge_days: int, scheme: Scheme) -> tuple[Split, ...]:
    """Split `days` rows into up to `FOLDS` consecutive test windows that cover everything after the first training.

    The last `purge_days` rows before a test are in neither window: a position opened there would reach into the test.
    Fewer days than one training and one test of `MIN_TEST_DAYS` need give no split.
    """
    test = max(MIN_TEST_DAYS, days // (FOLDS + TRAIN_TO_TEST))
    train = TRAIN_TO_TEST * test
    return tuple(
        Split(first - train if scheme is Scheme.ROLLING else 0, first - purge_days, first, first + test)
        for first in range(train, days - test + 1, test)
        if first - purge_days > (first - train if scheme is Scheme.ROLLING else 0)
    )


def walk_forward(
    strategy: str,
    sweep: Sweep,
    market: Market,
    capital: Decimal,
    *,
    purge_days: int,
    scheme: Scheme,
    progress: Progress = no_progress,
) -> WalkForward:
    """Choose in each training window by Sharpe ratio, then trade the test window from flat with the choice.

    Args:
        strategy: `module:Class`.
        sweep: every parameter point over the whole of `market`; training looks at its rows before the test only.
        purge_days: days left out between training and test, at least the longest holding time.
    """
    splits = plan_splits(len(sweep.day_ms), purge_days, scheme)
    folds: list[Fold] = []
    stitched: list[FloatArray] = []
    days: list[IntArray] = []
    for split in splits:
        fold, returns = _trade(strategy, sweep, market, capital, split)
        folds.append(fold)
        stitched.append(returns)
        days.append(sweep.day_ms[split.test_first : split.test_end])
        progress(len(folds) / len(splits), f"{scheme.value} fold {len(folds)} of {len(splits)}")
    joined = np.concatenate(days) if days else np.empty(0, dtype=np.int64)
    return WalkForward(scheme, tuple(folds), joined, np.concatenate([np.empty(0), *stitched]))


def choose(sweep: Sweep, first: int, end: int) -> tuple[int, float] | None:
    """Position and Sharpe ratio of the best trial on rows [first, end); the earlier at a tie; None without any."""
    best: tuple[int, float] | None = None
    for index, trial in enumerate(sweep.trials):
        rows = trial.returns[first:end]
        sharpe = None if np.isnan(rows).any() else sharpe_ratio(rows)
        if sharpe is not None and (best is None or sharpe > best[1]):
            best = index, sharpe
    return best


def _trade(strategy: str, sweep: Sweep, market: Market, capital: Decimal, split: Split) -> tuple[Fold, FloatArray]:
    size = split.test_end - split.test_first
    train = _moments(sweep.day_ms, split.train_first, split.train_end)
    test = _moments(sweep.day_ms, split.test_first, split.test_end)
    chosen = choose(sweep, split.train_first, split.train_end)
    if chosen is None:
        return Fold(train, test, None, None, None, 0, 0.0), np.zeros(size)
    params = sweep.trials[chosen[0]].params
    built = load_strategy(strategy, params)
    run = run_portfolio(built, market.between(*test, built.warmup), capital)
    returns = _on_days(run.daily.day_ms, run.returns, sweep.day_ms[split.test_first : split.test_end])
    return Fold(
        train, test, params, chosen[1], sharpe_ratio(returns), len(run.trades), float(run.curve.profit[-1])
    ), returns  # fmt: skip


def _on_days(day_ms: IntArray, returns: FloatArray, wanted: IntArray) -> FloatArray:
    """Returns on the wanted days, zero on days without bars; a used-up account has lost everything on its first day."""
    out = np.zeros(len(wanted))
    if len(returns) != len(day_ms):
        out[0] = -1.0
        return out
    out[np.searchsorted(wanted, day_ms)] = returns
    return out


def _fold_document(fold: Fold) -> dict[str, Any]:
    return {
        "train": [iso(moment) for moment in fold.train], "test": [iso(moment) for moment in fold.test],
        "params": None if fold.params is None else dict(fold.params), "train_sharpe": fold.train_sharpe,
        "test_sharpe": fold.test_sharpe, "trades": fold.trades, "net_profit": fold.net_profit,
    }  # fmt: skip


def _moments(day_ms: IntArray, first: int, end: int) -> tuple[datetime, datetime]:
    return from_ms(int(day_ms[first])), from_ms(int(day_ms[end - 1]) + DAY_MS)
