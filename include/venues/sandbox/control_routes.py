"""The sandbox's own routes: stepping a lockstep replay, and looking inside.

They carry no key: they exist on loopback only, beside a market that is not real.
"""

from __future__ import annotations

from aiohttp import web

from include.venues.sandbox.clock import Clock
from include.venues.sandbox.http import EXCHANGE, answer

CLOCK = web.AppKey("clock", Clock)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/sandbox/v1/advance", advance),
        web.get("/sandbox/v1/status", status),
        web.get("/sandbox/v1/state", state),
    ]


async def advance(request: web.Request) -> web.StreamResponse:
    """Move a lockstep replay by one step. 409 when the clock runs by itself."""
    exchange = request.app[EXCHANGE]
    if not request.app[CLOCK].is_lockstep:
        return answer({"error": "this exchange's clock runs by itself; start it with --speed step"}, 409)
    exchange.advance()
    return answer(exchange.status())


async def status(request: web.Request) -> web.StreamResponse:
    return answer(request.app[EXCHANGE].status())


async def state(request: web.Request) -> web.StreamResponse:
    return answer(request.app[EXCHANGE].state())
