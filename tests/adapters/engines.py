"""Engines for tests: a candidate and a deployment in the ledger, wired to a sandbox exchange in lockstep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from include.domain.deployments import Deployment, VenueConnection, VenueKind, deployment_id
from include.domain.enums import DeploymentStatus, DesiredState, Mode
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.risk.limits import Limits
from include.strategies.protocol import load_strategy
from include.trading.engine import Engine
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from tests.adapters.memory_market import MINUTE
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
