"""One market, many parameter points: daily returns of each, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from include.backtesting.metrics import sharpe_ratio
from include.backtesting.portfolio import Market
from include.backtesting.retrading import Outcome, Retrading
from include.domain.bars import Bars, FloatArray, IntArray
from include.domain.errors import ConfigurationError
from include.ports import Progress, no_progress
from include.strategies.protocol import SignalRangeError, Strategy, StrategyError, load_strategy
from include.strategies.rolling import SharedStatistics, share_statistics

WORKERS = 2
MOST_SHARED_BYTES = 1_000_000_000
"""Of rolling statistics that points share: 45 columns over five years of minutes of a symbol, nine over five."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One parameter point on the market.

    Attributes:
        index: of the point among those asked for.
        returns: daily UTC returns, shape (days,); NaN throughout when equity was used up, which no selection prefers.
        trades: closed trades.
        net_profit: quote currency at the end.
    """

    index: int
    params: Mapping[str, Any]
    returns: FloatArray
    trades: int
    net_profit: float

    @property
    def sharpe(self) -> float | None:
        return sharpe_ratio(self.returns) if not np.isnan(self.returns).any() else None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Trials in the order asked for, without the points that the strategy refused.

    Attributes:
        day_ms: midnight that begins each day, shape (days,), epoch milliseconds UTC.
        refused: reasons of the points that the strategy does not accept (a parameter out of its range) or that make its
            signals leave theirs (a weight above 1), in the order of the points.
    """

    day_ms: IntArray
    trials: tuple[Trial, ...]
    refused: tuple[str, ...]

    @property
    def returns(self) -> FloatArray:
        """Shape (days, trials): time along the rows, as the overfitting statistics want it."""
        return np.column_stack([trial.returns for trial in self.trials])


def run_sweep(
    strategy: str,
    points: Sequence[Mapping[str, Any]],
    market: Market,
    capital: Decimal,
    progress: Progress = no_progress,
) -> Sweep:
    """Trade every parameter point; two at a time, since strategies by array and the kernels release the interpreter.

    Args:
        strategy: `module:Class`.
        market: with enough bars before its start for the largest warm-up; a point that needs more decides later.

    Raises:
        StrategyError, DataError: a point that the strategy accepts, but then breaks on; bars that cannot be used.
        ConfigurationError: the strategy can be traded with none of the points.
    """
    built: list[tuple[int, Mapping[str, Any], Strategy]] = []
    refused: dict[int, str] = {}
    for index, params in enumerate(points):
        try:
            built.append((index, params, load_strategy(strategy, params)))
        except ConfigurationError as error:
            refused[index] = str(error)
    retrading = Retrading(market, capital)
    shared = SharedStatistics((column for bars in market.histories for column in _prices(bars)), MOST_SHARED_BYTES)

    def trade(item: tuple[int, Mapping[str, Any], Strategy]) -> Trial | None:
        index, params, built_strategy = item
        try:
            return _trial(index, params, retrading.trade(retrading.decide(built_strategy)))
        except SignalRangeError as error:
            refused[index] = f"{error} with {dict(params)}"
            return None
        except StrategyError as error:
            raise StrategyError(f"{error} with {dict(params)}") from error

    trials: list[Trial] = []
    with ThreadPoolExecutor(WORKERS, initializer=share_statistics, initargs=(shared,)) as pool:
        for done, trial in enumerate(pool.map(trade, built), start=1):
            trials += [trial] if trial is not None else []
            progress(done / len(built), f"parameter point {done} of {len(built)}")
    reasons = tuple(refused[index] for index in sorted(refused))
    if not trials:
        raise ConfigurationError(
            f"strategy {strategy}: none of {len(points)} parameter points is accepted: {reasons[0]}"
        )
    return Sweep(retrading.day_ms, tuple(trials), reasons)


def _trial(index: int, params: Mapping[str, Any], outcome: Outcome) -> Trial:
    returns = outcome.returns
    whole = returns if len(returns) else np.full(len(outcome.profit), np.nan)
    return Trial(index, params, whole, outcome.trades, outcome.net_profit)


def _prices(bars: Bars) -> tuple[FloatArray, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume
