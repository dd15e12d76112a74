"""URLs and errors: one clear line, the host but never the password, and the right reaction for the caller."""

from __future__ import annotations

import socket

import pytest

from include.domain.errors import AirlockError, ConfigurationError, OutcomeUnknownError, RetryableError
from include.ledger.connection import describe, parse_url
from include.ledger.embedded import ensure_database
from include.ledger.listening import listen
from include.ledger.migrations import current_revision, migrate
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import END_OTHER_SESSIONS, run_sql, with_database
from tests.samples import sample_candidate

_SECRET = "hunter2-very-secret"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "url", ["postgres://u:p@db/airlock", "postgresql://u:p@db/airlock", "postgresql+psycopg://u:p@db/airlock"]
)
def test_every_spelling_of_a_postgresql_url_is_accepted(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg2"
    assert describe(url) == "database airlock at db"


@pytest.mark.parametrize(
    "url", ["", f"sqlite:///{_SECRET}.db", f"mysql://u:{_SECRET}@db/x", f"{_SECRET}", "postgresql:"]
)
def test_other_urls_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_url(url)
    assert _SECRET not in str(error.value)


def test_a_database_that_is_down_is_one_clear_line_without_the_password(closed_port: int) -> None:
    url = f"postgresql://airlock:{_SECRET}@127.0.0.1:{closed_port}/airlock"
    ledger = PostgresLedger(url)

    def use() -> None:
        with ledger.begin() as uow:
            uow.candidates.all()

    for attempt in (
        use, lambda: migrate(url), lambda: current_revision(url), lambda: ensure_database(url, "x"),
        lambda: listen(url, ["x"]),
    ):  # fmt: skip
        with pytest.raises(RetryableError) as error:
            attempt()
        text = str(error.value)
        assert f"database airlock at 127.0.0.1:{closed_port}" in text
        assert "check that the server runs" in text
        assert "\n" not in text
        assert _SECRET not in text + repr(ledger) + repr(error.value.__cause__)


def test_a_ledger_works_again_after_its_connections_were_cut(ledger: PostgresLedger, database_url: str) -> None:
    with ledger.begin() as uow:
        assert uow.candidates.all() == []
    run_sql(
        database_url,
        END_OTHER_SESSIONS,
    )
    with ledger.begin() as uow:
        assert uow.candidates.all() == []


def test_a_connection_cut_within_a_transaction_stores_nothing(ledger: PostgresLedger, database_url: str) -> None:
    with pytest.raises(RetryableError), ledger.begin() as uow:
        uow.candidates.register(sample_candidate())
        run_sql(
            database_url,
            END_OTHER_SESSIONS,
        )
        uow.candidates.all()
    with ledger.begin() as uow:
        assert uow.candidates.all() == []


def test_a_connection_cut_during_the_commit_is_an_unknown_outcome(ledger: PostgresLedger, database_url: str) -> None:
    with pytest.raises(OutcomeUnknownError, match="read the ledger"), ledger.begin() as uow:
        uow.candidates.register(sample_candidate())
        run_sql(
            database_url,
            END_OTHER_SESSIONS,
        )
        uow.commit()


def test_an_error_of_the_caller_passes_untouched(ledger: PostgresLedger) -> None:
    with pytest.raises(KeyError), ledger.begin():
        raise KeyError("mine")


def test_a_database_that_is_not_there_is_named(postgres_server: str) -> None:
    ledger = PostgresLedger(with_database(postgres_server, "absent"))
    with pytest.raises(AirlockError, match="database absent"), ledger.begin() as uow:
        uow.candidates.all()
