"""What the venue does by itself to an account of ours, taken into the ledger as facts: funding and liquidation.

Told and asked-for facts come the same way, each counts once by the venue's id, and nothing here is an act: no lease
and no trading state is needed to write down what has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Severity, TimeInForce
from include.domain.holding import ZERO
from include.domain.ids import is_liquidation, liquidation_id
from include.domain.orders import Fill, FundingPayment, Intent, Order, OrderReport
from include.domain.times import from_ms, to_ms
from include.ports import Ledger
from include.trading.session import Session

LIQUIDATED = "LIQUIDATED"
"""Incident: the exchange has closed a position whose margin was used up."""


class VenueFacts:
    """Funding and liquidations of one deployment."""

    def __init__(self, ledger: Ledger, session: Session) -> None:
        self._ledger, self._session = ledger, session

    def is_ours(self, payment: FundingPayment) -> bool:
        """Whether a payment is for a position of this deployment: of its symbols, and after its first fill. What is
        paid at that very instant was paid by positions from before it."""
        first = self._session.book.first_fill_at
        return payment.symbol in self._session.candidate.symbols and first is not None and payment.paid_at > first

    def take_funding(self, payments: Iterable[FundingPayment]) -> None:
        """Store payments that are ours and new; repeats change nothing."""
        book = self._session.book
        new = [p for p in payments if self.is_ours(p) and (p.symbol, p.payment_id) not in book.payments]
        if not new:
            return
        with self._ledger.begin() as work:
            work.orders.record_funding(self._session.deployment.id, new)
            work.commit(durable=False)  # the venue can be asked for it again
        for payment in new:
            book.add_funding(payment)

    def adopt_liquidations(self, fills: Sequence[Fill]) -> None:
        """Take over what the exchange's own orders have closed of our positions, with an incident for people.

        A fill that could not have reduced a position of this deployment is left to reconciliation, which halts.
        """
        for fill in sorted(fills, key=lambda fill: (fill.filled_at, fill.trade_id)):
            new = is_liquidation(fill.client_order_id) and not self._session.book.knows_trade(fill)
            if new and self._session.book.portfolio.quantity(fill.symbol) * fill.side.sign < ZERO:
                self._adopt(fill)

    def _adopt(self, theirs: Fill) -> None:
        """One order for each fill: how much the exchange meant to close need not be known, and nothing stays open."""
        deployment, book = self._session.deployment, self._session.book
        own_id = liquidation_id(deployment.id, theirs.symbol, theirs.trade_id)
        fill = replace(theirs, client_order_id=own_id)
        report = OrderReport(
            own_id, theirs.client_order_id, fill.symbol, OrderStatus.FILLED, fill.quantity, fill.filled_at, fill
        )
        first = not any(o.intent.purpose is OrderPurpose.LIQUIDATION for o in book.of_symbol(fill.symbol))
        with self._ledger.begin() as work:
            work.orders.record_liquidation(self._order(own_id, theirs))
            order = work.orders.apply(own_id, report)
            if first:
                message = (
                    f"{fill.symbol}: the exchange closed {fill.quantity} at {fill.price} ({theirs.client_order_id}); "
                    "this deployment does not trade the symbol again"
                )
                work.incidents.open(Severity.CRITICAL, LIQUIDATED, f"deployment:{deployment.id}", message)
            work.commit()
        book.put(order)
        book.add_fill(fill)

    def _order(self, own_id: str, fill: Fill) -> Order:
        session = self._session
        step = session.candidate.timeframe.ms
        intent = Intent(
            deployment_id=session.deployment.id,
            symbol=fill.symbol,
            bar_time=from_ms(to_ms(fill.filled_at) // step * step),
            purpose=OrderPurpose.LIQUIDATION,
            side=fill.side,
            type=OrderType.MARKET,
            quantity=fill.quantity,
            reference_price=fill.price,
            reduce_only=True,
        )
        return Order(
            own_id, intent, TimeInForce.GTC, OrderStatus.INITIALIZED, ZERO, None, "", created_at=fill.filled_at
        )
