"""A venue in memory that fails on cue. Implements `ports.Venue`; orders, fills, positions and wallet always add up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.enums import Liquidity, OrderPurpose, OrderStatus, Side
from include.domain.errors import OutcomeUnknownError, RejectedError, RetryableError
from include.domain.instruments import Instrument
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Balance, Fill, FundingPayment, Order, OrderReport, Position
from include.domain.times import Timeframe
from include.ports import VenueEvent
from include.trading.portfolio import Portfolio, replay_fills
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
    says_flat: bool = False
    """Tells of no position, as right after an order has closed it that is not reported yet."""
    on_submit: Callable[[Order], None] = lambda order: None
    now: datetime = NOW
    received: list[str] = field(default_factory=list)
    """Client order ids in the order in which they arrived, repeats included."""
    canceled: list[str] = field(default_factory=list)
    on_cancel: list[tuple[str, int]] = field(default_factory=list)
    """(client order id, stops and trailing stops that rested when its cancel arrived)"""
    reconnects: int = 0
    leverage: dict[str, int] = field(default_factory=dict)
    bars: dict[str, list[Bar]] = field(default_factory=dict)
    instrument: Instrument = BTC
    _orders: dict[str, _Held] = field(default_factory=dict)
    _trades: list[Fill] = field(default_factory=list)
    _funding: list[FundingPayment] = field(default_factory=list)
    _events: asyncio.Queue[VenueEvent | None] = field(default_factory=asyncio.Queue)

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

    def trigger(self, client_order_id: str) -> None:
        """The market reaches a stop, which does not fill yet."""
        held = self._orders[client_order_id]
        held.status = OrderStatus.TRIGGERED
        self.now += timedelta(milliseconds=10)
        self._events.put_nowait(self._report(held))

    def liquidate(self, symbol: str, price: str, *, tell: bool = True, parts: Sequence[str] = ()) -> None:
        """The exchange closes a position by an order of its own, and cancels the symbol's others."""
        held = self._portfolio().quantity(symbol)
        name, filled = f"autoclose-{len(self._trades) + 1}", Decimal(0)
        for quantity in [Decimal(part) for part in parts] or [abs(held)]:
            self.now += timedelta(milliseconds=10)
            trade = Fill(
                str(len(self._trades) + 1), name, symbol, Side.SELL if held > 0 else Side.BUY, quantity, Decimal(price),
                Decimal("7.5"), Liquidity.TAKER, self.now,
            )  # fmt: skip
            self._trades.append(trade)
            filled += quantity
            status = OrderStatus.FILLED if filled == abs(held) else OrderStatus.PARTIALLY_FILLED
            if tell:
                self._events.put_nowait(OrderReport(name, "v-auto", symbol, status, filled, self.now, trade))
        for other in self._orders.values():
            if other.order.intent.symbol == symbol and not is_terminal(ORDER_TRANSITIONS, other.status):
                other.status = OrderStatus.EXPIRED
                if tell:
                    self._events.put_nowait(self._report(other))

    def liquidate_foreign(self, symbol: str, quantity: str, price: str) -> None:
        """The exchange closes what somebody else has held on the same account."""
        self.now += timedelta(milliseconds=10)
        number, amount = len(self._trades) + 1, Decimal(quantity)
        for name, side in ((f"web-{number}", Side.BUY), (f"autoclose-{number}", Side.SELL)):
            trade_id = str(len(self._trades) + 1)
            self._trades.append(
                Fill(trade_id, name, symbol, side, amount, Decimal(price), Decimal(0), Liquidity.TAKER, self.now)
            )

    def told_later(self) -> list[OrderReport]:
        """Reports of all trades so far, in order; those that were told before are repeats."""
        reports = []
        filled: dict[str, Decimal] = {}
        for trade in self._trades:
            held = self._orders[trade.client_order_id]
            filled[trade.client_order_id] = filled.get(trade.client_order_id, Decimal(0)) + trade.quantity
            whole = filled[trade.client_order_id] == held.order.intent.quantity
            status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
            report = replace(self._report(held), status=status, filled_quantity=filled[trade.client_order_id])
            reports.append(replace(report, fill=trade, reported_at=trade.filled_at))
        return reports

    def pay(self, symbol: str, amount: str, *, tell: bool = True) -> FundingPayment:
        """A funding time passes."""
        self.now += timedelta(milliseconds=10)
        payment = FundingPayment(f"f{len(self._funding) + 1}", symbol, Decimal(amount), self.now)
        self._funding.append(payment)
        if tell:
            self._events.put_nowait(payment)
        return payment

    def tell_again(self, event: VenueEvent) -> None:
        """The stream repeats itself, or tells what it had not."""
        self._events.put_nowait(event)

    def tell_bar(self, bar: Bar, *, stream: bool = True) -> None:
        """A bar closes; `stream=False`: the stream misses it and only the history has it."""
        self.now = max(self.now, bar.open_time + timedelta(minutes=1))
        self.bars.setdefault(bar.symbol, []).append(bar)
        if stream:
            self._events.put_nowait(bar)

    def place_foreign(self, order: Order) -> None:
        """An order of somebody else on the same account."""
        self._orders[order.client_order_id] = _Held(order, OrderStatus.ACCEPTED)

    def state(self, client_order_id: str) -> OrderStatus:
        return self._orders[client_order_id].status

    # --- the port --------------------------------------------------------------------------------------------

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        self._reach()

    def reopen(self) -> None:
        """A new connection: what the last one had not read is lost."""
        self._events = asyncio.Queue()

    async def close(self) -> None:
        self._events.put_nowait(None)

    async def prepare(self, leverage: Mapping[str, int]) -> None:
        self._reach()
        self.leverage.update(leverage)

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
        self.on_cancel.append((order.client_order_id, self._stops()))
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

    async def funding(self, symbol: str, since: datetime) -> Sequence[FundingPayment]:
        self._reach()
        return [paid for paid in self._funding if paid.symbol == symbol and paid.paid_at >= since]

    async def positions(self) -> Sequence[Position]:
        return () if self.says_flat else self._portfolio().positions()

    async def balances(self) -> Sequence[Balance]:
        return [Balance("USDT", self._portfolio().wallet)]

    def events(self) -> AsyncIterator[VenueEvent]:
        return self._read()

    async def _read(self) -> AsyncIterator[VenueEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    def _stops(self) -> int:
        stops = (OrderPurpose.STOP, OrderPurpose.TRAILING_STOP)
        return sum(
            held.order.intent.purpose in stops and not is_terminal(ORDER_TRANSITIONS, held.status)
            for held in self._orders.values()
        )

    def _reach(self) -> None:
        if self.unreachable:
            raise RetryableError("connection refused")

    def _portfolio(self) -> Portfolio:
        return replay_fills(self.wallet, self._trades, self._funding)

    def _report(self, held: _Held) -> OrderReport:
        return OrderReport(
            held.order.client_order_id, "v-" + held.order.client_order_id[:6], held.order.intent.symbol, held.status,
            held.filled, self.now,
        )  # fmt: skip


__all__ = ["SYMBOL", "Killed", "ScriptedVenue"]
