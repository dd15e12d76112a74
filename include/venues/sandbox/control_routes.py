"""The sandbox's own routes: stepping a lockstep replay, faults, snapshots, and looking inside.

They carry no key, cost no weight and suffer no fault: they exist on loopback only, beside a market that is not real.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from include.domain.errors import AirlockError
from include.venues.sandbox.clock import Clock
from include.venues.sandbox.faults.plan import check_names, read_plan
from include.venues.sandbox.http import EXCHANGE, GATEWAY, answer
from include.venues.sandbox.hub import SPOT, USDM
from include.venues.sandbox.snapshots import save
from include.venues.sandbox.weights import Segment

SIDES = {Segment.USDM.value: USDM, Segment.SPOT.value: SPOT}
CLOCK = web.AppKey("clock", Clock)
STATE = web.AppKey("state", Path)
"""Where snapshots go; the application has none when the exchange was started without --state."""


def routes() -> list[web.RouteDef]:
    return [
        web.post("/sandbox/v1/advance", advance),
        web.get("/sandbox/v1/status", status),
        web.get("/sandbox/v1/state", state),
        web.post("/sandbox/v1/faults", add_faults),
        web.get("/sandbox/v1/faults", list_faults),
        web.delete("/sandbox/v1/faults", clear_faults),
        web.post("/sandbox/v1/snapshot", snapshot),
    ]


async def advance(request: web.Request) -> web.StreamResponse:
    """Move a lockstep replay by one step. 409 when the clock runs by itself."""
    exchange = request.app[EXCHANGE]
    if not request.app[CLOCK].is_lockstep:
        return answer({"error": "this exchange's clock runs by itself; start it with --speed step"}, 409)
    exchange.advance()
    return await status(request)


async def status(request: web.Request) -> web.StreamResponse:
    """Where the replay is. `sent` counts what concerns the caller: see `_sent_to`."""
    exchange = request.app[EXCHANGE]
    return answer({**exchange.status(), "sent": _sent_to(request)})


def _sent_to(request: web.Request) -> dict[str, int]:
    """Events sent: of the account whose key the request carries, of the `streams` it names; else of all. One that names
    its `segment` is counted the user events of that side only, and none without a key."""
    exchange = request.app[EXCHANGE]
    streams = request.query.get("streams")
    account = exchange.credentials.name_of(request.headers.get("X-MBX-APIKEY"))
    side = SIDES.get(request.query.get("segment", "").upper())
    return exchange.hub.sent_to(streams.split("/") if streams else None, account, side)


async def state(request: web.Request) -> web.StreamResponse:
    return answer(request.app[EXCHANGE].state())


async def add_faults(request: web.Request) -> web.StreamResponse:
    """Arm a plan `{"seed": .., "faults": [..]}` beside those that are armed. 400 names what is wrong with it."""
    try:
        plan = read_plan(orjson.loads(await request.read()), "fault plan")
        check_names(plan, request.app[EXCHANGE].by_id, request.app[EXCHANGE].accounts)
    except orjson.JSONDecodeError as error:
        return answer({"error": f"fault plan: not JSON: {error}"}, 400)
    except AirlockError as error:
        return answer({"error": str(error)}, 400)
    request.app[GATEWAY].injector.add(plan)
    return await list_faults(request)


async def list_faults(request: web.Request) -> web.StreamResponse:
    return answer({"faults": request.app[GATEWAY].injector.report()})


async def clear_faults(request: web.Request) -> web.StreamResponse:
    request.app[GATEWAY].injector.clear()
    return await list_faults(request)


async def snapshot(request: web.Request) -> web.StreamResponse:
    """Write the exchange's state to its file; 409 when it was started without one."""
    path: Any = request.app.get(STATE)
    if path is None:
        return answer({"error": "no place for a snapshot; start the exchange with --state FILE"}, 409)
    try:
        return answer(save(request.app[GATEWAY], path))
    except AirlockError as error:
        return answer({"error": str(error)}, 500)
