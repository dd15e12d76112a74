"""A deployment with everything that handles its orders, on a real ledger and a scripted venue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.deployments import Deployment
from include.domain.enums import TradingState
from include.domain.orders import Intent, Order
from include.ledger.unit_of_work import PostgresLedger
from include.risk.gate import Approval
from include.trading.order_manager import OrderManager, identify
from include.trading.recovery import Recovery
from include.trading.session import Session, load_session
from include.trading.venue_facts import VenueFacts
from tests.adapters.questions import BAR, BTC, LIMITS, SYMBOL, intent
from tests.adapters.scripted_venue import ScriptedVenue
from tests.samples import put_deployment, put_lease, sample_candidate

LAST = Bar(SYMBOL, BAR, *(Decimal(50_000),) * 4, Decimal(1))


@dataclass(slots=True)
class Token:
    """A fence with a fixed token."""

    token: int


@dataclass(slots=True)
class Desk:
    """One life of an engine's order handling; `reopen` begins the next one, as after a crash."""

    ledger: PostgresLedger
    venue: ScriptedVenue
    deployment: Deployment
    session: Session
    orders: OrderManager
    recovery: Recovery
    fence: Token

    async def send(self, *intents: Intent) -> Order | None:
        """Send approved intents and settle; the first one's order as the ledger has it."""
        await self.orders.submit([Approval(wish) for wish in intents], self.venue.now)
        self.orders.settle()
        return self.stored(identify(intents[0]))

    def stored(self, client_order_id: str) -> Order | None:
        with self.ledger.begin() as work:
            return work.orders.get(client_order_id)

    def all(self) -> Sequence[Order]:
        with self.ledger.begin() as work:
            return work.orders.all(self.deployment.id)

    def wish(self, **changes: Any) -> Intent:
        return intent(deployment_id=self.deployment.id, **changes)


def open_desk(
    ledger: PostgresLedger, venue: ScriptedVenue, *, state: TradingState = TradingState.ACTIVE, holder: str = "host-a"
) -> Desk:
    """A deployment with a live lease and an opened account."""
    deployment = put_deployment(ledger, capital=venue.wallet)
    lease = put_lease(ledger, deployment, holder)
    session = load_session(ledger, deployment, sample_candidate(), LIMITS, {SYMBOL: BTC}, warmup=1, now=venue.now)
    if session.opening_wallet is None:
        session.opening_wallet = venue.wallet
        with ledger.begin() as work:
            work.audit.record("engine", "account.opened", deployment.id, {"wallet": str(venue.wallet)})
            work.commit()
    session.windows[SYMBOL].append(LAST)
    session.marks[SYMBOL] = LAST.close
    session.state = state
    fence = Token(lease.token)
    orders = OrderManager(deployment.id, ledger, venue, session.book, fence)
    recovery = Recovery(ledger, venue, session, orders, VenueFacts(ledger, session))
    return Desk(ledger, venue, deployment, session, orders, recovery, fence)
