"""Which deployment may use which account: a table of what is granted and what is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from include.config.accounts import AccountFacts, PaperTerms
from include.config.connections import connect_account, kind_of, require_declared
from include.config.venues import VenueFacts
from include.domain.deployments import VenueKind
from include.domain.enums import Mode
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe
from tests.samples import sample_candidate, sample_deployment

CAPITAL = Decimal(1_000)
REAL = AccountFacts("mine", "binance-usdm", False, False, ("BTC/USDT",), Timeframe(60), "", None)
TESTNET = replace(REAL, name="testnet", sandbox=True)
LOCAL = replace(REAL, name="sandbox", local=True)
PAPER = replace(REAL, name="paper", paper=PaperTerms(CAPITAL, "binance-usdm"))
PAPER_LOCAL = replace(PAPER, name="paper-local", local=True)
RECORDED, MADE_UP = VenueFacts("binance-usdm", False, {}), VenueFacts("synthetic", True, {})
URL = "http://127.0.0.1:9"
SIMULATION, LIVE = Mode.SIMULATION, Mode.LIVE


@pytest.mark.parametrize(
    ("account", "mode", "written", "kind", "url"),
    [
        (PAPER, SIMULATION, "", VenueKind.PAPER, ""),
        (PAPER, LIVE, "", VenueKind.PAPER, ""),
        (PAPER_LOCAL, SIMULATION, "", VenueKind.PAPER, URL),
        (LOCAL, SIMULATION, "", VenueKind.SANDBOX, URL),
        (TESTNET, SIMULATION, "", VenueKind.EXCHANGE, ""),
        (TESTNET, LIVE, "", VenueKind.EXCHANGE, ""),
        (REAL, LIVE, "mine", VenueKind.EXCHANGE, ""),
    ],
)
def test_granted(account: AccountFacts, mode: Mode, written: str, kind: VenueKind, url: str) -> None:
    made = connect_account(account, RECORDED, mode, CAPITAL, exchange_url=URL, real_money=written)
    assert (made.kind, made.account, made.url, made.dataset) == (kind, account.name, url, "binance-usdm")
    assert made.real_money is (account is REAL)


@pytest.mark.parametrize(
    ("account", "mode", "written", "dataset", "capital", "url", "words"),
    [
        (REAL, SIMULATION, "", RECORDED, CAPITAL, URL, "a SIMULATION never does"),
        (REAL, SIMULATION, "mine", RECORDED, CAPITAL, URL, "a SIMULATION never does"),
        (REAL, LIVE, "", RECORDED, CAPITAL, URL, "--real-money mine"),
        (REAL, LIVE, "Mine", RECORDED, CAPITAL, URL, "--real-money mine"),
        (REAL, LIVE, "mine", MADE_UP, CAPITAL, URL, "made up"),
        (TESTNET, LIVE, "testnet", RECORDED, CAPITAL, URL, "no real money"),
        (PAPER, SIMULATION, "paper", RECORDED, CAPITAL, URL, "no real money"),
        (PAPER, SIMULATION, "", MADE_UP, CAPITAL, URL, "instrument facts"),
        (PAPER, SIMULATION, "", RECORDED, CAPITAL + 1, URL, "less than the capital"),
        (LOCAL, SIMULATION, "", RECORDED, CAPITAL, "", "AIRLOCK_EXCHANGE_URL"),
    ],
)
def test_refused_in_one_line(
    account: AccountFacts, mode: Mode, written: str, dataset: VenueFacts, capital: Decimal, url: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        connect_account(account, dataset, mode, capital, exchange_url=url, real_money=written)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("then", "mode", "now"),
    [
        (TESTNET, LIVE, replace(TESTNET, sandbox=False)),
        (TESTNET, SIMULATION, replace(TESTNET, sandbox=False)),
        (REAL, LIVE, replace(REAL, sandbox=True)),
        (PAPER, SIMULATION, replace(PAPER, paper=None)),
        (PAPER, SIMULATION, replace(PAPER, paper=None, sandbox=True)),
        (TESTNET, SIMULATION, replace(TESTNET, sandbox=False, local=True)),
    ],
)
def test_an_account_that_became_another_one_is_refused_when_the_deployment_starts(
    then: AccountFacts, mode: Mode, now: AccountFacts
) -> None:
    written = then.name if then.is_live else ""
    connection = connect_account(then, RECORDED, mode, CAPITAL, exchange_url=URL, real_money=written)
    deployment = sample_deployment(sample_candidate(), mode, connection=connection)
    require_declared(deployment, then)
    with pytest.raises(ConfigurationError, match="was declared"):
        require_declared(deployment, now)


def test_every_account_has_one_kind() -> None:
    assert [kind_of(account) for account in (PAPER, PAPER_LOCAL, LOCAL, TESTNET, REAL)] == [
        VenueKind.PAPER, VenueKind.PAPER, VenueKind.SANDBOX, VenueKind.EXCHANGE, VenueKind.EXCHANGE,
    ]  # fmt: skip
