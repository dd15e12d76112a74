"""Start-up is recovery: resolve what is unknown, reconcile, and only then trade. Runs again all the time while trading.

One path for the first start, the start after a crash and the periodic check; every step may be killed and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from include.domain.enums import OrderStatus, TradingState
from include.domain.ids import is_liquidation
from include.domain.orders import Fill, FundingPayment, Order
from include.ports import Ledger, Venue
from include.trading.book import OrderBook
from include.trading.order_manager import CLOCK_MARGIN, OrderManager, fill_reports
from include.trading.reconciliation import (
    REMEDIES,
    Difference,
    DifferenceKind,
    LedgerSnapshot,
    Remedy,
    VenueSnapshot,
    compare_snapshots,
    may_resend,
)
from include.trading.session import Session, record_opening
from include.trading.venue_facts import VenueFacts

PASSES = 4
"""Two snapshots are never of one instant: what a fill between them causes is gone in the next pass."""
PASS_DELAY_SECS = 0.1


class Recovery:
    """Brings one session and its venue into agreement, or says what keeps them apart."""

    def __init__(self, ledger: Ledger, venue: Venue, session: Session, orders: OrderManager, facts: VenueFacts) -> None:
        self._ledger, self._venue, self._session = ledger, venue, session
        self._orders, self._facts = orders, facts

    @property
    def _book(self) -> OrderBook:
        return self._session.book

    async def run(self) -> tuple[Difference, ...]:
        """Resolve, compare, apply the written remedies, and compare again until nothing is left to do.

        Returns:
            The differences that remain; empty means reconciled. The caller halts on any.

        Raises:
            RetryableError, OutcomeUnknownError: the venue could not be asked; nothing is known to be wrong.
        """
        remaining: tuple[Difference, ...] = ()
        for attempt in range(PASSES):
            await self._resolve_unknown()
            self._orders.settle()
            venue = await self._observe_venue()
            self._session.venue_wallet = venue.wallet
            self._learn_orders(venue)
            self._facts.adopt_liquidations(venue.fills)
            if self._session.opening_wallet is None and not self._book.orders_sent and venue.wallet is not None:
                record_opening(self._ledger, self._session, venue.wallet)
            remaining = compare_snapshots(self._observe_ledger(), venue)
            if not remaining:
                return ()
            await self._apply_remedies(remaining, venue)
            await asyncio.sleep(PASS_DELAY_SECS * attempt)
        return remaining

    async def _resolve_unknown(self) -> None:
        """Orders that may or may not have arrived: ask, then take over, send again, or write off."""
        for order in self._book.unresolved():
            unknown = self._orders.doubt(order)
            symbol = order.intent.symbol
            last = self._session.windows[symbol].last if symbol in self._session.windows else None
            resend = self._state_allows(order) and may_resend(
                order,
                last_bar_time=None if last is None else last.open_time,
                position=self._book.portfolio.quantity(symbol),
            )
            resolved = await self._orders.resolve(unknown, resend=resend)
            if resolved.status is OrderStatus.SUBMISSION_UNKNOWN and not resend:
                self._orders.write_off(resolved, "NEVER_ARRIVED the venue does not know it and its bar has passed")

    def _state_allows(self, order: Order) -> bool:
        state = self._session.state
        return state is TradingState.ACTIVE or (state is TradingState.REDUCE_ONLY and order.intent.reduce_only)

    async def _observe_venue(self) -> VenueSnapshot:
        session, venue = self._session, self._venue
        since = self._fills_since()
        fills: list[Fill] = []
        for symbol in session.candidate.symbols:
            found = await venue.fills(symbol, since - CLOCK_MARGIN)
            # The margin is for our own orders; somebody else's past is none of our business.
            fills += [f for f in found if f.filled_at >= since or f.client_order_id in self._book.known_ids]
        funding = [paid for symbol in session.candidate.symbols for paid in await self._funding(symbol)]
        # The exchange's own order is gone in a moment; what it has done shows in fills and position.
        orders = [report for report in await venue.open_orders() if not is_liquidation(report.client_order_id)]
        positions = {p.symbol: p.quantity for p in await venue.positions() if p.quantity}
        quotes = {instrument.quote for instrument in session.instruments.values()}
        wallets = [balance.wallet for balance in await venue.balances() if balance.currency in quotes]
        wallet = wallets[0] if len(wallets) == 1 else None
        return VenueSnapshot(orders, fills, funding, positions, wallet, session.now)

    async def _funding(self, symbol: str) -> list[FundingPayment]:
        since = self._book.last_funding_at or self._book.first_fill_at
        if since is None:
            return []
        return [p for p in await self._venue.funding(symbol, since - CLOCK_MARGIN) if self._facts.is_ours(p)]

    def _fills_since(self) -> datetime:
        """From the last fill we know, or our first order; before that nothing at the venue can be ours."""
        oldest = min((order.created_at for order in self._book.working()), default=self._session.now)
        return min(self._book.last_fill_at or oldest, oldest)

    def _observe_ledger(self) -> LedgerSnapshot:
        book = self._book
        return LedgerSnapshot(
            book.working(),
            frozenset(book.known_ids),
            book.trades,
            book.payments,
            book.portfolio.quantities(),
            self._session.expected_wallet,
        )

    def _learn_orders(self, venue: VenueSnapshot) -> None:
        """Take in orders that somebody else wrote for this deployment: the kill switch flattens without us."""
        ids = {r.client_order_id for r in venue.open_orders} | {f.client_order_id for f in venue.fills}
        for client_order_id in sorted(ids - self._book.known_ids):
            self._orders.learn(client_order_id)

    async def _apply_remedies(self, differences: Sequence[Difference], venue: VenueSnapshot) -> None:
        kinds = {difference.kind for difference in differences if REMEDIES[difference.kind] is not Remedy.HALT}
        subjects = {difference.subject for difference in differences}
        if DifferenceKind.FILL_MISSING in kinds:
            self._adopt_fills(venue.fills)
        if DifferenceKind.FUNDING_MISSING in kinds:
            self._facts.take_funding(venue.funding)
        for report in venue.open_orders:
            order = self._book.get(report.client_order_id)
            if order is not None and report.client_order_id in subjects:
                await self._orders.adopt(order, report)
            if order is not None and order.status is OrderStatus.PENDING_CANCEL:
                await self._orders.cancel(order)
        opened = {report.client_order_id for report in venue.open_orders}
        for order in self._book.working():
            if order.client_order_id in subjects - opened:
                await self._orders.resolve(order, resend=False)

    def _adopt_fills(self, fills: Sequence[Fill]) -> None:
        with self._ledger.begin() as work:
            orders = {order.client_order_id: order for order in work.orders.all(self._session.deployment.id)}
        for client_order_id in sorted({fill.client_order_id for fill in fills} & orders.keys()):
            order: Order = orders[client_order_id]
            self._orders.apply(fill_reports(order, fills, self._book))
