"""What the robustness checks of one candidate share: bars, its own run, its neighbourhood. Each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

import numpy as np

from include.backtesting.portfolio import Market, PortfolioRun, load_market, run_portfolio
from include.backtesting.sweep import Sweep, run_sweep
from include.domain.errors import ConfigurationError
from include.domain.times import DAY_MS
from include.ports import MarketData, Progress, no_progress
from include.qualification.candidate import Candidate
from include.strategies.protocol import Strategy, StrategyError, load_strategy
from include.validators.neighbourhood import Point, axes, plane
from include.validators.sensitivity import measure_sensitivity, most_influential

MOST_PURGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Parameter points with what trading them gave.

    Attributes:
        points: the candidate's own first; `Trial.index` counts them.
        plane: the two parameters whose combinations are among the points, for a heat map.
    """

    points: tuple[Point, ...]
    sweep: Sweep
    plane: tuple[str, ...]


class Study:
    """One candidate on one window.

    Args:
        capital: quote currency, split equally over the symbols.
        logged_sharpes: annualised Sharpe ratios of every earlier trial of the strategy's family.
    """

    def __init__(
        self,
        candidate: Candidate,
        start: datetime,
        end: datetime,
        market_data: MarketData,
        capital: Decimal,
        logged_sharpes: Sequence[float | None] = (),
        progress: Progress = no_progress,
    ) -> None:
        self.candidate, self.start, self.end, self.capital = candidate, start, end, capital
        self.logged_sharpes = tuple(logged_sharpes)
        self.seed = int(candidate.id[:8], 16)
        self.progress = progress
        self._market_data = market_data

    @cached_property
    def strategy(self) -> Strategy:
        return load_strategy(self.candidate.strategy, self.candidate.params)

    @cached_property
    def market(self) -> Market:
        """Bars with enough history before the start for every point of the neighbourhood along its axes."""
        self.progress(0.0, "loading bars")
        return load_market(self._market_data, self.candidate, self.start, self.end, self._longest_warmup())

    @cached_property
    def own(self) -> PortfolioRun:
        """The candidate itself."""
        return run_portfolio(self.strategy, self.market, self.capital)

    @cached_property
    def neighbourhood(self) -> Neighbourhood:
        """Every parameter alone first; then the plane of the two that move the Sharpe ratio most."""
        params = self.candidate.params
        along = axes(params)
        first = self._sweep(along, 0.0, 0.6)
        if first.trials[0].index != 0:
            raise StrategyError(first.refused[0])  # the candidate's own point: a reason, not one neighbour less
        found = measure_sensitivity(along, {trial.index: trial for trial in first.trials})
        names = most_influential(found.influence)
        known = {tuple(sorted(p.params.items())) for p in along}
        across = tuple(p for p in plane(params, names) if tuple(sorted(p.params.items())) not in known)
        if not across:
            return Neighbourhood(along, first, names)
        second = self._sweep(across, 0.6, 0.4)
        shifted = tuple(replace(trial, index=trial.index + len(along)) for trial in second.trials)
        joined = replace(first, trials=first.trials + shifted, refused=first.refused + second.refused)
        return Neighbourhood(along + across, joined, names)

    @property
    def purge_days(self) -> int:
        """Longest holding time of the candidate's own trades in whole days, at least one."""
        trades = self.own.trades
        longest = int(np.max(trades.exit_ms - trades.entry_ms)) if len(trades) else 0
        return min(MOST_PURGE_DAYS, max(1, -(-longest // DAY_MS)))

    def _sweep(self, points: Sequence[Point], begin: float, share: float) -> Sweep:
        return run_sweep(
            self.candidate.strategy, [point.params for point in points], self.market, self.capital,
            lambda done, what: self.progress(begin + share * done, what),
        )  # fmt: skip

    def _longest_warmup(self) -> int:
        longest = self.strategy.warmup
        for point in axes(self.candidate.params):
            try:
                longest = max(longest, load_strategy(self.candidate.strategy, point.params).warmup)
            except ConfigurationError:
                continue  # a point that the strategy refuses is counted as refused by the sweep
        return longest
