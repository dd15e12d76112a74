"""Who listens to what, and everything they have been sent: the fan-out of the sandbox's websockets.

Publishing is synchronous and keeps order per connection; one writer task per connection does the sending. `sent` counts
events (not copies) that had at least one listener, by stream and by account: in lockstep a client waits until it has
received as many of its own. Spot and USD-M share one hub: spot streams have names with a prefix, and a spot connection
hears the spot events of its account. What a fault swallows is not counted: a client in lockstep does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import orjson

from include.venues.sandbox.messages import JsonObject

Send = Callable[[bytes], Awaitable[None]]
JsonEvent = JsonObject | list[Any]
"""Streams of all markets tell lists."""
USER_STREAM = "userData"
USDM = ""
SPOT = "spot:"
"""Prefix of the names of spot streams, and of the connections that hear an account's spot events."""
MAX_WAITING = 20_000
"""Frames that may wait for a client; one that reads slower than that is cut off, as the exchange does."""


class Disturbance(Protocol):
    """What may befall an event on its way: other events in its place, none, or None for a cut line."""

    def on_market_event(self, stream: str, event: JsonEvent) -> Sequence[JsonEvent] | None: ...

    def on_user_event(self, account: str, event: JsonObject, prefix: str) -> Sequence[JsonObject] | None: ...


class Connection:
    """One websocket: what it listens to and what waits to be written to it."""

    def __init__(self, send: Send, *, combined: bool, account: str | None, prefix: str = "") -> None:
        self.streams: set[str] = set()
        """Names as the hub knows them, prefix included."""
        self.account = account
        self.prefix = prefix
        """What sets this connection's stream names and user events apart in the hub."""
        self.combined = combined
        """Combined connections get `{"stream": .., "data": ..}`, raw ones the event itself."""
        self.wraps_events = False
        """Order-entry connections get user events as `{"subscriptionId": .., "event": ..}`."""
        self.on_cut: Callable[[], None] | None = None
        """Ends the socket at once, without a closing frame."""
        self._send = send
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    def put(self, payload: bytes) -> None:
        """Queue a frame behind those already queued; a client that is too far behind is cut off."""
        if self.closed:
            return
        if len(self._outbox) >= MAX_WAITING:
            self.cut()
            return
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

    def cut(self) -> None:
        """Lose the line: nothing more is written, the client sees a reset."""
        self.close()
        if self.on_cut is not None:
            self.on_cut()

    def close(self) -> None:
        self.closed = True
        self._outbox.clear()
        self._idle.set()
        self._wake.set()


class Hub:
    """All connections."""

    def __init__(self) -> None:
        self.sent_market: Counter[str] = Counter()
        self.sent_user: Counter[str] = Counter()
        self.first_listener = asyncio.Event()
        """Set once somebody listens to the market."""
        self.disturbance: Disturbance | None = None
        self.listened: frozenset[str] = frozenset()
        """Names that somebody listens to; another object whenever they change."""
        self._connections: set[Connection] = set()

    @property
    def sent(self) -> dict[str, int]:
        """Events sent, of all streams and of all accounts."""
        return {"market": self.sent_market.total(), "user": self.sent_user.total()}

    def sent_to(self, streams: Iterable[str] | None, account: str | None, side: str | None = None) -> dict[str, int]:
        """`sent`, counting only these streams and this account; None counts all. `side`: only user events of USDM or
        SPOT; then none for nobody's account."""
        total = self.sent
        market = total["market"] if streams is None else sum(self.sent_market[name] for name in set(streams))
        if side is not None:
            user = self.sent_user[side + account] if account else 0
        else:
            user = total["user"] if account is None else self.sent_user[account] + self.sent_user[SPOT + account]
        return {"market": market, "user": user}

    def add(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._note_listened()

    def remove(self, connection: Connection) -> None:
        connection.close()
        self._connections.discard(connection)
        self._note_listened()

    def subscribe(self, connection: Connection, streams: Iterable[str]) -> None:
        """Names as the client spells them."""
        connection.streams.update(connection.prefix + name for name in streams)
        self._note_listened()
        if connection.streams:
            self.first_listener.set()

    def unsubscribe(self, connection: Connection, streams: Iterable[str]) -> None:
        connection.streams.difference_update([connection.prefix + name for name in streams])
        self._note_listened()

    def has_listener(self, stream: str) -> bool:
        return stream in self.listened

    def has_user(self, account: str) -> bool:
        """Whether anybody listens to an account."""
        return any(connection.account == account for connection in self._connections)

    def end_user_streams(self, account: str, prefix: str) -> None:
        """The account's connections with that prefix stay open and hear nothing of it any more."""
        for connection in self._connections:
            if connection.account == account and connection.prefix == prefix and not connection.wraps_events:
                connection.account = None

    def publish_market(self, stream: str, event: JsonEvent) -> None:
        """Tell everyone who listens to a market stream."""
        if stream in self.listened:
            listeners = [c for c in self._connections if stream in c.streams]
            events = [event] if self.disturbance is None else self.disturbance.on_market_event(stream, event)
            self._send(listeners, stream, events, self.sent_market, stream)

    def publish_user(self, account: str, event: JsonObject, prefix: str = "") -> None:
        """Tell every user stream of an account whose connection has the prefix."""
        listeners = [c for c in self._connections if c.account == account and c.prefix == prefix]
        if listeners:
            events = [event] if self.disturbance is None else self.disturbance.on_user_event(account, event, prefix)
            self._send(listeners, USER_STREAM, events, self.sent_user, prefix + account)

    def publish_held(self, account: str, event: JsonObject, prefix: str) -> None:
        """Tell what a disturbance has held back, as it is."""
        listeners = [c for c in self._connections if c.account == account and c.prefix == prefix]
        if listeners:
            self._send(listeners, USER_STREAM, [event], self.sent_user, prefix + account)

    async def flushed(self) -> None:
        """Wait for all writers: what keeps the fastest clock from running ahead of its listeners."""
        for connection in list(self._connections):
            await connection.flushed()

    def _note_listened(self) -> None:
        listened = frozenset(name for connection in self._connections for name in connection.streams)
        if listened != self.listened:
            self.listened = listened

    def _send(
        self,
        listeners: list[Connection],
        stream: str,
        events: Sequence[JsonEvent] | None,
        sent: Counter[str],
        name: str,
    ) -> None:
        if events is None:
            for connection in listeners:
                connection.cut()
            return
        for event in events:
            sent[name] += 1
            raw = orjson.dumps(event)
            for connection in listeners:
                connection.put(_dressed(connection, stream, raw))


def _dressed(connection: Connection, stream: str, raw: bytes) -> bytes:
    """An event as this connection gets it."""
    if connection.wraps_events:
        return b'{"subscriptionId":0,"event":' + raw + b"}"
    if connection.combined:
        return b'{"stream":"' + stream.removeprefix(connection.prefix).encode() + b'","data":' + raw + b"}"
    return raw
