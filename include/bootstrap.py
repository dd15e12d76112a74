"""The one composition root: settings in, adapters built, ports out. Nothing else knows what stands behind a port."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from include.config.files import VENUES_FILE, load_roles
from include.config.settings import Settings
from include.config.venues import VenueFacts, load_venues
from include.domain.enums import Role
from include.domain.errors import ConfigurationError
from include.ports import Ledger, Notifier

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake


def database_url(settings: Settings) -> str:
    """URL of the ledger: the configured one, or the embedded server's, which is started when it is down."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    from include.ledger.embedded import start_server

    return start_server(settings.home)


def open_ledger(settings: Settings) -> Ledger:
    """The ledger, migrated to the newest schema.

    Raises:
        RetryableError: the database does not answer.
    """
    from include.ledger.migrations import migrate
    from include.ledger.unit_of_work import PostgresLedger

    url = database_url(settings)
    migrate(url)
    return PostgresLedger(url)


def migrate_ledger(settings: Settings) -> str:
    """Bring the ledger to the newest schema; returns its revision."""
    from include.ledger.migrations import migrate

    return migrate(database_url(settings))


def ensure_airflow_database(settings: Settings) -> None:
    """Create Airflow's database on the ledger's server unless it is there."""
    from include.ledger.embedded import AIRFLOW_DATABASE, ensure_database

    ensure_database(database_url(settings), AIRFLOW_DATABASE)


def venue_facts() -> Mapping[str, VenueFacts]:
    """Declared instruments of every lake venue."""
    return load_venues(VENUES_FILE)


def open_lake(settings: Settings) -> ParquetLake:
    """The lake of market data under the home folder."""
    from include.market_data.lake import ParquetLake

    return ParquetLake(settings.lake_root, venue_facts())


def build_notifier(settings: Settings) -> Notifier:
    """Slack where a token is set, always the local log."""
    from include.notifications import build_notifier as build

    token = settings.slack_token.get_secret_value() if settings.slack_token else None
    return build(settings.logs, slack_token=token, slack_channel=settings.slack_channel, slack_url=settings.slack_url)


def role_holders() -> Mapping[Role, frozenset[str]]:
    """User ids by sign-off role."""
    return load_roles()


def account_credentials(account: str) -> tuple[str, str]:
    """Key and secret of a trading account from AIRLOCK_ACCOUNT_<NAME>_KEY and _SECRET.

    Raises:
        ConfigurationError: one of them is not set; neither is ever printed.
    """
    stem = "AIRLOCK_ACCOUNT_" + account.upper().replace("-", "_")
    key, secret = os.environ.get(f"{stem}_KEY", ""), os.environ.get(f"{stem}_SECRET", "")
    if not key or not secret:
        raise ConfigurationError(f"account {account!r}: set {stem}_KEY and {stem}_SECRET in the environment")
    return key, secret


def report_folder(settings: Settings, name: str) -> Path:
    """Folder of one candidate's or deployment's reports, made when missing."""
    folder = settings.reports / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
