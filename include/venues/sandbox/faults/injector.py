"""Decides what goes wrong. Pure: the same plan and the same calls give the same faults, whatever the wall clock says.

Chance is a hash of the plan's seed, the fault's place in it and the number of the occasion: nothing is drawn, so
nothing depends on what other faults have drawn before, and a restart goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from include.venues.sandbox import errors
from include.venues.sandbox.faults.kinds import FAULTS, FaultKind, Scope
from include.venues.sandbox.faults.plan import FaultDocument, FaultPlan
from include.venues.sandbox.faults.spikes import spiked

JsonObject = dict[str, Any]
JsonEvent = JsonObject | list[Any]
REPORTS = frozenset({"ORDER_TRADE_UPDATE", "ALGO_UPDATE", "executionReport"})
USER_STREAM = "userData"
_SECOND_MS = 1_000
_SPLIT = "|"
"""Between prefix and account in the names of held events; account names have none."""


class Loss(StrEnum):
    """Where a request or its answer is lost."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"


@dataclass(frozen=True, slots=True)
class Effects:
    """What one request suffers; all defaults: nothing."""

    delay_ms: int = 0
    refusal: errors.ApiError | None = None
    ban_ms: int | None = None
    loss: Loss | None = None
    answer: str = "HANG"
    """How a loss looks to the client: HANG, CUT or TELL."""
    fill_fraction: Decimal | None = None
    """Part of the order that fills before its cancel is served."""


NO_EFFECTS = Effects()


class Armed:
    """One fault of a plan and how often it has had occasion and struck."""

    __slots__ = ("begins_ms", "ends_ms", "fault", "hits", "index", "occasions", "seed")

    def __init__(self, fault: FaultDocument, seed: int, index: int) -> None:
        self.fault = fault
        self.seed = seed
        self.index = index
        self.occasions = 0
        self.hits = 0
        self.begins_ms = fault.begins_ms
        self.ends_ms: int | None = None
        if fault.for_secs is not None and self.begins_ms is not None:
            self.ends_ms = self.begins_ms + int(fault.for_secs * _SECOND_MS)

    def is_live(self, now_ms: int) -> bool:
        """Whether market time is inside the fault's window. Without a beginning the window begins at the first look."""
        if self.begins_ms is None and self.fault.for_secs is not None:
            self.begins_ms, self.ends_ms = now_ms, now_ms + int(self.fault.for_secs * _SECOND_MS)
        return (self.begins_ms is None or now_ms >= self.begins_ms) and (self.ends_ms is None or now_ms < self.ends_ms)

    def strikes(self, now_ms: int) -> bool:
        """Count an occasion; True when it is one on which the fault happens."""
        if not self.is_live(now_ms):
            return False
        self.occasions += 1
        fault, number = self.fault, self.occasions
        struck = (
            (fault.nth is None or number == fault.nth)
            and (fault.every is None or number % fault.every == 0)
            and (fault.most is None or self.hits < fault.most)
            and (fault.probability is None or self._chance(number) < fault.probability)
        )
        self.hits += struck
        return struck

    def _chance(self, number: int) -> float:
        seed = f"{self.seed}:{self.index}:{number}".encode()
        return int.from_bytes(hashlib.blake2b(seed, digest_size=7).digest(), "big") / (1 << 56)


class Injector:
    """All armed faults of one exchange."""

    def __init__(self, plan: FaultPlan, now: Callable[[], int]) -> None:
        """`now`: market time, epoch milliseconds."""
        self._now = now
        self._armed: list[Armed] = []
        self._held: dict[str, list[JsonObject]] = {}
        self.add(plan)

    def add(self, plan: FaultPlan) -> None:
        """Arm the faults of a plan beside those that are armed already."""
        self._armed += [Armed(fault, plan.seed, index) for index, fault in enumerate(plan.faults)]

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def report(self) -> list[JsonObject]:
        """Every armed fault with its occasions and strikes."""
        return [
            {**one.fault.model_dump(mode="json", exclude_none=True), "occasions": one.occasions, "hits": one.hits}
            for one in self._armed
        ]

    # --- requests ------------------------------------------------------------------------------------------

    def on_request(self, route: str, account: str | None, params: Mapping[str, str]) -> Effects:
        """What a request suffers. `route`: method and path; `account`: the one its key belongs to."""
        if not self._armed:
            return NO_EFFECTS
        effects: JsonObject = {}
        for one in self._scoped(Scope.REQUEST):
            fault = one.fault
            if (
                fault.concerns_route(route)
                and fault.account in (None, account)
                and fault.symbol in (None, params.get("symbol"))
                and (fault.kind is not FaultKind.ACCOUNT_RESTRICTED or _is_restricted(fault, route, account, params))
                and one.strikes(self._now())
            ):
                _REQUEST_FAULTS[fault.kind](fault, effects)
        return Effects(**effects) if effects else NO_EFFECTS

    @property
    def skew_ms(self) -> int:
        """How wrong the exchange's wall clock is."""
        now = self._now()
        live = (a.fault for a in self._armed if a.fault.kind is FaultKind.CLOCK_SKEW and a.is_live(now))
        return sum(int(fault.option("skew_ms")) for fault in live)

    # --- streams -------------------------------------------------------------------------------------------

    def on_market_event(self, stream: str, event: JsonEvent) -> Sequence[JsonEvent] | None:
        """What is sent in place of an event of a market stream (all markets: a list); None: the connection is cut."""
        if not self._armed:
            return [event]
        if self._is_closed():
            return None
        for one in self._scoped(Scope.MARKET_EVENT, Scope.ANY_EVENT):
            fault = one.fault
            if _is_told(fault, stream, event) and one.strikes(self._now()):
                if fault.kind is FaultKind.DISCONNECT:
                    return None
                if fault.kind is not FaultKind.PRICE_SPIKE:
                    return []
                event = spiked(event, float(fault.option("fraction")))
        return [event]

    def on_user_event(self, account: str, event: JsonObject, prefix: str = "") -> list[JsonObject] | None:
        """What is sent in place of an event of an account's stream; None: the connection is cut.

        Args:
            prefix: tells the account's spot stream from its USD-M one; they hold back nothing for each other.
        """
        if not self._armed and not self._held:
            return [event]
        if self._is_closed():
            return None
        sent, key = [event], f"{prefix}{_SPLIT}{account}"
        for one in self._scoped(Scope.USER_EVENT, Scope.ANY_EVENT):
            fault = one.fault
            if self._concerns(fault, account, event) and one.strikes(self._now()):
                if fault.kind is FaultKind.DISCONNECT:
                    return None
                if fault.kind is FaultKind.OUT_OF_ORDER_REPORT:
                    self._held.setdefault(key, []).extend(sent)
                    return []
                sent = [event, event] if fault.kind is FaultKind.DUPLICATE_REPORT else []
        return sent + self._held.pop(key, []) if sent else sent

    def release(self) -> Iterator[tuple[str, JsonObject, str]]:
        """Events held back for their successor that never came: (account, event, prefix)."""
        held, self._held = self._held, {}
        for key, events in held.items():
            prefix, _, account = key.partition(_SPLIT)
            for event in events:
                yield account, event, prefix

    # --- bars ----------------------------------------------------------------------------------------------

    def on_bar(self, symbol: str, open_ms: int) -> list[FaultDocument]:
        """Market faults that strike a symbol's bar before it is played."""
        return [
            one.fault for one in self._scoped(Scope.BAR) if one.fault.symbol in (None, symbol) and one.strikes(open_ms)
        ]

    # --- state ---------------------------------------------------------------------------------------------

    def document(self) -> JsonObject:
        """Everything that has to survive a restart."""
        armed = [
            {
                "fault": one.fault.model_dump(mode="json", exclude_none=True), "seed": one.seed, "index": one.index,
                "occasions": one.occasions, "hits": one.hits, "begins_ms": one.begins_ms, "ends_ms": one.ends_ms,
            }
            for one in self._armed
        ]  # fmt: skip
        return {"armed": armed, "held": self._held}

    def restore(self, document: JsonObject) -> None:
        """Take over what `document` wrote, in place of what is armed."""
        self._armed = []
        for row in document["armed"]:
            one = Armed(FaultDocument.model_validate(row["fault"]), row["seed"], row["index"])
            one.occasions, one.hits = row["occasions"], row["hits"]
            one.begins_ms, one.ends_ms = row["begins_ms"], row["ends_ms"]
            self._armed.append(one)
        self._held = document["held"]

    # --- internals -----------------------------------------------------------------------------------------

    def _scoped(self, *scopes: Scope) -> Iterator[Armed]:
        return (one for one in self._armed if FAULTS[one.fault.kind].scope in scopes)

    def _is_closed(self) -> bool:
        """Maintenance of everything closes open websockets too."""
        now = self._now()
        return any(
            one.fault.kind is FaultKind.MAINTENANCE and one.fault.is_unconditional and one.is_live(now)
            for one in self._armed
        )

    @staticmethod
    def _concerns(fault: FaultDocument, account: str, event: JsonObject) -> bool:
        is_report = event.get("e") in REPORTS
        body = event["o"] if isinstance(event.get("o"), dict) else event
        return (
            fault.account in (None, account)
            and fault.symbol in (None, body.get("s"))
            and fnmatchcase(USER_STREAM, fault.stream or "*")
            and (is_report or FAULTS[fault.kind].scope is Scope.ANY_EVENT)
        )


def _is_told(fault: FaultDocument, stream: str, event: JsonEvent) -> bool:
    """Whether a market event is one that the fault concerns."""
    if fault.account is not None or not fnmatchcase(stream, fault.stream or "*"):
        return False
    if isinstance(event, list):
        return fault.symbol is None and fault.kind is not FaultKind.SEQUENCE_GAP
    if fault.kind is FaultKind.SEQUENCE_GAP and event.get("e") != "depthUpdate":
        return False
    return fault.symbol in (None, event.get("s"))


# --- what each request fault does --------------------------------------------------------------------------


def _refuse(denial: errors.Denial, effects: JsonObject, retry_after_secs: int | None = None) -> None:
    effects.setdefault("refusal", errors.ApiError(denial, retry_after_secs))


def _lose(fault: FaultDocument, effects: JsonObject, loss: Loss) -> None:
    effects.setdefault("loss", loss)
    effects.setdefault("answer", fault.option("answer"))


def _too_many(fault: FaultDocument, effects: JsonObject) -> None:
    denial = errors.Denial(-1003, "Too many requests; please use the websocket for live updates to avoid bans.", 429)
    _refuse(denial, effects, fault.option("retry_after_secs"))


def _coded(fault: FaultDocument, effects: JsonObject) -> None:
    """A refusal whose code the plan chooses; the text is the exchange's own where the sandbox knows it."""
    known = errors.by_code(fault.option("code"))
    status = fault.status if fault.status is not None else FAULTS[fault.kind].options.get("status", known.status)
    _refuse(errors.Denial(known.code, known.msg, int(status or known.status)), effects)


_REQUEST_FAULTS: Mapping[FaultKind, Callable[[FaultDocument, JsonObject], None]] = {
    FaultKind.SLOW_ANSWER: lambda f, e: e.update(delay_ms=e.get("delay_ms", 0) + f.option("delay_ms")),
    FaultKind.TOO_MANY_REQUESTS: _too_many,
    FaultKind.BAN: lambda f, e: e.update(ban_ms=f.option("ban_secs") * _SECOND_MS),
    FaultKind.SERVER_ERROR: _coded,
    FaultKind.TIMEOUT_AFTER_ACCEPT: lambda f, e: _lose(f, e, Loss.AFTER),
    FaultKind.TIMEOUT_BEFORE_ACCEPT: lambda f, e: _lose(f, e, Loss.BEFORE),
    FaultKind.REJECT_ORDER: _coded,
    FaultKind.PARTIAL_FILL_THEN_CANCEL: lambda f, e: e.update(fill_fraction=Decimal(str(f.option("fraction")))),
    FaultKind.MAINTENANCE: lambda f, e: _refuse(errors.SERVER_BUSY, e),
    FaultKind.ACCOUNT_RESTRICTED: _coded,
}


def _is_restricted(fault: FaultDocument, route: str, account: str | None, params: Mapping[str, str]) -> bool:
    """Whether the restriction forbids this request."""
    code = fault.option("code")
    if code == errors.UNKNOWN_KEY.code:
        return account is not None
    is_order = route.startswith("POST ") and route.lower().endswith("order")
    reduces = "true" in (params.get("reduceOnly", "").lower(), params.get("closePosition", "").lower())
    return is_order and not (code == errors.REDUCE_ONLY_ACCOUNT.code and reduces)
