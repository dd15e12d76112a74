"""Execution-noise Monte Carlo: the same decisions carried out badly, again and again.

Each run draws for every entry whether it is missed or late and for every market fill what more it slips, and trades the
changed decisions by the fill rule. What is drawn, and why so: `docs/statistics.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from include.backtesting.equity import falls
from include.backtesting.kernel import PURPOSES, Fills
from include.backtesting.metrics import sharpe_ratio
from include.backtesting.portfolio import Market
from include.backtesting.retrading import Outcome, Retrading
from include.domain.bars import FloatArray, IntArray
from include.domain.enums import OrderPurpose
from include.domain.instruments import Instrument
from include.domain.reason_codes import SampleCode
from include.ports import Progress, no_progress
from include.qualification.criterion import Measurement
from include.strategies.protocol import Strategy
from include.validators.changed_entries import MISSED, Entries, change_entries, entries_of, restore_entries
from include.validators.distributions import Distribution, Fan, distribution, fan, fan_marks, percentile, share
from include.validators.samples import Unanswered

RUNS, MIN_RUNS, MOST_BARS = 200, 100, 3_000_000_000
"""Fewer runs where runs x bars would exceed `MOST_BARS`, down to `MIN_RUNS`."""
RUNS_ALONE = 20
"""Runs with one kind of noise, to tell which of them costs what."""
MIN_TRADES = 30
LEAST_SLIPPAGE = 0.0001
WORKERS = 2
_LIQUIDATION = PURPOSES.index(OrderPurpose.LIQUIDATION)
"""The exchange's own order at the exchange's own price: nothing of ours slips there."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How badly is carried out what was decided.

    Attributes:
        slippage: mean of the additional slippage of a market fill as a multiple of half the spread plus slippage as the
            venue declares them, and of `LEAST_SLIPPAGE` where that is more; exponentially distributed.
        missed: probability that an entry is not made; the position it would have opened is gone.
        late: probability that an entry which is made comes `most_bars` bars later or less, each delay equally likely.
    """

    slippage: float = 1.0
    missed: float = 0.05
    late: float = 0.10
    most_bars: int = 3

    def mean_slippage(self, instrument: Instrument) -> float:
        """Mean additional slippage of a market fill as a fraction of its price."""
        return self.slippage * max(LEAST_SLIPPAGE, float(instrument.market_cost_fraction))


EVERYTHING = Noise()
ALONE = {
    "slippage": Noise(missed=0.0, late=0.0),
    "missed entries": Noise(slippage=0.0, late=0.0),
    "late entries": Noise(slippage=0.0, missed=0.0),
}


@dataclass(frozen=True, slots=True)
class NoiseAlone:
    """One kind of noise: mean net profit of `RUNS_ALONE` runs, quote currency, and how many end with a profit."""

    name: str
    net_profit: float
    profitable: int


@dataclass(frozen=True, slots=True)
class ExecutionNoise:
    """All runs with everything that can go wrong; equity and drawdown are of daily closes.

    Attributes:
        profitable: share of runs that end with a profit.
        net_profit, drawdown: over all runs; net profit in quote currency.
        sharpe: None where a run used up its capital, for then it has no daily returns.
        slippage_bps: mean additional slippage of a market fill by symbol.
        alone: each kind of noise for itself.
    """

    trades: int
    runs: int
    seed: int
    noise: Noise
    slippage_bps: dict[str, float]
    profitable: Measurement
    net_profit: Distribution
    net_profit_5: Measurement
    sharpe: Distribution | None
    sharpe_5: Measurement
    drawdown: Distribution
    drawdown_95: Measurement
    alone: tuple[NoiseAlone, ...]
    fan: Fan

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        return {
            "execution_profitable_share": self.profitable,
            "execution_net_profit": self.net_profit_5,
            "execution_sharpe": self.sharpe_5,
            "execution_drawdown": self.drawdown_95,
        }


def disturb_execution(
    strategy: Strategy,
    market: Market,
    capital: Decimal,
    *,
    seed: int,
    runs: int = RUNS,
    progress: Progress = no_progress,
) -> ExecutionNoise | Unanswered:
    """Trade the strategy's decisions `runs` times with noise of every kind, and a few times with each kind alone.

    Raises:
        StrategyError, DataError: the strategy or the bars cannot be used.
    """
    bench = _Bench(strategy, market, capital)
    own = bench.own
    if own.trades < MIN_TRADES:
        return Unanswered(SampleCode.OBSERVATIONS_TOO_FEW, f"trades={own.trades} needed={MIN_TRADES}")
    runs = min(runs, max(MIN_RUNS, MOST_BARS // bench.bars))
    jobs = [(EVERYTHING, run) for run in range(runs)]
    jobs += [(noise, run) for noise in ALONE.values() for run in range(RUNS_ALONE)]
    outcomes = bench.run(jobs, seed, progress)
    alone = tuple(
        _alone(name, outcomes[runs + i * RUNS_ALONE : runs + (i + 1) * RUNS_ALONE]) for i, name in enumerate(ALONE)
    )
    return summarise_runs(own, outcomes[:runs], alone, market, seed)


class _Bench:
    """The decisions, made once, and what is needed to change them; several threads may run on it."""

    def __init__(self, strategy: Strategy, market: Market, capital: Decimal) -> None:
        self._retrading = Retrading(market, capital)
        self._decisions = tuple(self._retrading.decide(strategy))
        self._instruments = market.instruments
        self._reruns = self._retrading.reruns(self._decisions)
        self.own = self._retrading.value(rerun.fills for rerun in self._reruns)
        self._entries = [
            entries_of(rerun.fills, len(made.bars)) for rerun, made in zip(self._reruns, self._decisions, strict=True)
        ]
        self._rooms = threading.local()
        self.bars = sum(len(made.bars) for made in self._decisions)

    def run(self, jobs: Sequence[tuple[Noise, int]], seed: int, progress: Progress) -> list[Outcome]:
        """One run for each (noise, number); the same number draws the same. Symbol by symbol, to keep few columns."""
        randoms = [np.random.default_rng((seed, number)) for _, number in jobs]
        parts: list[list[Outcome]] = [[] for _ in jobs]
        symbols = len(self._reruns)
        with ThreadPoolExecutor(WORKERS) as pool:
            for symbol in range(symbols):
                tasks = [(symbol, noise, random) for (noise, _), random in zip(jobs, randoms, strict=True)]
                for i, part in enumerate(pool.map(lambda task: self._part(*task), tasks)):
                    parts[i].append(part)
                    done = symbol * len(jobs) + i + 1
                    what = f"execution, symbol {symbol + 1} of {symbols}, run {i + 1} of {len(jobs)}"
                    progress(done / (symbols * len(jobs)), what)
        return [self._retrading.joined(found) for found in parts]

    def _part(self, symbol: int, noise: Noise, random: np.random.Generator) -> Outcome:
        rerun, fills = self._reruns[symbol], self._reruns[symbol].fills
        if noise.missed or noise.late:
            entries = self._entries[symbol]
            delays = draw_delays(entries, noise, random)
            changed = change_entries(self._decisions[symbol].wanted, entries, delays, self._room)
            fills = rerun.again(changed, entries.decided[delays != 0])
            for name, (column, copy) in vars(self._rooms).items():
                if column is getattr(self._decisions[symbol].wanted, name):  # not one of the symbol before
                    restore_entries(copy, column, entries, delays)
        if noise.slippage:
            fills = slipped(fills, random, noise.mean_slippage(self._instruments[symbol]))
        return self._retrading.part(symbol, fills)

    def _room(self, name: str, column: FloatArray) -> FloatArray:
        """This thread's copy of a column, made once a symbol: to copy it each time would cost more than the trading."""
        kept, copy = getattr(self._rooms, name, (None, column))
        if kept is not column:
            copy = column.copy()
            setattr(self._rooms, name, (column, copy))
        return copy


def draw_delays(entries: Entries, noise: Noise, random: np.random.Generator) -> IntArray:
    """Bars by which each entry is late, `MISSED` where it is missed, shape (entries,)."""
    n = len(entries)
    late = np.where(random.random(n) < noise.late, random.integers(1, noise.most_bars + 1, n), 0)
    return np.where(random.random(n) < noise.missed, MISSED, late)


def slipped(fills: Fills, random: np.random.Generator, mean: float) -> Fills:
    """Every fill of ours that took liquidity worse by an exponentially distributed fraction; fees follow the price.

    The price may leave the range of its bar: what one's own order does to the market, the bar never saw. What slips is
    charged and nothing else: the quantities of later entries and the margin of the position stay as they were.
    """
    spared = fills.maker | (fills.purpose == _LIQUIDATION)
    extra = np.where(spared, 0.0, random.exponential(mean, len(fills)))
    factor = 1 + fills.side * np.minimum(extra, 0.5)
    return replace(fills, price=fills.price * factor, fee=fills.fee * factor)


def _alone(name: str, outcomes: Sequence[Outcome]) -> NoiseAlone:
    profits = [outcome.net_profit for outcome in outcomes]
    return NoiseAlone(name, float(np.mean(profits)), sum(profit > 0 for profit in profits))


def summarise_runs(
    own: Outcome, outcomes: Sequence[Outcome], alone: tuple[NoiseAlone, ...], market: Market, seed: int
) -> ExecutionNoise:
    """What is kept of all runs beside the undisturbed one."""
    profits = np.array([outcome.net_profit for outcome in outcomes])
    drawdowns = np.array([_drawdown(outcome) for outcome in outcomes])
    trades, runs = own.trades, len(outcomes)
    own_sharpe, *noisy = _sharpes([own, *outcomes])
    known = own_sharpe is not None and None not in noisy
    sharpes = np.array(noisy, dtype=np.float64) if known else np.empty(0)
    marks = fan_marks(len(own.profit))
    return ExecutionNoise(
        trades=trades, runs=runs, seed=seed, noise=EVERYTHING,
        slippage_bps={i.symbol: 1e4 * EVERYTHING.mean_slippage(i) for i in market.instruments},
        profitable=share(int(np.count_nonzero(profits > 0)), runs, trades),
        net_profit=distribution(profits, own.net_profit), net_profit_5=percentile(profits, 0.05, trades),
        sharpe=distribution(sharpes, own_sharpe) if own_sharpe is not None and len(sharpes) else None,
        sharpe_5=percentile(sharpes, 0.05, trades) if len(sharpes) else Measurement(None, samples=trades),
        drawdown=distribution(drawdowns, _drawdown(own)), drawdown_95=percentile(drawdowns, 0.95, trades),
        alone=alone, fan=fan(marks, np.array([_equity(o)[marks] for o in outcomes]), _equity(own)[marks]),
    )  # fmt: skip


def _sharpes(outcomes: Iterable[Outcome]) -> list[float | None]:
    return [sharpe_ratio(outcome.returns) for outcome in outcomes]


def _drawdown(outcome: Outcome) -> float:
    return float(falls(outcome.profit, outcome.capital).max())


def _equity(outcome: Outcome) -> FloatArray:
    """Multiple of the capital at the start and after each day."""
    return np.concatenate(([1.0], 1 + outcome.profit / outcome.capital))
