"""One market traded again and again: what no run changes is checked and computed once.

`run_portfolio` gives every bar's equity and every trade. Sweeps and searches look at daily returns and the number of
trades only, so they take those straight from the fills: the same floats in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from include.backtesting.equity import profit_at
from include.backtesting.kernel import Fills, simulate
from include.backtesting.metrics import returns_of
from include.backtesting.portfolio import Market
from include.backtesting.run import Decisions, decide, refuse_impossible
from include.backtesting.trades import closed_trades
from include.domain.bars import FloatArray, IntArray
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
        times: list[IntArray] = []
        for history in market.histories:
            refuse_impossible(history)
            traded = history.open_time[np.searchsorted(history.open_time, to_ms(market.start)) :]
            if not len(traded):
                raise DataError(f"{history.symbol}: no bars from {market.start.isoformat()} on")
            times.append(traded)
        first, last = min(int(t[0]) for t in times), max(int(t[-1]) for t in times)
        self.day_ms: IntArray = np.arange(first // DAY_MS, last // DAY_MS + 1) * DAY_MS
        self._day_ends = [np.searchsorted(traded, self.day_ms + DAY_MS) - 1 for traded in times]

    def decide(self, strategy: Strategy) -> Iterator[Decisions]:
        """What the strategy wants, symbol by symbol, so that the signals of one need not outlive its trading.

        Raises:
            StrategyError: the strategy broke or gave signals that mean nothing.
        """
        for history in self._market.histories:
            yield decide(strategy, history, self._market.start)

    def trade(
        self,
        decisions: Iterable[Decisions],
        instruments: Sequence[Instrument] = (),
        change: Callable[[Fills], Fills] | None = None,
    ) -> Outcome:
        """Trade decisions of every symbol from flat by the fill rule, exactly as `run_portfolio`.

        Args:
            instruments: instead of the market's own, for example at other costs.
            change: applied to each symbol's fills, in the order of the market, before they are valued.
        """
        profit: FloatArray = np.zeros(len(self.day_ms))
        trades = 0
        for made, instrument, ends in zip(
            decisions, instruments or self._market.instruments, self._day_ends, strict=True
        ):
            fills = simulate(made.bars, made.wanted, instrument, self._allocation)
            fills = fills if change is None else change(fills)
            profit += profit_at(made.bars, fills, ends)
            trades += closed_trades(fills)
        return Outcome(self._capital, profit, trades)
