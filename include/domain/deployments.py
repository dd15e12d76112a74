"""Deployments, leases and trading states: what should trade, who may, and whether it is allowed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from include.domain.enums import DeploymentStatus, DesiredState, Mode, TradingState
from include.domain.ids import digest


class VenueKind(StrEnum):
    """How a deployment reaches its market."""

    REPLAY = "REPLAY"
    """A sandbox exchange started for this deployment alone, advanced bar by bar in lockstep with its engine."""
    SANDBOX = "SANDBOX"
    """A running sandbox exchange at `url`; its clock runs by itself."""
    PAPER = "PAPER"
    """An account of its own in the engine's process, on the market data of a declared account's exchange."""
    EXCHANGE = "EXCHANGE"
    """A declared account at an exchange: its test environment, or real money."""


@dataclass(frozen=True, slots=True)
class VenueConnection:
    """Where a deployment trades. No secrets: keys come from the environment by `account`."""

    kind: VenueKind
    dataset: str
    """Lake venue whose bars and instruments apply (`synthetic`, `binance-usdm`)."""
    account: str
    """Account name; its keys are AIRLOCK_ACCOUNT_<NAME>_KEY and _SECRET. Of PAPER and EXCHANGE it is declared in
    `accounts.yaml`."""
    url: str = ""
    """SANDBOX, and PAPER whose market data are those of a sandbox exchange."""
    start: datetime | None = None
    """REPLAY only: open time of the first replayed bar (inclusive)."""
    end: datetime | None = None
    """REPLAY only: end of the window (exclusive)."""
    real_money: bool = False
    """EXCHANGE of a LIVE deployment only: somebody has written out the account's name because it is real money."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A candidate that should trade. `id` follows from `session_key`, so asking twice makes one deployment."""

    id: str
    candidate_id: str
    profile: str
    profile_hash: str
    mode: Mode
    connection: VenueConnection
    capital: Decimal
    """Quote currency this deployment may use (initial capital times the capital step)."""
    capital_fraction: Decimal
    session_key: str
    desired: DesiredState
    status: DeploymentStatus
    status_reason: str
    created_at: datetime

    @property
    def short_id(self) -> str:
        return self.id[:12]


def deployment_id(candidate_id: str, mode: Mode, session_key: str) -> str:
    """64 hex digits; the same candidate, mode and session key name the same deployment."""
    return digest({"candidate_id": candidate_id, "mode": mode.value, "session_key": session_key})


@dataclass(frozen=True, slots=True)
class Lease:
    """Right to trade a deployment until `expires_at`; `token` only ever grows (fencing)."""

    deployment_id: str
    holder: str
    token: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TradingStateRecord:
    """One scope's state. Scopes: `all`, `account:NAME`, `deployment:ID`; the most cautious one applies."""

    scope: str
    state: TradingState
    by: str
    reason: str
    set_at: datetime


CAUTION: tuple[TradingState, ...] = (TradingState.ACTIVE, TradingState.REDUCE_ONLY, TradingState.HALTED)


def most_cautious(states: list[TradingState]) -> TradingState:
    """The most cautious of several states; of none it is HALTED, because an unknown state never trades."""
    return max(states, key=CAUTION.index, default=TradingState.HALTED)


def trading_scopes(deployment_id: str, account: str) -> tuple[str, str, str]:
    """The scopes whose trading states bear on a deployment."""
    return "all", f"account:{account}", f"deployment:{deployment_id}"


def effective_state(mode: Mode, deployment_id: str, account: str, known: Mapping[str, TradingState]) -> TradingState:
    """The state that applies to a deployment, from the stored states by scope.

    A scope without a row is ACTIVE, except a LIVE deployment's own: nobody has released it, so it is HALTED.
    """
    everything, its_account, own = trading_scopes(deployment_id, account)
    unreleased = TradingState.HALTED if mode is Mode.LIVE else TradingState.ACTIVE
    return most_cautious(
        [
            known.get(everything, TradingState.ACTIVE),
            known.get(its_account, TradingState.ACTIVE),
            known.get(own, unreleased),
        ]
    )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Last sign of life of a deployment's engine."""

    deployment_id: str
    beat_at: datetime
    """Wall clock of the database, aware UTC."""
    event_time: datetime | None
    """Venue time of the last bar handled."""
    bars: int
    """Bars handled since the engine process started."""
    progress: float
    """Share of a replay that is done, 0 to 1; 0 where there is no end."""
    feed: Mapping[str, Any] | None = None
    """Quality of the feed (`trading.feed_report`) with the counts that a restarted engine goes on with."""


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Equity of a deployment at a bar's close (venue time), quote currency."""

    at: datetime
    equity: Decimal
    cash: Decimal
    unrealised: Decimal
