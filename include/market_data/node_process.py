"""The data node as a process: binds its port, says where it is, serves until it is told to stop."""

from __future__ import annotations

import errno
import ipaddress
import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from fastapi import FastAPI

from include.domain.errors import ConfigurationError

log = logging.getLogger(__name__)

MAX_REQUESTS = 32
"""Served at once; more are told to come back (503)."""
STOP_SECS = 5
"""How long a stream may go on after the node was told to stop."""
_LOGGED = frozenset({"symbol", "timeframe", "from", "to", "venue", "format"})


def require_safe_address(host: str, *, token: bool) -> None:
    """Refuse to show a lake to a network without asking for a token.

    Raises:
        ConfigurationError: `host` is not loopback and there is no token.
    """
    if not token and not _is_loopback(host):
        raise ConfigurationError(
            f"--host {host} is reachable from other machines: set AIRLOCK_NODE_TOKEN, or listen on 127.0.0.1"
        )


def serve(app: FastAPI, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the base address once requests are accepted.

    Raises:
        ConfigurationError: the port is taken or may not be bound.
    """
    listener = _bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        AccessLog(app), log_config=None, access_log=False, server_header=False, lifespan="off",
        limit_concurrency=MAX_REQUESTS, timeout_graceful_shutdown=STOP_SECS,
    )  # fmt: skip
    server = _Server(config, lambda: ready(f"http://{shown}:{listener.getsockname()[1]}"))
    # uvicorn ends in order on these and then raises them again; by then there is nothing left to interrupt.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class AccessLog:
    """One line a request: who, what, how it ended. Of the query only what the protocol knows, no header at all."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, sent, whole, started = 0, 0, False, time.perf_counter()

        async def noting(message: Any) -> None:
            nonlocal status, sent, whole
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            asked = urlencode([(k, v) for k, v in parse_qsl(scope["query_string"].decode("latin-1")) if k in _LOGGED])
            log.info(
                "%s %s %s%s %d %d bytes %.0f ms%s", (scope["client"] or ("-",))[0], scope["method"],
                scope["raw_path"].decode("latin-1"), f"?{asked}" if asked else "", status, sent,
                1_000 * (time.perf_counter() - started), "" if whole else " (cut short)",
            )  # fmt: skip


# --- inside ------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be bound ({error.strerror})"
        raise ConfigurationError(
            f"port {port} on {host} {reason}; choose another with --port, or 0 for a free one"
        ) from None
