"""A whole candidate over bars that are loaded once: what the robustness checks run again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from include.backtesting.equity import DailyEquity, ProfitCurve, daily_equity, profit_curve, total_profit
from include.backtesting.fills import Fills
from include.backtesting.metrics import daily_returns
from include.backtesting.run import run_symbol
from include.backtesting.trades import Trades, merge_trades, trades_of
from include.domain.bars import Bars, FloatArray
from include.domain.errors import DataError
from include.domain.fill_rule import symbol_allocation
from include.domain.instruments import Instrument
from include.domain.times import to_ms
from include.ports import MarketData
from include.qualification.candidate import Candidate
from include.strategies.protocol import Strategy


@dataclass(frozen=True, slots=True)
class Market:
    """Bars and instruments of every symbol of a candidate.

    Attributes:
        histories: bars by symbol, with as many bars before `start` as the lake has, at most what was asked for.
        start: open time of the first bar that may be traded; what is before warms strategies up.
    """

    histories: tuple[Bars, ...]
    instruments: tuple[Instrument, ...]
    start: datetime

    def between(self, start: datetime, end: datetime, warmup: int) -> Market:
        """The same market traded from `start` to `end` (exclusive) only, `warmup` bars before it kept; no copies."""
        return Market(tuple(_cut(bars, start, end, warmup) for bars in self.histories), self.instruments, start)

    def with_instruments(self, change: Callable[[Instrument], Instrument]) -> Market:
        """The same bars at other costs or steps."""
        return replace(self, instruments=tuple(change(instrument) for instrument in self.instruments))

    def with_histories(self, change: Callable[[Bars], Bars]) -> Market:
        """Other bars of the same symbols, for example stressed ones."""
        return replace(self, histories=tuple(change(bars) for bars in self.histories))


@dataclass(frozen=True, slots=True)
class PortfolioRun:
    """What a strategy did on a market.

    Attributes:
        capital: quote currency, split equally over the symbols.
        fees, notional, funding: paid, traded and paid (negative: received), quote currency.
        liquidations: positions that the exchange closed.
    """

    capital: float
    trades: Trades
    curve: ProfitCurve
    fees: float
    notional: float
    funding: float = 0.0
    liquidations: int = 0

    @property
    def daily(self) -> DailyEquity:
        return daily_equity(self.curve, self.capital)

    @property
    def returns(self) -> FloatArray:
        """Daily UTC returns, shape (days,); empty once equity was not positive (`metrics.daily_returns`)."""
        return daily_returns(self.daily, self.capital)


def load_market(market_data: MarketData, candidate: Candidate, start: datetime, end: datetime, warmup: int) -> Market:
    """Load [start, end) of every symbol and up to `warmup` bars before it.

    Raises:
        DataError, ConfigurationError: a symbol without bars, or one that is not declared.
    """
    first = start - warmup * candidate.timeframe.delta
    return Market(
        tuple(market_data.bars(candidate.venue, s, candidate.timeframe, first, end) for s in candidate.symbols),
        tuple(candidate_instrument(market_data, candidate, symbol) for symbol in candidate.symbols),
        start,
    )


def candidate_instrument(market_data: MarketData, candidate: Candidate, symbol: str) -> Instrument:
    """What the venue fixes about a symbol, under the candidate's spelling and at the leverage its account is set to."""
    return replace(market_data.instrument(candidate.venue, symbol), symbol=symbol, leverage=candidate.leverage)


def run_portfolio(strategy: Strategy, market: Market, capital: Decimal) -> PortfolioRun:
    """Trade every symbol from flat by the fill rule.

    Raises:
        StrategyError, DataError: the strategy or the bars of a symbol cannot be used.
    """
    allocation = symbol_allocation(capital, len(market.histories))
    parts: list[Trades] = []
    total: ProfitCurve | None = None
    runs: list[Fills] = []
    for history, instrument in zip(market.histories, market.instruments, strict=True):
        run = run_symbol(strategy, history, market.start, instrument, allocation)
        total = total_profit(total, profit_curve(run.bars, run.fills))
        parts.append(trades_of(run.fills))
        runs.append(run.fills)
    if total is None:
        raise DataError("a market without symbols cannot be traded")
    return PortfolioRun(
        float(capital), merge_trades(parts), total, fees=sum(float(fills.fee.sum()) for fills in runs),
        notional=sum(fills.notional for fills in runs), funding=sum(float(f.funding_paid.sum()) for f in runs),
        liquidations=sum(fills.liquidations for fills in runs),
    )  # fmt: skip


def window_of(market: Market) -> tuple[datetime, datetime]:
    """First tradable open time and the end of the last bar over all symbols."""
    last = max(bars.last + bars.timeframe.delta for bars in market.histories)
    return market.start, last


def _cut(bars: Bars, start: datetime, end: datetime, warmup: int) -> Bars:
    first, last = np.searchsorted(bars.open_time, (to_ms(start), to_ms(end)))
    return bars.window(max(0, int(first) - warmup), int(last))
