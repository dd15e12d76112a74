"""What every REST route shares: parameters, answers, refusals in the exchange's shape, usage headers."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import AccountSpec, signed_payload
from include.venues.sandbox.exchange import Exchange

log = logging.getLogger(__name__)

EXCHANGE = web.AppKey("exchange", Exchange)
Params = dict[str, str]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PublicRoute = Callable[[Exchange, Params], Any]
PrivateRoute = Callable[[Exchange, str, Params], Any]


def wall_ms() -> int:
    """The server's wall clock: signatures and /time only; the market has its own time."""
    return time.time_ns() // 1_000_000


def answer(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def public(route: PublicRoute) -> Handler:
    """A route that needs no key."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(route(request.app[EXCHANGE], dict(request.query)))

    return handle


def private(route: PrivateRoute) -> Handler:
    """A route that needs a key and a signature; it gets the account's name."""

    async def handle(request: web.Request) -> web.StreamResponse:
        exchange = request.app[EXCHANGE]
        account, params, payload = await _authenticate(request, exchange)
        exchange.credentials.verify(account, payload, params, wall_ms())
        return answer(route(exchange, account.name, params))

    return handle


def keyed(route: Callable[[Exchange, AccountSpec], Any]) -> Handler:
    """A route that needs a key but no signature (listen keys)."""

    async def handle(request: web.Request) -> web.StreamResponse:
        exchange = request.app[EXCHANGE]
        account, _, _ = await _authenticate(request, exchange)
        return answer(route(exchange, account))

    return handle


async def _authenticate(request: web.Request, exchange: Exchange) -> tuple[AccountSpec, Params, str]:
    """Account, parameters of query and body together, and the text that the signature covers."""
    account = exchange.credentials.identify(request.headers.get("X-MBX-APIKEY"))
    body = await request.text() if request.can_read_body else ""
    params = {**dict(request.query), **dict(parse_qsl(body, keep_blank_values=True))}
    return account, params, signed_payload(request.rel_url.raw_query_string, body)


# --- parameters --------------------------------------------------------------------------------------------


def integer(params: Params, name: str, default: int | None = None) -> int | None:
    """Raises ApiError when the parameter is there and not a whole number."""
    raw = params.get(name)
    if raw is None or raw == "":
        return default
    try:
        return int(raw)
    except ValueError:
        raise errors.ApiError(errors.missing(name)) from None


def decimal(params: Params, name: str) -> Decimal:
    """Raises ApiError when the parameter is missing or not a finite number."""
    try:
        value = Decimal(params[name])
    except (KeyError, InvalidOperation):
        raise errors.ApiError(errors.missing(name)) from None
    if not value.is_finite():
        raise errors.ApiError(errors.missing(name))
    return value


def flag(params: Params, name: str) -> bool:
    return params.get(name, "false").lower() == "true"


def page(params: Params, default: int = 500, most: int = 1_000) -> int:
    """How many rows an answer may hold."""
    return max(1, min(integer(params, "limit", default) or default, most))


# --- middleware --------------------------------------------------------------------------------------------


class Usage:
    """Requests and orders of the last minute, for the headers. Told, not enforced: a replay may be faster than life."""

    def __init__(self) -> None:
        self._requests: deque[float] = deque()
        self._orders: deque[float] = deque()

    def note(self, path: str, method: str) -> None:
        now = time.monotonic()
        self._requests.append(now)
        if method == "POST" and path.endswith(("/order", "/algoOrder")):
            self._orders.append(now)
        for times in (self._requests, self._orders):
            while times and times[0] < now - 60:
                times.popleft()

    def headers(self) -> dict[str, str]:
        recent = time.monotonic() - 10
        return {
            "X-MBX-USED-WEIGHT-1M": str(len(self._requests)),
            "X-MBX-ORDER-COUNT-1M": str(len(self._orders)),
            "X-MBX-ORDER-COUNT-10S": str(sum(1 for at in self._orders if at >= recent)),
        }


def middleware() -> Middleware:
    """Refusals as JSON, usage headers on every REST answer."""
    usage = Usage()

    @web.middleware
    async def wrap(request: web.Request, handler: Handler) -> web.StreamResponse:
        usage.note(request.path, request.method)
        try:
            response = await handler(request)
        except errors.ApiError as error:
            response = _refusal(error.denial)
        except web.HTTPException as error:
            response = _refusal(errors.UNKNOWN_ROUTE) if error.status in {404, 405} else error
        except Exception:
            log.exception("sandbox exchange: %s %s failed", request.method, request.path)
            response = _refusal(errors.INTERNAL)
        if not response.prepared:
            response.headers.update(usage.headers())
        return response

    return wrap


def _refusal(denial: errors.Denial) -> web.Response:
    return answer({"code": denial.code, "msg": denial.msg}, denial.status)
