"""The faults there are: one enum, one table. The list in the docs is written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class FaultKind(StrEnum):
    """Stable codes: a kind is never renamed."""

    DISCONNECT = "DISCONNECT"
    STALL = "STALL"
    SLOW_ANSWER = "SLOW_ANSWER"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    BAN = "BAN"
    SERVER_ERROR = "SERVER_ERROR"
    TIMEOUT_AFTER_ACCEPT = "TIMEOUT_AFTER_ACCEPT"
    TIMEOUT_BEFORE_ACCEPT = "TIMEOUT_BEFORE_ACCEPT"
    DUPLICATE_REPORT = "DUPLICATE_REPORT"
    OUT_OF_ORDER_REPORT = "OUT_OF_ORDER_REPORT"
    MISSING_REPORT = "MISSING_REPORT"
    SEQUENCE_GAP = "SEQUENCE_GAP"
    CLOCK_SKEW = "CLOCK_SKEW"
    REJECT_ORDER = "REJECT_ORDER"
    PARTIAL_FILL_THEN_CANCEL = "PARTIAL_FILL_THEN_CANCEL"
    MAINTENANCE = "MAINTENANCE"
    PRICE_SPIKE = "PRICE_SPIKE"
    FLASH_CRASH = "FLASH_CRASH"
    TRADING_HALT = "TRADING_HALT"
    DELISTED = "DELISTED"
    ACCOUNT_RESTRICTED = "ACCOUNT_RESTRICTED"


class Scope(StrEnum):
    """What a fault counts as an occasion."""

    REQUEST = "request"
    """A REST request or a websocket order-entry call."""
    MARKET_EVENT = "market event"
    """An event of a market stream."""
    USER_EVENT = "user event"
    """An order or account event of a user stream."""
    ANY_EVENT = "stream event"
    BAR = "bar"
    """A bar of a symbol, before it is played."""
    TIME = "time"
    """Nothing to count: it holds as long as it lasts."""


Default = int | float | str | None


@dataclass(frozen=True, slots=True)
class FaultFacts:
    """What a kind does. `options`: its own settings and their defaults; `times`: how often it strikes unless told."""

    scope: Scope
    meaning: str
    options: Mapping[str, Default] = field(default_factory=dict)
    times: int | None = None
    route: str = "*"
    """Requests it concerns unless the plan names others."""


_ORDERS = "POST */*rder"
FAULTS: Mapping[FaultKind, FaultFacts] = MappingProxyType(
    {
        FaultKind.DISCONNECT: FaultFacts(
            Scope.ANY_EVENT,
            "The line is cut in place of the event, for everybody who listens.",
            times=1,
        ),
        FaultKind.STALL: FaultFacts(
            Scope.ANY_EVENT, "The stream stays open and says nothing; what happens meanwhile is never told."
        ),
        FaultKind.SLOW_ANSWER: FaultFacts(
            Scope.REQUEST, "The request is served, the answer comes late.", {"delay_ms": 2_000}
        ),
        FaultKind.TOO_MANY_REQUESTS: FaultFacts(
            Scope.REQUEST, "429 (-1003) with `Retry-After`; the request is not served.", {"retry_after_secs": 10}
        ),
        FaultKind.BAN: FaultFacts(
            Scope.REQUEST,
            "The address is banned: 418 (-1003) for everything until the ban is over (wall time).",
            {"ban_secs": 120},
            times=1,
        ),
        FaultKind.SERVER_ERROR: FaultFacts(
            Scope.REQUEST,
            "5xx in place of an answer; the request is not served (`status`, `code`).",
            {"status": 500, "code": -1000},
        ),
        FaultKind.TIMEOUT_AFTER_ACCEPT: FaultFacts(
            Scope.REQUEST,
            "The request is served, its answer is lost. `answer`: HANG (silence), CUT (reset), TELL (408, -1007).",
            {"answer": "HANG"},
            route=_ORDERS,
        ),
        FaultKind.TIMEOUT_BEFORE_ACCEPT: FaultFacts(
            Scope.REQUEST,
            "The request is lost before it is served; for the client it looks as if only the answer were.",
            {"answer": "HANG"},
            route=_ORDERS,
        ),
        FaultKind.DUPLICATE_REPORT: FaultFacts(Scope.USER_EVENT, "A report is sent twice."),
        FaultKind.OUT_OF_ORDER_REPORT: FaultFacts(
            Scope.USER_EVENT, "A report comes after the one that follows it (at the latest when the next bar begins)."
        ),
        FaultKind.MISSING_REPORT: FaultFacts(Scope.USER_EVENT, "A report is never sent; asking still tells the truth."),
        FaultKind.SEQUENCE_GAP: FaultFacts(
            Scope.MARKET_EVENT, "A depth update is left out, so that update ids do not follow on each other."
        ),
        FaultKind.CLOCK_SKEW: FaultFacts(
            Scope.TIME,
            "The exchange's wall clock is wrong: `serverTime` and the check of timestamps.",
            {"skew_ms": 5_000},
        ),
        FaultKind.REJECT_ORDER: FaultFacts(
            Scope.REQUEST, "A new order is refused with `code`.", {"code": -2010, "status": 400}, route=_ORDERS
        ),
        FaultKind.PARTIAL_FILL_THEN_CANCEL: FaultFacts(
            Scope.REQUEST,
            "A `fraction` of the order fills at its price while its cancel is on the way; 1 fills it whole.",
            {"fraction": 0.5},
            route="DELETE */*rder",
        ),
        FaultKind.MAINTENANCE: FaultFacts(
            Scope.REQUEST, "503 (-1008) for everything, new websockets included; open ones are closed."
        ),
        FaultKind.PRICE_SPIKE: FaultFacts(
            Scope.MARKET_EVENT,
            "One bad tick on the streams: prices are off by `fraction`; nothing trades there.",
            {"fraction": 0.5},
            times=1,
        ),
        FaultKind.FLASH_CRASH: FaultFacts(
            Scope.BAR,
            "The market really goes `fraction` away from the bar's range and back (negative: down); orders fill there.",
            {"fraction": -0.3},
            times=1,
        ),
        FaultKind.TRADING_HALT: FaultFacts(
            Scope.BAR,
            "Nothing trades: bars are flat with zero volume and not told, new exposure is refused with -4140.",
        ),
        FaultKind.DELISTED: FaultFacts(
            Scope.BAR, "The symbol is closed for good: no more bars, every new order is refused with -4141."
        ),
        FaultKind.ACCOUNT_RESTRICTED: FaultFacts(
            Scope.REQUEST,
            "`code` -4087: only orders that reduce; -4088: no orders; -2015: the key is refused for everything signed.",
            {"code": -4087},
        ),
    }
)
