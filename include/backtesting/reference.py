"""The reference account: vectorbt keeps the books of the same fills, independently of ours.

Both sides get only bars, fills and funding payments; cash, positions, fees, trades and equity are computed twice. A
difference means that one of them is wrong, so the backtest stage turns it into an ERROR and never into a verdict on the
strategy. vectorbt knows no funding: it is taken off its cash and its positions here, position by position. A
liquidation's fee it takes as the fee of that order.
"""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass

import numpy as np

from include.backtesting.equity import ProfitCurve, falls
from include.backtesting.fills import LIQUIDATION, Fills
from include.backtesting.trades import Trades
from include.domain.bars import FloatArray, IntArray
from include.domain.times import Timeframe

CENT = 0.01
_CUSHION = 10
"""The reference starts with this many times the cash that is ever needed, so that it never refuses a fill."""


@dataclass(frozen=True, slots=True)
class Books:
    """What two independent accounts of the same fills must agree on; money in quote currency."""

    trades: int
    wins: int
    fees: float
    final_equity: float
    max_drawdown: float


@dataclass(frozen=True, slots=True)
class SymbolBooks:
    """vectorbt's account of one symbol."""

    trades: int
    wins: int
    fees: float
    curve: ProfitCurve


def own_books(trades: Trades, fees: float, curve: ProfitCurve, capital: float) -> Books:
    """Our side of the comparison."""
    final = capital + float(curve.profit[-1])
    return Books(
        len(trades), int(np.count_nonzero(trades.pnl > 0)), fees, final, float(falls(curve.profit, capital).max())
    )


def load_reference() -> None:
    """Import vectorbt, which takes ten seconds; worth doing beside other work."""
    import vectorbt  # noqa: F401


def reference_symbol(
    open_time: IntArray, close: FloatArray, timeframe: Timeframe, fills: Fills, capital: float
) -> SymbolBooks:
    """Let vectorbt account one symbol's fills on its bars; takes about 0.2 kB of memory a bar.

    A bar with several fills becomes as many rows, because vectorbt executes one order a row. Its index is naive UTC:
    on an aware one vectorbt's wrappers are twenty-five times slower.
    """
    import pandas as pd
    import vectorbt as vbt

    per_bar = np.bincount(fills.bar_index, minlength=len(close))
    rows_of_bar = np.maximum(per_bar, 1)
    last_row = np.cumsum(rows_of_bar) - 1
    first_row = last_row - rows_of_bar + 1
    bar_of_row = np.repeat(np.arange(len(close)), rows_of_bar)
    first_fill = np.cumsum(per_bar) - per_bar
    row_of_fill = first_row[fills.bar_index] + np.arange(len(fills)) - first_fill[fills.bar_index]
    repeat = np.arange(len(bar_of_row)) - first_row[bar_of_row]
    index = pd.DatetimeIndex((open_time[bar_of_row] + repeat).astype("datetime64[ms]"))
    size, price, rate = (np.full(len(bar_of_row), np.nan) for _ in range(3))
    size[row_of_fill] = fills.side * fills.quantity
    price[row_of_fill] = fills.price
    maker, taker = fills.instrument.maker_fee_rate, fills.instrument.taker_fee_rate
    liquidated = fills.purpose == LIQUIDATION
    rate[row_of_fill] = np.where(fills.maker, float(maker), float(taker))
    # A liquidation's fee is cut to what is left of the margin, which is a matter of the rule and not of the books.
    rate[row_of_fill[liquidated]] = (fills.fee / (fills.quantity * fills.price))[liquidated]
    cash = _CUSHION * (capital + _most_cash_out(fills))
    portfolio = vbt.Portfolio.from_orders(
        pd.Series(close[bar_of_row], index=index), size=size, price=price, fees=np.nan_to_num(rate),
        size_type="amount", direction="both", init_cash=cash, raise_reject=True, freq=timeframe.delta,
    )  # fmt: skip
    closed = portfolio.positions.closed
    paid = np.zeros(len(close))
    np.add.at(paid, fills.funding_index, fills.funding_paid)
    paid = np.cumsum(paid)
    records = closed.records
    opened, ended = (bar_of_row[records[name].to_numpy()] for name in ("entry_idx", "exit_idx"))
    pnl: FloatArray = closed.pnl.values - (paid[ended] - paid[opened])  # what is due at its first open, it does not pay
    value: FloatArray = portfolio.value().to_numpy()[last_row] - paid
    books = SymbolBooks(
        len(pnl), int(np.count_nonzero(pnl > 0)), float(portfolio.orders.fees.values.sum()),
        ProfitCurve(open_time, value - cash, 0),
    )  # fmt: skip
    del portfolio, closed
    gc.collect(1)  # a portfolio's caches refer back to it: 0.2 GB a symbol that nobody would free for long
    return books


def _most_cash_out(fills: Fills) -> float:
    """Most money that the fills have taken out of the account: a candidate may lose many times its capital."""
    paid = np.cumsum(fills.side * fills.quantity * fills.price + fills.fee)  # funding is not in vectorbt's cash
    return float(paid.max(initial=0.0))


def reference_books(parts: list[SymbolBooks], total: ProfitCurve, capital: float) -> Books:
    """vectorbt's books of all symbols; `total` is the sum of the parts' curves."""
    import pandas as pd
    import vectorbt as vbt

    equity = pd.Series(np.concatenate(([capital], capital + total.profit)))
    lowest = vbt.generic.accessors.GenericSRAccessor(equity).drawdown().min()
    return Books(
        sum(part.trades for part in parts), sum(part.wins for part in parts), sum(part.fees for part in parts),
        float(equity.iloc[-1]), float(-lowest),
    )  # fmt: skip


def differences(own: Books, reference: Books) -> tuple[str, ...]:
    """What the two accounts disagree on, one line each; empty when they agree.

    Counts must be equal, money to the cent (or 1e-9 of it, the rounding of long sums), drawdown to 1e-9.
    """
    found = []
    for name in ("trades", "wins", "fees", "final_equity", "max_drawdown"):
        ours, theirs = getattr(own, name), getattr(reference, name)
        tolerance = {"trades": 0.0, "wins": 0.0, "max_drawdown": 1e-9}.get(name, max(CENT, 1e-9 * abs(ours)))
        if not math.isclose(ours, theirs, rel_tol=0.0, abs_tol=tolerance):
            found.append(f"{name}: kernel {ours:.10g}, vectorbt {theirs:.10g}")
    return tuple(found)
