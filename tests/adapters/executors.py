"""What three executors traded, in one form that can be compared: fills and funding of every symbol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from include.backtesting.kernel import simulate
from include.backtesting.run import decide
from include.domain.bars import Bars, Signals
from include.domain.conversion import to_decimal
from include.domain.deployments import Deployment
from include.domain.enums import OrderPurpose
from include.domain.fill_rule import symbol_allocation
from include.domain.instruments import Instrument
from include.domain.orders import FundingPayment
from include.domain.times import Timeframe, from_ms, to_ms
from include.ports import Ledger, MarketData
from include.qualification.candidate import Candidate
from include.strategies.protocol import load_strategy
from tests.adapters.memory_market import MINUTE

MONEY = Decimal("0.0000000001")
"""Ticks, lots and rates leave nine decimals; the kernel has fees and funding in floats, which carry ten here."""
A_MONTH = timedelta(days=30)


class Row(NamedTuple):
    """What filled of one purpose at one price of one bar; how orders share a position is the executor's own."""

    opened: datetime
    symbol: str
    side: str
    price: Decimal
    purpose: str
    quantity: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Trades:
    """Everything that changed an account."""

    fills: tuple[Row, ...]
    funding: tuple[tuple[datetime, str, Decimal], ...]
    """(time, symbol, amount as it changed the wallet)"""

    @property
    def purposes(self) -> set[OrderPurpose]:
        return {OrderPurpose(row.purpose) for row in self.fills}


def _trades(rows: Iterable[Row], funding: Iterable[tuple[datetime, str, Decimal]]) -> Trades:
    merged: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = row[:5]
        before = merged.get(key, row._replace(quantity=Decimal(0), fee=Decimal(0)))
        merged[key] = row._replace(quantity=before.quantity + row.quantity, fee=before.fee + row.fee)
    fills = sorted(row._replace(fee=row.fee.quantize(MONEY)) for row in merged.values())
    paid = sorted((at, symbol, amount.quantize(MONEY)) for at, symbol, amount in funding)
    return Trades(tuple(fills), tuple(paid))


def kernel_trades(market: MarketData, candidate: Candidate, capital: Decimal, start: datetime) -> Trades:
    """The backtest kernel."""
    rows: list[Row] = []
    funding: list[tuple[datetime, str, Decimal]] = []
    for part in _parts(market, candidate, capital, start):
        fills = simulate(part.bars, part.signals, part.instrument, part.allocation)
        tick, lot = part.instrument.tick_size, part.instrument.lot_size
        for i in range(len(fills)):
            rows.append(
                Row(
                    from_ms(int(fills.time_ms[i])), part.symbol, fills.side_of(i).value,
                    to_decimal(float(fills.price[i]), tick), fills.purpose_of(i).value, int(fills.lots[i]) * lot,
                    Decimal(repr(float(fills.fee[i]))),
                )
            )  # fmt: skip
        for index, paid in zip(fills.funding_index, fills.funding_paid, strict=True):
            at = from_ms(int(part.bars.open_time[index]))
            funding.append((at, part.symbol, -Decimal(repr(float(paid)))))
    return _trades(rows, funding)


def ledger_trades(ledger: Ledger, deployment: Deployment, timeframe: Timeframe = MINUTE) -> Trades:
    """What an engine left in the ledger."""
    with ledger.begin() as work:
        purposes = {o.client_order_id: o.intent.purpose for o in work.orders.all(deployment.id)}
        fills, funding = work.orders.fills(deployment.id), work.orders.funding(deployment.id)
    rows = [
        Row(
            bar_time(fill.filled_at, timeframe), fill.symbol, fill.side.value, fill.price,
            purposes[fill.client_order_id].value, fill.quantity, fill.fee,
        )
        for fill in fills
    ]  # fmt: skip
    return _trades(rows, _paid(funding))


class _Part(NamedTuple):
    """One symbol as an executor gets it."""

    symbol: str
    instrument: Instrument
    allocation: Decimal
    bars: Bars
    signals: Signals


def _parts(market: MarketData, candidate: Candidate, capital: Decimal, start: datetime) -> Iterator[_Part]:
    strategy = load_strategy(candidate.strategy, candidate.params)
    allocation = symbol_allocation(capital, len(candidate.symbols))
    for symbol in candidate.symbols:
        history = market.bars(candidate.venue, symbol, candidate.timeframe, start - A_MONTH, start + A_MONTH)
        made = decide(strategy, history, start)
        instrument = replace(market.instrument(candidate.venue, symbol), symbol=symbol, leverage=candidate.leverage)
        yield _Part(symbol, instrument, allocation, made.bars, made.wanted)


def _paid(funding: Iterable[FundingPayment]) -> Iterator[tuple[datetime, str, Decimal]]:
    return ((paid.paid_at, paid.symbol, paid.amount) for paid in funding)


def bar_time(at: datetime, timeframe: Timeframe) -> datetime:
    """Open of the bar in which something happened."""
    return from_ms(to_ms(at) // timeframe.ms * timeframe.ms)
