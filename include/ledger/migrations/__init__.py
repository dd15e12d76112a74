"""The ledger's schema through time: Alembic, configured in code. Entry points: `migrate`, `current_revision`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from include.domain.errors import ConfigurationError
from include.ledger.connection import build_engine, describe, translated

_LOCK = 5_164_001
"""Advisory lock number: one migration at a time on a database."""


def configuration() -> Config:
    """Alembic's configuration; the connection travels in its attributes, never in a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def migrate(url: str) -> str:
    """Bring the database to the newest schema in one transaction; returns the revision. Safe to call at any time,
    from several processes at once.

    Raises:
        RetryableError: the database cannot be reached.
        ConfigurationError: the database was migrated by a newer version of Airlock.
    """
    config = configuration()
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    assert head is not None  # noqa: S101 - the first migration ships with this package
    engine = build_engine(url)
    try:
        with translated(describe(url)), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            found = MigrationContext.configure(connection).get_current_revision()
            if found == head:
                return head
            if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
                raise ConfigurationError(
                    f"{describe(url)}: its schema {found} is newer than this version of Airlock knows ({head}); upgrade"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
    return head


def current_revision(url: str) -> str | None:
    """Revision of the database's schema; None when it holds no ledger yet."""
    engine = build_engine(url)
    try:
        with translated(describe(url)), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
