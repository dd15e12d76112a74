"""Market impact and capacity: what is left of each trade when it is made with more money.

Impact follows the square-root law: fraction of price = `IMPACT` x daily volatility x sqrt(notional over the daily
turnover of the symbol). Almgren, Thum, Hauptmann and Li (2005), Direct estimation of equity market impact; Toth et al.
(2011), Anomalous price impact, Physical Review X 1. It is charged on entry and on exit, resting orders included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from include.backtesting.portfolio import Market, PortfolioRun
from include.backtesting.trades import Trades
from include.domain.bars import Bars, FloatArray, IntArray
from include.domain.times import DAY_MS
from include.qualification.criterion import Measurement

IMPACT = 1.0
"""Order one in all published fits."""
TRAILING_DAYS = 30
MULTIPLES = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """The candidate's own trades with another capital.

    Attributes:
        net_profit: of the trades, less impact on both sides, quote currency.
        impact_bps: mean impact of a fill.
        participation: largest share of a day's turnover in one fill.
    """

    capital: float
    net_profit: float
    impact_bps: float
    participation: float


@dataclass(frozen=True, slots=True)
class CapacityStudy:
    """Points in order of capital.

    Attributes:
        capacity: capital at which impact eats half of the profit that the trades make without it, quote currency; None
            without profit.
    """

    points: tuple[CapacityPoint, ...]
    capacity: float | None

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        return {"capacity": Measurement(self.capacity, samples=len(self.points))}

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report."""
        return asdict(self)


def study_capacity(market: Market, run: PortfolioRun, rungs: Sequence[float] = MULTIPLES) -> CapacityStudy:
    """Scale the trades of a run and charge impact on entry and exit.

    Args:
        rungs: multiples of the run's capital, growing; those of the capital ladder among them.
    """
    trades = run.trades
    notional = trades.quantity * trades.entry_price
    volatility, turnover = _liquidity(market, trades)
    impact = IMPACT * volatility * np.sqrt(notional / turnover)
    gross, cost = float(trades.pnl.sum()), float((2 * notional * impact).sum())
    points = tuple(
        CapacityPoint(
            capital=run.capital * m, net_profit=gross * m - cost * m**1.5,
            impact_bps=float(impact.mean()) * m**0.5 * 10_000 if len(trades) else 0.0,
            participation=float((notional / turnover).max()) * m if len(trades) else 0.0,
        )
        for m in rungs
    )  # fmt: skip
    # Profit without impact grows with m, impact with m^1.5: half is eaten where cost x sqrt(m) is half of gross.
    capacity = run.capital * (gross / (2 * cost)) ** 2 if gross > 0 and cost > 0 else None
    return CapacityStudy(points, capacity)


def _liquidity(market: Market, trades: Trades) -> tuple[FloatArray, FloatArray]:
    """Daily volatility and turnover of each trade's symbol on the day of its entry, shapes (trades,)."""
    volatility, turnover = np.zeros(len(trades)), np.ones(len(trades))
    for index, bars in enumerate(market.histories):
        own = trades.symbol == index
        days, daily_volatility, daily_turnover = daily_liquidity(bars)
        row = np.searchsorted(days, trades.entry_ms[own] // DAY_MS * DAY_MS)
        volatility[own], turnover[own] = daily_volatility[row], daily_turnover[row]
    return volatility, turnover


def daily_liquidity(bars: Bars) -> tuple[IntArray, FloatArray, FloatArray]:
    """Days, volatility of daily log moves and mean daily turnover in quote currency, both over `TRAILING_DAYS` to date.

    Averages over days rather than one day's value, so that one quiet day does not decide. Days are midnights in epoch
    milliseconds; shapes (days,). A day without turnover on record counts as one unit of quote currency.
    """
    days = bars.open_time // DAY_MS
    first = np.flatnonzero(np.diff(days, prepend=days[:1] - 1))
    last = np.append(first[1:], len(days)) - 1
    value = np.add.reduceat(bars.close * bars.volume, first)
    moves = np.diff(np.log(bars.close[last]), prepend=np.log(bars.open[0]))
    turnover = _trailing_mean(value)
    volatility = np.sqrt(_trailing_mean(moves**2))
    return days[first] * DAY_MS, volatility, np.maximum(turnover, 1.0)


def _trailing_mean(values: FloatArray) -> FloatArray:
    total = np.concatenate(([0.0], np.cumsum(values)))
    n = np.arange(1, len(values) + 1)
    size = np.minimum(n, TRAILING_DAYS)
    out: FloatArray = (total[n] - total[n - size]) / size
    return out
