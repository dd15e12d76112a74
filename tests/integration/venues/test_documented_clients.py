"""What the page of the sandbox exchange tells users to do with their clients works as it stands there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.venues.sandbox import ALICE, running

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sandbox-exchange.md"
WRITTEN_ADDRESS = "127.0.0.1:41713"


def snippet(number: int, address: str) -> dict[str, Any]:
    """The names that a Python block of the page defines, run against another address."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert WRITTEN_ADDRESS in blocks[number]
    names: dict[str, Any] = {"KEY": ALICE.key.get_secret_value(), "SECRET": ALICE.secret.get_secret_value()}
    exec(blocks[number].replace(WRITTEN_ADDRESS, address), names)
    return names


def with_ccxt(address: str) -> None:
    made = snippet(0, address)
    assert made["futures"].fetch_balance()["USDT"]["total"] == 100_000
    assert list(made["spot"].load_markets()) == ["BTC/USDT", "ETH/USDT"]
    assert made["spot"].fetch_status()["status"] == made["futures"].fetch_status()["status"] == "ok"
    assert made["spot"].fetch_deposits("USDT") == made["spot"].fetch_withdrawals("USDT") == []


def with_python_binance(address: str) -> None:
    from binance import Client
    from binance.base_client import BaseClient
    from binance.ws.streams import BinanceSocketManager

    patched = {BaseClient: ("API_URL", "MARGIN_API_URL", "FUTURES_URL", "WS_API_URL", "WS_FUTURES_URL"),
               BinanceSocketManager: ("STREAM_URL", "FSTREAM_URL")}  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for owner, names in patched.items():
            for name in names:
                patch.setattr(owner, name, getattr(owner, name))
        snippet(1, address)
        client = Client(ALICE.key.get_secret_value(), ALICE.secret.get_secret_value())
        assert client.futures_account()["totalWalletBalance"] == "100000"
        assert client.get_asset_balance("USDT")["free"] == "100000.00000000"
        assert client.get_system_status() == {"status": 0, "msg": "normal"}
        assert client.get_account_status() == {"data": "Normal"}


@pytest.mark.parametrize("use", [with_ccxt, with_python_binance], ids=["ccxt", "python-binance"])
async def test_a_client_reaches_the_exchange_as_the_page_says(use: Callable[[str], None]) -> None:
    async with running() as sandbox:
        await asyncio.to_thread(use, sandbox.url.removeprefix("http://"))
