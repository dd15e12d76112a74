"""Life of orders between engine, ledger and venue. The only caller of `Venue.submit` besides the kill switch.

Why an order is neither lost nor doubled, whichever line the process dies at:

- before the write-ahead commits: nothing was sent; the same decision is made again and has the same id;
- after the commit, before or while sending: the ledger says SUBMITTED; whoever comes next asks the venue for that very
  id (`resolve`) and sends it again only when the venue definitively does not know it; should both copies arrive,
  the venue refuses the second one because of the id;
- after sending, before the answer is stored: as above, the question finds the order;
- two processes: the write-ahead checks the fencing token in its own transaction, so one of them stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from include.domain.enums import OrderStatus, TimeInForce
from include.domain.errors import OutcomeUnknownError, RejectedError, RetryableError, TransitionError
from include.domain.ids import client_order_id
from include.domain.orders import Fill, Intent, Order, OrderReport
from include.ports import Ledger, Venue
from include.risk.gate import Approval
from include.trading.book import OrderBook, is_working

RETRY_DELAYS_SECS = (0.1, 0.4)
"""Waits before sending again what certainly did not happen; longer and the decision would be stale anyway."""
CLOCK_MARGIN = timedelta(seconds=5)
"""How far before our own time of an order its fills are looked for: clocks of venues differ by less."""


class Fence(Protocol):
    """Where the fencing token comes from."""

    @property
    def token(self) -> int:
        """Raises LeaseLostError when we must not act any more."""
        ...


def identify(intent: Intent) -> str:
    """Client order id of an intent."""
    return client_order_id(intent.deployment_id, intent.symbol, intent.bar_time, intent.purpose, intent.sequence)


def new_order(intent: Intent, now: datetime) -> Order:
    """An order as it is before anything has happened to it."""
    return Order(
        identify(intent), intent, TimeInForce.GTC, OrderStatus.INITIALIZED, Decimal(0), None, "", created_at=now
    )


class OrderManager:
    """Sends approved intents, cancels, and applies what the venue reports; every step through the ledger first."""

    def __init__(self, deployment_id: str, ledger: Ledger, venue: Venue, book: OrderBook, fence: Fence) -> None:
        self._deployment_id, self._ledger, self._venue = deployment_id, ledger, venue
        self._book, self._fence = book, fence
        self._answers: list[OrderReport] = []

    async def submit(self, approvals: Sequence[Approval], now: datetime) -> None:
        """Write approved orders ahead in one transaction, then send them. What was decided before is not sent again.

        Orders that only reduce go out together; others keep their order, because an exit must arrive before the
        entry that follows it.

        Args:
            now: event time of the decision.

        Raises:
            LeaseLostError: the deployment is not ours any more; what was not sent yet stays unsent.
        """
        orders = self._write_ahead([new_order(approval.intent, now) for approval in approvals], now)
        if all(order.intent.reduce_only for order in orders):
            results = await asyncio.gather(*map(self._send, orders), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        else:
            for order in orders:
                await self._send(order)

    def _write_ahead(self, orders: Sequence[Order], now: datetime) -> list[Order]:
        fresh = [order for order in orders if order.client_order_id not in self._book.known_ids]
        written: list[Order] = []
        denied: list[tuple[Intent, str]] = []
        if not fresh:
            return written
        with self._ledger.begin() as work:
            for order in fresh:
                try:
                    written.append(work.orders.write_ahead(order, self._fence.token))
                except TransitionError:
                    continue  # the ledger knows it although the book does not: it is not ours to send
                except RejectedError as error:
                    # The trading state changed after the gate had looked; the ledger has the last word.
                    denied.append((order.intent, f"{error.code} {error}".strip()))
            work.commit()
        for intent, reason in denied:
            self.deny(intent, reason, now)
        return [self._book.put(order) for order in written]

    def deny(self, intent: Intent, reason: str, now: datetime) -> Order | None:
        """Record a wish that the gate did not let through. None when it was recorded before."""
        order = new_order(intent, now)
        if order.client_order_id in self._book.known_ids:
            return None
        with self._ledger.begin() as work:
            work.orders.record_denied(order, reason)
            stored = work.orders.get(order.client_order_id)
            work.commit()
        return None if stored is None else self._book.put(stored)

    async def _send(self, order: Order) -> Order:
        """Send an order that is in the ledger. Every outcome ends in a state that the ledger knows."""
        for delay in (*RETRY_DELAYS_SECS, None):
            _ = self._fence.token
            try:
                report = await self._venue.submit(order)
            except RetryableError as error:
                if delay is None:
                    return self._mark(order, OrderStatus.REJECTED, f"NOT_SENT {error}")
                await asyncio.sleep(delay)
            except RejectedError as error:
                return await self._refused(order, error)
            except OutcomeUnknownError as error:
                unknown = self._mark(order, OrderStatus.SUBMISSION_UNKNOWN, str(error))
                # Asked once at once, because it mostly has arrived; "not there" may only mean "not there yet".
                return await self._look_up(unknown) or unknown
            else:
                self._answers.append(report)
                return order
        raise AssertionError("unreachable: the last attempt returns")

    async def _refused(self, order: Order, error: RejectedError) -> Order:
        # A refusal because of a repeated id means the order is there: an earlier copy of it had arrived after all.
        try:
            report = await self._venue.find_order(order.intent.symbol, order.client_order_id)
        except (RetryableError, OutcomeUnknownError):
            return self._mark(order, OrderStatus.SUBMISSION_UNKNOWN, str(error))
        if report is None:
            return self._mark(order, OrderStatus.REJECTED, f"{error.code} {error}".strip())
        await self.adopt(order, report)
        return self._current(order)

    async def _look_up(self, order: Order) -> Order | None:
        try:
            report = await self._venue.find_order(order.intent.symbol, order.client_order_id)
        except (RetryableError, OutcomeUnknownError):
            return None
        if report is None:
            return None
        await self.adopt(order, report)
        return self._current(order)

    async def resolve(self, order: Order, *, resend: bool) -> Order:
        """Find out what became of an order whose outcome is unknown.

        Args:
            resend: what to do when the venue definitively does not know it: send it again under the same id, or
                leave it as it is.

        Raises:
            RetryableError, OutcomeUnknownError: the venue could not be asked; the order stays unknown.
        """
        report = await self._venue.find_order(order.intent.symbol, order.client_order_id)
        if report is not None:
            await self.adopt(order, report)
            return self._current(order)
        return await self._send(order) if resend else order

    def doubt(self, order: Order) -> Order:
        """An order found as SUBMITTED after a restart may or may not have been sent: say so."""
        return self._mark(order, OrderStatus.SUBMISSION_UNKNOWN, "found after a restart")

    def learn(self, client_order_id: str) -> Order | None:
        """Take an order of this deployment into the book that another process wrote; None when it is not ours."""
        with self._ledger.begin() as work:
            order = work.orders.get(client_order_id)
        if order is None or order.intent.deployment_id != self._deployment_id:
            return None
        return self._book.put(order)

    def write_off(self, order: Order, reason: str) -> Order:
        """Close an order that definitively never reached the venue and is not to be sent any more."""
        return self._mark(order, OrderStatus.REJECTED, reason)

    async def adopt(self, order: Order, report: OrderReport) -> None:
        """Take over the venue's view of one of our orders: its fills first, so that none is missing, then its state."""
        if report.filled_quantity > order.filled_quantity and report.fill is None:
            fills = await self._venue.fills(order.intent.symbol, order.created_at - CLOCK_MARGIN)
            self.apply(fill_reports(order, fills, self._book))
        self.apply((report,))

    async def cancel(self, order: Order) -> Order:
        """Ask the venue to cancel; cancels add no exposure and so need neither gate nor trading state.

        Raises:
            LeaseLostError: the deployment is not ours any more.
        """
        _ = self._fence.token
        if order.status is not OrderStatus.PENDING_CANCEL:
            order = self._mark(order, OrderStatus.PENDING_CANCEL)
        if not is_working(order):
            return order
        try:
            report = await self._venue.cancel(order)
        except RejectedError:
            # Too late: it has filled or expired, and the venue says how it ended.
            return await self._look_up(order) or order
        except (RetryableError, OutcomeUnknownError):
            # Still PENDING_CANCEL, which reconciliation takes up again.
            return order
        await self.adopt(order, report)
        return self._current(order)

    def apply(self, reports: Sequence[OrderReport]) -> tuple[Fill, ...]:
        """Store reports of our own orders, all in one transaction; returns the fills that are new.

        Reports that only repeat what is known cost nothing. Reports of orders that are not ours are left to
        reconciliation: adopting another order's fill would corrupt the account.
        """
        news = [report for report in reports if self._is_news(report)]
        if not news:
            return ()
        with self._ledger.begin() as work:
            orders = [work.orders.apply(report.client_order_id, report) for report in news]
            work.commit(durable=False)  # the venue can be asked for them again
        for order in orders:
            self._book.put(order)
        return tuple(r.fill for r in news if r.fill is not None and self._book.add_fill(r.fill))

    def settle(self) -> bool:
        """Store the venue's answers to what was sent since the last call; False when there were none.

        They wait until here so that several cost one transaction. A crash before leaves the orders SUBMITTED, and
        those the next start asks the venue about anyway.
        """
        answers, self._answers = self._answers, []
        self.apply(answers)
        return bool(answers)

    def _is_news(self, report: OrderReport) -> bool:
        if report.client_order_id not in self._book.known_ids:
            return False
        if report.fill is not None:
            return not self._book.knows_trade(report.fill)
        known = self._book.get(report.client_order_id)
        if known is None or not is_working(known):
            return False
        return known.status is not report.status or known.filled_quantity < report.filled_quantity

    def _mark(self, order: Order, status: OrderStatus, reason: str = "") -> Order:
        try:
            with self._ledger.begin() as work:
                marked = work.orders.mark(order.client_order_id, status, reason)
                work.commit()
        except TransitionError:
            # Somebody else moved it on meanwhile (the kill switch cancels without us): the ledger is right.
            with self._ledger.begin() as work:
                marked = work.orders.get(order.client_order_id) or order
        return self._book.put(marked)

    def _current(self, order: Order) -> Order:
        return self._book.get(order.client_order_id) or order


def fill_reports(order: Order, fills: Sequence[Fill], book: OrderBook) -> tuple[OrderReport, ...]:
    """Reports that carry those fills of one order which are not known yet, oldest first."""
    filled = order.filled_quantity
    reports = []
    for fill in sorted(fills, key=lambda fill: (fill.filled_at, fill.trade_id)):
        if fill.client_order_id != order.client_order_id or book.knows_trade(fill):
            continue
        filled += fill.quantity
        status = OrderStatus.FILLED if filled >= order.intent.quantity else OrderStatus.PARTIALLY_FILLED
        reports.append(
            OrderReport(
                order.client_order_id, order.venue_order_id or "", fill.symbol, status, filled, fill.filled_at, fill
            )
        )
    return tuple(reports)
