"""The one way into the exchange, by REST and by websocket: limits, keys, signatures, faults, then the route.

A shell (`http`, `ws_api`) makes a `Call` of what it has received, asks `effects` what befalls it, waits or loses it as
told, and writes down the `Reply` of `answer`. Nothing here waits: a call is served whole, between two awaits.

Routes are plain functions (`PublicRoute`, `PrivateRoute`, `KeyedRoute`) that get the exchange, the account and text
parameters, and return what is told as JSON or raise ApiError.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import AccountSpec, Permission
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.faults.injector import NO_EFFECTS, Effects, Injector
from include.venues.sandbox.faults.market import MarketFaults
from include.venues.sandbox.limits import Limiter
from include.venues.sandbox.weights import Segment, weight

log = logging.getLogger(__name__)

Params = dict[str, str]
PublicRoute = Callable[[Exchange, Params], Any]
PrivateRoute = Callable[[Exchange, str, Params], Any]
KeyedRoute = Callable[[Exchange, AccountSpec, Params, int], Any]
"""Gets the wall clock (epoch milliseconds) last: listen keys live in wall time."""
LimitsRoute = Callable[[list[dict[str, Any]]], Any]
"""Gets the account's order limits with what it has used of them."""


class Security(StrEnum):
    """What a route asks of a request."""

    PUBLIC = "PUBLIC"
    KEY = "KEY"
    SIGNED = "SIGNED"
    LIMITS = "LIMITS"
    """Signed too, about what the account has used of its limits."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route and what it asks of a request."""

    security: Security
    route: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, whatever it came by."""

    method: str
    path: str
    params: Params
    ip: str
    key: str | None = None
    payload: str = ""
    """The text that the signature covers."""
    session: AccountSpec | None = None
    """The account that the connection has logged on to: then neither key nor signature is asked for."""

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, document and headers of an answer."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    """Whose order counts belong to the answer; None where the call was not about orders."""
    retry_after_secs: int | None = None


class Gateway:
    """Serves calls of one exchange."""

    def __init__(
        self, exchange: Exchange, limiter: Limiter, injector: Injector, market: MarketFaults, wall_ms: Callable[[], int]
    ) -> None:
        """`wall_ms`: the server's true wall clock; faults may make it tell a wrong time."""
        self.exchange = exchange
        self.limiter = limiter
        self.injector = injector
        self.market = market
        self.wall_ms = wall_ms

    def now_ms(self) -> int:
        """The wall clock as the exchange has it: signatures and `serverTime`; the market has its own time."""
        return self.wall_ms() + self.injector.skew_ms

    def effects(self, call: Call) -> Effects:
        """What befalls a call; ask once."""
        account = call.session.name if call.session else self.exchange.credentials.name_of(call.key)
        return self.injector.on_request(call.route, account, call.params)

    def answer(self, call: Call, endpoint: Endpoint | None, effects: Effects = NO_EFFECTS) -> Reply:
        """Serve a call; refusals and defects become answers in the exchange's shape."""
        segment = Segment.of(call.path)
        account: str | None = None
        try:
            cost = weight(call.method, call.path)
            self._charge(segment, call, cost.of(call.params), effects)
            if effects.refusal is not None:
                raise effects.refusal
            if endpoint is None:
                raise errors.ApiError(errors.UNKNOWN_ROUTE)
            spec = self._authorise(call, endpoint)
            if spec is not None and cost.orders:
                account = spec.name
                self.limiter.charge_orders(segment, account, cost.orders, self._limit_ms())
            document, status, retry = self._serve(call, endpoint, spec, effects), 200, None
        except errors.ApiError as error:
            document, status, retry = told(error.denial), error.denial.status, error.retry_after_secs
        except Exception:
            log.exception("sandbox exchange: %s failed", call.route)
            document, status, retry = told(errors.INTERNAL), errors.INTERNAL.status, None
        headers = self.limiter.headers(segment, call.ip, account)
        if retry is not None:
            headers["Retry-After"] = str(retry)
        return Reply(document, status, headers, account, retry)

    def before_bar(self, rows: Mapping[str, int], open_ms: int) -> dict[str, int]:
        """A bar is about to be played: late reports go out, market faults happen; returns the rows that trade."""
        for account, event, prefix in self.injector.release():
            self.exchange.hub.publish_held(account, event, prefix)
        return self.market.play(rows, open_ms)

    # --- internals -----------------------------------------------------------------------------------------

    def _limit_ms(self) -> int:
        """The clock that limits are counted on: the market's where they are only told."""
        return self.wall_ms() if self.limiter.enforced else self.exchange.event_time

    def _charge(self, segment: Segment, call: Call, cost: int, effects: Effects) -> None:
        if effects.ban_ms is not None:
            raise self.limiter.ban(call.ip, self.wall_ms(), effects.ban_ms)
        self.limiter.check_ban(call.ip, self.wall_ms())
        self.limiter.charge(segment, call.ip, cost, self._limit_ms())

    def _authorise(self, call: Call, endpoint: Endpoint) -> AccountSpec | None:
        """The account that may do this. Raises ApiError."""
        if endpoint.security is Security.PUBLIC:
            return None
        credentials = self.exchange.credentials
        account = call.session or credentials.identify(call.key)
        if endpoint.security is not Security.KEY:
            credentials.authorise(account, call.payload, call.params, self.now_ms(), signed=call.session is None)
            needed = Permission.READ if call.method == "GET" else Permission.TRADE
            if needed not in account.permissions:
                raise errors.ApiError(errors.UNKNOWN_KEY)
        return account

    def _serve(self, call: Call, endpoint: Endpoint, account: AccountSpec | None, effects: Effects) -> Any:
        if endpoint.security is Security.KEY:
            return endpoint.route(self.exchange, account, call.params, self.now_ms())
        if account is None:
            return self.market.tell(call.path, endpoint.route(self.exchange, call.params), self.injector.skew_ms)
        if endpoint.security is Security.LIMITS:
            return endpoint.route(self.limiter.orders(Segment.of(call.path), account.name, self._limit_ms()))
        self.market.check(call.route, call.params)
        if effects.fill_fraction is not None:
            self.market.fill_part(account.name, call.params, effects.fill_fraction)
        return endpoint.route(self.exchange, account.name, call.params)


def told(denial: errors.Denial) -> dict[str, Any]:
    """A refusal as the exchange writes it."""
    document = {"code": denial.code, "msg": denial.msg}
    return document if denial.data is None else {**document, "data": denial.data}
