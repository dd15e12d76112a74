"""Accounts as a user writes them: whose keys, which deposit, what is refused, and what the state file keeps."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from include.domain.errors import ConfigurationError, DataError
from include.venues.sandbox.account_setup import AccountSetup, Keys, kept_keys, told_once
from include.venues.sandbox.accounts import Permission
from include.venues.sandbox.bracket_file import load_brackets
from include.venues.sandbox.faults.plan import read_plan
from include.venues.sandbox.snapshots import save
from tests.adapters.gateways import ALICE, BOB, make_desk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sandbox-exchange.md"


def environment(name: str) -> Keys:
    return SecretStr(f"env-{name}"), SecretStr("env-secret")


def setup(**kept: Keys) -> AccountSetup:
    return AccountSetup(Decimal(800_000), environment, kept)


@pytest.mark.parametrize(
    ("text", "deposit", "key", "balance"),
    [
        ("paper", [], "env-paper", 800_000),
        ("paper", ["25"], "env-paper", 25),
        ("paper:k:s", [], "k", 800_000),
        ("paper:k:s:70", [], "k", 70),
        ("paper:k:s:70", ["25"], "k", 25),
    ],
)
def test_an_account_is_read_from_one_word(text: str, deposit: list[str], key: str, balance: int) -> None:
    (spec,) = setup().specs([text], deposit, None)
    assert (spec.name, spec.key.get_secret_value(), spec.balance) == ("paper", key, Decimal(balance))
    assert told_once([spec], {}) == []


def test_made_up_keys_are_told_once_and_kept() -> None:
    (spec,) = setup().specs(["paper:new:9"], [], None)
    (told,) = told_once([spec], {})
    assert told == {"name": "paper", "key": spec.key.get_secret_value(), "secret": spec.secret.get_secret_value()}
    assert len(told["key"]) == 64
    kept = {"paper": (spec.key, spec.secret)}
    (again,) = setup(**kept).specs(["paper:new"], [], None)
    assert (again.key, told_once([again], kept)) == (spec.key, [])
    (other,) = setup().specs(["paper:new"], [], None)
    assert other.key != spec.key


@pytest.mark.parametrize(
    ("texts", "balances", "words"),
    [
        (["a", "a"], [], "account a"),
        (["a:k"], [], "NAME:KEY:SECRET"),
        (["a:k:s:1:2"], [], "NAME:KEY:SECRET"),
        (["a:k::5"], [], "NAME:KEY:SECRET"),
        (["a"], ["1", "2"], "2 --balance for 1"),
        (["a"], ["-1"], "'-1'"),
        (["a"], ["NaN"], "'NaN'"),
        (["a:new:much"], [], "'much'"),
    ],
)
def test_what_cannot_be_an_account_is_refused(texts: list[str], balances: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        setup().specs(texts, balances, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accounts: [{name: a, key: k-of-a}]", "accounts.0: Value error, give both"),
        ("accounts: [{name: a, secret: hush, rights: all}]", "accounts.0.rights"),
        ("accounts: [{name: 'a b'}]", "accounts.0.name"),
        ("accounts: [{name: a, balance: 0}]", "accounts.0.balance"),
        ("accounts: [{name: a, permissions: [WITHDRAW]}]", "accounts.0.permissions.0"),
        ("accounts: [{name: a, public_key: abc}]", "32 bytes"),
        ("{", "not YAML"),
    ],
)
def test_an_accounts_file_with_a_mistake_is_refused_without_telling_its_secrets(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        setup().specs([], [], path)
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)
    assert "k-of-a" not in str(refused.value)


def test_the_examples_of_the_page_are_understood(tmp_path: Path) -> None:
    accounts, brackets, faults = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "accounts.yaml"
    path.write_text(accounts)
    alice, bob, carol = setup().specs([], [], path)
    assert alice.made_up
    assert alice.balance == 10_000
    assert bob.permissions == {Permission.READ}
    assert carol.public_key is not None
    assert len(read_plan(yaml.safe_load(faults), "page").faults) == 4
    path.write_text(brackets)
    assert [b.max_leverage for b in load_brackets(path, ["BTC/USDT"])["BTC/USDT"]] == [125, 100, 50]


# --- the state file ----------------------------------------------------------------------------------------


def test_the_state_keeps_the_keys_that_the_exchange_made_up_and_no_others(tmp_path: Path) -> None:
    (made,) = setup().specs(["carol:new"], [], None)
    path = tmp_path / "state.json"
    save(make_desk(accounts=(ALICE, made)).gateway, path)
    assert kept_keys(path) == {"carol": (made.key, made.secret)}
    assert kept_keys(tmp_path / "nowhere") == {}
    assert path.stat().st_mode & 0o077 == 0


def test_a_state_of_another_market_or_other_accounts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    save(make_desk().gateway, path)
    make_desk(state=path)
    with pytest.raises(ConfigurationError, match="another market"):
        make_desk(state=path, seed=2)
    with pytest.raises(ConfigurationError, match="accounts alice, bob"):
        make_desk(state=path, accounts=(ALICE,))


@pytest.mark.parametrize(("text", "words"), [("{", "not JSON"), ("[]", "format"), ('{"format": 99}', "format")])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises((ConfigurationError, DataError), match=words):
        make_desk(state=path)
    with pytest.raises(ConfigurationError, match="can not be read"):
        kept_keys(path)


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    desk, path = make_desk(), tmp_path / "folder" / "state.json"
    with pytest.raises(ConfigurationError, match="--state"):
        save(desk.gateway, path)
    path = tmp_path / "state.json"
    save(desk.gateway, path)
    before = path.read_bytes()
    desk.exchange.accounts["bob"] = object()  # type: ignore[assignment]
    with pytest.raises((AttributeError, DataError)):
        save(desk.gateway, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_accounts_that_share_a_name_share_nothing(tmp_path: Path) -> None:
    desk = make_desk()
    desk.play()
    desk.order("same")
    assert desk.ask("GET /fapi/v1/openOrders", BOB).document == []
    placed = desk.ask(
        "POST /fapi/v1/order", BOB, symbol="BTCUSDT", side="SELL", type="MARKET", quantity="1", newClientOrderId="same"
    )
    assert placed.status == 200
    desk.play()
    assert [len(a.trades) for a in desk.exchange.accounts.values()] == [1, 1]


@pytest.mark.parametrize(("route", "code"), [("POST /fapi/v1/order", -4116), ("POST /api/v3/order", -2010)])
def test_a_client_order_id_is_refused_while_its_order_is_open_and_free_afterwards(route: str, code: int) -> None:
    desk = make_desk()
    desk.play()
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": "one"}
    first = desk.ask(route, ALICE, **order)
    assert first.status == 200
    assert desk.ask(route, ALICE, **order).document["code"] == code
    desk.play()
    second = desk.ask(route, ALICE, **order)
    assert second.status == 200
    assert second.document["orderId"] != first.document["orderId"]
