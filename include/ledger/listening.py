"""NOTIFY and LISTEN: how a change in the ledger wakes whoever waits for it.

A notice is a hint that something changed, sent when its transaction commits; the ledger stays the truth, so a
listener reads it again on every wake-up and after every time-out.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import psycopg2
from psycopg2 import sql
from sqlalchemy import Connection, text

from include.ledger.connection import describe, driver_arguments, translated

DEPLOYMENTS_CHANNEL = "airlock_deployments"
TRADING_STATE_CHANNEL = "airlock_trading_state"
_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


@dataclass(frozen=True, slots=True)
class Notification:
    """`payload` is the deployment id or the trading state's scope that changed."""

    channel: str
    payload: str


def notify(connection: Connection, channel: str, payload: str) -> None:
    """Send when the connection's transaction commits; not at all when it rolls back."""
    connection.execute(_NOTIFY, {"channel": channel, "payload": payload})


class Listener:
    """A connection of its own that listens; use as a context manager. Not to be shared between threads."""

    def __init__(self, url: str, channels: Sequence[str]) -> None:
        self._where = describe(url)
        with translated(self._where):
            self._connection = psycopg2.connect(**driver_arguments(url))
            try:
                self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    for channel in channels:
                        cursor.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            except psycopg2.Error:
                self._connection.close()
                raise

    def wait(self, timeout_secs: float) -> tuple[Notification, ...]:
        """Notices that arrived, oldest first; empty when `timeout_secs` passed without one.

        Raises:
            RetryableError: the database went away; open a new listener.
        """
        with translated(self._where):
            self._connection.poll()
            if not self._connection.notifies:
                ready, _, _ = select.select([self._connection], [], [], timeout_secs)
                if ready:
                    self._connection.poll()
            found = tuple(Notification(notice.channel, notice.payload) for notice in self._connection.notifies)
            self._connection.notifies.clear()
        return found

    def fileno(self) -> int:
        """For event loops: readable when `wait(0)` may have something."""
        return int(self._connection.fileno())

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def listen(url: str, channels: Sequence[str]) -> Listener:
    """Listen from now on: a change committed after this call returned is seen by `wait`.

    Raises:
        RetryableError: the database cannot be reached.
    """
    return Listener(url, channels)
