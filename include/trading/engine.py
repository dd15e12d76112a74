"""The engine: one deployment, one process, one loop. Events in, orders out; rules live in the modules it calls.

feed -> bar -> strategy -> intent -> risk gate -> order manager -> ledger -> venue -> report -> ledger -> portfolio.

Time is the venue's event time; the wall clock paces lease, heartbeat and reconciliation only. Any error ends the
process: starting again is recovery, which is the one way in anyway. An end that a restart cannot help (FatalError)
leaves an incident and a FAILED deployment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from include.domain.bars import Bar
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import DeploymentStatus, Severity, TradingState
from include.domain.errors import FatalError, LeaseLostError, OutcomeUnknownError, RetryableError
from include.domain.orders import Intent
from include.ports import Ledger, Pacer, Venue
from include.qualification.candidate import Candidate
from include.risk.gate import Approval, evaluate_intent
from include.risk.limits import Limits
from include.strategies.protocol import Strategy, checked_signals
from include.trading.book import is_working
from include.trading.decide import decide, exit_intent, last_wish
from include.trading.endings import complete, give_up
from include.trading.event_feed import Batch, EventFeed
from include.trading.feed_watch import FeedWatch
from include.trading.lease_keeper import LEASE_TTL_SECS, LeaseKeeper
from include.trading.order_manager import OrderManager
from include.trading.protection import plan_protection
from include.trading.reconciliation import Difference
from include.trading.recovery import Recovery
from include.trading.session import Session, load_session

BEAT_SECS = 1.0
RECONCILE_SECS = 30.0
UNSETTLED_SECS = 2.0
"""Pause before reconciling again while it has not succeeded."""


class Outcome(StrEnum):
    """How an engine ended without an error."""

    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"


class Engine:
    """Trades one deployment until it is stopped or its replay is over."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        venue: Venue,
        pacer: Pacer | None,
        deployment: Deployment,
        candidate: Candidate,
        strategy: Strategy,
        limits: Limits,
        holder: str,
        lease_ttl_secs: float = LEASE_TTL_SECS,
    ) -> None:
        self._ledger, self._venue, self._pacer = ledger, venue, pacer
        self._deployment, self._candidate = deployment, candidate
        self._strategy, self._limits = strategy, limits
        self._keeper = LeaseKeeper(ledger, deployment.id, holder, ttl_secs=lease_ttl_secs)
        self._lease_ttl_secs = lease_ttl_secs
        self._watch = FeedWatch(ledger, deployment, candidate.symbols, candidate.timeframe)
        self._feed = EventFeed(venue, candidate.symbols, self._watch.heard)
        self._step_open: datetime | None = None
        self._step_symbols: set[str] = set()
        self._reconciled_at, self._reconnects = 0.0, 0
        self._persisted_high_water = deployment.capital
        self._unprotected: set[tuple[str, datetime]] = set()
        self.started = asyncio.Event()
        """Set once the engine has recovered and trades."""
        self.session: Session
        self._orders: OrderManager
        self._recovery: Recovery

    def stop(self) -> None:
        """Ask the engine to end after what it is doing now; safe to call from a signal handler of the loop."""
        self._feed.stop()

    async def run(self) -> Outcome:
        """Start, trade, and leave everything as a successor expects to find it.

        Raises:
            LeaseLostError: another engine has the deployment.
            FatalError: a restart would not help; the deployment is FAILED and an incident is open.
            AirlockError: anything else; starting again is the remedy.
        """
        alive: asyncio.Task[None] | None = None
        try:
            # Connected before the lease is ours: a successor that waits for it is then ready within a moment, and what
            # is slow at first (loading the client library) does not use up the lease.
            await self._venue.connect(self._candidate.symbols, self._candidate.timeframe)
            self._feed.start()
            await self._keeper.acquire(patience_secs=2 * self._lease_ttl_secs)
            alive = asyncio.create_task(self._keep_alive())
            await self._start()
            outcome = await (self._follow() if self._pacer is None else self._replay(self._pacer))
            self._beat()  # the last word: what was counted since the last beat is not lost with the process
            return outcome
        except LeaseLostError:
            raise
        except FatalError as error:
            give_up(self._ledger, self._deployment, "engine", "ENGINE_FAILED", str(error))
            raise
        finally:
            if alive is not None:
                alive.cancel()
                await asyncio.gather(alive, return_exceptions=True)
            await self._feed.close()
            await self._venue.close()
            self._keeper.release()

    # --- start ---------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Load, warm up, recover, catch up. The streams are open already, so nothing is missed meanwhile."""
        self.session = load_session(
            self._ledger,
            self._deployment,
            self._candidate,
            self._limits,
            await self._venue.instruments(),
            warmup=self._strategy.warmup,
            now=await self._venue.server_time(),
        )
        self._persisted_high_water = self.session.high_water
        self._watch.begin(self.session.now, self.session.handled_through)
        self._orders = OrderManager(self._deployment.id, self._ledger, self._venue, self.session.book, self._keeper)
        self._recovery = Recovery(self._ledger, self._venue, self.session, self._orders)
        await self._warm_up()
        if not await self._reconcile():
            raise RetryableError(f"deployment {self._deployment.short_id}: the venue does not answer; starting again")
        with self._ledger.begin() as work:
            work.deployments.mark(self._deployment.id, DeploymentStatus.RUNNING)
            work.commit()
        await self._protect_changed(self._candidate.symbols)
        await self._catch_up()
        while self._orders.settle():
            await self._protect_changed(())
        self.started.set()

    async def _warm_up(self) -> None:
        for symbol, window in self.session.windows.items():
            window.fill(await self._venue.history(symbol, window.size))
            if window.last is not None:
                self.session.marks[symbol] = window.last.close

    async def _catch_up(self) -> None:
        """Decide the last finished bar if the process died before it was handled completely."""
        through = self.session.handled_through
        if through is None:
            return
        delta = self._candidate.timeframe.delta
        lasts = [window.last for window in self.session.windows.values() if window.last is not None]
        pending = [bar for bar in lasts if bar.open_time + delta > through]
        newest = max((bar.open_time for bar in pending), default=None)
        if newest is not None:
            await self._close_step([bar for bar in pending if bar.open_time == newest])

    # --- the two ways through time -------------------------------------------------------------------------

    async def _replay(self, pacer: Pacer) -> Outcome:
        """Lockstep: handle everything there is, then let the market take its next step."""
        while True:
            batch = await self._feed.settled()
            if batch is None:
                return Outcome.STOPPED
            if batch:
                await self._handle(batch)
            elif not await pacer.advance():
                break
        if not await self._reconcile():
            raise RetryableError(f"deployment {self._deployment.short_id}: the venue does not answer at the end")
        self._finish_step()
        complete(self._ledger, self.session, self._watch.document(self._venue.reconnects))
        return Outcome.COMPLETED

    async def _follow(self) -> Outcome:
        """Real time: wait for events, and look at the account now and then."""
        while True:
            batch = await self._feed.next(BEAT_SECS)
            if batch is None:
                return Outcome.STOPPED
            await self._handle(batch)

    async def _handle(self, batch: Batch) -> None:
        for report in batch.reports:
            if report.client_order_id not in self.session.book.known_ids:
                self._orders.learn(report.client_order_id)
            self.session.now = max(self.session.now, report.reported_at)
        self._orders.apply(batch.reports)
        await self._protect_changed(())
        for _, bars in groupby(batch.bars, key=lambda bar: bar.open_time):
            await self._take(list(bars))
        while self._orders.settle():
            await self._protect_changed(())
        wait = RECONCILE_SECS if self.session.reconciled else UNSETTLED_SECS
        if self._venue.reconnects != self._reconnects or time.monotonic() - self._reconciled_at > wait:
            await self._reconcile()

    # --- bars ----------------------------------------------------------------------------------------------

    async def _take(self, bars: Sequence[Bar]) -> None:
        """Finished bars of one open time: repair holes, ignore what is old, then decide."""
        fresh = []
        for bar in bars:
            window = self.session.windows.get(bar.symbol)
            if window is None or not window.is_new(bar):
                self.session.bars_ignored += 1
                continue
            if window.missing(bar):
                history = await self._venue.history(bar.symbol, window.size + window.missing(bar))
                self.session.bars_backfilled += window.fill(history, before=bar.open_time)
            window.append(bar)
            fresh.append(bar)
        if fresh:
            await self._close_step(fresh)

    async def _close_step(self, bars: Sequence[Bar]) -> None:
        """Decide every symbol whose bar closed, and note the close as handled once all of them are."""
        opened = bars[0].open_time
        if self._step_open is not None and opened > self._step_open:
            self._finish_step()
        for bar in bars:
            self.session.marks[bar.symbol] = bar.close
            self.session.bars_handled += 1
        self._step_open = max(self._step_open or opened, opened)
        self.session.reach(opened + self._candidate.timeframe.delta)
        for bar in bars:
            await self._decide(bar)
        self._step_symbols |= {bar.symbol for bar in bars if bar.open_time == self._step_open}
        if self._step_symbols >= set(self._candidate.symbols):
            self._finish_step()

    def _finish_step(self) -> None:
        """Store the equity of this close: the ledger's mark that the bar was handled completely."""
        if self._step_open is None:
            return
        at = self._step_open + self._candidate.timeframe.delta
        point = self.session.equity_point(at)
        if point is not None:
            with self._ledger.begin() as work:
                work.orders.record_equity(self._deployment.id, [point])
                if self.session.high_water > self._persisted_high_water:
                    self._persisted_high_water = work.orders.high_water(self._deployment.id, self.session.high_water)
                # Every later write-ahead waits for the disk and takes this with it, so no order outlives the mark.
                work.commit(durable=False)
            self.session.handled_through = at
        self._step_open, self._step_symbols = None, set()

    async def _decide(self, bar: Bar) -> None:
        session, window = self.session, self.session.windows[bar.symbol]
        if window.is_warm() and not self._is_last_of_run(bar):
            intents = decide(
                deployment_id=self._deployment.id,
                bar=bar,
                wish=last_wish(checked_signals(self._strategy, window.bars())),
                position=session.book.portfolio.quantity(bar.symbol),
                working=filter(is_working, session.book.of_symbol(bar.symbol)),
                instrument=session.instruments[bar.symbol],
                allocation=session.allocation,
            )
            for intent in intents:
                await self._place([intent])
        await self._protect_changed((bar.symbol,))

    def _is_last_of_run(self, bar: Bar) -> bool:
        end = self._deployment.connection.end
        return end is not None and bar.open_time + self._candidate.timeframe.delta >= end

    # --- orders --------------------------------------------------------------------------------------------

    async def _place(self, intents: Sequence[Intent]) -> None:
        """Wishes through the gate, and to the venue if they pass."""
        approvals = []
        for intent in intents:
            decision = evaluate_intent(self.session.question(intent))
            if isinstance(decision, Approval):
                approvals.append(decision)
            else:
                self._orders.deny(intent, str(decision), self.session.now)
        await self._orders.submit(approvals, self.session.now)

    async def _protect_changed(self, also: Iterable[str]) -> None:
        """Bring stops and take-profits in line, for `also` and for every symbol whose orders or position moved."""
        book = self.session.book
        book.changed |= set(also)
        while book.changed:
            symbol = min(book.changed, key=self._candidate.symbols.index)
            book.changed.discard(symbol)
            plan = plan_protection(book.portfolio.quantity(symbol), book.of_symbol(symbol))
            for order in plan.cancel:
                await self._orders.cancel(order)
            if not self.session.may_send:
                continue
            await self._place(plan.place)
            if plan.unprotected:
                await self._leave(symbol)

    async def _leave(self, symbol: str) -> None:
        """A position whose stop was refused is closed at market, and people hear of it."""
        position, last = self.session.book.portfolio.quantity(symbol), self.session.windows[symbol].last
        if last is None or position == 0:
            return
        if (symbol, last.open_time) not in self._unprotected:
            self._unprotected.add((symbol, last.open_time))
            self._open_incident("POSITION_UNPROTECTED", f"{symbol}: the venue refused the stop; leaving {position}")
        await self._place([exit_intent(self._deployment.id, last, position)])

    # --- account -------------------------------------------------------------------------------------------

    async def _reconcile(self) -> bool:
        """Compare with the venue; what cannot be explained halts. False when the venue could not be asked."""
        self._reconciled_at, self._reconnects = time.monotonic(), self._venue.reconnects
        try:
            await self._watch.ask_time(self._venue)
            remaining = await self._recovery.run()
        except (RetryableError, OutcomeUnknownError):
            self.session.reconciled = False
            return False
        if remaining:
            self._halt(remaining)
        self.session.reconciled = not remaining
        await self._protect_changed(())
        return True

    def _halt(self, differences: Sequence[Difference]) -> None:
        """Ledger and venue disagree beyond the written rules: nothing more is sent until a person has looked."""
        message = "; ".join(map(str, differences))
        if self.session.reconciled or self.session.state is not TradingState.HALTED:
            self._open_incident("RECONCILIATION_FAILED", message)
            with self._ledger.begin() as work:
                scope = f"deployment:{self._deployment.id}"
                work.trading_states.set(scope, TradingState.HALTED, "engine", f"cannot reconcile: {message}"[:500])
                work.commit()
        self.session.state, self.session.reconciled = TradingState.HALTED, False
        if self._deployment.connection.kind is VenueKind.REPLAY:
            raise FatalError(f"deployment {self._deployment.short_id}: cannot reconcile with its venue: {message}")

    def _open_incident(self, code: str, message: str) -> None:
        with self._ledger.begin() as work:
            work.incidents.open(Severity.CRITICAL, code, f"deployment:{self._deployment.id}", message)
            work.commit()

    async def _keep_alive(self) -> None:
        """Lease, heartbeat and trading state once a second; any failure ends the engine."""
        try:
            while True:
                await asyncio.sleep(BEAT_SECS)
                self._keeper.renew()
                self._beat()
        except Exception as error:
            self._feed.fail(error)

    def _beat(self) -> None:
        session = getattr(self, "session", None)
        progress = 0.0 if self._pacer is None else self._pacer.progress
        with self._ledger.begin() as work:
            now, bars = (None, 0) if session is None else (session.now, session.bars_handled)
            feed = self._watch.beat(work, self._venue.reconnects)
            work.deployments.beat(self._deployment.id, self._keeper.token, now, bars, progress, feed)
            state = work.trading_states.effective(self._deployment)
            work.commit()
        if session is not None and session.state is not state:
            session.state = state
            # A halt may have cancelled orders behind our back, and what it took away is due again once it is lifted.
            session.book.changed |= set(self._candidate.symbols)
            self._reconciled_at = -RECONCILE_SECS
