"""What the risk gate is asked: a frozen question. Pure values; no field has an optimistic default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from include.domain.enums import TradingState
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.domain.reason_codes import RiskCode
from include.domain.times import Timeframe
from include.risk.limits import Limits

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountView:
    """A deployment's account at one instant, quote currency. None stands for unknown, and unknown denies."""

    equity: Decimal | None
    high_water: Decimal | None
    day_start_equity: Decimal | None
    positions: Mapping[str, Decimal]
    """Signed quantity by symbol."""
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
    unresolved_symbols: Set[str]
    """Symbols with an order in SUBMISSION_UNKNOWN."""
    known_order_ids: Set[str]
    recent_order_times: Sequence[datetime]
    """Event times of orders sent within the last minute or more."""
    last_bar_time: datetime | None
    """Open time of the symbol's last finished bar."""
    timeframe: Timeframe
    now: datetime
    """Event time, aware UTC."""


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
    return question.intent.reduce_only and held * question.intent.side.sign < 0
