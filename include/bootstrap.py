"""The one composition root: settings in, adapters built, ports out. Nothing else knows what stands behind a port."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from include.config.accounts import AccountFacts, PaperTerms, account_credentials, find_account
from include.config.connections import DECLARED, connect_account, require_declared
from include.config.files import VENUES_FILE, load_roles
from include.config.settings import Settings
from include.config.venues import VenueFacts, load_venues
from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import Mode, Role
from include.domain.errors import ConfigurationError, RetryableError
from include.domain.times import Timeframe, to_ms
from include.ports import Ledger, Notifier, Pacer, Venue
from include.qualification.candidate import Candidate

if TYPE_CHECKING:
    from include.alerting import Audience
    from include.market_data.lake import ParquetLake
    from include.market_data.sources.exchange import ExchangeSource
    from include.market_data.sources.node import NodeSource
    from include.notifications import Channel, Sender
    from include.venues.acceptance.check import AccountCheck
    from include.venues.feeds.source import BarSource
    from include.venues.paper.venue import PaperVenue


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


def alert_channels(settings: Settings) -> Mapping[str, Channel]:
    """Every channel that is set up, by name; the local log always is.

    Raises:
        ConfigurationError: an address that cannot be used; it is not repeated.
    """
    urls = {
        "telegram": settings.telegram_url,
        "email": settings.email_url,
        "sms": settings.sms_url,
        "webhook": settings.webhook_url,
    }
    return _plain_channels(settings, urls)


def _plain_channels(settings: Settings, urls: Mapping[str, SecretStr | None] | None = None) -> Mapping[str, Channel]:
    from include.notifications import build_channels

    return build_channels(
        settings.logs, slack_token=settings.slack_token, slack_channel=settings.slack_channel,
        slack_url=settings.slack_url, urls=urls or {},
    )  # fmt: skip


def alert_audience(settings: Settings, channels: Mapping[str, Channel]) -> Audience:
    """The alert rules and who can be told; silences are the ledger's and are added there.

    Raises:
        ConfigurationError: the rules' file is wrong.
    """
    from include.alerting import Audience, load_policy
    from include.config.files import ALERTS_FILE

    policy = load_policy(Path(settings.alerts).expanduser() if settings.alerts else ALERTS_FILE)
    try:
        zone = ZoneInfo(settings.report_time_zone)
    except (KeyError, ValueError):
        raise ConfigurationError(
            f"AIRLOCK_REPORT_TIME_ZONE={settings.report_time_zone}: not a time zone; write for example Europe/Berlin"
        ) from None
    return Audience(policy, frozenset(channels), (), zone)


def alert_senders(settings: Settings, ledger: Ledger, name: str, *, paced: bool = True) -> list[Sender]:
    """One sender for each channel that is set up.

    Args:
        name: who sends, for the record of attempts.
        paced: False for whoever will not come back when the pace allows more.
    """
    from include.notifications import Sender

    channels = alert_channels(settings)
    telling = alert_audience(settings, channels).policy.telling
    pace = {severity: rules.pace_secs for severity, rules in telling.items()}
    at_once = dict.fromkeys(pace, 0)
    return [
        Sender(ledger, channel, name=name, pace_secs=pace if paced and key != "log" else at_once, clock=_utc_now)
        for key, channel in channels.items()
    ]


def build_notifier(settings: Settings) -> Notifier:
    """The local log, and every other channel that is set up by way of the ledger's outbox. Never raises.

    With rules or addresses that cannot be used, what is left is told directly: a wrong letter in them must stop no
    stage. `airlock alerts run` and `airlock alerts test` refuse them.
    """
    from include.notifications import FanOut, LogNotifier, OutboxNotifier

    log = LogNotifier(settings.logs / "notices.jsonl")
    try:
        channels = alert_channels(settings)
        audience = alert_audience(settings, channels)
    except ConfigurationError as error:
        logging.getLogger("airlock.alerts").error("%s; telling people by log and Slack alone", error)
        return FanOut(list(_plain_channels(settings).values()))
    if len(channels) == 1:
        return log

    def senders(ledger: Ledger) -> list[Sender]:
        made = alert_senders(settings, ledger, "notifier", paced=False)
        return [sender for sender in made if sender.channel != log.name]

    direct = FanOut([channel for name, channel in channels.items() if name != "log"])
    return OutboxNotifier(
        lambda: open_ledger(settings), audience, log=log, senders=senders, direct=direct,
        clock=_utc_now,
    )  # fmt: skip


def role_holders() -> Mapping[Role, frozenset[str]]:
    """User ids by sign-off role."""
    return load_roles()


def authorise(settings: Settings, deployment: Deployment) -> None:
    """Refuse a deployment that may not start at this moment: one whose account has become another one, and a live one
    that the ladder does not authorise.

    Raises:
        ConfigurationError, FatalError: every reason in one line.
    """
    from include.stages.promotion import require_promoted

    if deployment.connection.kind in DECLARED:
        require_declared(deployment, find_account(settings.home, deployment.connection.account))
    if deployment.mode is Mode.LIVE:
        require_promoted(open_ledger(settings), deployment, role_holders())


def live_connection(settings: Settings, candidate: Candidate) -> VenueConnection:
    """Where a promoted candidate trades unless somebody deploys it elsewhere: the sandbox exchange, on the data set it
    was measured on.

    Raises:
        ConfigurationError: no exchange is configured.
    """
    if not settings.exchange_url:
        raise ConfigurationError("no exchange to trade on: set AIRLOCK_EXCHANGE_URL, or start the stack (airlock up)")
    return VenueConnection(VenueKind.SANDBOX, candidate.venue, SANDBOX_ACCOUNT, url=settings.exchange_url)


def account_connection(
    settings: Settings, candidate: Candidate, account: str, mode: Mode, capital: Decimal, real_money: str = ""
) -> VenueConnection:
    """Where a candidate trades that is deployed on a declared account; see `config.connections.connect_account`.

    Raises:
        ConfigurationError: there is no such account, or it may not be used so.
    """
    dataset = venue_facts().get(candidate.venue)
    if dataset is None:
        raise ConfigurationError(f"candidate {candidate.name}: venues.yaml does not declare venue {candidate.venue!r}")
    return connect_account(
        find_account(settings.home, account), dataset, mode, capital, exchange_url=settings.exchange_url,
        real_money=real_money,
    )  # fmt: skip


def build_venue(settings: Settings, deployment: Deployment, url: str = "") -> Venue:
    """The venue of a deployment's account, not connected yet.

    Args:
        url: of a replay's own exchange; looked up among the trader's processes when empty.

    Raises:
        ConfigurationError: the account has no credentials here, or is declared as another one now.
        RetryableError: the replay's exchange is not running.
    """
    from include.trading.processes import ProcessFolder
    from include.venues.ccxt_venue import CcxtVenue

    connection = deployment.connection
    if connection.kind in DECLARED:
        account = find_account(settings.home, connection.account)
        require_declared(deployment, account)
        return build_account_venue(settings, account, connection.url, journal=f"{account.name}-{deployment.short_id}")
    if connection.kind is VenueKind.REPLAY and not url:
        exchange = ProcessFolder(settings.run, settings.logs).load("exchange", deployment.id)
        if exchange is None or not exchange.url or exchange.process() is None:
            raise RetryableError(f"deployment {deployment.short_id}: its replay exchange is not running")
        return CcxtVenue(exchange.url, SecretStr(exchange.key), SecretStr(exchange.secret))
    key, secret = account_credentials(settings.home, connection.account)
    return CcxtVenue(url or connection.url, key, secret, obeys_limits=True)


def build_pacer(deployment: Deployment, venue: Venue) -> Pacer | None:
    """Lockstep for a replay and for paper; None where the venue's clock runs by itself."""
    from include.venues.ccxt_venue import CcxtVenue
    from include.venues.pacer import SandboxPacer
    from include.venues.paper.pacer import PaperPacer
    from include.venues.paper.venue import PaperVenue

    if isinstance(venue, PaperVenue):
        return PaperPacer(venue)
    if isinstance(venue, CcxtVenue) and deployment.connection.kind is VenueKind.REPLAY:
        return SandboxPacer(venue)
    return None


def declared_account(settings: Settings, name: str) -> AccountFacts:
    """A declared account. Raises ConfigurationError when there is none of that name."""
    return find_account(settings.home, name)


def build_account_venue(settings: Settings, account: AccountFacts, url: str = "", *, journal: str = "") -> Venue:
    """The venue of a declared account, not connected yet.

    Args:
        url: address of a local sandbox exchange; for accounts declared `local` only.
        journal: name of a paper account's journal; the account's own when empty.

    Raises:
        ConfigurationError: there are no credentials, no address, or an address for an account that is not local.
    """
    from include.venues.ccxt_venue import CcxtVenue
    from include.venues.fed_venue import FedVenue

    if url and not account.local:
        raise ConfigurationError(f"account {account.name!r} is not local: --url belongs to accounts of a local sandbox")
    address = (url or settings.exchange_url) if account.local else ""
    if account.local and not address:
        raise ConfigurationError(f"account {account.name!r}: set AIRLOCK_EXCHANGE_URL or give --url")
    if account.paper is not None:
        path = settings.home / "accounts" / f"{journal or account.name}.journal"
        return _paper_venue(account, account.paper, address, path)
    key, secret = account_credentials(settings.home, account.name)
    venue = CcxtVenue(address, key, secret, exchange=account.exchange, sandbox=account.sandbox, obeys_limits=True)
    return FedVenue(venue, _feed(account, address)) if account.backup else venue


def _paper_venue(account: AccountFacts, terms: PaperTerms, address: str, journal: Path) -> PaperVenue:
    from include.venues.paper.venue import PaperVenue

    facts = venue_facts()
    if terms.venue not in facts:
        raise ConfigurationError(f"account {account.name!r}: venue {terms.venue!r} is not declared in venues.yaml")
    instruments = {instrument.symbol: instrument for instrument in facts[terms.venue].instruments.values()}
    return PaperVenue(_feed(account, address), instruments, terms.deposit, journal)


def _feed(account: AccountFacts, address: str) -> BarSource:
    """Market data of an account's exchange, with a backup where one is declared."""
    from include.venues.feeds.resilient_feed import ResilientFeed
    from include.venues.feeds.source import CcxtSource

    sources: dict[str, BarSource] = {
        account.exchange: CcxtSource(account.exchange, base_url=address, sandbox=account.sandbox)
    }
    if account.backup:
        sources[account.backup] = CcxtSource(account.backup)
    return ResilientFeed(sources)


async def check_account(
    settings: Settings, account: AccountFacts, *, symbols: tuple[str, ...] = (), url: str = ""
) -> AccountCheck:
    """Run the safe acceptance cards against an account.

    Raises:
        ConfigurationError: the account cannot be built; nothing was asked.
    """
    from include.venues.acceptance.check import AccountCheck
    from include.venues.acceptance.check import check_account as check

    venue = build_account_venue(settings, replace(account, backup=""), url)
    tag = f"alc-{to_ms(_utc_now()):x}-"
    results = await check(
        venue, symbols or account.symbols, account.timeframe, tag, can_withdraw_matters=account.is_live
    )
    return AccountCheck(account.name, account.exchange, results)


def render_venue_cards() -> str:
    """The acceptance cards as a table, for the documentation."""
    from include.venues.acceptance.cards import render_cards

    return render_cards()


def render_exchange_errors() -> str:
    """What each exception of ccxt and each code of an exchange means to a caller, for the documentation."""
    from include.venues.ccxt_errors import render_errors

    return render_errors()


def run_exchange(
    settings: Settings,
    *,
    venue: str,
    symbols: tuple[str, ...],
    timeframe: Timeframe,
    start: datetime,
    end: datetime,
    accounts: Sequence[str],
    balances: Sequence[str],
    default_balance: Decimal,
    accounts_file: Path | None = None,
    faults: Path | None = None,
    brackets: Path | None = None,
    state: Path | None = None,
    rate_limits: bool | None = None,
    speed: str,
    host: str,
    port: int,
) -> None:
    """Serve a sandbox exchange over the lake until a signal ends it.

    Args:
        accounts: as the user writes them (`venues.sandbox.account_setup`), `balances` their first deposits.
        accounts_file, faults, brackets: YAML files of accounts, of faults and of leverage brackets.
        state: where the state is kept.
        rate_limits: whether too many requests are refused; None decides by the speed.
        speed: market seconds per wall second, `max`, or `step`.

    Raises:
        ConfigurationError: something of it can not be read, or does not fit together.
    """
    from include.venues.sandbox.account_setup import AccountSetup, kept_keys, told_once
    from include.venues.sandbox.bracket_file import load_brackets
    from include.venues.sandbox.faults.plan import FaultPlan, load_plan
    from include.venues.sandbox.server import ReplayPlan, run

    lake, kept = open_lake(settings), kept_keys(state)
    setup = AccountSetup(default_balance, lambda name: account_credentials(settings.home, name), kept)
    specs = setup.specs(accounts, balances, accounts_file)
    plan = ReplayPlan(
        venue=venue, symbols=symbols, timeframe=timeframe, start=start, end=end, accounts=specs, speed=speed, host=host,
        port=port, faults=load_plan(faults) if faults is not None else FaultPlan(), state=state,
        rate_limits=rate_limits,
        brackets=load_brackets(brackets, (lake.instrument(venue, s).symbol for s in symbols)) if brackets else {},
    )  # fmt: skip
    run(lake, plan, told_once(specs, kept))


def exchange_lists() -> Mapping[str, Callable[[], str]]:
    """Lists of the sandbox exchange that the docs show, by the names of their blocks."""
    from include.venues.sandbox import lists

    return {
        "exchange-faults": lists.render_faults,
        "exchange-limits": lists.render_limits,
        "exchange-weights": lists.render_weights,
    }


def _utc_now() -> datetime:
    return datetime.now(UTC)
