"""The engine: one deployment, one process, one loop. Events in, orders out; rules live in the modules it calls.

feed -> bar -> strategy -> intent -> risk gate -> order manager -> ledger -> venue -> report -> ledger -> portfolio.

Time is the venue's event time; the wall clock paces lease, heartbeat and reconciliation only. Any error ends the
process: starting again is recovery, which is the one way in anyway. An end that a restart cannot help (FatalError)
leaves an incident and a FAILED deployment.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from itertools import groupby

from include.domain.deployments import Deployment
from include.domain.enums import DeploymentStatus
from include.domain.errors import FatalError, LeaseLostError, RetryableError
from include.domain.ids import is_liquidation
from include.ports import Ledger, Pacer, Venue
from include.qualification.candidate import Candidate
from include.risk.limits import Limits
from include.strategies.protocol import Strategy
from include.trading.account import Account
from include.trading.dealer import Dealer
from include.trading.endings import complete, give_up
from include.trading.event_feed import Batch, EventFeed
from include.trading.feed_watch import FeedWatch
from include.trading.lease_keeper import LEASE_TTL_SECS, LeaseKeeper
from include.trading.order_manager import OrderManager
from include.trading.recovery import Recovery
from include.trading.session import Session, load_session
from include.trading.steps import BarSteps
from include.trading.venue_facts import VenueFacts

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
        self.started = asyncio.Event()
        """Set once the engine has recovered and trades."""
        self.session: Session
        self._orders: OrderManager
        self._facts: VenueFacts
        self._dealer: Dealer
        self._steps: BarSteps
        self._account: Account | None = None

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
            await self._venue.prepare(dict.fromkeys(self._candidate.symbols, self._candidate.leverage))
            account = await self._start()
            outcome = await (self._follow(account) if self._pacer is None else self._replay(self._pacer, account))
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

    async def _start(self) -> Account:
        """Load, warm up, recover, catch up. The streams are open already, so nothing is missed meanwhile."""
        self.session = session = load_session(
            self._ledger,
            self._deployment,
            self._candidate,
            self._limits,
            await self._venue.instruments(),
            warmup=self._strategy.warmup,
            now=await self._venue.server_time(),
        )
        self._watch.begin(session.now, session.handled_through)
        account = self._assemble(session)
        await self._steps.warm_up()
        if not await account.reconcile():
            raise RetryableError(f"deployment {self._deployment.short_id}: the venue does not answer; starting again")
        with self._ledger.begin() as work:
            work.deployments.mark(self._deployment.id, DeploymentStatus.RUNNING)
            work.commit()
        await self._dealer.protect_changed(self._candidate.symbols)
        await self._steps.catch_up()
        await self._dealer.settle()
        self.started.set()
        return account

    def _assemble(self, session: Session) -> Account:
        """The parts that work on one session."""
        ledger, venue = self._ledger, self._venue
        self._orders = OrderManager(self._deployment.id, ledger, venue, session.book, self._keeper)
        self._facts = VenueFacts(ledger, session)
        self._dealer = Dealer(ledger, venue, session, self._orders)
        self._steps = BarSteps(ledger, venue, session, self._strategy, self._orders, self._dealer)
        recovery = Recovery(ledger, venue, session, self._orders, self._facts)
        self._account = Account(ledger, venue, session, recovery, self._dealer, self._keeper, self._watch)
        return self._account

    # --- the two ways through time -------------------------------------------------------------------------

    async def _replay(self, pacer: Pacer, account: Account) -> Outcome:
        """Lockstep: handle everything there is, then let the market take its next step."""
        while True:
            batch = await self._feed.settled()
            if batch is None:
                return Outcome.STOPPED
            await account.carry_out_halt()
            if batch:
                await self._handle(batch, account)
            elif not await pacer.advance():
                break
        if not await account.reconcile():
            raise RetryableError(f"deployment {self._deployment.short_id}: the venue does not answer at the end")
        self._steps.finish()
        complete(self._ledger, self.session, self._watch.document(self._venue.reconnects))
        return Outcome.COMPLETED

    async def _follow(self, account: Account) -> Outcome:
        """Real time: wait for events, and look at the account now and then."""
        while True:
            batch = await self._feed.next(BEAT_SECS)
            if batch is None:
                return Outcome.STOPPED
            await self._handle(batch, account)

    async def _handle(self, batch: Batch, account: Account) -> None:
        self._take_facts(batch)
        await self._dealer.protect_changed()
        for _, bars in groupby(batch.bars, key=lambda bar: bar.open_time):
            await self._steps.take(list(bars))
        await self._dealer.settle()
        if account.is_due(RECONCILE_SECS if self.session.reconciled else UNSETTLED_SECS):
            await account.reconcile()

    def _take_facts(self, batch: Batch) -> None:
        """What has happened at the venue, before anything is decided on it."""
        session = self.session
        for report in batch.reports:
            if report.client_order_id not in session.book.known_ids and not is_liquidation(report.client_order_id):
                self._orders.learn(report.client_order_id)
            session.now = max(session.now, report.reported_at)
        self._orders.apply(batch.reports)
        self._facts.adopt_liquidations([report.fill for report in batch.reports if report.fill is not None])
        self._facts.take_funding(batch.funding)

    # --- life ----------------------------------------------------------------------------------------------

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
        progress = 0.0 if self._pacer is None else self._pacer.progress
        if self._account is not None:
            self._account.beat(progress)
            return
        with self._ledger.begin() as work:
            work.deployments.beat(self._deployment.id, self._keeper.token, None, 0, progress)
            work.commit()
