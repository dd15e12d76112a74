"""Connections to the ledger's PostgreSQL: one reading of URLs, one translation of driver errors.

Invariant: no message made here holds a user name, a password or SQL parameters.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errors
from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from include.domain.errors import AirlockError, ConfigurationError, RejectedError, RetryableError

_CONNECT_TIMEOUT_SECS = 5
# A lock that is not granted in ten seconds is held by a frozen process; better an error than a silent wait.
_OPTIONS = "-c timezone=UTC -c lock_timeout=10000"


def parse_url(url: str) -> URL:
    """SQLAlchemy URL with the driver we use; `postgres://` and `postgresql://` are accepted as well.

    Raises:
        ConfigurationError: not a PostgreSQL URL (the text is not repeated: it may hold a password).
    """
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
        backend = parsed.get_backend_name()
    except exc.ArgumentError:
        raise ConfigurationError("database URL is not understood; write postgresql://USER:PASSWORD@HOST/NAME") from None
    if backend != "postgresql":
        raise ConfigurationError(f"database URL names {backend}, Airlock needs postgresql")
    return parsed.set(drivername="postgresql+psycopg2")


def describe(url: str) -> str:
    """Where a database is, fit for any log: name and host, without user and password."""
    parsed = parse_url(url)
    host = parsed.host or parsed.query.get("host") or "local socket"
    port = f":{parsed.port}" if parsed.port else ""
    return f"database {parsed.database or 'postgres'} at {host}{port}"


def driver_arguments(url: str, database: str | None = None) -> dict[str, Any]:
    """Keyword arguments of `psycopg2.connect` for a URL, for the few uses below SQLAlchemy."""
    parsed = parse_url(url)
    named = {
        "host": parsed.host, "port": parsed.port, "user": parsed.username, "password": parsed.password,
        "dbname": database or parsed.database,
    }  # fmt: skip
    arguments: dict[str, Any] = {key: value for key, value in named.items() if value}
    return {**dict(parsed.query), **arguments, "connect_timeout": _CONNECT_TIMEOUT_SECS, "options": _OPTIONS}


def build_engine(url: str) -> Engine:
    """An engine with a small thread-safe pool; connects when first used."""
    engine = create_engine(
        parse_url(url),
        pool_size=4,
        max_overflow=8,
        pool_timeout=10,
        hide_parameters=True,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_SECS,
            "options": _OPTIONS,
            "application_name": "airlock",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )
    event.listen(engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, *_: Any) -> None:
    """Have the pool replace a connection that the server closed while it was idle (restart, time-out).

    A server says nothing between statements, so a readable socket means that it hung up. Unlike a ping this costs no
    round trip on every transaction.
    """
    if select.select([connection], [], [], 0)[0]:
        raise exc.DisconnectionError("the server closed this idle connection")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn every driver error inside the block into one of ours, one line, naming `where`."""
    try:
        yield
    except exc.TimeoutError:
        raise RetryableError(f"{where}: all connections are in use; try again") from None
    except exc.DBAPIError as error:
        raise _ours(error.orig, where) from None
    except psycopg2.Error as error:
        raise _ours(error, where) from None


def _ours(error: BaseException | None, where: str) -> AirlockError:
    reason = _first_line(error)
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn | errors.InvalidCatalogName):
        return ConfigurationError(f"{where}: the ledger is not set up here ({reason}); run its migrations")
    if isinstance(error, errors.InsufficientPrivilege):
        return RejectedError(f"{where}: {reason}", code="PRIVILEGE")
    if isinstance(error, errors.IdleInTransactionSessionTimeout):
        return RetryableError(f"{where}: the transaction was left open too long and was undone; try again")
    if isinstance(error, errors.DiskFull):
        return RetryableError(f"{where}: no space left on the database's disk; free some and try again")
    if isinstance(error, psycopg2.IntegrityError):
        constraint = getattr(error.diag, "constraint_name", None) or "constraint"
        return RejectedError(f"{where}: refused by {constraint} ({reason})", code=constraint)
    if isinstance(error, errors.RaiseException):
        return RejectedError(f"{where}: {reason}", code="APPEND_ONLY")
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        return RetryableError(f"{where}: cannot be used now ({reason}); check that the server runs and try again")
    return RejectedError(f"{where}: {reason}")


def _first_line(error: BaseException | None) -> str:
    message = getattr(getattr(error, "diag", None), "message_primary", None) or str(error or "no reason given")
    return str(message).strip().split("\n", 1)[0].strip()
