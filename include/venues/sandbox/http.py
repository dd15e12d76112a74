"""The REST shell: requests become calls of the gateway, replies become answers; lost requests stay unanswered.

Route modules make their handlers with `public`, `private`, `keyed` and `about_limits`, and read parameters with the
helpers below.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import signed_payload
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.faults.injector import Effects, Loss
from include.venues.sandbox.gateway import (
    Call,
    Endpoint,
    Gateway,
    KeyedRoute,
    LimitsRoute,
    Params,
    PrivateRoute,
    PublicRoute,
    Reply,
    Security,
    told,
)

log = logging.getLogger(__name__)

EXCHANGE = web.AppKey("exchange", Exchange)
GATEWAY = web.AppKey("gateway", Gateway)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_PARAMETERS = 200
HANG_SECS = 120.0
"""How long a lost answer leaves its client waiting, unless the client gives up before."""

__all__ = [
    "EXCHANGE", "GATEWAY", "Params", "about_limits", "answer", "decimal", "endpoints", "flag", "integer", "keyed",
    "middleware", "page", "private", "public", "wall_ms",
]  # fmt: skip


def wall_ms() -> int:
    """The server's wall clock: signatures and /time only; the market has its own time."""
    return time.time_ns() // 1_000_000


def answer(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


# --- routes ------------------------------------------------------------------------------------------------


def public(route: PublicRoute) -> Handler:
    """A route that needs no key."""
    return partial(_serve, Endpoint(Security.PUBLIC, route))


def private(route: PrivateRoute) -> Handler:
    """A route that needs a key and a signature; it gets the account's name."""
    return partial(_serve, Endpoint(Security.SIGNED, route))


def keyed(route: KeyedRoute) -> Handler:
    """A route that needs a key but no signature (listen keys); it gets the account and the wall clock."""
    return partial(_serve, Endpoint(Security.KEY, route))


def about_limits(route: LimitsRoute) -> Handler:
    """A signed route that tells what the account has used of its order limits."""
    return partial(_serve, Endpoint(Security.LIMITS, route))


def endpoints(routes: Iterable[web.RouteDef]) -> dict[str, Endpoint]:
    """The gateway's endpoints among route definitions, by method and path."""
    return {
        f"{route.method} {route.path}": route.handler.args[0]
        for route in routes
        if isinstance(route.handler, partial) and route.handler.func is _serve
    }


async def _serve(endpoint: Endpoint | None, request: web.Request) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    call = await read_call(request)
    effects = gateway.effects(call)
    if effects.delay_ms:
        await asyncio.sleep(effects.delay_ms / 1_000)
    if effects.loss is Loss.BEFORE:
        return await _lose(request, effects)
    reply = gateway.answer(call, endpoint, effects)
    return await _lose(request, effects) if effects.loss is Loss.AFTER else _write(reply)


async def read_call(request: web.Request) -> Call:
    """A request as the gateway knows it: parameters of query and body, the query's first. Raises ApiError."""
    query = request.rel_url.raw_query_string
    body = _text(await request.read()) if request.can_read_body else ""
    return Call(
        request.method, request.path, _parameters(query, body), request.remote or "",
        request.headers.get("X-MBX-APIKEY"), signed_payload(query, body),
    )  # fmt: skip


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise errors.ApiError(errors.ILLEGAL_REQUEST) from None


def _parameters(query: str, body: str) -> Params:
    params: Params = {}
    for part in (body, query):
        if not part:
            continue
        pairs = _pairs(part)
        found = dict(pairs)
        if len(found) != len(pairs):
            raise errors.ApiError(errors.DUPLICATE_PARAMETER)
        params |= found
    return params


def _pairs(text: str) -> list[tuple[str, str]]:
    """Names and values of a query. Most need no decoding, and are read several times faster than by the library."""
    if not text.isascii() or "%" in text or "+" in text:
        try:
            return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise errors.ApiError(errors.TOO_LONG_REQUEST) from None
    parts = text.split("&")
    if len(parts) > MAX_PARAMETERS:
        raise errors.ApiError(errors.TOO_LONG_REQUEST)
    return [(name, value) for name, _, value in (part.partition("=") for part in parts if part)]


def _write(reply: Reply) -> web.Response:
    return web.Response(
        body=orjson.dumps(reply.document), status=reply.status, headers=reply.headers, content_type="application/json"
    )


async def _lose(request: web.Request, effects: Effects) -> web.StreamResponse:
    """What a client sees whose request or answer is lost."""
    lost = answer(told(errors.TIMEOUT), errors.TIMEOUT.status)
    if effects.answer == "TELL":
        return lost
    if effects.answer == "HANG":
        await _gone(request)
    if request.transport is not None:
        request.transport.abort()
    return lost  # the line is dead: nobody reads it


async def _gone(request: web.Request) -> None:
    """Wait until the client has given up, at most HANG_SECS."""
    deadline = time.monotonic() + HANG_SECS
    while request.transport is not None and not request.transport.is_closing() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


# --- parameters --------------------------------------------------------------------------------------------


def integer(params: Params, name: str, default: int | None = None) -> int | None:
    """Raises ApiError when the parameter is there and not a whole number of at most 19 digits."""
    raw = params.get(name)
    if raw is None or raw == "":
        return default
    digits = raw[1:] if raw[0] == "-" else raw
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise errors.ApiError(errors.missing(name))
    return int(raw)


def decimal(params: Params, name: str) -> Decimal:
    """Raises ApiError when the parameter is missing or not a finite number of at most 40 characters."""
    raw = params.get(name, "")
    try:
        value = Decimal(raw) if len(raw) <= 40 else Decimal("NaN")
    except InvalidOperation:
        raise errors.ApiError(errors.missing(name)) from None
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise errors.ApiError(errors.missing(name))
    return value


def flag(params: Params, name: str) -> bool:
    return params.get(name, "false").lower() == "true"


def page(params: Params, default: int = 500, most: int = 1_000) -> int:
    """How many rows an answer may hold."""
    return max(1, min(integer(params, "limit", default) or default, most))


# --- middleware --------------------------------------------------------------------------------------------


def middleware() -> Middleware:
    """Whatever goes wrong before or beside a route is told in the exchange's shape too."""

    @web.middleware
    async def wrap(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            try:
                return await handler(request)
            except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
                return await _serve(None, request)
        except errors.ApiError as error:
            denial = error.denial
        except web.HTTPRequestEntityTooLarge:
            denial = errors.TOO_LONG_REQUEST
        except web.HTTPException:
            denial = errors.ILLEGAL_REQUEST
        except Exception:
            log.exception("sandbox exchange: %s %s failed", request.method, request.path)
            denial = errors.INTERNAL
        return answer(told(denial), denial.status)

    return wrap
