"""Declared accounts: what is shipped, what a home folder adds, what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from include.config.accounts import find_account, load_accounts
from include.domain.errors import ConfigurationError
from include.venues.dialects import DIALECTS


def test_nothing_that_is_shipped_trades_real_money_and_every_exchange_is_spoken(tmp_path: Path) -> None:
    shipped = load_accounts(tmp_path)
    assert shipped
    assert [name for name, facts in shipped.items() if facts.is_live] == []
    assert {facts.exchange for facts in shipped.values()} <= set(DIALECTS)
    assert {facts.backup for facts in shipped.values() if facts.backup} <= set(DIALECTS)


def test_an_account_is_live_unless_it_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "accounts.yaml").write_text("mine: {exchange: bybit}\nsandbox: {exchange: bybit, sandbox: true}\n")
    found = load_accounts(tmp_path)
    assert found["mine"].is_live
    assert (found["sandbox"].exchange, found["sandbox"].is_live) == ("bybit", False)


def test_money_on_paper_is_exact(tmp_path: Path) -> None:
    (tmp_path / "accounts.yaml").write_text('p: {exchange: bybit, paper: {deposit: "0.1", venue: synthetic}}\n')
    paper = find_account(tmp_path, "p").paper
    assert paper is not None
    assert paper.deposit == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: {exchange: bybit, leverage: 3}", "leverage"),
        ("a: {sandbox: true}", "exchange"),
        ("a: {exchange: bybit, sandbox: true, local: true}", "exclude each other"),
        ("a: {exchange: bybit, timeframe: 1x}", "1x"),
        ("a: {exchange: bybit, paper: {deposit: 5, venue: x}}", "in quotes"),
        ("a: {exchange: bybit, symbols: []}", "symbols"),
    ],
    ids=["unknown key", "no exchange", "two places", "timeframe", "bare number", "no symbols"],
)
def test_a_wrong_declaration_is_one_line_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "accounts.yaml").write_text(text + "\n")
    with pytest.raises(ConfigurationError) as error:
        load_accounts(tmp_path)
    assert words in str(error.value)
    assert "accounts.yaml" in str(error.value)
    assert "\n" not in str(error.value)
