"""Websocket doors: market streams by SUBSCRIBE or by address, user streams by listen key.

Served addresses, as the real exchange has them and as ccxt rewrites them: `/ws`, `/ws/<stream or listen key>`,
`/stream?streams=a/b`, and the same under `/public`, `/market` and `/private`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import EXCHANGE
from include.venues.sandbox.hub import Connection

INVALID_REQUEST = {"code": 2, "msg": "Invalid request: invalid stream"}
MAX_STREAMS = 200


class Sockets:
    """Open websockets, so that a stopping server can close them."""

    def __init__(self) -> None:
        self.open: set[web.WebSocketResponse] = set()


SOCKETS = web.AppKey("sockets", Sockets)


def routes() -> list[web.RouteDef]:
    paths = []
    for prefix in ("", "/{category:public|market|private}"):
        paths += [f"{prefix}/ws", f"{prefix}/ws/{{name:.*}}", f"{prefix}/stream"]
    return [web.get(path, serve) for path in paths]


async def serve(request: web.Request) -> web.StreamResponse:
    """Serve one websocket until the client goes away or the server stops."""
    exchange = request.app[EXCHANGE]
    names = [name for name in request.query.get("streams", "").split("/") if name]
    names += [request.match_info["name"]] if request.match_info.get("name") else []
    listen_key = request.query.get("listenKey") or next((n for n in names if exchange.credentials.account_of(n)), "")
    account = exchange.credentials.account_of(listen_key)
    if request.query.get("listenKey") and account is None:
        return web.json_response({"code": -1125, "msg": "This listenKey does not exist."}, status=400)
    # Compression costs more than it saves on loopback, and a client offers it rather than needs it.
    socket = web.WebSocketResponse(compress=False, heartbeat=None)
    await socket.prepare(request)

    async def send(payload: bytes) -> None:
        await socket.send_frame(payload, WSMsgType.TEXT)

    combined = request.path.endswith("/stream")
    connection = Connection(send, combined=combined, account=account)
    request.app[SOCKETS].open.add(socket)
    exchange.hub.add(connection)
    exchange.hub.subscribe(connection, [name for name in names if "@" in name])
    writer = asyncio.create_task(connection.write_forever())
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                connection.put(orjson.dumps(_command(exchange, connection, message.data)))
    finally:
        request.app[SOCKETS].open.discard(socket)
        exchange.hub.remove(connection)
        await writer
    return socket


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
    if method == "SUBSCRIBE" and len(connection.streams | set(names)) <= MAX_STREAMS:
        exchange.hub.subscribe(connection, names)
    elif method == "UNSUBSCRIBE":
        connection.streams.difference_update(names)
    elif method == "LIST_SUBSCRIPTIONS":
        return {"result": sorted(connection.streams), "id": number}
    else:
        return {"error": INVALID_REQUEST, "id": number}
    return {"result": None, "id": number}
