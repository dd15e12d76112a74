"""Live stage: what must hold before a deployment goes live, and how it is doing while it runs. Read from the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from include.domain.deployments import Deployment, EquityPoint
from include.domain.enums import DeploymentStatus, DesiredState, Mode, OrderStatus, Severity, TradingState
from include.domain.errors import AirlockError, ConfigurationError, RejectedError
from include.domain.times import iso
from include.ports import Ledger, Venue
from include.qualification.candidate import Candidate
from include.trading.portfolio import replay_fills
from include.trading.probe import place_and_cancel

INCIDENTS_LOOKED_AT = 1_000
_RECENT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class DeploymentHealth:
    """How a deployment is doing, money in quote currency, shares as fractions. None stands for not known."""

    deployment_id: str
    candidate_id: str
    mode: Mode
    desired: DesiredState
    status: DeploymentStatus
    status_reason: str
    state: TradingState
    heartbeat_age_secs: float | None
    event_time: datetime | None
    bars: int
    progress: float
    capital: Decimal
    equity: Decimal | None
    """At the last bar handled."""
    high_water: Decimal
    drawdown: float | None
    daily_loss: float | None
    """Fall of equity since 00:00 UTC of the venue's day; negative when it rose."""
    net_profit: Decimal | None
    orders: int
    denied: int
    rejected: int
    fills: int
    working: int
    positions: dict[str, Decimal]
    critical_incidents: int
    feed: Mapping[str, Any] | None = None
    """Quality of the feed as the last heartbeat has it (`docs/operations.md`)."""

    def document(self) -> dict[str, Any]:
        """Plain JSON form, money as text."""
        plain: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            plain[name] = format(value, "f") if isinstance(value, Decimal) else value
        plain["event_time"] = iso(self.event_time) if self.event_time else None
        plain["positions"] = {symbol: format(quantity, "f") for symbol, quantity in self.positions.items()}
        return plain


def observe_deployment(ledger: Ledger, deployment_id: str, now: datetime) -> DeploymentHealth:
    """Health of one deployment from the ledger alone; for sensors, status and reports.

    Args:
        now: wall time, aware UTC; heartbeats are aged against it.

    Raises:
        ConfigurationError: the ledger has no such deployment.
    """
    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
        if deployment is None:
            raise ConfigurationError(f"deployment {deployment_id[:12]}: not in the ledger; `airlock status` lists them")
        state = work.trading_states.effective(deployment)
        beat = work.deployments.heartbeat(deployment_id)
        orders, fills = work.orders.all(deployment_id), work.orders.fills(deployment_id)
        since = beat.event_time - _RECENT if beat and beat.event_time else None
        points = work.orders.equity(deployment_id, since) or work.orders.equity(deployment_id)
        # Only asked: without a commit the mark stays where it is.
        high_water = work.orders.high_water(deployment_id, deployment.capital)
        subject = f"deployment:{deployment_id}"
        incidents = [i for i in work.incidents.recent(INCIDENTS_LOOKED_AT) if i.subject == subject]
        working = len(work.orders.working(deployment_id))
    equity = points[-1].equity if points else None
    statuses = [order.status for order in orders]
    return DeploymentHealth(
        deployment_id=deployment_id,
        candidate_id=deployment.candidate_id,
        mode=deployment.mode,
        desired=deployment.desired,
        status=deployment.status,
        status_reason=deployment.status_reason,
        state=state,
        heartbeat_age_secs=max(0.0, (now - beat.beat_at).total_seconds()) if beat else None,
        event_time=beat.event_time if beat else None,
        bars=beat.bars if beat else 0,
        progress=1.0 if deployment.status is DeploymentStatus.COMPLETED else beat.progress if beat else 0.0,
        capital=deployment.capital,
        equity=equity,
        high_water=high_water,
        drawdown=None if equity is None else float((high_water - equity) / high_water),
        daily_loss=_daily_loss(points, deployment.capital),
        net_profit=None if equity is None else equity - deployment.capital,
        orders=sum(status is not OrderStatus.DENIED for status in statuses),
        denied=statuses.count(OrderStatus.DENIED),
        rejected=statuses.count(OrderStatus.REJECTED),
        fills=len(fills),
        working=working,
        positions=dict(sorted(replay_fills(deployment.capital, fills).quantities().items())),
        critical_incidents=sum(incident.severity is Severity.CRITICAL for incident in incidents),
        feed={k: v for k, v in beat.feed.items() if k != "state"} if beat and beat.feed else None,
    )


def _daily_loss(points: Sequence[EquityPoint], capital: Decimal) -> float | None:
    if not points:
        return None
    last = points[-1]
    midnight = last.at.replace(hour=0, minute=0, second=0, microsecond=0)
    before = [point.equity for point in points if point.at <= midnight]
    start = before[-1] if before else capital
    return float((start - last.equity) / start)


# --- before going live -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GoLiveCheck:
    """One line of the check against the venue (O-7)."""

    name: str
    passed: bool
    detail: str


async def check_go_live(
    ledger: Ledger, deployment: Deployment, candidate: Candidate, venue: Venue
) -> tuple[GoLiveCheck, ...]:
    """Try everything a live deployment will need at its venue: in this order, stopping at the first failure.

    Leaves nothing behind: the probe order is cancelled and the connection closed.
    """
    steps: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
        ("authentication", lambda: _check_authentication(venue, candidate)),
        ("time", lambda: _check_time(venue)),
        ("market data", lambda: _check_markets(venue, candidate)),
        ("account", lambda: _check_account(venue, deployment, candidate)),
        ("order placed and cancelled", lambda: _check_probe(ledger, venue, deployment, candidate)),
    )
    results: list[GoLiveCheck] = []
    try:
        for name, step in steps:
            try:
                results.append(GoLiveCheck(name, True, await step()))
            except AirlockError as error:
                results.append(GoLiveCheck(name, False, str(error)))
                break
    finally:
        await venue.close()
    results += [GoLiveCheck(name, False, "not tried") for name, _ in steps[len(results) :]]
    return tuple(results)


async def _check_authentication(venue: Venue, candidate: Candidate) -> str:
    await venue.connect(candidate.symbols, candidate.timeframe)
    return "credentials accepted, streams open"


async def _check_time(venue: Venue) -> str:
    first, second = await venue.server_time(), await venue.server_time()
    if second < first:
        raise RejectedError(f"the venue's clock ran backwards from {iso(first)} to {iso(second)}")
    return f"venue time {iso(second)}"


async def _check_markets(venue: Venue, candidate: Candidate) -> str:
    instruments = await venue.instruments()
    missing = [symbol for symbol in candidate.symbols if symbol not in instruments]
    if missing:
        raise RejectedError(f"not traded at the venue: {', '.join(missing)}")
    for symbol in candidate.symbols:
        if not await venue.history(symbol, 1):
            raise RejectedError(f"{symbol}: the venue has no finished bar")
    return f"{len(candidate.symbols)} symbols with steps, fees and bars"


async def _check_account(venue: Venue, deployment: Deployment, candidate: Candidate) -> str:
    quotes = {i.quote for s, i in (await venue.instruments()).items() if s in candidate.symbols}
    wallets = {balance.currency: balance.wallet for balance in await venue.balances()}
    short = sorted(q for q in quotes if wallets.get(q, Decimal(0)) < deployment.capital)
    if short:
        raise RejectedError(f"the account holds less than the capital of {deployment.capital} in {', '.join(short)}")
    if held := [f"{p.symbol} {p.quantity}" for p in await venue.positions()]:
        raise RejectedError(f"the account is not flat: {', '.join(held)}")
    if orders := await venue.open_orders():
        raise RejectedError(f"the account has {len(orders)} open orders")
    return f"funded with {', '.join(f'{wallets[q]} {q}' for q in sorted(quotes))}, flat, no open orders"


async def _check_probe(ledger: Ledger, venue: Venue, deployment: Deployment, candidate: Candidate) -> str:
    instrument = (await venue.instruments())[candidate.symbols[0]]
    order = await place_and_cancel(ledger, venue, deployment, instrument)
    return f"{order.intent.symbol} {order.intent.quantity} at {order.intent.price} accepted and cancelled"
