"""A TCP relay that loses answers on cue: what a bad network does between a client and an exchange.

Websockets pass through always; `Fault` concerns the answers to plain requests, so that a request arrives and its answer
does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto
from urllib.parse import urlsplit


class Fault(Enum):
    NONE = auto()
    SWALLOW = auto()
    """Answers vanish; the connection stays open and silent."""
    CUT = auto()
    """The connection is reset in place of the answer."""
    GARBLE = auto()
    """The answer is a well-formed reply that says nothing sensible."""


NONSENSE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"hello":"you"}'


class Relay:
    """Stands in front of one server."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self.fault = Fault.NONE
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, upstream}
        first = await reader.read(65_536)
        is_socket = b"upgrade: websocket" in first.lower()
        upstream.write(first)
        for work in (self._pass(reader, upstream), self._answer(upstream_reader, writer, is_socket)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_socket: bool) -> None:
        while data := await reader.read(65_536):
            if is_socket or self.fault is Fault.NONE:
                writer.write(data)
            elif self.fault is Fault.CUT:
                writer.transport.abort()
            elif self.fault is Fault.GARBLE:
                writer.write(NONSENSE)
        writer.close()

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def relay_to(target: str) -> AsyncIterator[Relay]:
    """A relay on a free loopback port for the length of a test."""
    relay = Relay(target)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
