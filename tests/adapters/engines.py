"""Engines for tests: a candidate and a deployment in the ledger, wired to a sandbox exchange in lockstep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from include.domain.deployments import Deployment, VenueConnection, VenueKind, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode
from include.domain.errors import RetryableError
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.risk.limits import Limits
from include.strategies.protocol import load_strategy
from include.trading.engine import Engine
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from include.venues.paper.venue import PaperVenue
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.memory_market import MINUTE, MemoryMarket
from tests.integration.venues.sandbox import ALICE, START, SYMBOLS

WIDE = Limits(
    max_position_fraction=Decimal(200),
    max_leverage=Decimal(200),
    max_daily_loss_fraction=Decimal(1),
    max_drawdown_fraction=Decimal(1),
    max_orders_per_minute=1_000,
    price_collar_fraction=Decimal(1),
    max_bar_age_bars=2,
)
"""Limits that nothing here reaches, so that the engine does exactly what the backtest does."""


def churn_candidate(symbols: Sequence[str] = SYMBOLS, **params: Any) -> Candidate:
    return Candidate(
        "churn", "tests.adapters.strategies:Churn", MappingProxyType(params), tuple(symbols), MINUTE, "test", "ada",
        "a" * 64,
    )  # fmt: skip


def candidate_of(strategy: str, symbols: Sequence[str], *, leverage: int = 1, **params: Any) -> Candidate:
    """A strategy of `tests.adapters.strategies` by its class."""
    return Candidate(
        strategy.lower(), f"tests.adapters.strategies:{strategy}", MappingProxyType(params), tuple(symbols), MINUTE,
        "test", "ada", "a" * 64, leverage=leverage,
    )  # fmt: skip


def replay_deployment(
    candidate: Candidate, minutes: int, *, start: datetime = START, key: str = "k", mode: Mode = Mode.SIMULATION,
    kind: VenueKind = VenueKind.REPLAY, **changes: Any,
) -> Deployment:  # fmt: skip
    replay = kind is VenueKind.REPLAY
    connection = VenueConnection(
        kind, "test", ALICE.name, "" if replay else "http://127.0.0.1:1",
        start if replay else None, start + timedelta(minutes=minutes) if replay else None,
    )  # fmt: skip
    values = {
        "id": deployment_id(candidate.id, mode, key), "candidate_id": candidate.id, "profile": "five-year",
        "profile_hash": "f" * 64, "mode": mode, "connection": connection, "capital": ALICE.balance,
        "capital_fraction": Decimal(1), "session_key": key, "desired": DesiredState.RUNNING,
        "status": DeploymentStatus.PENDING, "status_reason": "", "created_at": start,
    }  # fmt: skip
    return Deployment(**{**values, **changes})


def put(ledger: Ledger, candidate: Candidate, deployment: Deployment) -> Deployment:
    """Both in the ledger, committed."""
    with ledger.begin() as work:
        work.candidates.register(candidate)
        created = work.deployments.create(deployment)
        work.commit()
    return created


def replay_engine(
    ledger: Ledger, candidate: Candidate, deployment: Deployment, url: str, *, limits: Limits = WIDE,
    holder: str = "test:1", **options: Any,
) -> Engine:  # fmt: skip
    venue = CcxtVenue(url, ALICE.key, ALICE.secret)
    return Engine(
        ledger=ledger, venue=venue, pacer=SandboxPacer(venue), deployment=deployment, candidate=candidate,
        strategy=load_strategy(candidate.strategy, candidate.params), limits=limits, holder=holder, **options,
    )  # fmt: skip


def paper_deployment(
    candidate: Candidate, minutes: int, *, start: datetime = START, key: str = "paper", **changes: Any
) -> Deployment:
    """Of a market that is over after so many minutes."""
    made = replay_deployment(candidate, minutes, start=start, key=key, kind=VenueKind.PAPER, **changes)
    return replace(made, connection=replace(made.connection, url="", end=start + timedelta(minutes=minutes)))


class ScriptedPacer:
    """Lets a scripted market finish its next bar whenever the engine is ready, `minutes` of them.

    Args:
        dies_in: the minute between whose open and path the engine dies; counted from 1.
    """

    def __init__(self, venue: PaperVenue, source: ScriptedSource, minutes: int, dies_in: int = 0) -> None:
        self._venue, self._source, self._first, self._minutes = venue, source, source.row, minutes
        self._dies_in = dies_in

    @property
    def progress(self) -> float:
        return (self._source.row - self._first) / self._minutes

    async def advance(self) -> bool:
        if not self._venue.stands_at_open:
            if self._source.row == self._first + self._minutes:
                return False
            self._source.finish()
        elif self._source.row - self._first >= self._dies_in > 0:
            raise RetryableError("killed by the test")
        return await self._venue.advance(5)


def paper_engine(
    ledger: Ledger, candidate: Candidate, deployment: Deployment, market: MemoryMarket, journal: Path, *,
    history: int, minutes: int, dies_in: int = 0, holder: str = "test:2",
) -> tuple[Engine, ScriptedSource]:  # fmt: skip
    """The engine on a paper account, with the bars of `market` as its feed: `history` of them are past."""
    facts = {symbol: market.instrument("test", symbol) for symbol in candidate.symbols}
    bars = {s: bars_of(market, s, str(i.tick_size), str(i.lot_size)) for s, i in facts.items()}
    source = ScriptedSource(bars, history)
    venue = PaperVenue(source, facts, deployment.capital, journal)
    engine = Engine(
        ledger=ledger, venue=venue, pacer=ScriptedPacer(venue, source, minutes, dies_in), deployment=deployment,
        candidate=candidate, strategy=load_strategy(candidate.strategy, candidate.params), limits=WIDE, holder=holder,
    )  # fmt: skip
    return engine, source
