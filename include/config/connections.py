"""Which deployment may use which declared account. Pure; asked when one is declared, and again whenever it starts.

Safe by default: a simulation never reaches real money, and anything else reaches it only where somebody has written out
the account's name; the deployment then carries that for good.
"""

from __future__ import annotations

from decimal import Decimal

from include.config.accounts import AccountFacts
from include.config.venues import VenueFacts
from include.domain.deployments import Deployment, VenueConnection, VenueKind
from include.domain.enums import Mode
from include.domain.errors import ConfigurationError

DECLARED = (VenueKind.PAPER, VenueKind.EXCHANGE)
"""Kinds whose account is looked up in `accounts.yaml`."""


def kind_of(account: AccountFacts) -> VenueKind:
    """How a deployment on this account reaches its market."""
    if account.paper is not None:
        return VenueKind.PAPER
    return VenueKind.SANDBOX if account.local else VenueKind.EXCHANGE


def connect_account(
    account: AccountFacts, dataset: VenueFacts, mode: Mode, capital: Decimal, *, exchange_url: str, real_money: str = ""
) -> VenueConnection:
    """The connection of a new deployment.

    Args:
        dataset: lake venue that its candidate was measured on.
        capital: what the deployment may use, quote currency.
        exchange_url: of the local sandbox exchange.
        real_money: the account's name once more, which only an account with real money wants.

    Raises:
        ConfigurationError: the account may not be used so; nothing else was done.
    """
    _require_written_out(account, mode, real_money)
    if account.is_live and dataset.synthetic:
        raise ConfigurationError(
            f"account {account.name!r} trades real money, and {dataset.name!r} is made up: measure the candidate on a "
            "real market first"
        )
    _require_paper_terms(account, dataset, capital)
    if account.local and not exchange_url:
        raise ConfigurationError(f"account {account.name!r} is local: set AIRLOCK_EXCHANGE_URL, or run `airlock up`")
    return VenueConnection(
        kind_of(account), dataset.name, account.name, exchange_url if account.local else "", real_money=account.is_live
    )


def require_declared(deployment: Deployment, account: AccountFacts) -> None:
    """Refuse an account whose declaration has become another one since the deployment was declared.

    Raises:
        ConfigurationError: what it was, and what it is now.
    """
    connection = deployment.connection
    if kind_of(account) is not connection.kind:
        raise ConfigurationError(
            f"deployment {deployment.short_id} was declared on {connection.kind.value}, and account {account.name!r} "
            f"is {kind_of(account).value} now; put the declaration back, or deploy anew"
        )
    if account.is_live is not connection.real_money:
        was, now = ("real money", "no real money") if connection.real_money else ("no real money", "real money")
        raise ConfigurationError(
            f"deployment {deployment.short_id} was declared with {was}, and account {account.name!r} is {now} now; put "
            "the declaration back, or deploy anew"
        )


def _require_written_out(account: AccountFacts, mode: Mode, real_money: str) -> None:
    if not account.is_live:
        if real_money:
            raise ConfigurationError(f"--real-money {real_money}: account {account.name!r} trades no real money")
        return
    if mode is not Mode.LIVE:
        raise ConfigurationError(f"account {account.name!r} trades real money: a {mode.value} never does")
    if real_money != account.name:
        raise ConfigurationError(
            f"account {account.name!r} trades real money: write its name out once more, --real-money {account.name}"
        )


def _require_paper_terms(account: AccountFacts, dataset: VenueFacts, capital: Decimal) -> None:
    if account.paper is None:
        return
    if account.paper.venue != dataset.name:
        raise ConfigurationError(
            f"account {account.name!r} has the instrument facts of {account.paper.venue!r}; the candidate was measured "
            f"on {dataset.name!r}"
        )
    if account.paper.deposit < capital:
        raise ConfigurationError(
            f"account {account.name!r} is opened with {account.paper.deposit}, less than the capital of {capital}"
        )
