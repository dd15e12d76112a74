"""An executor in one process: the engine's own rules on the matching core, without sockets, ledger or risk gate.

What decides (`observe_situation`, `decide`), what protects (`plan_protection`) and what keeps the books (`OrderBook`,
`apply_report`) are the product's; only their shells are replaced by a loop.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from include.domain.bars import Bar, FloatArray, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import MarginType, OrderPurpose, OrderStatus, OrderType, TimeInForce
from include.domain.fill_rule import RATE_STEP
from include.domain.ids import is_liquidation
from include.domain.instruments import Instrument
from include.domain.order_updates import apply_report
from include.domain.orders import Fill, FundingPayment, Intent, Order, OrderReport
from include.domain.times import Timeframe, from_ms, to_ms
from include.trading.book import OrderBook
from include.trading.decide import Close, decide, last_wish, observe_situation
from include.trading.order_manager import identify, new_order
from include.trading.protection import plan_protection
from include.venues.matching import Account, Event, Execution, ExecutionType, Prices, RefusedError, Request

DEPLOYMENT = "p" * 64


@dataclass(slots=True)
class Paper:
    """One symbol, from flat."""

    instrument: Instrument
    allocation: Decimal
    timeframe: Timeframe
    book: OrderBook = field(default_factory=lambda: OrderBook(Decimal(0)))
    fills: list[tuple[OrderPurpose, Fill]] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
    restart_before: Set[int] = frozenset()
    """Rows at whose close the books are read back from what a ledger would hold, the decision already half made."""
    account: Account = field(init=False)
    _orders: dict[str, Order] = field(default_factory=dict)
    _paid: int = 0

    def __post_init__(self) -> None:
        symbol = self.instrument.symbol
        self.account = Account({symbol: self.instrument}, Decimal(10**9))
        self.account.set_margin_type(symbol, MarginType.ISOLATED, 0)
        self.account.set_leverage(symbol, self.instrument.leverage, 0)

    def play(self, bars: Sequence[Bar], signals: Signals, rates: FloatArray | None = None) -> Paper:
        """Bar by bar: the open, what there is to protect, the path, the decision. The last bar decides nothing."""
        for row, bar in enumerate(bars):
            prices = {bar.symbol: _prices(bar, None if rates is None else rates[row])}
            opened = to_ms(bar.open_time)
            self._take(self.account.open_phase(prices, opened))
            self._protect(opened)
            quarter = self.timeframe.ms // 4
            self._take(self.account.path_phase(prices, [opened + quarter * leg for leg in (1, 2, 3)]))
            closed = opened + self.timeframe.ms - 1
            self._protect(closed)
            if row in self.restart_before:
                self._restart()
            if row + 1 < len(bars):
                self._decide(bar, signals.window(row, row + 1), closed)
                if row in self.restart_before:  # the process died after the last line, and decides the bar once more
                    self._restart()
                    self._decide(bar, signals.window(row, row + 1), closed)
        return self

    def _restart(self) -> None:
        orders = sorted(self._orders.values(), key=lambda order: (order.created_at, order.client_order_id))
        self.book = OrderBook(Decimal(0), orders, [fill for _, fill in self.fills], self.funding)

    def _decide(self, bar: Bar, row: Signals, at: int) -> None:
        close = Close(DEPLOYMENT, bar, self.timeframe, self.instrument, self.allocation)
        history = self.book.history(bar.symbol)
        history.settle(bar.open_time)
        situation = observe_situation(self.book.of_symbol(bar.symbol), history, bar, self.timeframe)
        decision = decide(close, last_wish(row), situation)
        for order in decision.withdraw:
            self._cancel(self.book.get(order.client_order_id) or order, at)
        for intent in decision.intents:
            if identify(intent) in self._orders:
                assert self._orders[identify(intent)].intent == intent, "the same id for another decision"
            else:
                self._send(intent, at)
        self._protect(at)

    def _protect(self, at: int) -> None:
        symbol = self.instrument.symbol
        while self.book.changed:
            self.book.changed.clear()
            plan = plan_protection(self.book.portfolio.quantity(symbol), self.book.of_symbol(symbol))
            assert not plan.unprotected
            for order in plan.cancel:
                self._cancel(order, at)
            for intent in plan.place:
                self._send(intent, at)

    # --- the exchange --------------------------------------------------------------------------------------

    def _send(self, intent: Intent, at: int) -> None:
        order = replace(new_order(intent, from_ms(at)), status=OrderStatus.SUBMITTED)
        assert order.client_order_id not in self._orders, f"{intent} was sent before"
        self._store(order)
        try:
            self._take(self.account.submit(request_of(order), at))
        except RefusedError as refused:
            self._store(replace(order, status=OrderStatus.REJECTED, reason=str(refused)))

    def _cancel(self, order: Order, at: int) -> None:
        resting = self.account.order(order.client_order_id)
        assert resting is not None
        self._store(replace(order, status=OrderStatus.PENDING_CANCEL))
        self._take(self.account.cancel(resting, at))

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Execution) and event.type is not ExecutionType.FINISHED:
                self._report(report_of(event))
        for paid in funding_of(self.account)[self._paid :]:
            self._paid += 1
            self.funding.append(paid)
            self.book.add_funding(paid)

    def _report(self, report: OrderReport) -> None:
        if is_liquidation(report.client_order_id) and report.fill is not None:
            self._store(_liquidation(report.fill))
        order = self._orders[report.client_order_id]
        new = report.fill is not None and not self.book.knows_trade(report.fill)
        self._store(apply_report(order, report, new_fill=new, last_reported_at=None))
        if new and report.fill is not None:
            self.book.add_fill(report.fill)
            self.fills.append((order.intent.purpose, report.fill))

    def _store(self, order: Order) -> None:
        self._orders[order.client_order_id] = order
        self.book.put(order)


def request_of(order: Order) -> Request:
    """An order of ours as the matching core takes it."""
    intent = order.intent
    return Request(
        order.client_order_id, intent.symbol, intent.side, intent.type, intent.quantity, price=intent.price,
        stop_price=intent.stop_price, reduce_only=intent.reduce_only, callback=intent.callback_rate,
    )  # fmt: skip


def report_of(event: Execution) -> OrderReport:
    """An execution of the matching core as a venue reports it."""
    order, request, at = event.order, event.order.request, from_ms(event.at)
    status = order.status
    if status is OrderStatus.ACCEPTED and order.triggered_id is not None:
        status = OrderStatus.TRIGGERED
    fill = None
    if event.trade is not None:
        t = event.trade
        fill = Fill(
            str(t.id), t.client_order_id, t.symbol, t.side, t.quantity, t.price, t.fee, t.liquidity, from_ms(t.at)
        )
    venue_id = str(order.triggered_id or order.id)
    return OrderReport(request.client_order_id, venue_id, request.symbol, status, order.filled, at, fill)


def funding_of(account: Account) -> list[FundingPayment]:
    """All funding of an account so far, oldest first."""
    return [
        FundingPayment(str(flow.number), flow.symbol, flow.amount, from_ms(flow.at))
        for flow in account.flows
        if flow.type == "FUNDING_FEE"
    ]


def _liquidation(fill: Fill) -> Order:
    intent = Intent(
        DEPLOYMENT, fill.symbol, fill.filled_at, OrderPurpose.LIQUIDATION, fill.side, OrderType.MARKET, fill.quantity,
        fill.price, reduce_only=True,
    )  # fmt: skip
    zero = Decimal(0)
    return Order(fill.client_order_id, intent, TimeInForce.GTC, OrderStatus.ACCEPTED, zero, None, "", fill.filled_at)


def _prices(bar: Bar, rate: float | None) -> Prices:
    due = None if rate is None else Decimal(0) if np.isnan(rate) else to_decimal(float(rate), RATE_STEP)
    return Prices(bar.open, bar.high, bar.low, bar.close, bar.volume, due)


__all__ = ["Paper", "funding_of", "identify", "report_of", "request_of"]


def bar_time(at: datetime, timeframe: Timeframe) -> datetime:
    """Open of the bar in which something happened."""
    return from_ms(to_ms(at) // timeframe.ms * timeframe.ms)
