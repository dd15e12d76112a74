"""One market traded again and again: what no run changes is checked and computed once.

`run_portfolio` gives every bar's equity and every trade. Sweeps and searches look at daily returns and the number of
trades only, so they take those straight from the fills: the same floats in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from include.backtesting.equity import profit_at
from include.backtesting.kernel import Fills, simulate
from include.backtesting.metrics import returns_of
from include.backtesting.portfolio import Market
from include.backtesting.rerun import Rerun
from include.backtesting.run import Decisions, decide, refuse_impossible
from include.backtesting.trades import closed_trades
from include.domain.bars import Bars, FloatArray
from include.domain.errors import DataError
from include.domain.fill_rule import symbol_allocation
from include.domain.instruments import Instrument
from include.domain.times import DAY_MS, to_ms
from include.strategies.protocol import Strategy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave, day by day.

    Attributes:
        profit: net profit at the end of each day, quote currency, shape (days,).
        trades: closed trades.
    """

    capital: float
    profit: FloatArray
    trades: int

    @property
    def net_profit(self) -> float:
        return float(self.profit[-1])

    @property
    def returns(self) -> FloatArray:
        """Daily UTC returns, shape (days,); empty once equity was not positive, as `PortfolioRun.returns`."""
        return returns_of(self.capital + self.profit, self.capital)


class Retrading:
    """A market made ready for many runs with the same capital.

    Attributes:
        day_ms: midnight that begins each day from the first bar's to the last one's, shape (days,).

    Raises:
        DataError: bars with impossible prices, no bar from the start on, or no symbol at all.
    """

    def __init__(self, market: Market, capital: Decimal) -> None:
        if not market.histories:
            raise DataError("a market without symbols cannot be traded")
        self._market, self._capital = market, float(capital)
        self._allocation = symbol_allocation(capital, len(market.histories))
        self._bars: list[Bars] = []
        for history in market.histories:
            refuse_impossible(history)
            traded = history.window(int(np.searchsorted(history.open_time, to_ms(market.start))), len(history))
            if not len(traded):
                raise DataError(f"{history.symbol}: no bars from {market.start.isoformat()} on")
            self._bars.append(traded)
        times = [traded.open_time for traded in self._bars]
        first, last = min(int(t[0]) for t in times), max(int(t[-1]) for t in times)
        self.day_ms = np.arange(first // DAY_MS, last // DAY_MS + 1) * DAY_MS
        self._day_ends = [np.searchsorted(traded, self.day_ms + DAY_MS) - 1 for traded in times]

    def decide(self, strategy: Strategy) -> Iterator[Decisions]:
        """What the strategy wants, symbol by symbol, so that the signals of one need not outlive its trading.

        Raises:
            StrategyError: the strategy broke or gave signals that mean nothing.
        """
        for history in self._market.histories:
            yield decide(strategy, history, self._market.start)

    def trade(self, decisions: Iterable[Decisions], instruments: Sequence[Instrument] = ()) -> Outcome:
        """Trade decisions of every symbol from flat by the fill rule, exactly as `run_portfolio`.

        Args:
            instruments: instead of the market's own, for example at other costs.
        """
        pairs = zip(decisions, instruments or self._market.instruments, strict=True)
        return self.value(simulate(made.bars, made.wanted, one, self._allocation) for made, one in pairs)

    def reruns(self, decisions: Iterable[Decisions]) -> tuple[Rerun, ...]:
        """Every symbol's own run, made ready for runs that differ from it in a few decisions."""
        pairs = zip(decisions, self._market.instruments, strict=True)
        return tuple(Rerun(made.bars, made.wanted, one, self._allocation) for made, one in pairs)

    def value(self, fills: Iterable[Fills]) -> Outcome:
        """What the fills of every symbol gave, in the order of the market."""
        return self.joined(self.part(i, found) for i, found in enumerate(fills))

    def part(self, symbol: int, fills: Fills) -> Outcome:
        """What the fills of one symbol gave, by its place in the market, with the capital of all."""
        profit = profit_at(self._bars[symbol], fills, self._day_ends[symbol])
        return Outcome(self._capital, profit, closed_trades(fills))

    def joined(self, parts: Iterable[Outcome]) -> Outcome:
        """The sum over the symbols, in the order of the market."""
        profit: FloatArray = np.zeros(len(self.day_ms))
        trades = 0
        for part in parts:
            profit += part.profit
            trades += part.trades
        return Outcome(self._capital, profit, trades)
