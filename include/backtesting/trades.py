"""Trades: fills paired from flat to flat. One implementation for backtest fills and for a ledger's fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.backtesting.fills import ByteArray, Fills
from include.domain.bars import FloatArray, IntArray
from include.domain.instruments import Instrument
from include.domain.orders import Fill, FundingPayment
from include.domain.times import to_ms


@dataclass(frozen=True, slots=True)
class Trades:
    """Closed trades, ordered by exit time; all arrays have shape (k,).

    Attributes:
        symbol: index into `symbols`.
        entry_ms, exit_ms: times of the first and the last fill, epoch milliseconds UTC.
        side: +1 long, -1 short.
        quantity: base currency entered.
        entry_price, exit_price: volume-weighted over the fills on that side, quote currency.
        fees: of all fills, quote currency.
        pnl: net of fees and funding, quote currency.
        open_trades: positions still open after the last fill; in no other column.
        funding: paid (negative: received) while the position was held, quote currency; zeros where none is given.
    """

    symbols: tuple[str, ...]
    symbol: IntArray
    entry_ms: IntArray
    exit_ms: IntArray
    side: ByteArray
    quantity: FloatArray
    entry_price: FloatArray
    exit_price: FloatArray
    fees: FloatArray
    pnl: FloatArray
    open_trades: int
    funding: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if not len(self.funding):
            object.__setattr__(self, "funding", np.zeros(len(self.pnl)))

    def __len__(self) -> int:
        return int(self.pnl.shape[0])


class _Legs(NamedTuple):
    """Fills in time order as columns; `lots` is signed, `funding` was paid since the fill before."""

    time_ms: IntArray
    lots: IntArray
    price: FloatArray
    fee: FloatArray
    funding: FloatArray


def trades_of(fills: Fills) -> Trades:
    """Trades of the backtest kernel's fills of one symbol."""
    funding = _since_last_fill(fills.bar_index, fills.funding_index, fills.funding_paid)
    return _pair(_Legs(fills.time_ms, fills.side * fills.lots, fills.price, fills.fee, funding), fills.instrument)


def _since_last_fill(fill_at: IntArray, paid_at: IntArray, paid: FloatArray) -> FloatArray:
    """Funding paid between each fill and the one before; what is paid after the last one is in no trade yet."""
    funding = np.zeros(len(fill_at) + 1)
    np.add.at(funding, np.searchsorted(fill_at, paid_at), paid)
    return funding[:-1]


def closed_trades(fills: Fills) -> int:
    """How many trades `trades_of` would find, without pairing them."""
    return int(np.count_nonzero(np.cumsum(fills.side * fills.lots) == 0))


def trades_of_ledger(fills: Sequence[Fill], instrument: Instrument, funding: Sequence[FundingPayment] = ()) -> Trades:
    """Trades of a ledger's fills of one symbol, in venue order; one order may have filled in several parts.

    Args:
        funding: payments of any symbols; one at the time of a fill comes before it.

    Raises:
        ValueError: a fill belongs to another symbol or is no whole number of lots.
    """
    for fill in fills:
        if fill.symbol != instrument.symbol or fill.quantity % instrument.lot_size:
            raise ValueError(f"{instrument.symbol}: fill {fill.trade_id} of {fill.quantity} {fill.symbol} does not fit")
    own = [paid for paid in funding if paid.symbol == instrument.symbol]
    legs = _Legs(
        np.array([to_ms(f.filled_at) for f in fills], dtype=np.int64),
        np.array([f.side.sign * int(f.quantity / instrument.lot_size) for f in fills], dtype=np.int64),
        np.array([float(f.price) for f in fills]),
        np.array([float(f.fee) for f in fills]),
        _since_last_fill(
            np.array([to_ms(f.filled_at) for f in fills], dtype=np.int64),
            np.array([to_ms(paid.paid_at) for paid in own], dtype=np.int64),
            np.array([-float(paid.amount) for paid in own]),
        ),
    )
    return _pair(legs, instrument)


def merge_trades(parts: Iterable[Trades]) -> Trades:
    """Trades of several symbols as one table, ordered by exit time, then symbol, then entry time."""
    parts = list(parts)
    symbols = tuple(name for part in parts for name in part.symbols)
    offsets = np.cumsum([0, *(len(part.symbols) for part in parts)])
    symbol = _join([part.symbol + offset for part, offset in zip(parts, offsets, strict=False)])
    entry, exit_ = _join([p.entry_ms for p in parts]), _join([p.exit_ms for p in parts])
    order = np.lexsort((entry, symbol, exit_))
    columns = ("quantity", "entry_price", "exit_price", "fees", "pnl", "funding")
    floats = {name: np.concatenate([np.empty(0), *(getattr(p, name) for p in parts)])[order] for name in columns}
    return Trades(
        symbols=symbols, symbol=symbol[order], entry_ms=entry[order], exit_ms=exit_[order],
        side=_join([p.side.astype(np.int64) for p in parts])[order].astype(np.int8),
        open_trades=sum(p.open_trades for p in parts), **floats,
    )  # fmt: skip


def write_trades(trades: Trades, path: Path) -> None:
    """Write the trades as Parquet, complete or not at all: entry_time, exit_time (UTC), symbol, side (`long` or
    `short`), quantity, entry_price, exit_price, fees, pnl, funding.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    import pyarrow as pa
    from pyarrow import parquet

    moment = pa.timestamp("ms", tz="UTC")
    table = pa.table(
        {
            "entry_time": pa.array(trades.entry_ms, moment),
            "exit_time": pa.array(trades.exit_ms, moment),
            "symbol": pa.array([trades.symbols[i] for i in trades.symbol], pa.string()),
            "side": pa.array(np.where(trades.side > 0, "long", "short"), pa.string()),
            **{
                name: pa.array(getattr(trades, name), pa.float64())
                for name in ("quantity", "entry_price", "exit_price", "fees", "pnl", "funding")
            },
        }
    )
    draft = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        parquet.write_table(table, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _join(parts: list[IntArray]) -> IntArray:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _pair(legs: _Legs, instrument: Instrument) -> Trades:
    """Group fills into flat-to-flat trades and sum each group."""
    legs = _split_reversals(legs)
    position = np.cumsum(legs.lots)
    ends = np.flatnonzero(position == 0)
    closed = int(ends[-1]) + 1 if len(ends) else 0
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))[: len(ends)]
    lot = instrument.lot_size.as_integer_ratio()
    time_ms, lots, price, fee = legs.time_ms[:closed], legs.lots[:closed], legs.price[:closed], legs.fee[:closed]
    side = np.sign(lots[starts]) if len(starts) else np.empty(0, dtype=np.int64)
    opening = np.sign(lots) == np.repeat(side, np.diff(np.append(starts, closed)))
    size = np.abs(lots) * lot[0] / lot[1]
    value = size * price

    def total(column: FloatArray) -> FloatArray:
        return np.add.reduceat(column, starts) if len(starts) else np.empty(0)

    def average(chosen: NDArray[np.bool_], value: FloatArray, quantity: FloatArray) -> FloatArray:
        """Volume-weighted price, kept inside the fills' own: a single fill's price survives to the last digit."""
        if not len(starts):
            return np.empty(0)
        lowest = np.minimum.reduceat(np.where(chosen, price, np.inf), starts)
        highest = np.maximum.reduceat(np.where(chosen, price, -np.inf), starts)
        return np.clip(value / quantity, lowest, highest)

    entered, left = total(np.where(opening, value, 0.0)), total(np.where(opening, 0.0, value))
    quantity, fees, funding = total(np.where(opening, size, 0.0)), total(fee), total(legs.funding[:closed])
    return Trades(
        symbols=(instrument.symbol,), symbol=np.zeros(len(starts), dtype=np.int64),
        entry_ms=time_ms[starts], exit_ms=time_ms[ends], side=side.astype(np.int8), quantity=quantity,
        entry_price=average(opening, entered, quantity),
        exit_price=average(~opening, left, quantity), fees=fees,
        pnl=side * (left - entered) - fees - funding, open_trades=int(closed < len(legs.lots)), funding=funding,
    )  # fmt: skip


def _split_reversals(legs: _Legs) -> _Legs:
    """Cut each fill that carries the position through zero into the part that closes and the part that opens.

    The fee is shared by quantity. The engine never sends such an order; a person's own order on the venue may.
    """
    position = np.cumsum(legs.lots)
    before = position - legs.lots
    crossing = np.flatnonzero(np.sign(before) * np.sign(position) < 0)
    if not len(crossing):
        return legs
    lots = np.insert(legs.lots, crossing, -before[crossing])
    at = crossing + np.arange(len(crossing))  # rows of the closing parts; the opening ones follow
    lots[at + 1] += before[crossing]
    share = np.abs(before[crossing]) / np.abs(legs.lots[crossing])
    fee = np.insert(legs.fee, crossing, legs.fee[crossing] * share)
    fee[at + 1] -= fee[at]
    funding = np.insert(legs.funding, crossing, legs.funding[crossing])
    funding[at + 1] = 0.0  # the position that was closed has paid it
    return _Legs(
        np.insert(legs.time_ms, crossing, legs.time_ms[crossing]), lots,
        np.insert(legs.price, crossing, legs.price[crossing]), fee, funding,
    )  # fmt: skip
