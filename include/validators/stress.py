"""Stress: historical crashes laid over the candidate's own bars, at moments drawn by lot.

Each scenario is a path of log price relative to its start, after public records of the event. It is added to all
symbols at once, since in a crash correlations go to one, and what comes after stays at the new level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np

from include.backtesting.portfolio import Market, PortfolioRun, run_portfolio, window_of
from include.domain.bars import Bars, FloatArray
from include.domain.times import iso, to_ms
from include.ports import Progress, no_progress
from include.qualification.criterion import Measurement
from include.strategies.protocol import Strategy


@dataclass(frozen=True, slots=True)
class Scenario:
    """A shock: hours since its start and the share of the price that is left then, linear in log price in between."""

    description: str
    hours: tuple[float, ...]
    left: tuple[float, ...]


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        # Dow Jones Industrial Average, 19 October 1987: -22.6 % in one session, half of it regained in two days.
        "black-monday-1987": Scenario(
            "-22.6 % within a session, half of it back in two days", (0, 6.5, 24, 54), (1, 0.774, 0.80, 0.887)
        ),
        # BTC/USD, 12 and 13 March 2020: 7,900 to 4,000 in two waves within a day, then 5,400.
        "covid-2020": Scenario(
            "-27 % in an hour, -50 % within a day, a third of it back",
            (0, 1, 10, 16, 24, 36), (1, 0.73, 0.76, 0.50, 0.62, 0.68),
        ),
        # BTC/USD, 19 May 2021: 43,000 to 30,000 in eight hours and back to 37,000.
        "deleveraging-2021": Scenario(
            "-30 % in eight hours, half of it back the same day",
            (0, 5, 8, 9, 14, 24), (1, 0.90, 0.70, 0.80, 0.88, 0.85),
        ),
        # BTC/USD, 6 to 9 November 2022: 21,200 to 15,700 in steps over three days, no recovery.
        "exchange-failure-2022": Scenario(
            "-26 % in steps over three days, none of it back",
            (0, 24, 30, 42, 60, 72), (1, 0.95, 0.88, 0.85, 0.79, 0.74),
        ),
        # What a short book fears: the mirror of 2021's fall.
        "squeeze": Scenario(
            "+43 % in eight hours, half of it given back the same day",
            (0, 5, 8, 9, 14, 24), (1, 1.11, 1.43, 1.25, 1.14, 1.18),
        ),
    }
)  # fmt: skip
DRAWS = 8
"""Moments at which each scenario begins."""
BEFORE, AFTER = timedelta(days=2), timedelta(days=5)
"""What is traded around the start of a shock: the position it meets has to be built first."""


@dataclass(frozen=True, slots=True)
class StressResult:
    """One scenario over all its draws; losses are fractions of the capital, positive is lost.

    Attributes:
        worst_drawdown: deepest fall of bar-level equity over the traded days.
        mean_result, worst_result: net profit over the traded days, less what the same days gave without the shock.
        worst_start: when the shock with the worst drawdown began.
    """

    name: str
    description: str
    worst_drawdown: float
    mean_result: float
    worst_result: float
    worst_start: datetime


@dataclass(frozen=True, slots=True)
class StressStudy:
    """All scenarios in the order of `SCENARIOS`; none when the market is shorter than the traded days."""

    results: tuple[StressResult, ...]

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        worst = max((result.worst_drawdown for result in self.results), default=None)
        return {"stress_drawdown": Measurement(worst, samples=len(self.results) * DRAWS)}

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report."""
        return {"scenarios": [{**asdict(r), "worst_start": iso(r.worst_start)} for r in self.results]}


def stress(
    strategy: Strategy, market: Market, capital: Decimal, *, seed: int, progress: Progress = no_progress
) -> StressStudy:
    """Trade the days around each shock, with and without it. A market shorter than the traded days gives no result.

    Args:
        seed: of the moments; all scenarios begin at the same ones, so that they can be compared.
    """
    starts = draw_starts(market, seed)
    calm = [_profit(_run(strategy, market, start, capital)) for start in starts]
    results = []
    for name, scenario in SCENARIOS.items():
        runs = [_run(strategy, market, start, capital, scenario) for start in starts]
        if runs:
            results.append(_result(name, scenario, starts, runs, calm, float(capital)))
        progress(len(results) / len(SCENARIOS), name)
    return StressStudy(tuple(results))


def draw_starts(market: Market, seed: int) -> tuple[datetime, ...]:
    """Up to `DRAWS` moments on whole minutes, in order, each with the traded days inside the market."""
    first, last = window_of(market)
    room = int((last - AFTER - first - BEFORE) / timedelta(minutes=1))
    if room < 1:
        return ()
    minutes = np.random.default_rng(seed).integers(0, room, DRAWS)
    return tuple(first + BEFORE + timedelta(minutes=int(minute)) for minute in np.unique(minutes))


def shocked(bars: Bars, start: datetime, scenario: Scenario) -> Bars:
    """The bars with the shock from `start` on: opens by the path at their start, closes by the path at their end.

    Highs and lows take the higher and the lower of both, so every bar stays possible and no wick is left out.
    """
    begin = (bars.open_time - to_ms(start)) / 3_600_000
    at_open, at_close = _factor(scenario, begin), _factor(scenario, begin + bars.timeframe.ms / 3_600_000)
    opened, closed = bars.open * at_open, bars.close * at_close
    high = np.maximum.reduce([opened, closed, bars.high * np.maximum(at_open, at_close)])
    low = np.minimum.reduce([opened, closed, bars.low * np.minimum(at_open, at_close)])
    return replace(bars, open=opened, high=high, low=low, close=closed)


def _factor(scenario: Scenario, hours: FloatArray) -> FloatArray:
    return np.exp(np.interp(hours, scenario.hours, np.log(scenario.left)))


def _run(
    strategy: Strategy, market: Market, start: datetime, capital: Decimal, scenario: Scenario | None = None
) -> PortfolioRun:
    around = market.between(start - BEFORE, start + AFTER, strategy.warmup)
    if scenario is not None:
        around = around.with_histories(lambda bars: shocked(bars, start, scenario))
    return run_portfolio(strategy, around, capital)


def _profit(run: PortfolioRun) -> float:
    return float(run.curve.profit[-1])


def _result(
    name: str, scenario: Scenario, starts: Sequence[datetime], runs: Sequence[PortfolioRun], calm: Sequence[float],
    capital: float,
) -> StressResult:  # fmt: skip
    falls = [float(run.daily.drawdown.max()) for run in runs]
    changes = [(_profit(run) - without) / capital for run, without in zip(runs, calm, strict=True)]
    worst = int(np.argmax(falls))
    return StressResult(
        name, scenario.description, falls[worst], float(np.mean(changes)), min(changes), starts[worst]
    )  # fmt: skip
