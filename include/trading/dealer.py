"""From wishes to orders: through the gate to the venue, and protection kept in line with what is held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.enums import OrderStatus, Severity
from include.domain.errors import OutcomeUnknownError, RetryableError
from include.domain.orders import Intent
from include.domain.reason_codes import RiskCode
from include.ports import Ledger, Venue
from include.risk.gate import Approval, evaluate_intent
from include.trading.decide import STOPS, Close, exit_intent
from include.trading.order_manager import OrderManager, identify
from include.trading.protection import plan_protection, was_refused
from include.trading.session import Session


class Dealer:
    """Sends what one session wants."""

    def __init__(self, ledger: Ledger, venue: Venue, session: Session, orders: OrderManager) -> None:
        self._ledger, self._venue, self._session, self._orders = ledger, venue, session, orders
        self._unprotected: set[tuple[str, datetime]] = set()

    def close_of(self, bar: Bar) -> Close:
        """A bar's close as a place to decide."""
        session = self._session
        return Close(
            session.deployment.id, bar, session.candidate.timeframe, session.instruments[bar.symbol], session.allocation
        )

    async def place(self, intents: Sequence[Intent]) -> None:
        """Wishes through the gate, and to the venue if they pass."""
        approvals = []
        for intent in intents:
            decision = evaluate_intent(self._session.question(intent))
            if isinstance(decision, Approval):
                approvals.append(decision)
            else:
                self._orders.deny(intent, str(decision), self._session.now)
        await self._orders.submit(approvals, self._session.now)
        if any(self._was_halted(approval.intent) for approval in approvals):
            # The ledger knew of the halt before the next beat told us: nothing more is asked for from here on.
            self._session.halt_met = True

    def _was_halted(self, intent: Intent) -> bool:
        order = self._session.book.get(identify(intent))
        if order is None or order.status is not OrderStatus.DENIED:
            return False
        return order.reason.startswith(RiskCode.STATE_HALTED.value)

    async def protect_changed(self, also: Iterable[str] = ()) -> None:
        """Bring protection in line, for `also` and for every symbol whose orders or position moved."""
        book, symbols = self._session.book, self._session.candidate.symbols
        book.changed |= set(also)
        while book.changed:
            symbol = min(book.changed, key=symbols.index)
            book.changed.discard(symbol)
            plan = plan_protection(book.portfolio.quantity(symbol), book.of_symbol(symbol))
            for order in plan.cancel:
                await self._orders.cancel(order)
            if not self._session.may_send:
                continue
            await self.place(plan.place)
            if plan.unprotected:
                await self._leave(symbol)

    async def settle(self) -> None:
        """Store the venue's answers, and go on until they ask for nothing more."""
        while self._orders.settle():
            await self.protect_changed()

    async def _leave(self, symbol: str) -> None:
        """A position whose stop was refused is closed at market, and people hear of it."""
        position, last = self._session.book.portfolio.quantity(symbol), self._session.windows[symbol].last
        if last is None or position == 0 or await self._is_gone(symbol, position):
            return
        if (symbol, last.open_time) not in self._unprotected:
            self._unprotected.add((symbol, last.open_time))
            message = f"{symbol}: the stop was refused ({self._refusal(symbol)}); leaving {position}"
            subject = f"deployment:{self._session.deployment.id}"
            with self._ledger.begin() as work:
                work.incidents.open(Severity.CRITICAL, "POSITION_UNPROTECTED", subject, message)
                work.commit()
        await self.place([exit_intent(self.close_of(last), position)])

    def _refusal(self, symbol: str) -> str:
        """Why the newest refused stop was refused, in the venue's or the gate's words."""
        orders = self._session.book.of_symbol(symbol)
        refused = [o for o in orders if o.intent.purpose in STOPS and was_refused(o)]
        newest = max(refused, key=lambda order: order.created_at, default=None)
        return f"{newest.intent.type.value}: {newest.reason or 'no reason given'}" if newest else "no reason known"

    async def _is_gone(self, symbol: str, held: Decimal) -> bool:
        """Whether the venue says that nothing is left to protect on this side: the stop was refused because another
        order had just closed the position, and the report of that is on its way."""
        try:
            found = await self._venue.positions()
        except (RetryableError, OutcomeUnknownError):
            return False
        return not any(position.symbol == symbol and position.quantity * held > 0 for position in found)
