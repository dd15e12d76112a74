"""A venue in memory that fails on cue. Implements `ports.Venue`; orders, fills, positions and wallet always add up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.enums import Liquidity, OrderStatus
from include.domain.errors import OutcomeUnknownError, RejectedError, RetryableError
from include.domain.instruments import Instrument
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Balance, Fill, Order, OrderReport, Position
from include.domain.times import Timeframe
from include.trading.portfolio import Portfolio, apply_fill
from tests.adapters.questions import BTC, NOW, SYMBOL


class Killed(BaseException):
    """Stands for a process that dies: nothing catches it."""


@dataclass(slots=True)
class _Held:
    order: Order
    status: OrderStatus
    filled: Decimal = Decimal(0)


@dataclass(slots=True)
class ScriptedVenue:
    """`script` says what becomes of each submit, in order; when it is used up, orders are accepted.

    accept; lost (times out, never arrives); late (times out, has arrived); refuse; busy (nothing happened);
    die-before (process dies, nothing sent); die-after (arrived, process dies).
    """

    wallet: Decimal = Decimal(100_000)
    script: deque[str] = field(default_factory=deque)
    unreachable: bool = False
    on_submit: Callable[[Order], None] = lambda order: None
    now: datetime = NOW
    received: list[str] = field(default_factory=list)
    """Client order ids in the order in which they arrived, repeats included."""
    canceled: list[str] = field(default_factory=list)
    reconnects: int = 0
    bars: dict[str, list[Bar]] = field(default_factory=dict)
    instrument: Instrument = BTC
    _orders: dict[str, _Held] = field(default_factory=dict)
    _trades: list[Fill] = field(default_factory=list)
    _events: asyncio.Queue[Bar | OrderReport | None] = field(default_factory=asyncio.Queue)

    # --- what the test does ----------------------------------------------------------------------------------

    def fill(self, client_order_id: str, quantity: str, price: str = "50000", *, tell: bool = True) -> OrderReport:
        """Trade a part or all of a working order."""
        held = self._orders[client_order_id]
        held.filled += Decimal(quantity)
        held.status = OrderStatus.FILLED if held.filled == held.order.intent.quantity else OrderStatus.PARTIALLY_FILLED
        intent = held.order.intent
        self.now += timedelta(milliseconds=10)
        trade = Fill(
            str(len(self._trades) + 1), client_order_id, intent.symbol, intent.side, Decimal(quantity), Decimal(price),
            Decimal("0.5"), Liquidity.TAKER, self.now,
        )  # fmt: skip
        self._trades.append(trade)
        report = replace(self._report(held), fill=trade)
        if tell:
            self._events.put_nowait(report)
        return report

    def tell_bar(self, bar: Bar, *, stream: bool = True) -> None:
        """A bar closes; `stream=False`: the stream misses it and only the history has it."""
        self.now = max(self.now, bar.open_time + timedelta(minutes=1))
        self.bars.setdefault(bar.symbol, []).append(bar)
        if stream:
            self._events.put_nowait(bar)

    def repeat(self, bar: Bar) -> None:
        """The stream tells a bar once more."""
        self._events.put_nowait(bar)

    def place_foreign(self, order: Order) -> None:
        """An order of somebody else on the same account."""
        self._orders[order.client_order_id] = _Held(order, OrderStatus.ACCEPTED)

    def state(self, client_order_id: str) -> OrderStatus:
        return self._orders[client_order_id].status

    # --- the port --------------------------------------------------------------------------------------------

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        self._reach()

    async def close(self) -> None:
        self._events.put_nowait(None)

    async def server_time(self) -> datetime:
        self._reach()
        return self.now

    async def instruments(self) -> Mapping[str, Instrument]:
        return {self.instrument.symbol: self.instrument}

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        return self.bars.get(symbol, [])[-limit:]

    async def submit(self, order: Order) -> OrderReport:
        self._reach()
        self.on_submit(order)
        step = self.script.popleft() if self.script else "accept"
        if step == "die-before":
            raise Killed
        if step == "busy":
            raise RetryableError("busy; try again")
        if step == "lost":
            raise OutcomeUnknownError("timed out")
        self.received.append(order.client_order_id)
        if step == "refuse":
            raise RejectedError("margin is insufficient", code="-2019")
        if order.client_order_id in self._orders:
            raise RejectedError("duplicate order id", code="-4116")
        self._orders[order.client_order_id] = _Held(order, OrderStatus.ACCEPTED)
        if step == "die-after":
            raise Killed
        if step == "late":
            raise OutcomeUnknownError("timed out")
        return self._report(self._orders[order.client_order_id])

    async def cancel(self, order: Order) -> OrderReport:
        self._reach()
        held = self._orders.get(order.client_order_id)
        if held is None or is_terminal(ORDER_TRANSITIONS, held.status):
            raise RejectedError("unknown order", code="-2011")
        self.canceled.append(order.client_order_id)
        held.status = OrderStatus.CANCELED
        return self._report(held)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        self._reach()
        held = self._orders.get(client_order_id)
        return None if held is None else self._report(held)

    async def open_orders(self) -> Sequence[OrderReport]:
        self._reach()
        return [self._report(h) for h in self._orders.values() if not is_terminal(ORDER_TRANSITIONS, h.status)]

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        self._reach()
        return [trade for trade in self._trades if trade.symbol == symbol and trade.filled_at >= since]

    async def positions(self) -> Sequence[Position]:
        return self._portfolio().positions()

    async def balances(self) -> Sequence[Balance]:
        return [Balance("USDT", self._portfolio().wallet)]

    def events(self) -> AsyncIterator[Bar | OrderReport]:
        return self._read()

    async def _read(self) -> AsyncIterator[Bar | OrderReport]:
        while (event := await self._events.get()) is not None:
            yield event

    def _reach(self) -> None:
        if self.unreachable:
            raise RetryableError("connection refused")

    def _portfolio(self) -> Portfolio:
        portfolio = Portfolio(self.wallet)
        for trade in self._trades:
            portfolio = apply_fill(portfolio, trade)
        return portfolio

    def _report(self, held: _Held) -> OrderReport:
        return OrderReport(
            held.order.client_order_id, "v-" + held.order.client_order_id[:6], held.order.intent.symbol, held.status,
            held.filled, self.now,
        )  # fmt: skip


__all__ = ["SYMBOL", "Killed", "ScriptedVenue"]
