"""An engine on a scripted venue whose clock runs by itself, with a real ledger: started, stopped, started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import OrderPurpose, OrderStatus
from include.domain.errors import RetryableError
from include.domain.orders import Order
from include.ledger.unit_of_work import PostgresLedger
from include.ports import Incident
from include.risk.limits import Limits
from include.strategies.protocol import load_strategy
from include.trading.engine import Engine, Outcome
from tests.adapters.engines import WIDE, candidate_of, put, replay_deployment
from tests.adapters.questions import BAR, SYMBOL
from tests.adapters.scripted_venue import ScriptedVenue

P = OrderPurpose


def bar(minute: int, price: int = 50_000) -> Bar:
    p = Decimal(price)
    return Bar(SYMBOL, BAR + timedelta(minutes=minute), p, p + 10, p - 10, p, Decimal(1))


@dataclass(slots=True)
class Live:
    """A deployment on a scripted venue, and its engine while one runs."""

    ledger: PostgresLedger
    venue: ScriptedVenue
    deployment: Deployment
    engine: Engine
    task: asyncio.Task[Outcome] | None = None

    async def task_ended(self) -> None:
        """Until the engine has died."""
        await self.until(lambda: self.task is not None and self.task.done())

    def orders(self, *purposes: OrderPurpose) -> list[Order]:
        with self.ledger.begin() as work:
            return [o for o in work.orders.all(self.deployment.id) if o.intent.purpose in (purposes or tuple(P))]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    def working(self, purpose: OrderPurpose) -> list[Order]:
        return [o for o in self.orders(purpose) if o.status is OrderStatus.ACCEPTED]

    def incidents(self) -> list[Incident]:
        with self.ledger.begin() as work:
            return [i for i in work.incidents.recent() if not i.code.startswith("FEED_")]

    async def enter(self, minute: int = 0, price: int = 50_000) -> Order:
        """A bar closes, and the entry that it decides is sent."""
        known = {order.client_order_id for order in self.orders(P.ENTRY)}
        self.venue.tell_bar(bar(minute, price))
        await self.until(lambda: {o.client_order_id for o in self.working(P.ENTRY)} - known)
        return next(o for o in self.working(P.ENTRY) if o.client_order_id not in known)

    async def handled(self, bars: int) -> None:
        """Until so many bars have been decided since this engine came."""
        await self.until(lambda: self.engine.session.bars_handled >= bars)


def build(
    ledger: PostgresLedger, venue: ScriptedVenue | None = None, holder: str = "test:1", strategy: str = "Steady",
    limits: Limits = WIDE, **params: Any,
) -> Live:  # fmt: skip
    """The deployment in the ledger and a fresh engine for it: calling it again is a restart."""
    candidate = candidate_of(strategy, (SYMBOL,), **params)
    deployment = put(
        ledger, candidate, replay_deployment(candidate, 0, kind=VenueKind.SANDBOX, capital=Decimal(100_000))
    )
    if venue is not None:
        venue.reopen()
    else:
        venue = ScriptedVenue()
        for minute in range(-3, 0):
            venue.tell_bar(bar(minute), stream=False)
    engine = Engine(
        ledger=ledger, venue=venue, pacer=None, deployment=deployment, candidate=candidate,
        strategy=load_strategy(candidate.strategy, candidate.params), limits=limits, holder=holder, lease_ttl_secs=5.0,
    )  # fmt: skip
    return Live(ledger, venue, deployment, engine)


class running:  # noqa: N801 (a context manager reads best in lower case)
    """The engine runs inside the block and is stopped at its end."""

    def __init__(self, live: Live) -> None:
        self.live = live

    async def __aenter__(self) -> Live:
        self.task = self.live.task = asyncio.create_task(self.live.engine.run())
        await self.live.until(lambda: self.task.done() or self.live.engine.started.is_set())
        if self.task.done():
            self.task.result()
        return self.live

    async def __aexit__(self, *_: object) -> None:
        self.live.engine.stop()
        with suppress(RetryableError):
            assert await self.task is Outcome.STOPPED


async def open_position(live: Live) -> None:
    live.venue.tell_bar(bar(0))
    await live.until(lambda: live.working(P.ENTRY))
    (entry,) = live.orders(P.ENTRY)
    live.venue.fill(entry.client_order_id, str(entry.intent.quantity))
    await live.until(lambda: live.working(P.STOP) and live.working(P.TAKE_PROFIT))
