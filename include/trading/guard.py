"""The account guard of one engine: looks at every close, and takes the strategy off the market when a breaker trips.

A trip is kept in the ledger before anything is done about it: an incident, an audited event with its event time, and
REDUCE_ONLY for the deployment. Only `airlock resume` by a named person lifts that, after a restart as well.
"""

from __future__ import annotations

from include.domain.deployments import most_cautious
from include.domain.enums import Severity, TradingState
from include.domain.times import iso
from include.ports import Ledger
from include.risk.breakers import UNTOUCHED, Mark, is_armed, watch_breakers
from include.trading.book import is_working
from include.trading.dealer import Dealer
from include.trading.decide import LEAVING, exit_intent
from include.trading.session import GUARD_TRIPPED, Session


class AccountGuard:
    """Watches one session."""

    def __init__(self, ledger: Ledger, session: Session, dealer: Dealer) -> None:
        self._ledger, self._session, self._dealer = ledger, session, dealer
        self._is_armed = is_armed(session.limits)
        self._watch, self._state = UNTOUCHED, session.state

    async def look(self) -> None:
        """Judge the close that the session has just reached.

        Raises:
            LeaseLostError: the deployment is not ours any more.
        """
        if not self._is_armed:
            return
        session = self._session
        if self._state is not session.state and session.state is TradingState.ACTIVE:
            self._watch = UNTOUCHED  # a person has re-enabled the strategy: it begins anew
        self._state = session.state
        if not session.may_send:
            return
        trips = session.book.round_trips.closed_since(session.judged_through)
        mark = Mark(session.account_view(), session.limits, trips, session.now)
        self._watch = watch_breakers(mark, self._watch)
        if self._watch.tripped:
            self._trip()
        if self._watch.leaves:
            await self._leave()

    def _trip(self) -> None:
        session, reasons = self._session, self._watch.tripped
        message, scope = "; ".join(map(str, reasons)), f"deployment:{session.deployment.id}"
        at = {"event_time": iso(session.now), "reasons": [str(reason) for reason in reasons]}
        with self._ledger.begin() as work:
            work.audit.record("engine", GUARD_TRIPPED, session.deployment.id, at)
            for reason in reasons:
                work.incidents.open(Severity.CRITICAL, reason.code.value, scope, f"breaker tripped: {reason}")
            state = most_cautious([work.trading_states.effective(session.deployment), TradingState.REDUCE_ONLY])
            if state is TradingState.REDUCE_ONLY:
                work.trading_states.set(scope, state, "engine", f"breaker tripped: {message}"[:500])
            work.commit()
        session.state = self._state = state
        session.judged_through = session.now

    async def _leave(self) -> None:
        """Close what is held, unless an exit is on its way."""
        session = self._session
        for symbol, quantity in session.book.portfolio.quantities().items():
            last = session.windows[symbol].last
            orders = session.book.of_symbol(symbol)
            leaving = any(is_working(order) and order.intent.purpose in LEAVING for order in orders)
            if last is not None and not leaving:
                await self._dealer.place([exit_intent(self._dealer.close_of(last), quantity)])
