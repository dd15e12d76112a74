"""From wishes to orders: through the gate to the venue, and protection kept in line with what is held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.enums import Severity
from include.domain.errors import OutcomeUnknownError, RetryableError
from include.domain.orders import Intent
from include.ports import Ledger, Venue
from include.risk.gate import Approval, evaluate_intent
from include.trading.decide import Close, exit_intent
from include.trading.order_manager import OrderManager
from include.trading.protection import plan_protection
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
            message = f"{symbol}: the venue refused the stop; leaving {position}"
            subject = f"deployment:{self._session.deployment.id}"
            with self._ledger.begin() as work:
                work.incidents.open(Severity.CRITICAL, "POSITION_UNPROTECTED", subject, message)
                work.commit()
        await self.place([exit_intent(self.close_of(last), position)])

    async def _is_gone(self, symbol: str, held: Decimal) -> bool:
        """Whether the venue says that nothing is left to protect on this side: the stop was refused because another
        order had just closed the position, and the report of that is on its way."""
        try:
            found = await self._venue.positions()
        except (RetryableError, OutcomeUnknownError):
            return False
        return not any(position.symbol == symbol and position.quantity * held > 0 for position in found)
