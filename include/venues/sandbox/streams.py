"""Websocket doors: market streams by SUBSCRIBE or by address, user streams by listen key.

Served addresses, as the real exchange has them and as ccxt rewrites them: `/ws`, `/ws/<stream or listen key>`,
`/stream?streams=a/b`, and the same under `/public`, `/market` and `/private`. Spot streams are the same under
`/streams/spot`; a bare `/ws/<number>` is spot too, because that is how ccxt numbers its spot connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from include.venues.sandbox import errors
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.gateway import told
from include.venues.sandbox.http import EXCHANGE, GATEWAY, answer, wall_ms
from include.venues.sandbox.hub import SPOT, Connection
from include.venues.sandbox.limits import MOST_MESSAGES_A_SEC, Window
from include.venues.sandbox.weights import Segment

INVALID_REQUEST = {"code": 2, "msg": "Invalid request: invalid stream"}
MAX_STREAMS = 200
MAX_MESSAGE_BYTES = 1 << 20
SPOT_PATH = "/streams/spot"


class Sockets:
    """Open websockets, so that a stopping server can close them."""

    def __init__(self) -> None:
        self.open: set[web.WebSocketResponse] = set()


SOCKETS = web.AppKey("sockets", Sockets)


def routes() -> list[web.RouteDef]:
    paths = []
    for prefix in ("", "/{category:public|market|private}", SPOT_PATH):
        paths += [f"{prefix}/ws", f"{prefix}/ws/{{name:.*}}", f"{prefix}/stream"]
    return [web.get(path, serve) for path in paths]


async def serve(request: web.Request) -> web.StreamResponse:
    """Serve one websocket until the client goes away or the server stops."""
    exchange = request.app[EXCHANGE]
    names = [name for name in request.query.get("streams", "").split("/") if name]
    names += [request.match_info["name"]] if request.match_info.get("name") else []
    listen_key = request.query.get("listenKey") or next((n for n in names if exchange.credentials.owner_of(n)), "")
    account, segment = exchange.credentials.owner_of(listen_key) or (None, None)
    effects = request.app[GATEWAY].injector.on_request(f"GET {request.path}", account, {})
    refusal = effects.refusal.denial if effects.refusal else None
    if request.query.get("listenKey") and account is None:
        refusal = errors.INVALID_LISTEN_KEY
    if refusal is not None:
        return answer(told(refusal), refusal.status)
    prefix = SPOT if segment is Segment.SPOT or _is_spot(request) else ""
    most = request.app[GATEWAY].limiter.messages_a_sec(Segment.SPOT if prefix else Segment.USDM)
    combined = request.path.endswith("/stream")
    async with opened(request, combined=combined, account=account, prefix=prefix, messages_a_sec=most) as line:
        exchange.hub.subscribe(line.connection, [name for name in names if "@" in name or name.startswith("!")])
        async for text in line.texts():
            line.connection.put(orjson.dumps(_command(exchange, line.connection, text)))
    return line.socket


class Line:
    """One open websocket and its place in the hub."""

    def __init__(self, socket: web.WebSocketResponse, connection: Connection, messages_a_sec: int) -> None:
        self.socket = socket
        self.connection = connection
        self._messages_a_sec = messages_a_sec

    async def texts(self) -> AsyncIterator[str]:
        """Text messages as they come; ends with the connection, or when the client sends too many a second."""
        budget = Window(1_000)
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                used = budget.at(wall_ms())
                used["messages"] += 1
                if used["messages"] > self._messages_a_sec:
                    await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                    return
                yield message.data


@asynccontextmanager
async def opened(
    request: web.Request,
    *,
    combined: bool,
    account: str | None,
    prefix: str = "",
    messages_a_sec: int = MOST_MESSAGES_A_SEC,
) -> AsyncIterator[Line]:
    """Accept a websocket, give it a place in the hub and a writer, and take both away in the end."""
    # Compression costs more than it saves on loopback, and a client offers it rather than needs it.
    socket = web.WebSocketResponse(compress=False, heartbeat=None, max_msg_size=MAX_MESSAGE_BYTES)
    await socket.prepare(request)

    async def send(payload: bytes) -> None:
        await socket.send_frame(payload, WSMsgType.TEXT)

    hub = request.app[EXCHANGE].hub
    connection = Connection(send, combined=combined, account=account, prefix=prefix)
    connection.on_cut = lambda: request.transport.abort() if request.transport is not None else None
    request.app[SOCKETS].open.add(socket)
    hub.add(connection)
    writer = asyncio.create_task(connection.write_forever())
    try:
        yield Line(socket, connection, messages_a_sec)
    finally:
        request.app[SOCKETS].open.discard(socket)
        hub.remove(connection)
        await writer


def _is_spot(request: web.Request) -> bool:
    is_bare = "category" not in request.match_info
    return request.path.startswith(SPOT_PATH) or (is_bare and request.match_info.get("name", "").isdecimal())


async def hang_up(app: web.Application) -> None:
    """Close every websocket: what a stopping server owes its clients."""
    for socket in list(app[SOCKETS].open):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"sandbox exchange stops")


def _command(exchange: Exchange, connection: Connection, text: str) -> dict[str, Any]:
    """Answer SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS; anything else is refused in the stream's own shape."""
    try:
        command = orjson.loads(text)
        method, names, number = command["method"], command.get("params", []), command.get("id")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("params must be a list of stream names")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {"error": INVALID_REQUEST, "id": None}
    if not isinstance(number, int | str | None):
        return {"error": INVALID_REQUEST, "id": None}
    wanted = {connection.prefix + name for name in names}
    if method == "SUBSCRIBE" and len(connection.streams | wanted) <= MAX_STREAMS:
        exchange.hub.subscribe(connection, names)
    elif method == "UNSUBSCRIBE":
        exchange.hub.unsubscribe(connection, names)
    elif method == "LIST_SUBSCRIPTIONS":
        return {"result": sorted(name.removeprefix(connection.prefix) for name in connection.streams), "id": number}
    else:
        return {"error": INVALID_REQUEST, "id": number}
    return {"result": None, "id": number}
