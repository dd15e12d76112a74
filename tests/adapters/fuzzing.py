"""Seeded nonsense for an exchange: requests, bodies, headers and frames from almost right to not HTTP at all.

Every answer that comes has to have the exchange's shape, and the exchange has to be there afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.server import rest_routes
from include.venues.sandbox.weights import Segment
from include.venues.sandbox.ws_api import METHODS

NAMES = (
    "symbol", "side", "type", "quantity", "price", "stopPrice", "timeInForce", "newClientOrderId", "origClientOrderId",
    "orderId", "limit", "startTime", "endTime", "fromId", "interval", "leverage", "marginType", "positionSide",
    "reduceOnly", "closePosition", "recvWindow", "timestamp", "signature", "triggerPrice", "algoType", "clientAlgoId",
    "dualSidePosition", "listenKey", "symbols", "batchOrders", "activationPrice", "callbackRate", "amount",
    "countdownTime",
)  # fmt: skip
GOOD = {
    "symbol": ("BTCUSDT", "ETHUSDT"), "side": ("BUY", "SELL"), "type": ("MARKET", "LIMIT", "STOP_MARKET", "STOP"),
    "quantity": ("1", "0.001", "3.5"), "price": ("100.0", "1", "250.5"), "timeInForce": ("GTC", "IOC", "GTX", "FOK"),
    "interval": ("1m", "5m", "1h"), "limit": ("5", "500"), "positionSide": ("BOTH", "LONG", "SHORT"),
    "algoType": ("CONDITIONAL",), "triggerPrice": ("90.0",), "reduceOnly": ("true", "false"), "leverage": ("5",),
}  # fmt: skip
ODD = (
    "", " ", "0", "-1", "1e400", "-1e-400", "NaN", "Infinity", "-0", "1_000", "\u0661\u0662", "\u00e9", "\U0001f4a5",
    "null", "true", "[]", "{}", "[1,2", "'; DROP TABLE orders;--", "../../etc/passwd", "%00", "\x00", "\r\nX-Evil: 1",
    "9" * 40, "0." + "0" * 50 + "1", "A" * 3_000, "BTCUSDT\u200b", "btcusdt", "0x10", "1e5", "+1", "1.", ".1", "1,5",
    "-9223372036854775809",
)  # fmt: skip
SHAPES = 6
PATIENCE_SECS = 0.5
"""A request that promises more than it sends is waited for, and rightly gets no answer."""


@dataclass(slots=True)
class Findings:
    """What came back: how often each status, and every answer that does not have the exchange's shape."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def take(self, what: str, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        problem = shape_problem(status, body)
        if problem:
            self.wrong.append(f"{what[:300]!r}: {status} {problem}: {body[:200]!r}")


def shape_problem(status: int, body: bytes) -> str | None:
    """What is wrong with a REST answer; None when it is one that the exchange could have given."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "not JSON"
    if status == 200:
        return None
    if status == 500:
        return "an internal error"
    if not isinstance(document, dict) or set(document) != {"code", "msg"}:
        return "not an error of the exchange"
    if not isinstance(document["code"], int) or not isinstance(document["msg"], str):
        return "code or msg of the wrong type"
    return None


class Fuzzer:
    """Makes requests from a seed."""

    def __init__(self, seed: int, account: AccountSpec) -> None:
        self.random = random.Random(seed)
        self._account = account
        self._routes = [(r.method, r.path) for r in rest_routes() if not r.path.startswith("/sandbox/")]

    def value(self, name: str) -> str:
        kind = self.random.random()
        if kind < 0.6 and name in GOOD:
            return self.random.choice(GOOD[name])
        if kind < 0.9:
            return self.random.choice(ODD)
        return "".join(chr(self.random.choice((self.random.randrange(1, 128), self.random.randrange(1, 0xD7FF))))
                       for _ in range(self.random.randrange(12)))  # fmt: skip

    def params(self) -> list[tuple[str, str]]:
        names = self.random.sample(NAMES, self.random.randrange(10))
        names += [name for name in ("symbol", "side", "type", "quantity", "price") if self.random.random() < 0.6]
        return [(name, self.value(name)) for name in names]

    def query(self, *, signed: bool) -> str:
        pairs = self.params()
        if signed:
            pairs = [(n, v) for n, v in dict(pairs).items() if n not in ("timestamp", "signature", "recvWindow")]
            pairs.append(("timestamp", str(time.time_ns() // 1_000_000)))
        text = "&".join(f"{n}={quote(v, safe='')}" for n, v in pairs)
        if signed:
            secret = self._account.secret.get_secret_value().encode()
            text += f"&signature={hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()}"
        return text

    def request(self) -> bytes:
        """One HTTP request, as bytes."""
        shape = self.random.randrange(SHAPES + 4)
        if shape == 0:
            return self.random.randbytes(self.random.randrange(1, 200)) + b"\r\n\r\n"
        method, path = self.random.choice(self._routes)
        if shape == 1:
            path = self.random.choice(
                ["/", "//", "/fapi", "/fapi/v9/order", "/api/v3/%ff", "/ws", "/stream", "/ws-fapi/v1"]
            )
        if shape == 2:
            method = self.random.choice(["PATCH", "OPTIONS", "HEAD", "TRACE", "G\xcbT", "get", "A" * 50])
        query = self.query(signed=shape > 4)
        body = b""
        if method != "GET" and self.random.random() < 0.5:
            query, body = "", query.encode()
        if shape == 3:
            body = self.random.randbytes(self.random.randrange(300))
        length = len(body) if self.random.random() < 0.97 else self.random.choice(["x", "-1", "1_0"])
        head = [f"{method} {path}{'?' + query if query else ''} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
        if self.random.random() < 0.9:
            head.append(f"X-MBX-APIKEY: {self._account.key.get_secret_value()}")
        if shape == 4:
            charset = self.random.choice(["nonsense", "utf-16", "\u00fc"])
            typed = [f"Content-Type: text/x; charset={charset}", "Content-Type: multipart/form-data"]
            broken = ["Broken", "Expect: 100-continue", "Transfer-Encoding: chunked", "X: " + "y" * 9_000]
            head.append(self.random.choice(typed + broken))
        head.append("Connection: close")
        return "\r\n".join(head).encode("utf-8", "replace") + b"\r\n\r\n" + body

    def frame(self, segment: Segment) -> str | bytes:
        """One websocket frame."""
        shape = self.random.randrange(6)
        if shape == 0:
            return self.random.choice(["", "{", "null", "[]", "1", '"x"', "{}", '{"id":{}}', '{"method":1}', "[" * 500])
        if shape == 1:
            return self.random.randbytes(50)
        method = self.random.choice([*METHODS[segment], "session.logon", "session.status", "session.logout", "no.such",
                                     "userDataStream.subscribe.signature", "userDataStream.unsubscribe"])  # fmt: skip
        params: dict[str, Any] = dict(self.params())
        for name in list(params):
            if self.random.random() < 0.15:
                params[name] = self.random.choice([1, 0.1, -5, True, None, [], {}, ["a"], 10**30, [[1]], float(2**70)])
        if shape > 3:
            params |= {"apiKey": self._account.key.get_secret_value(), "timestamp": time.time_ns() // 1_000_000}
            payload = "&".join(
                f"{k}={_text(params[k])}" for k in sorted(params) if params[k] is not None and k != "signature"
            )
            secret = self._account.secret.get_secret_value().encode()
            params["signature"] = hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()
        number: Any = self.random.choice([1, "x", None, -1, "A" * 40, 1.5, True, [], {"a": 1}])
        return _json(
            {"id": number, "method": method, "params": self.random.choice([params, params, params, [params], None])}
        )


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _json(document: Any) -> str:
    import json

    return json.dumps(document)


async def fuzz_rest(url: str, fuzzer: Fuzzer, count: int) -> Findings:
    """Send `count` requests, each on a connection of its own."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    findings = Findings()
    for _ in range(count):
        raw = fuzzer.request()
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(raw)
            reply = await asyncio.wait_for(reader.read(), PATIENCE_SECS)
        except (ConnectionError, TimeoutError):
            reply = b""
        finally:
            writer.close()
        head, _, body = reply.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        if head and not raw.startswith(b"HEAD "):
            findings.take(raw.decode("utf-8", "replace"), int(head.split(b" ", 2)[1]), _whole(head, body))
    return findings


def _whole(head: bytes, body: bytes) -> bytes:
    """The first answer's body; nonsense may have been read as several requests."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return body[: int(line.partition(b":")[2])]
    return body


async def fuzz_frames(url: str, fuzzer: Fuzzer, segment: Segment, path: str, count: int) -> Findings:
    """Send `count` frames over one order-entry connection; text frames are all answered, in order."""
    findings = Findings()
    async with aiohttp.ClientSession() as session, session.ws_connect(url + path) as socket:
        for _ in range(count):
            frame = fuzzer.frame(segment)
            if isinstance(frame, bytes):
                await socket.send_bytes(frame)
                continue
            await socket.send_str(frame)
            while True:
                reply = await asyncio.wait_for(socket.receive_json(), 10)
                if "event" not in reply:
                    break
            findings.take(frame, reply["status"], orjson.dumps(reply.get("error", reply.get("result"))))
    return findings
