"""The double of Bybit over HTTP and websockets, on loopback: signatures, envelopes, subscriptions."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from tests.adapters.bybit_exchange import BybitExchange, Client, RefusedError


def _answer(result: Any, code: int = 0, message: str = "OK", at: int | None = None) -> web.Response:
    now = int(time.time() * 1000) if at is None else at
    document = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now}
    headers = {
        "X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "9", "X-Bapi-Limit-Reset-Timestamp": str(now - 1),
    }  # fmt: skip
    return web.Response(body=orjson.dumps(document), content_type="application/json", headers=headers)


def build_app(exchange: BybitExchange) -> web.Application:
    """All routes of the double."""
    app = web.Application()

    def public(read: Any, *, market_time: bool = False) -> Any:
        async def handle(request: web.Request) -> web.Response:
            return _answer(read(dict(request.query)), at=exchange.now_ms if market_time else None)

        return handle

    def private(read: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            body = await request.text() if request.method == "POST" else ""
            payload = body or request.rel_url.raw_query_string
            client = exchange.clients.get(request.headers.get("X-BAPI-API-KEY", ""))
            signed = request.headers.get("X-BAPI-TIMESTAMP", "") + request.headers.get("X-BAPI-API-KEY", "")
            signed += request.headers.get("X-BAPI-RECV-WINDOW", "") + payload
            if client is None:
                return _answer({}, 10003, "API key is invalid.")
            if request.headers.get("X-BAPI-SIGN") != _sign(client.secret, signed):
                return _answer({}, 10004, "Error sign, please check your signature generation algorithm.")
            try:
                if request.method == "POST":
                    return _answer(await read(client, orjson.loads(body)))
                return _answer(read(client, dict(request.query)))
            except RefusedError as error:
                return _answer({}, error.code, str(error))

        return handle

    def user_info(client: Client, params: Mapping[str, str]) -> Any:
        return {"readOnly": 0, "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": []}, "uta": 1}

    async def one_way(client: Client, body: Mapping[str, Any]) -> Any:
        return {}

    async def advance(request: web.Request) -> web.Response:
        await exchange.advance()
        return await status(request)

    async def status(request: web.Request) -> web.Response:
        return web.json_response({"done": False, "progress": 0.0, "sent": exchange.sent})

    app.add_routes(
        [
            web.get("/v5/market/time", public(lambda params: {"timeSecond": "0"})),
            web.get("/v5/market/instruments-info", public(exchange.instruments_info)),
            web.get("/v5/market/tickers", public(exchange.tickers, market_time=True)),
            web.get("/v5/market/kline", public(exchange.klines)),
            web.get("/v5/user/query-api", private(user_info)),
            web.get("/v5/account/info", private(exchange.account_info)),
            web.get("/v5/account/fee-rate", private(exchange.fee_rate)),
            web.get("/v5/account/wallet-balance", private(exchange.wallet)),
            web.get("/v5/position/list", private(exchange.position_list)),
            web.get("/v5/order/realtime", private(exchange.realtime)),
            web.get("/v5/order/history", private(exchange.order_history)),
            web.get("/v5/execution/list", private(exchange.executions)),
            web.post("/v5/order/create", private(exchange.create)),
            web.post("/v5/order/cancel", private(exchange.cancel)),
            web.post("/v5/position/set-leverage", private(exchange.set_leverage)),
            web.post("/v5/position/switch-mode", private(one_way)),
            web.post("/v5/account/set-margin-mode", private(exchange.set_margin_mode)),
            web.get("/v5/public/linear", lambda request: _serve_market(exchange, request)),
            web.get("/v5/private", lambda request: _serve_user(exchange, request)),
            web.post("/sandbox/v1/advance", advance),
            web.get("/sandbox/v1/status", status),
        ]
    )
    return app


async def _serve_market(exchange: BybitExchange, request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    exchange.market_sockets[socket] = set()
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                command = orjson.loads(message.data)
                exchange.market_sockets[socket] |= set(command.get("args", []))
                await _confirm(socket, command)
    finally:
        del exchange.market_sockets[socket]
    return socket


async def _serve_user(exchange: BybitExchange, request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    client: Client | None = None
    try:
        async for message in socket:
            command = orjson.loads(message.data)
            if command["op"] == "auth":
                key, expires, signature = command["args"]
                client = exchange.clients.get(key)
                if client is None or _sign(client.secret, f"GET/realtime{expires}") != signature:
                    await socket.send_str('{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"1"}')
                    return socket
                client.sockets.add(socket)
            elif client is not None and command["op"] == "subscribe":
                client.topics |= set(command["args"])
            await _confirm(socket, command)
    finally:
        if client is not None:
            client.sockets.discard(socket)
    return socket


async def _confirm(socket: web.WebSocketResponse, command: Mapping[str, Any]) -> None:
    answer = {"success": True, "ret_msg": "", "conn_id": "1", "op": command["op"]}
    await socket.send_str(
        orjson.dumps(answer | ({"req_id": command["req_id"]} if "req_id" in command else {})).decode()
    )


def _sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@asynccontextmanager
async def serving(exchange: BybitExchange) -> AsyncIterator[str]:
    """The double on a free loopback port; yields its address."""
    runner = web.AppRunner(build_app(exchange), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await asyncio.wait_for(runner.cleanup(), 5)
