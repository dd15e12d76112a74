"""A TCP relay that loses answers on cue: what a bad network does between a client and an exchange.

Websockets pass through (or wait, see `flowing`); `Fault` concerns the answers to plain requests, so that a request
arrives and its answer does not.
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


class Line:
    """One connection; it may carry plain requests first and a websocket later."""

    is_socket = False


class Relay:
    """Stands in front of one server."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self.fault = Fault.NONE
        self.flowing = asyncio.Event()
        """Cleared: websockets stay open and bring nothing; what is held back arrives once it is set again."""
        self.flowing.set()
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, upstream}
        line = Line()
        for work in (self._pass(reader, upstream, line), self._answer(upstream_reader, writer, line)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        while data := await reader.read(65_536):
            line.is_socket = line.is_socket or b"upgrade: websocket" in data.lower()
            writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        while data := await reader.read(65_536):
            if line.is_socket:
                await self.flowing.wait()
            if line.is_socket or self.fault is Fault.NONE:
                writer.write(data)
            elif self.fault is Fault.CUT:
                writer.transport.abort()
            elif self.fault is Fault.GARBLE:
                writer.write(NONSENSE)
        writer.close()

    def cut(self) -> None:
        """Reset every connection there is; new ones are served."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def close(self) -> None:
        self.cut()
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
