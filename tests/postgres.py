"""Real PostgreSQL for tests: one embedded server per test process, an empty ledger per test.

The server lives in a temporary folder outside the repository and is stopped at the end; with pytest-xdist each
worker has its own, so workers share nothing.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from include.domain.errors import AirlockError
from include.ledger.connection import driver_arguments, parse_url
from include.ledger.embedded import ensure_database, start_server, stop_server
from include.ledger.migrations import migrate
from include.ledger.models import Base
from include.ledger.unit_of_work import PostgresLedger

_PREFIX = "airlock-tests-"
_TEMPLATE = "ledger_template"
_numbers = itertools.count(1)
# With a time limit it waits until the sessions have really ended; without one it only asks them to.
END_OTHER_SESSIONS = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# As a replica no trigger fires, so neither append-only rules nor foreign keys stand in the way.
_EMPTY_ALL_TABLES = "SET session_replication_role = replica; " + "; ".join(
    f"DELETE FROM {table.name}" for table in Base.metadata.sorted_tables
)


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return parse_url(url).set(database=name).render_as_string(hide_password=False)


def run_sql(url: str, *statements: str) -> None:
    """Run statements as superuser, each in its own transaction."""
    connection = psycopg2.connect(**driver_arguments(url))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def wait_until_blocked(url: str, *, sessions: int = 1, within_secs: float = 20) -> None:
    """Return once that many sessions of the database wait for a lock; the proof that somebody really waits."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + within_secs
    connection = psycopg2.connect(**driver_arguments(url))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(query)
                row = cursor.fetchone()
                if row is not None and row[0] >= sessions:
                    return
                cursor.execute("SELECT pg_sleep(0.01)")
    finally:
        connection.close()
    raise AssertionError(f"{sessions} session(s) should have been waiting for a lock")


def _remove_leftovers() -> None:
    """Servers of test processes that were killed: the folder's name says whose it was."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        if not owner.isdigit() or folder.stat().st_uid != os.getuid():
            continue
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            with suppress(AirlockError):  # another worker may be at it, too
                stop_server(folder)
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a running embedded server that belongs to this test process."""
    _remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        url = start_server(home)
        # Nothing here outlives the process, so nothing needs to reach the disk.
        run_sql(url, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET synchronous_commit = off")
        run_sql(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        stop_server(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def ledger_template(postgres_server: str) -> str:
    """Name of a migrated, empty database to copy."""
    ensure_database(postgres_server, _TEMPLATE)
    migrate(with_database(postgres_server, _TEMPLATE))
    return _TEMPLATE


def _copy(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    run_sql(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield with_database(server, name)
    finally:
        run_sql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _reused_database(postgres_server: str, ledger_template: str) -> Iterator[str]:
    yield from _copy(postgres_server, ledger_template)


@pytest.fixture
def database_url(_reused_database: str) -> Iterator[str]:
    """URL of a database that holds an empty ledger: one database, emptied after each test, which takes a few
    milliseconds where a new copy takes a hundred. Tests that change the schema, or start processes that might outlive
    them, ask for `fresh_database_url`."""
    yield _reused_database
    run_sql(_reused_database, END_OTHER_SESSIONS, _EMPTY_ALL_TABLES)


@pytest.fixture
def fresh_database_url(postgres_server: str, ledger_template: str) -> Iterator[str]:
    """URL of a database of the test's own that holds an empty ledger."""
    yield from _copy(postgres_server, ledger_template)


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """URL of a database of the test's own without any table."""
    yield from _copy(postgres_server, "template0")


@pytest.fixture
def ledger(database_url: str) -> Iterator[PostgresLedger]:
    """A ledger that starts empty."""
    opened = PostgresLedger(database_url)
    yield opened
    opened.close()
