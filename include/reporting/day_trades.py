"""Closed trades of a ledger's fills, for reports: paired by `backtesting.trades`, so a win is a win everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from include.backtesting.trades import Trades, merge_trades, trades_of_ledger
from include.domain.instruments import Instrument
from include.domain.orders import Fill
from include.domain.times import from_ms

_STEP = Decimal("0.00000001")
"""Precision in which venues report profit; finer digits are noise of binary fractions."""


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Flat to flat. Prices are volume-weighted; profit is net of fees."""

    symbol: str
    long: bool
    quantity: float
    entry_price: float
    exit_price: float
    entered_at: datetime
    left_at: datetime
    """Both in market time."""
    profit: Decimal


def closed_trades(fills: Sequence[Fill]) -> list[ClosedTrade]:
    """All trades that the fills close, by exit time.

    Args:
        fills: in venue order, any number of symbols.
    """
    symbols = sorted({fill.symbol for fill in fills})
    trades = merge_trades(_of_symbol(symbol, [fill for fill in fills if fill.symbol == symbol]) for symbol in symbols)
    return [
        ClosedTrade(
            trades.symbols[trades.symbol[i]], bool(trades.side[i] > 0), float(trades.quantity[i]),
            float(trades.entry_price[i]), float(trades.exit_price[i]), from_ms(trades.entry_ms[i]),
            from_ms(trades.exit_ms[i]), Decimal(repr(float(trades.pnl[i]))).quantize(_STEP, rounding=ROUND_HALF_EVEN),
        )
        for i in range(len(trades))
    ]  # fmt: skip


def _of_symbol(symbol: str, fills: Sequence[Fill]) -> Trades:
    # Pairing counts in lots. Any step that divides every quantity gives the same trades, so the finest decimal place
    # that occurs will do, and no venue has to be asked for its instrument.
    step = Decimal(1).scaleb(min(int(fill.quantity.as_tuple().exponent) for fill in fills))
    zero = Decimal(0)
    return trades_of_ledger(fills, Instrument(symbol, step, step, zero, zero, zero, zero, zero))
