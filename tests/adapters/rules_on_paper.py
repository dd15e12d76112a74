"""The engine's own rules on a paper account, without feed, ledger or risk gate: fast enough for thousands of markets.

What decides (`observe_situation`, `decide`), what protects (`plan_protection`), what keeps the books (`OrderBook`,
`apply_report`) and the account (`PaperAccount`) are the product's; only their shells are replaced by a loop.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from include.domain.bars import Bar, FloatArray, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, TimeInForce
from include.domain.errors import RejectedError
from include.domain.fill_rule import RATE_STEP
from include.domain.ids import is_liquidation
from include.domain.instruments import Instrument
from include.domain.order_updates import apply_report
from include.domain.orders import Fill, FundingPayment, Intent, Order, OrderReport
from include.domain.times import Timeframe, from_ms, to_ms
from include.ports import VenueEvent
from include.trading.book import OrderBook
from include.trading.decide import Close, decide, last_wish, observe_situation
from include.trading.order_manager import identify, new_order
from include.trading.protection import plan_protection
from include.venues.matching import Prices
from include.venues.paper.account import PaperAccount

DEPLOYMENT = "p" * 64
DEPOSIT = Decimal(10**9)


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
    account: PaperAccount = field(init=False)
    _orders: dict[str, Order] = field(default_factory=dict)

    def __post_init__(self) -> None:
        symbol = self.instrument.symbol
        self.account = PaperAccount({symbol: self.instrument}, DEPOSIT, self.timeframe)
        self.account.prepare({symbol: self.instrument.leverage})

    def play(self, bars: Sequence[Bar], signals: Signals, rates: FloatArray | None = None) -> Paper:
        """Bar by bar: the open, what there is to protect, the path, the decision. The last bar decides nothing."""
        for row, bar in enumerate(bars):
            prices = {bar.symbol: _prices(bar, None if rates is None else rates[row])}
            opened = to_ms(bar.open_time)
            self._take(self.account.open_bar(opened, prices))
            self._protect(opened)
            self._take(self.account.finish_bar())
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
            self._cancel(self.book.get(order.client_order_id) or order)
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
                self._cancel(order)
            for intent in plan.place:
                self._send(intent, at)

    # --- the exchange --------------------------------------------------------------------------------------

    def _send(self, intent: Intent, at: int) -> None:
        order = replace(new_order(intent, from_ms(at)), status=OrderStatus.SUBMITTED)
        assert order.client_order_id not in self._orders, f"{intent} was sent before"
        self._store(order)
        try:
            self._take(self.account.submit(order))
        except RejectedError as refused:
            self._store(replace(order, status=OrderStatus.REJECTED, reason=str(refused)))

    def _cancel(self, order: Order) -> None:
        self._store(replace(order, status=OrderStatus.PENDING_CANCEL))
        self._take(self.account.cancel(self.instrument.symbol, order.client_order_id))

    def _take(self, events: Sequence[VenueEvent]) -> None:
        for event in events:
            if isinstance(event, OrderReport):
                self._report(event)
            elif isinstance(event, FundingPayment):
                self.funding.append(event)
                self.book.add_funding(event)

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
