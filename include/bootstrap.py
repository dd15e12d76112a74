"""The one composition root: settings in, adapters built, ports out. Nothing else knows what stands behind a port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import SecretStr

from include.config.accounts import account_credentials
from include.config.files import VENUES_FILE, load_roles
from include.config.settings import Settings
from include.config.venues import VenueFacts, load_venues
from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import Role
from include.domain.errors import ConfigurationError, RetryableError
from include.domain.times import Timeframe
from include.ports import Ledger, Notifier, Pacer
from include.qualification.candidate import Candidate

if TYPE_CHECKING:
    from include.market_data.lake import ParquetLake
    from include.market_data.sources.exchange import ExchangeSource
    from include.market_data.sources.node import NodeSource
    from include.venues.ccxt_venue import CcxtVenue


SANDBOX_ACCOUNT = "sandbox"
"""Account of live deployments on the sandbox exchange."""


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
    """The lake of market data: under the home folder, or where AIRLOCK_LAKE says.

    Raises:
        ConfigurationError: an address that cannot be used.
        RetryableError: the store does not answer.
    """
    from include.market_data.lake import ParquetLake

    return ParquetLake(settings.lake_root, venue_facts(), state=settings.lake_state)


def exchange_source(settings: Settings, venue: str, url: str = "") -> ExchangeSource:
    """Bars of the exchange that fills a lake venue, over its public REST.

    Args:
        url: base address to ask instead of the exchange's own (a sandbox exchange).

    Raises:
        ConfigurationError: the venue is not declared, or declares no exchange.
    """
    from include.market_data.sources.exchange import ExchangeSource

    facts = venue_facts()
    if venue not in facts:
        raise ConfigurationError(f"venue {venue!r} is not declared in venues.yaml (known: {', '.join(sorted(facts))})")
    if not facts[venue].exchange:
        raise ConfigurationError(f"venue {venue!r}: venues.yaml names no exchange to ask; add `exchange:` to it")
    return ExchangeSource(facts[venue].exchange, url=url, now=_utc_now)


def node_source(settings: Settings, venue: str, url: str = "") -> NodeSource:
    """Bars of a historical data node.

    Args:
        venue: which of the node's venues; may be empty where only one has the series.
        url: address; the configured one when empty.

    Raises:
        ConfigurationError: there is no address.
    """
    from include.market_data.sources.node import NodeSource

    address = url or settings.historical_node_url
    if not address:
        raise ConfigurationError("no data node to ask: set HISTORICAL_NODE_URL to its address (http://host:port)")
    return NodeSource(address, settings.node_token, venue, now=_utc_now)


def run_node(settings: Settings, *, host: str, port: int, venue: str, ready: Callable[[str], None]) -> None:
    """Serve the lake as a historical data node until a signal ends it.

    Args:
        venue: the only venue served; all when empty.
        ready: gets the node's address once it accepts requests.

    Raises:
        ConfigurationError: the port is taken, the venue is not declared, or the address is reachable from elsewhere
            and no token is set.
    """
    from include.market_data.node_process import require_safe_address, serve
    from include.market_data.node_server import build_app

    require_safe_address(host, token=settings.node_token is not None)
    if venue and venue not in venue_facts():
        raise ConfigurationError(f"venue {venue!r} is not declared in venues.yaml (known: {', '.join(venue_facts())})")
    serve(build_app(open_lake(settings), token=settings.node_token, venue=venue), host, port, ready)


def build_notifier(settings: Settings) -> Notifier:
    """Slack where a token is set, always the local log."""
    from include.notifications import build_notifier as build

    token = settings.slack_token.get_secret_value() if settings.slack_token else None
    return build(settings.logs, slack_token=token, slack_channel=settings.slack_channel, slack_url=settings.slack_url)


def role_holders() -> Mapping[Role, frozenset[str]]:
    """User ids by sign-off role."""
    return load_roles()


def authorise_live(settings: Settings, deployment: Deployment) -> None:
    """Refuse a live deployment that the ladder does not authorise at this moment.

    Raises:
        FatalError: every reason in one line.
    """
    from include.stages.promotion import require_promoted

    require_promoted(open_ledger(settings), deployment, role_holders())


def live_connection(settings: Settings, candidate: Candidate) -> VenueConnection:
    """Where a promoted candidate trades: the sandbox exchange, on the data set it was measured on.

    Raises:
        ConfigurationError: no exchange is configured.
    """
    if not settings.exchange_url:
        raise ConfigurationError("no exchange to trade on: set AIRLOCK_EXCHANGE_URL, or start the stack (airlock up)")
    return VenueConnection(VenueKind.SANDBOX, candidate.venue, SANDBOX_ACCOUNT, url=settings.exchange_url)


def build_venue(settings: Settings, deployment: Deployment, url: str = "") -> CcxtVenue:
    """The venue of a deployment's account, not connected yet.

    Args:
        url: of a replay's own exchange; looked up among the trader's processes when empty.

    Raises:
        ConfigurationError: the account has no credentials here.
        RetryableError: the replay's exchange is not running.
    """
    from include.trading.processes import ProcessFolder
    from include.venues.ccxt_venue import CcxtVenue

    connection = deployment.connection
    if connection.kind is VenueKind.REPLAY and not url:
        exchange = ProcessFolder(settings.run, settings.logs).load("exchange", deployment.id)
        if exchange is None or not exchange.url or exchange.process() is None:
            raise RetryableError(f"deployment {deployment.short_id}: its replay exchange is not running")
        return CcxtVenue(exchange.url, SecretStr(exchange.key), SecretStr(exchange.secret))
    key, secret = account_credentials(settings.home, connection.account)
    return CcxtVenue(url or connection.url, key, secret)


def build_pacer(deployment: Deployment, venue: CcxtVenue) -> Pacer | None:
    """Lockstep for a replay; None where the venue's clock runs by itself."""
    from include.venues.pacer import SandboxPacer

    return SandboxPacer(venue) if deployment.connection.kind is VenueKind.REPLAY else None


def run_exchange(
    settings: Settings,
    *,
    venue: str,
    symbols: tuple[str, ...],
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    accounts: Mapping[str, Decimal],
    speed: str,
    host: str,
    port: int,
) -> None:
    """Serve a sandbox exchange over the lake until a signal ends it.

    Args:
        accounts: first deposit in quote currency by account name.
        speed: market seconds per wall second, `max`, or `step`.
    """
    from include.venues.sandbox import accounts as sandbox_accounts
    from include.venues.sandbox.server import ReplayPlan, run

    specs = tuple(
        sandbox_accounts.AccountSpec(name, *account_credentials(settings.home, name), balance)
        for name, balance in accounts.items()
    )
    run(
        open_lake(settings),
        ReplayPlan(
            venue=venue, symbols=symbols, timeframe=timeframe, start=start, end=end, accounts=specs, speed=speed,
            host=host, port=port,
        ),
    )  # fmt: skip


def _utc_now() -> datetime:
    return datetime.now(UTC)
