"""`airlock venue check`: what it says, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.cli import app
from include.domain.enums import OrderStatus, Side
from include.domain.errors import ConfigurationError, OutcomeUnknownError
from include.domain.orders import Order, OrderReport
from include.qualification.verdict import Verdict
from include.venues.acceptance.check import check_account
from include.venues.ccxt_venue import CcxtVenue
from tests.adapters.memory_market import MINUTE
from tests.adapters.relay import Fault, relay_to
from tests.integration.venues.sandbox import ALICE, BOB, SYMBOLS, Running, order, running

TAG = "alc-test-"


async def run(url: str, *, venue: CcxtVenue | None = None, matters: bool = False) -> dict[str, tuple[Verdict, str]]:
    venue = venue or CcxtVenue(url, ALICE.key, ALICE.secret)
    found = await check_account(venue, SYMBOLS, MINUTE, TAG, can_withdraw_matters=matters)
    return {result.name: (result.verdict, result.detail) for result in found}


def open_orders(sandbox: Running) -> list[str]:
    return [o.request.client_order_id for o in sandbox.exchange.accounts["alice"].open_orders()]


async def test_a_fit_account_passes_everything_and_nothing_is_left() -> None:
    async with running() as sandbox:
        found = await run(sandbox.url, matters=True)
        assert {verdict for verdict, _ in found.values()} == {Verdict.PASS}, found
        assert len(found) >= 12
        assert open_orders(sandbox) == []


async def test_what_was_placed_is_cancelled_although_its_card_fails() -> None:
    class Blind(CcxtVenue):
        """Never finds an order by its id: the card that asks fails with the order working."""

        async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
            return None

    async with running() as sandbox:
        found = await run(sandbox.url, venue=Blind(sandbox.url, ALICE.key, ALICE.secret))
        assert found["030 smallest order far from the market"][0] is Verdict.FAIL
        assert open_orders(sandbox) == []


async def test_an_order_whose_answer_was_lost_is_found_and_cancelled() -> None:
    class Lossy(CcxtVenue):
        """The exchange takes the order; its answer never arrives."""

        async def submit(self, order: Order) -> OrderReport:
            await super().submit(order)
            raise OutcomeUnknownError("timed out")

    async with running() as sandbox:
        found = await run(sandbox.url, venue=Lossy(sandbox.url, ALICE.key, ALICE.secret))
        assert found["030 smallest order far from the market"][0] is Verdict.INCONCLUSIVE
        assert found["clean-up: everything placed is cancelled"] == (Verdict.PASS, "1 left over and cancelled")
        assert open_orders(sandbox) == []


async def test_orders_of_somebody_else_are_left_alone() -> None:
    async with running() as sandbox:
        other = CcxtVenue(sandbox.url, ALICE.key, ALICE.secret)
        await other.connect(SYMBOLS, MINUTE)
        await other.submit(order("not-ours", Side.BUY, "1", limit="50.0"))
        await run(sandbox.url)
        assert open_orders(sandbox) == ["not-ours"]
        found = await other.find_order(SYMBOLS[0], "not-ours")
        assert found is not None
        assert found.status is OrderStatus.ACCEPTED
        await other.close()


async def test_a_key_that_may_withdraw_is_not_fit() -> None:
    class Rich(CcxtVenue):
        async def permissions(self) -> tuple[bool, bool]:
            return True, True

    async with running() as sandbox:
        found = await run(sandbox.url, venue=Rich(sandbox.url, ALICE.key, ALICE.secret))
        assert found["permissions: may trade, may not withdraw"][0] is Verdict.FAIL
        assert "WITHDRAW" in found["permissions: may trade, may not withdraw"][1]


@pytest.mark.parametrize(("matters", "verdict"), [(True, Verdict.INCONCLUSIVE), (False, Verdict.PASS)])
async def test_rights_that_cannot_be_read_are_unmeasured_where_there_is_real_money(
    matters: bool, verdict: Verdict
) -> None:
    class Silent(CcxtVenue):
        async def permissions(self) -> tuple[bool, bool]:
            raise OutcomeUnknownError("no such route")

    async with running() as sandbox:
        found = await run(sandbox.url, venue=Silent(sandbox.url, ALICE.key, ALICE.secret), matters=matters)
        assert found["permissions: may trade, may not withdraw"][0] is verdict


async def test_a_wrong_secret_is_refused_by_every_check_that_needs_it() -> None:
    async with running() as sandbox:
        found = await run(sandbox.url, venue=CcxtVenue(sandbox.url, ALICE.key, BOB.secret))
        assert found["permissions: may trade, may not withdraw"][0] is Verdict.FAIL


async def test_an_exchange_that_does_not_answer_is_unmeasured_and_wrong_keys_are_wrong() -> None:
    async with running() as sandbox, relay_to(sandbox.url) as relay:
        relay.fault = Fault.CUT
        cut = CcxtVenue(relay.url, ALICE.key, ALICE.secret, timeout_ms=500)
        assert [verdict for verdict, _ in (await run(relay.url, venue=cut)).values()] == [Verdict.INCONCLUSIVE]
        stranger = CcxtVenue(sandbox.url, ALICE.secret, ALICE.key)
        assert Verdict.FAIL in [verdict for verdict, _ in (await run(sandbox.url, venue=stranger)).values()]


def invoke(home: Path, *arguments: str, **environment: str) -> tuple[int, str, BaseException | None]:
    names = {"AIRLOCK_HOME": str(home), "AIRLOCK_EXCHANGE_URL": "", **environment}
    done = CliRunner().invoke(app, ["venue", "check", *arguments], env=names)
    return done.exit_code, done.stdout, done.exception


async def test_the_command_prints_a_table_or_one_document(tmp_path: Path) -> None:
    keys = {
        "AIRLOCK_ACCOUNT_SANDBOX_KEY": ALICE.key.get_secret_value(),
        "AIRLOCK_ACCOUNT_SANDBOX_SECRET": ALICE.secret.get_secret_value(),
    }
    async with running() as sandbox:
        arguments = ("sandbox", "--url", sandbox.url, "--symbol", "BTC/USDT")
        status, text, _ = await asyncio.to_thread(invoke, tmp_path, *arguments, "--json", **keys)
        document = json.loads(text)
        assert (status, document["verdict"], document["exchange"]) == (0, "PASS", "binance-usdm")
        assert all(set(check) == {"name", "verdict", "detail", "secs"} for check in document["checks"])
        status, text, _ = await asyncio.to_thread(invoke, tmp_path, *arguments, **keys)
        assert (status, text.rstrip().splitlines()[-1]) == (0, "PASS: account sandbox")
        assert keys["AIRLOCK_ACCOUNT_SANDBOX_SECRET"] not in text


async def test_an_account_on_paper_is_checked_without_keys(tmp_path: Path) -> None:
    terms = '{exchange: binance-usdm, local: true, paper: {deposit: "5000", venue: synthetic}}'
    (tmp_path / "accounts.yaml").write_text(f"on-paper: {terms}\n")
    async with running() as sandbox:
        status, text, error = await asyncio.to_thread(invoke, tmp_path, "on-paper", "--url", sandbox.url, "--json")
    assert status == 0, (text, error)
    assert json.loads(text)["verdict"] == "PASS"
    assert (tmp_path / "accounts" / "on-paper.journal").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody",), "not declared"),
        (("real",), "--yes"),
        (("real", "--yes"), "AIRLOCK_ACCOUNT_REAL_KEY"),
        (("sandbox",), "AIRLOCK_EXCHANGE_URL"),
        (("binance-demo", "--url", "http://127.0.0.1:9"), "not local"),
        (("odd", "--yes"), "exchange 'kraken' is not known"),
    ],
    ids=["unknown account", "real money", "no keys", "no address", "address", "unknown exchange"],
)
def test_a_wrong_request_is_one_clear_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    own = "real: {exchange: binance-usdm}\nodd: {exchange: kraken}\n"
    (tmp_path / "accounts.yaml").write_text(own)
    keys = {"AIRLOCK_ACCOUNT_ODD_KEY": "k", "AIRLOCK_ACCOUNT_ODD_SECRET": "s"}
    _, _, error = invoke(tmp_path, *arguments, **keys)
    assert isinstance(error, ConfigurationError), error
    assert words in str(error)
    assert "\n" not in str(error)
