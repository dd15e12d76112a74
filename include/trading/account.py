"""The account beside the market: agreement with the venue, the heartbeat, and the trading state that applies."""

from __future__ import annotations

import time
from collections.abc import Sequence

from include.domain.deployments import VenueKind
from include.domain.enums import Severity, TradingState
from include.domain.errors import FatalError, OutcomeUnknownError, RetryableError
from include.ports import Ledger, Venue
from include.trading.clearing import clear_account
from include.trading.dealer import Dealer
from include.trading.feed_watch import FeedWatch
from include.trading.halt_wishes import answer_wish, open_wish
from include.trading.lease_keeper import LeaseKeeper
from include.trading.reconciliation import Difference
from include.trading.recovery import Recovery
from include.trading.session import Session

WISHES_SECS = 0.5
"""Pause between two looks for what a halt wants done."""


class Account:
    """Watches one session's account."""

    def __init__(
        self,
        ledger: Ledger,
        venue: Venue,
        session: Session,
        recovery: Recovery,
        dealer: Dealer,
        keeper: LeaseKeeper,
        watch: FeedWatch,
    ) -> None:
        self._ledger, self._venue, self._session = ledger, venue, session
        self._recovery, self._dealer = recovery, dealer
        self._keeper, self._watch = keeper, watch
        self._looked_at, self._reconnects = 0.0, 0
        self._wishes_read_at = 0.0

    def is_due(self, every_secs: float) -> bool:
        """Whether to reconcile: after a reconnect, on demand, and once in `every_secs`."""
        return self._venue.reconnects != self._reconnects or time.monotonic() - self._looked_at > every_secs

    def look_soon(self) -> None:
        """Reconcile at the next opportunity."""
        self._looked_at = float("-inf")

    async def reconcile(self) -> bool:
        """Compare with the venue; what cannot be explained halts. False when the venue could not be asked."""
        self._looked_at, self._reconnects = time.monotonic(), self._venue.reconnects
        try:
            await self._watch.ask_time(self._venue)
            remaining = await self._recovery.run()
        except (RetryableError, OutcomeUnknownError):
            self._session.reconciled = False
            return False
        if remaining:
            self._halt(remaining)
        self._session.reconciled = not remaining
        await self._dealer.protect_changed()
        return True

    def _halt(self, differences: Sequence[Difference]) -> None:
        """Ledger and venue disagree beyond the written rules: nothing more is sent until a person has looked."""
        session, message = self._session, "; ".join(map(str, differences))
        if session.reconciled or session.state is not TradingState.HALTED:
            scope = f"deployment:{session.deployment.id}"
            with self._ledger.begin() as work:
                work.incidents.open(Severity.CRITICAL, "RECONCILIATION_FAILED", scope, message)
                work.trading_states.set(scope, TradingState.HALTED, "engine", f"cannot reconcile: {message}"[:500])
                work.commit()
        session.state, session.reconciled = TradingState.HALTED, False
        if session.deployment.connection.kind is VenueKind.REPLAY:
            raise FatalError(f"deployment {session.deployment.short_id}: cannot reconcile with its venue: {message}")

    def beat(self, progress: float) -> None:
        """Heartbeat out, trading state in. Raises LeaseLostError when the deployment is not ours any more."""
        session = self._session
        with self._ledger.begin() as work:
            feed = self._watch.beat(work, self._venue.reconnects)
            work.deployments.beat(
                session.deployment.id, self._keeper.token, session.now, session.bars_handled, progress, feed
            )
            state = work.trading_states.effective(session.deployment)
            work.commit()
        if session.state is not state or session.halt_met:
            session.state, session.halt_met = state, False
            # A halt may have cancelled orders behind our back, and what it took away is due again once it is lifted.
            session.book.changed |= set(session.candidate.symbols)
            self.look_soon()

    async def carry_out_halt(self) -> None:
        """Clear an account that nobody but this process can reach, when a halt has asked for it.

        Raises:
            LeaseLostError: the deployment is not ours any more.
        """
        session, now = self._session, time.monotonic()
        deployment = session.deployment
        halted = session.state is TradingState.HALTED and deployment.connection.kind is VenueKind.PAPER
        if not halted or now - self._wishes_read_at < WISHES_SECS:
            return
        self._wishes_read_at = now
        with self._ledger.begin() as work:
            wish = open_wish(work, deployment.id)
        if wish is None:
            return
        _ = self._keeper.token  # raises when it is not ours to clear any more
        cleared = await clear_account(
            self._ledger, self._venue, deployment, cancel=wish.cancel, flatten=wish.flatten, follow=False
        )
        with self._ledger.begin() as work:
            answer_wish(work, deployment.id, "engine", wish.number, cleared)
            work.commit()
        self.look_soon()
