"""Websocket order entry: `/ws-fapi/v1` and `/ws-api/v3`. The same endpoints as REST behind the same gateway.

A frame `{"id", "method", "params"}` becomes the call that REST would have made of it, and its reply a frame
`{"id", "status", "result" | "error", "rateLimits"}`. Signed calls carry `apiKey`, `timestamp` and `signature` in their
parameters; the signature covers the others in alphabetical order. After `session.logon` (Ed25519 keys only, as on the
real exchange) a connection need not sign any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web

from include.venues.sandbox import errors
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.faults.injector import Effects, Loss
from include.venues.sandbox.gateway import Call, Endpoint, Gateway, Reply, Security, told
from include.venues.sandbox.http import GATEWAY
from include.venues.sandbox.hub import SPOT
from include.venues.sandbox.streams import Line, opened
from include.venues.sandbox.weights import Segment

ENDPOINTS: web.AppKey[Mapping[str, Endpoint]] = web.AppKey("endpoints", Mapping)
"""REST endpoints by method and path."""
Params = dict[str, str]

USDM_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "ping": "GET /fapi/v1/ping", "time": "GET /fapi/v1/time", "exchangeInfo": "GET /fapi/v1/exchangeInfo",
        "depth": "GET /fapi/v1/depth", "klines": "GET /fapi/v1/klines", "ticker.price": "GET /fapi/v2/ticker/price",
        "ticker.book": "GET /fapi/v1/ticker/bookTicker",
        "order.place": "POST /fapi/v1/order", "order.modify": "PUT /fapi/v1/order",
        "order.cancel": "DELETE /fapi/v1/order", "order.status": "GET /fapi/v1/order",
        "algoOrder.place": "POST /fapi/v1/algoOrder", "algoOrder.cancel": "DELETE /fapi/v1/algoOrder",
        "openOrders.status": "GET /fapi/v1/openOrders", "openOrders.cancelAll": "DELETE /fapi/v1/allOpenOrders",
        "allOrders": "GET /fapi/v1/allOrders", "account.balance": "GET /fapi/v2/balance",
        "v2/account.balance": "GET /fapi/v3/balance", "account.status": "GET /fapi/v2/account",
        "v2/account.status": "GET /fapi/v3/account", "account.position": "GET /fapi/v2/positionRisk",
        "v2/account.position": "GET /fapi/v3/positionRisk",
        "userDataStream.start": "POST /fapi/v1/listenKey", "userDataStream.ping": "PUT /fapi/v1/listenKey",
        "userDataStream.stop": "DELETE /fapi/v1/listenKey",
    }
)  # fmt: skip
SPOT_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "ping": "GET /api/v3/ping", "time": "GET /api/v3/time", "exchangeInfo": "GET /api/v3/exchangeInfo",
        "depth": "GET /api/v3/depth", "trades.recent": "GET /api/v3/trades",
        "trades.historical": "GET /api/v3/historicalTrades", "trades.aggregate": "GET /api/v3/aggTrades",
        "klines": "GET /api/v3/klines", "uiKlines": "GET /api/v3/uiKlines", "avgPrice": "GET /api/v3/avgPrice",
        "ticker.24hr": "GET /api/v3/ticker/24hr", "ticker.price": "GET /api/v3/ticker/price",
        "ticker.book": "GET /api/v3/ticker/bookTicker",
        "order.place": "POST /api/v3/order", "order.test": "POST /api/v3/order/test",
        "order.cancel": "DELETE /api/v3/order", "order.status": "GET /api/v3/order",
        "order.cancelReplace": "POST /api/v3/order/cancelReplace",
        "openOrders.status": "GET /api/v3/openOrders", "openOrders.cancelAll": "DELETE /api/v3/openOrders",
        "allOrders": "GET /api/v3/allOrders", "myTrades": "GET /api/v3/myTrades",
        "account.status": "GET /api/v3/account", "account.rateLimits.orders": "GET /api/v3/rateLimit/order",
        "userDataStream.start": "POST /api/v3/userDataStream", "userDataStream.ping": "PUT /api/v3/userDataStream",
        "userDataStream.stop": "DELETE /api/v3/userDataStream",
    }
)  # fmt: skip
METHODS = {Segment.USDM: USDM_METHODS, Segment.SPOT: SPOT_METHODS}
_SESSION = {
    "session.logon": Security.SIGNED,
    "session.status": Security.PUBLIC,
    "session.logout": Security.PUBLIC,
}
OWN_METHODS: Mapping[Segment, Mapping[str, Security]] = MappingProxyType(
    {
        Segment.USDM: _SESSION,
        Segment.SPOT: {
            **_SESSION,
            "userDataStream.subscribe": Security.SIGNED,
            "userDataStream.subscribe.signature": Security.SIGNED,
            "userDataStream.unsubscribe": Security.PUBLIC,
        },
    }
)
"""Methods that concern the connection itself: no REST route has them."""
PATHS = {Segment.USDM: "/ws-fapi/v1", Segment.SPOT: "/ws-api/v3"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A request frame, read."""

    id: int | str | None
    method: str
    params: Params
    tells_limits: bool


class Session:
    """One connection: its segment and the account that it has logged on to."""

    def __init__(self, gateway: Gateway, endpoints: Mapping[str, Endpoint], segment: Segment, ip: str) -> None:
        self.account: AccountSpec | None = None
        self.listens_to: str | None = None
        """The account whose events the connection has subscribed to."""
        self._since_ms = 0
        self._gateway, self._endpoints, self._segment, self._ip = gateway, endpoints, segment, ip

    def call(self, frame: Frame) -> tuple[Call, Endpoint | None]:
        """The REST call that the frame stands for."""
        own = OWN_METHODS[self._segment].get(frame.method)
        route = METHODS[self._segment].get(frame.method, f"WS {PATHS[self._segment]}/{frame.method}")
        endpoint = self._endpoints.get(route) if own is None else Endpoint(own, self._own_route(frame.method))
        method, _, path = route.partition(" ")
        if endpoint is not None and endpoint.security is not Security.PUBLIC:
            # A key in the frame is what the frame is signed with; without one the session speaks.
            session = self.account if "apiKey" not in frame.params and frame.method != "session.logon" else None
        else:
            session = None
        params = {name: value for name, value in frame.params.items() if name != "apiKey"}
        key, payload = frame.params.get("apiKey"), _payload(frame.params)
        return Call(method, path, params, self._ip, key, payload, session), endpoint

    def answer(self, frame: Frame, call: Call, endpoint: Endpoint | None, effects: Effects) -> bytes:
        """Serve the call and write its frame."""
        return self._write(frame, self._gateway.answer(call, endpoint, effects))

    def _write(self, frame: Frame, reply: Reply) -> bytes:
        document: dict[str, Any] = {"id": frame.id, "status": reply.status}
        if reply.status == 200:
            document["result"] = reply.document
        else:
            document["error"] = dict(reply.document)
            if reply.retry_after_secs is not None:
                now = self._gateway.now_ms()
                document["error"]["data"] = {"serverTime": now, "retryAfter": now + reply.retry_after_secs * 1_000}
        if frame.tells_limits:
            document["rateLimits"] = self._gateway.limiter.usage(self._segment, self._ip, reply.account)
        return orjson.dumps(document)

    # --- methods that concern the connection itself --------------------------------------------------------

    def _own_route(self, method: str) -> Any:
        return {
            "session.logon": self._logon, "session.status": self._status, "session.logout": self._logout,
            "userDataStream.subscribe.signature": self._subscribe, "userDataStream.subscribe": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
        }[method]  # fmt: skip

    def _logon(self, exchange: Any, account: str, params: Params) -> dict[str, Any]:
        spec = exchange.credentials.spec(account)
        if spec.public_key is None:
            raise errors.ApiError(errors.NO_HMAC_SESSION)
        self.account, self._since_ms = spec, self._gateway.now_ms()
        return self._session()

    def _status(self, exchange: Any, params: Params) -> dict[str, Any]:
        return self._session()

    def _logout(self, exchange: Any, params: Params) -> dict[str, Any]:
        self.account = None
        return self._session()

    def _session(self) -> dict[str, Any]:
        account = self.account
        return {
            "apiKey": account.key.get_secret_value() if account else None,
            "authorizedSince": self._since_ms if account else None,
            "connectedSince": self._gateway.now_ms(), "returnRateLimits": True, "serverTime": self._gateway.now_ms(),
        }  # fmt: skip

    def _subscribe(self, exchange: Any, account: str, params: Params) -> dict[str, Any]:
        self.listens_to = account
        return {"subscriptionId": 0}

    def _unsubscribe(self, exchange: Any, params: Params) -> dict[str, Any]:
        self.listens_to = None
        return {}


def routes() -> list[web.RouteDef]:
    return [web.get(path, serve) for path in PATHS.values()]


async def serve(request: web.Request) -> web.StreamResponse:
    """Serve one order-entry connection until the client goes away or the server stops."""
    gateway = request.app[GATEWAY]
    refusal = gateway.injector.on_request(f"GET {request.path}", None, {}).refusal
    if refusal is not None:
        raise refusal
    segment = next(s for s, path in PATHS.items() if path == request.path)
    session = Session(gateway, request.app[ENDPOINTS], segment, request.remote or "")
    prefix = SPOT if segment is Segment.SPOT else ""
    async with opened(request, combined=False, account=None, prefix=prefix) as line, asyncio.TaskGroup() as calls:
        line.connection.wraps_events = True
        try:
            async for text in line.texts():
                await _take(line, session, gateway, text, calls)
        finally:
            line.connection.close()
    return line.socket


async def _take(line: Line, session: Session, gateway: Gateway, text: str, calls: asyncio.TaskGroup) -> None:
    try:
        frame = read_frame(text)
    except errors.ApiError as error:
        line.connection.put(
            orjson.dumps({"id": _id_of(text), "status": error.denial.status, "error": told(error.denial)})
        )
        return
    call, endpoint = session.call(frame)
    effects = gateway.effects(call)
    if effects.delay_ms or effects.loss is not None:
        calls.create_task(_suffer(line, session, frame, call, endpoint, effects))
        return
    line.connection.put(session.answer(frame, call, endpoint, effects))
    line.connection.account = session.listens_to


async def _suffer(
    line: Line, session: Session, frame: Frame, call: Call, endpoint: Endpoint | None, effects: Effects
) -> None:
    """A call whose answer is late or lost; others on the connection go on meanwhile."""
    await asyncio.sleep(effects.delay_ms / 1_000)
    if effects.loss is not Loss.BEFORE:
        told_frame = session.answer(frame, call, endpoint, effects)
        line.connection.account = session.listens_to
        if effects.loss is None:
            line.connection.put(told_frame)
            return
    if effects.answer == "CUT":
        line.connection.cut()
    elif effects.answer == "TELL":
        document = {"id": frame.id, "status": errors.TIMEOUT.status, "error": told(errors.TIMEOUT)}
        line.connection.put(orjson.dumps(document))


# --- frames ------------------------------------------------------------------------------------------------


def read_frame(text: str) -> Frame:
    """Read a request frame. Raises ApiError for anything that is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise errors.ApiError(errors.INVALID_JSON) from None
    if not isinstance(document, dict) or not isinstance(document.get("method"), str):
        raise errors.ApiError(errors.INVALID_JSON)
    number, params = document.get("id"), document.get("params", {})
    if not isinstance(params, dict) or not isinstance(number, int | str | None):
        raise errors.ApiError(errors.INVALID_JSON)
    read = {name: _text(name, value) for name, value in params.items() if value is not None}
    return Frame(number, document["method"], read, read.get("returnRateLimits") != "false")


def _text(name: str, value: Any) -> str:
    """A parameter as REST would carry it. Raises ApiError for what it cannot."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return orjson.dumps(value).decode()
    raise errors.ApiError(errors.illegal(name, "^[A-Za-z0-9._:/-]+$"))


def _payload(params: Params) -> str:
    """What the signature of a frame covers."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


def _id_of(text: str) -> int | str | None:
    """The id of a frame that was refused, where it has a readable one."""
    try:
        number = orjson.loads(text)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    return number if isinstance(number, int | str) else None
