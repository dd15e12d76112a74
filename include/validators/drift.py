"""Drift: does a simulation trade as the backtest says on the same bars (requirement S-3)?

Both sides are reduced to flat-to-flat trades. Trade parity compares them exactly: same bar of entry and exit, same
side, quantity and prices in whole ticks and lots. Sharpe and win-rate drift compare what follows from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from include.backtesting.kernel import nearest_steps
from include.backtesting.trades import Trades
from include.domain.errors import DataError
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, from_ms, iso
from include.qualification.criterion import Measurement

LISTED = 50


class TradeKey(NamedTuple):
    """A trade as both sides must name it. Times are the open times of the bars, epoch milliseconds UTC."""

    symbol: str
    entry_bar_ms: int
    exit_bar_ms: int
    side: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal

    def __str__(self) -> str:
        side = "long" if self.side > 0 else "short"
        return (
            f"{self.symbol} {side} {self.quantity} from {iso(from_ms(self.entry_bar_ms))} at {self.entry_price} "
            f"to {iso(from_ms(self.exit_bar_ms))} at {self.exit_price}"
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """Measurements, and the trades that only one side has (the first `LISTED` of each, oldest first)."""

    metrics: Mapping[str, Measurement]
    only_simulated: tuple[str, ...]
    only_backtest: tuple[str, ...]
    differing: int


def measure_drift(
    simulated: Mapping[str, Trades],
    backtest: Mapping[str, Trades],
    instruments: Mapping[str, Instrument],
    timeframe: Timeframe,
    *,
    simulated_sharpe: Measurement | None,
    backtest_sharpe: Measurement | None,
) -> Drift:
    """Compare the trades of a simulation with those of the backtest on identical bars, symbol by symbol.

    `trade_parity` is the share of equal trades among all that either side has; without any trade it has no value, as
    have drifts of a metric that one side could not measure.

    Raises:
        DataError: the two sides do not cover the same symbols.
    """
    if simulated.keys() != backtest.keys():
        raise DataError(f"drift: simulated {sorted(simulated)} but backtested {sorted(backtest)}")
    ours = _keys(simulated, instruments, timeframe)
    theirs = _keys(backtest, instruments, timeframe)
    equal = (ours & theirs).total()
    union = (ours | theirs).total()
    rates = _win_rate(simulated.values()), _win_rate(backtest.values())
    metrics = {
        "trade_parity": Measurement(equal / union if union else None, samples=union),
        "sharpe_drift": _sharpe_drift(simulated_sharpe, backtest_sharpe),
        "win_rate_drift": Measurement(
            abs(rates[0] - rates[1]) if rates[0] is not None and rates[1] is not None else None,
            samples=min(ours.total(), theirs.total()),
        ),
    }
    return Drift(metrics, _listed(ours - theirs), _listed(theirs - ours), union - equal)


def _keys(
    sides: Mapping[str, Trades], instruments: Mapping[str, Instrument], timeframe: Timeframe
) -> Counter[TradeKey]:
    return Counter(
        key for symbol, trades in sides.items() for key in _trade_keys(trades, instruments[symbol], timeframe)
    )


def _trade_keys(trades: Trades, instrument: Instrument, timeframe: Timeframe) -> list[TradeKey]:
    """Keys on the instrument's grids; a price averaged over several fills is compared at its nearest tick."""
    grids = (
        [int(n) * step for n in nearest_steps(column, step)]
        for column, step in (
            (trades.quantity, instrument.lot_size),
            (trades.entry_price, instrument.tick_size),
            (trades.exit_price, instrument.tick_size),
        )
    )
    bars = (column // timeframe.ms * timeframe.ms for column in (trades.entry_ms, trades.exit_ms))
    columns = zip(*bars, trades.side, *grids, strict=True)
    return [TradeKey(instrument.symbol, int(a), int(b), int(s), q, e, x) for a, b, s, q, e, x in columns]


def _win_rate(sides: Iterable[Trades]) -> float | None:
    pnl = np.concatenate([np.empty(0), *(trades.pnl for trades in sides)])
    return float(np.mean(pnl > 0)) if len(pnl) else None


def _sharpe_drift(simulated: Measurement | None, backtest: Measurement | None) -> Measurement:
    ours, theirs = (side.value if side is not None else None for side in (simulated, backtest))
    samples = min((side.samples or 0) if side is not None else 0 for side in (simulated, backtest))
    return Measurement(abs(ours - theirs) / abs(theirs) if ours is not None and theirs else None, samples=samples)


def _listed(only: Counter[TradeKey]) -> tuple[str, ...]:
    return tuple(str(key) for key in sorted(only.elements(), key=lambda k: (k.entry_bar_ms, k))[:LISTED])
