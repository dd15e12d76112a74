"""What the risk gate is asked: a frozen question. Pure values; no field has an optimistic default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from include.domain.enums import TradingState
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.domain.reason_codes import RiskCode
from include.domain.round_trips import RoundTrip
from include.domain.times import Timeframe
from include.risk.limits import Limits

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountView:
    """A deployment's account at one instant, quote currency. None stands for unknown, and unknown denies."""

    equity: Decimal | None
    high_water: Decimal | None
    day_start_equity: Decimal | None
    equity_24h_ago: Decimal | None
    """The capital, for a deployment that is younger."""
    wallet: Decimal | None
    """What the venue's wallet held when it was last looked at."""
    positions: Mapping[str, Decimal]
    """Signed quantity by symbol."""
    entry_prices: Mapping[str, Decimal]
    """Average entry price of each position."""
    marks: Mapping[str, Decimal]
    """Last close by symbol."""
    working: Sequence[Order]
    """Orders that are not in a terminal state."""


@dataclass(frozen=True, slots=True)
class Question:
    """Everything the gate looks at. No field has a default: forgetting to ask never counts as a clean answer."""

    intent: Intent
    client_order_id: str
    account: AccountView
    instrument: Instrument | None
    """None when the symbol is not on the deployment's allow-list."""
    limits: Limits
    state: TradingState | None
    reconciled: bool
    models_match: bool | None
    """Whether the files of the candidate's models have the digests that were measured; None where it has no models."""
    unresolved_symbols: Set[str]
    """Symbols with an order in SUBMISSION_UNKNOWN."""
    known_order_ids: Set[str]
    recent_order_times: Sequence[datetime]
    """Event times of orders sent within the last minute or more."""
    recent_cancels: int
    """Cancels sent within the last minute."""
    recent_closes: Sequence[Decimal]
    """Closes of the symbol's last bars, oldest first, the present one included."""
    round_trips: Sequence[RoundTrip]
    """Those that ended since a person last re-enabled the strategy, oldest first."""
    trades_today: int
    """Trades opened since 00:00 UTC, entries in work included."""
    last_bar_time: datetime | None
    """Open time of the symbol's last finished bar."""
    timeframe: Timeframe
    now: datetime
    """Event time, aware UTC."""


class Record(Protocol):
    """How an account has fared: the part of a question that does not depend on the order."""

    @property
    def account(self) -> AccountView: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def round_trips(self) -> Sequence[RoundTrip]: ...
    @property
    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Reason:
    """A code and its context as `key=value` words."""

    code: RiskCode
    context: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.context}".strip()


def reduces(question: Question) -> bool:
    """True when the order can only shrink the position there is: flagged reduce-only and against its side."""
    held = question.account.positions.get(question.intent.symbol, ZERO)
    return question.intent.reduce_only and held.is_finite() and held * question.intent.side.sign < 0


def money(value: Decimal | None) -> str:
    """To the cent, for a reason's context."""
    return "None" if value is None else f"{value:.2f}"
