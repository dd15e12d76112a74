"""One symbol through strategy and fill rule, with the history that its first decision needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from include.backtesting.fills import Fills
from include.backtesting.kernel import simulate
from include.domain.bars import Bars, Signals
from include.domain.errors import DataError
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, to_ms
from include.strategies.protocol import Strategy, checked_signals


@dataclass(frozen=True, slots=True)
class SymbolRun:
    """What a strategy did on one symbol.

    Attributes:
        history: all bars that the strategy saw, warm-up included.
        signals: its signals on `history`.
        bars: the measured window, a view into `history`; fills refer to its rows.
    """

    history: Bars
    signals: Signals
    bars: Bars
    fills: Fills


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a strategy wants on one symbol, before anything is traded; costs do not change it.

    Attributes:
        signals: its signals on all of `history`.
        bars: the measured window, a view into `history`.
        wanted: the signals on `bars`, without those of rows that have fewer than `warmup` bars behind them.
    """

    history: Bars
    signals: Signals
    bars: Bars
    wanted: Signals


def history_start(start: datetime, timeframe: Timeframe, strategy: Strategy) -> datetime:
    """Open time of the first bar needed to decide on the close of the bar that opens at `start`."""
    return start - (strategy.warmup - 1) * timeframe.delta


def run_symbol(
    strategy: Strategy, history: Bars, start: datetime, instrument: Instrument, allocation: Decimal
) -> SymbolRun:
    """Trade the bars that open at `start` or later; rows with fewer than `warmup` bars behind them decide nothing.

    Bars before `start` are shown to the strategy and not traded, exactly as the live engine warms up.

    Raises:
        StrategyError: the strategy broke or gave signals that mean nothing.
        DataError: no bar at or after `start`, or a price that is not finite and positive.
    """
    refuse_impossible(history)
    made = decide(strategy, history, start)
    return SymbolRun(history, made.signals, made.bars, simulate(made.bars, made.wanted, instrument, allocation))


def decide(strategy: Strategy, history: Bars, start: datetime) -> Decisions:
    """Ask the strategy about bars that `refuse_impossible` let pass.

    Raises:
        StrategyError, DataError: as `run_symbol`.
    """
    first = int(np.searchsorted(history.open_time, to_ms(start)))
    if first == len(history):
        raise DataError(f"{history.symbol}: no bars from {start.isoformat()} on")
    signals = checked_signals(strategy, history)
    wanted = signals.window(first, len(history))
    if unready := max(0, strategy.warmup - 1 - first):
        wanted = replace(wanted, target=wanted.target.copy())
        wanted.target[:unready] = np.nan
    return Decisions(history, signals, history.window(first, len(history)), wanted)


def refuse_impossible(bars: Bars) -> None:
    """Refuse prices that are not finite and positive, or outside their own bar.

    Raises:
        DataError: with the first such row.
    """
    low, high = bars.low, bars.high
    possible = (low > 0) & (low <= bars.open) & (bars.open <= high) & (low <= bars.close) & (bars.close <= high)
    possible &= high < np.inf
    if not possible.all():
        row = int(np.argmin(possible))
        raise DataError(
            f"{bars.symbol}: the bar at row {row} (open time {bars.open_time[row]} ms) has impossible prices; "
            "see `airlock data gate`"
        )
