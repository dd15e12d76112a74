"""Models and migrations say the same, and migrating is safe at any time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from include.domain.errors import ConfigurationError
from include.ledger.connection import build_engine
from include.ledger.migrations import current_revision, migrate
from include.ledger.models import APPEND_ONLY, Base
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql

# What autogenerate does not look at: CHECK constraints and the exact shape of keys and indexes.
_CATALOGUE = """
    SELECT conrelid::regclass::text AS place, conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        AND conrelid::regclass::text <> 'alembic_version'
    UNION ALL
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    ORDER BY 1, 2, 3
"""


def _catalogue(connection: Connection) -> list[tuple[str, ...]]:
    return [tuple(row) for row in connection.execute(text(_CATALOGUE))]


def test_models_and_migrations_agree(database_url: str) -> None:
    engine = build_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_constraints_of_models_and_migrations_are_the_same(database_url: str, empty_database_url: str) -> None:
    migrated, created = build_engine(database_url), build_engine(empty_database_url)
    with migrated.connect() as left, created.begin() as right:
        Base.metadata.create_all(right)
        assert _catalogue(left) == _catalogue(right)
        assert len(_catalogue(left)) > 60
    migrated.dispose()
    created.dispose()


def test_an_empty_database_has_no_revision_until_it_is_migrated(empty_database_url: str) -> None:
    assert current_revision(empty_database_url) is None
    assert migrate(empty_database_url) == current_revision(empty_database_url) == "0007"


def test_migrating_twice_at_once_is_safe(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrate, [empty_database_url] * 4)) == {"0007"}


def test_a_schema_from_the_future_is_refused(fresh_database_url: str) -> None:
    run_sql(fresh_database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="9999 is newer"):
        migrate(fresh_database_url)


def test_a_database_without_tables_says_that_it_is_not_set_up(empty_database_url: str) -> None:
    ledger = PostgresLedger(empty_database_url)
    with pytest.raises(ConfigurationError, match="not set up"), ledger.begin() as uow:
        uow.candidates.all()
    ledger.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {column} = {column}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_refuses_to_edit_what_was_recorded(database_url: str, table: str, statement: str) -> None:
    column = next(column.name for column in Base.metadata.tables[table].columns if column.identity is None)
    with pytest.raises(Exception, match=f"table {table} is append-only"):
        run_sql(database_url, statement.format(table, column=column))
