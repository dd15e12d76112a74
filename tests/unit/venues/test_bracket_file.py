"""Leverage brackets of a user's file: what is read, and what is refused in one line."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from include.domain.errors import ConfigurationError
from include.venues.sandbox.bracket_file import load_brackets

BTC = "BTC/USDT"
ROWS = "[{cap: 50000, leverage: 125, rate: 0.004}, {cap: 250000, leverage: 50, rate: 0.005}]"


def written(folder: Path, text: str) -> Path:
    path = folder / "brackets.yaml"
    path.write_text(text)
    return path


def test_a_symbol_may_be_written_either_way_and_numbers_are_exact(tmp_path: Path) -> None:
    tables = load_brackets(written(tmp_path, f"brackets: {{BTCUSDT: {ROWS}}}"), [BTC, "ETH/USDT"])
    assert list(tables) == [BTC]
    assert [(b.cap, b.max_leverage, b.rate, b.amount) for b in tables[BTC]] == [
        (Decimal(50_000), 125, Decimal("0.004"), Decimal(0)),
        (Decimal(250_000), 50, Decimal("0.005"), Decimal(50)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("brackets: {DOGE/USDT: " + ROWS + "}", "DOGE/USDT is not replayed"),
        ("brackets: {BTC/USDT: []}", "BTC/USDT: a symbol needs at least one"),
        ("brackets: {BTC/USDT: [{cap: 5, leverage: 3, rate: 0.1}, {cap: 4, leverage: 3, rate: 0.1}]}", "bracket 2"),
        ("brackets: {BTC/USDT: [{cap: five, leverage: 3, rate: 0.1}]}", "brackets.BTC/USDT.0.cap"),
        ("brackets: {BTC/USDT: [{cap: 5, leverage: 3, rate: 0.1, cum: 1}]}", "cum: Extra inputs"),
        ("brackets: {BTC/USDT", "not YAML"),
        ("", "document"),
    ],
    ids=["symbol", "empty", "falling caps", "no number", "unknown key", "no yaml", "nothing"],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        load_brackets(written(tmp_path, text), [BTC])
    assert "\n" not in str(refused.value)
