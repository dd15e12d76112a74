"""Market regimes, labelled from the past alone, and how a candidate fared in each.

A regime is volatility (low, high) by trend (down, sideways, up) of an equal-weight basket of the candidate's symbols,
day by day. The label of a day uses closes up to the day before it, so a strategy could have known it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from include.backtesting.equity import DailyEquity
from include.backtesting.metrics import profit_factor, sharpe_ratio
from include.backtesting.portfolio import Market, PortfolioRun
from include.domain.bars import Bars, FloatArray, IntArray
from include.domain.times import DAY_MS, from_ms, iso
from include.qualification.criterion import Measurement

LOOKBACK_DAYS = 30
MIN_HISTORY_DAYS = 60
"""Before that many days the median volatility means nothing and days carry no label."""
MIN_TRADES = 30
MIN_DAYS = 20
"""A regime with fewer days or trades is not covered: nothing is concluded from it."""


class Regime(StrEnum):
    """Volatility and trend of the basket over the `LOOKBACK_DAYS` before a day."""

    CALM_DOWN = "CALM_DOWN"
    CALM_SIDEWAYS = "CALM_SIDEWAYS"
    CALM_UP = "CALM_UP"
    VOLATILE_DOWN = "VOLATILE_DOWN"
    VOLATILE_SIDEWAYS = "VOLATILE_SIDEWAYS"
    VOLATILE_UP = "VOLATILE_UP"


@dataclass(frozen=True, slots=True)
class RegimeResult:
    """The candidate on the days of one regime; a trade belongs to the day it was entered on."""

    regime: Regime
    days: int
    trades: int
    win_rate: float | None
    profit_factor: float | None
    net_profit: float
    sharpe: float | None

    @property
    def is_covered(self) -> bool:
        return self.days >= MIN_DAYS and self.trades >= MIN_TRADES


@dataclass(frozen=True, slots=True)
class RegimeStudy:
    """Every regime in the order of the enum, met or not.

    Attributes:
        labels: shape (days,), index into `Regime` for each day of the run, -1 where there is no label yet.
    """

    results: tuple[RegimeResult, ...]
    day_ms: IntArray
    labels: IntArray

    @property
    def covered(self) -> tuple[RegimeResult, ...]:
        return tuple(result for result in self.results if result.is_covered)

    @property
    def worst_sharpe(self) -> float | None:
        """Lowest Sharpe ratio of the covered regimes; None when none is covered or one has none."""
        found = [result.sharpe for result in self.covered]
        known = [sharpe for sharpe in found if sharpe is not None]
        return min(known) if known and len(known) == len(found) else None

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        days = int((self.labels >= 0).sum())
        return {
            "regimes_covered": Measurement(float(len(self.covered)), samples=days),
            "worst_regime_sharpe": Measurement(self.worst_sharpe, samples=days),
        }

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report; `runs` are stretches of days of one regime."""
        starts = np.flatnonzero(np.diff(self.labels, prepend=-2))
        return {
            "regimes": [{**asdict(r), "regime": r.regime.value, "covered": r.is_covered} for r in self.results],
            "runs": [
                {"from": iso(from_ms(int(self.day_ms[i])))[:10], "regime": list(Regime)[self.labels[i]].value}
                for i in starts if self.labels[i] >= 0
            ],
        }  # fmt: skip


def study_regimes(market: Market, run: PortfolioRun) -> RegimeStudy:
    """Label the days of a run and measure it on the days of each regime."""
    daily = run.daily
    labels = label_days(basket(market, daily), daily.day_ms)
    returns = run.returns if len(run.returns) == len(daily.day_ms) else np.full(len(daily.day_ms), np.nan)
    entered = np.clip((run.trades.entry_ms // DAY_MS * DAY_MS - daily.day_ms[0]) // DAY_MS, 0, len(labels) - 1)
    return RegimeStudy(
        tuple(_measure(i, r, labels, returns, run, labels[entered]) for i, r in enumerate(Regime)), daily.day_ms, labels
    )


def basket(market: Market, daily: DailyEquity) -> FloatArray:
    """Log level of the equal-weight basket at the end of each day, shape (days,), from the bars' last closes.

    A symbol without a bar on a day keeps its last close; before its first bar it does not move the basket.
    """
    moves = np.zeros(len(daily.day_ms))
    for bars in market.histories:
        closes = _daily_closes(bars, daily.day_ms)
        change = np.diff(np.log(closes), prepend=np.nan)
        moves += np.nan_to_num(change) / len(market.histories)
    return np.cumsum(moves)


def label_days(level: FloatArray, day_ms: IntArray) -> IntArray:
    """Regime of each day as an index into `Regime`, -1 before `MIN_HISTORY_DAYS`.

    Volatility: deviation of the last `LOOKBACK_DAYS` daily moves, high when above the median of all such values so far.
    Trend: the move over `LOOKBACK_DAYS`, sideways within one deviation of a random walk of that volatility.
    Both end with the day before.

    Args:
        level: log level at the end of each day.
    """
    n = len(day_ms)
    labels = np.full(n, -1, dtype=np.int64)
    moves = np.diff(level, prepend=level[:1])
    volatility = np.full(n, np.nan)
    for day in range(LOOKBACK_DAYS, n):
        volatility[day] = float(np.std(moves[day - LOOKBACK_DAYS + 1 : day + 1], ddof=1))
    for day in range(MIN_HISTORY_DAYS, n):
        known = day - 1
        own = volatility[known]
        typical = float(np.median(volatility[LOOKBACK_DAYS:day]))
        move = level[known] - level[known - LOOKBACK_DAYS]
        band = own * np.sqrt(LOOKBACK_DAYS)
        trend = 0 if move < -band else 2 if move > band else 1
        labels[day] = 3 * int(own > typical) + trend
    return labels


def _daily_closes(bars: Bars, day_ms: IntArray) -> FloatArray:
    last = np.searchsorted(bars.open_time, day_ms + DAY_MS) - 1
    return np.where(last >= 0, bars.close[np.maximum(last, 0)], np.nan)


def _measure(
    index: int, regime: Regime, labels: IntArray, returns: FloatArray, run: PortfolioRun, entered: IntArray
) -> RegimeResult:
    days, pnl = labels == index, run.trades.pnl[entered == index]
    own = returns[days]
    return RegimeResult(
        regime, int(days.sum()), len(pnl), float(np.mean(pnl > 0)) if len(pnl) else None, profit_factor(pnl),
        float(pnl.sum()), None if np.isnan(own).any() else sharpe_ratio(own),
    )  # fmt: skip
