"""Who listens to what, and everything they have been sent: the fan-out of the sandbox's websockets.

Publishing is synchronous and keeps order per connection; one writer task per connection does the sending. `sent` counts
events (not copies) that had at least one listener: in lockstep a client waits until it has received as many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import orjson

from include.venues.sandbox.messages import JsonObject

Send = Callable[[bytes], Awaitable[None]]


class Connection:
    """One websocket: what it listens to and what waits to be written to it."""

    def __init__(self, send: Send, *, combined: bool, account: str | None) -> None:
        self.streams: set[str] = set()
        self.account = account
        self.combined = combined
        """Combined connections get `{"stream": .., "data": ..}`, raw ones the event itself."""
        self._send = send
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    def put(self, payload: bytes) -> None:
        """Queue a frame behind those already queued."""
        if not self.closed:
            self._outbox.append(payload)
            self._idle.clear()
            self._wake.set()

    async def write_forever(self) -> None:
        """Send what is queued, in order, until the connection fails or is closed."""
        try:
            while not self.closed:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await self._send(self._outbox.popleft())
                self._idle.set()
        except ConnectionError:
            pass  # the reader notices the same and closes the connection
        finally:
            self.close()

    async def flushed(self) -> None:
        """Wait until everything queued so far has been handed to the socket."""
        await self._idle.wait()

    def close(self) -> None:
        self.closed = True
        self._outbox.clear()
        self._idle.set()
        self._wake.set()


class Hub:
    """All connections."""

    def __init__(self) -> None:
        self.sent = {"market": 0, "user": 0}
        self.first_listener = asyncio.Event()
        """Set once somebody listens to the market."""
        self._connections: set[Connection] = set()

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)

    def remove(self, connection: Connection) -> None:
        connection.close()
        self._connections.discard(connection)

    def subscribe(self, connection: Connection, streams: list[str]) -> None:
        connection.streams.update(streams)
        if connection.streams:
            self.first_listener.set()

    def has_listener(self, stream: str) -> bool:
        return any(stream in connection.streams for connection in self._connections)

    def publish_market(self, stream: str, event: JsonObject) -> None:
        """Tell everyone who listens to a market stream."""
        listeners = [c for c in self._connections if stream in c.streams]
        if not listeners:
            return
        self.sent["market"] += 1
        raw = orjson.dumps(event)
        for connection in listeners:
            connection.put(_combined(stream, raw) if connection.combined else raw)

    def publish_user(self, account: str, event: JsonObject) -> None:
        """Tell every user stream of an account."""
        listeners = [c for c in self._connections if c.account == account]
        if not listeners:
            return
        self.sent["user"] += 1
        raw = orjson.dumps(event)
        for connection in listeners:
            connection.put(_combined("userData", raw) if connection.combined else raw)

    async def flushed(self) -> None:
        """Wait for all writers: what keeps the fastest clock from running ahead of its listeners."""
        for connection in list(self._connections):
            await connection.flushed()


def _combined(stream: str, raw: bytes) -> bytes:
    return b'{"stream":"' + stream.encode() + b'","data":' + raw + b"}"
