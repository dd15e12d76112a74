"""`airlock exchange` as a process of its own: how it starts, what it says, how it ends, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from include import bootstrap, cli
from include.config.settings import Settings
from include.domain.bars import Bar
from include.domain.enums import Side
from include.domain.errors import AirlockError
from include.domain.times import Timeframe, parse_utc
from include.market_data.sources.exchange import ExchangeSource
from include.market_data.sources.protocol import Request
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from tests.integration.venues.sandbox import order

ROOT = Path(__file__).resolve().parents[3]
FROM, TO = "2024-01-02", "2024-01-03"
MARKET = ("--venue", "synthetic", "--symbol", "BTCUSDT", "--symbol", "ETH/USDT", "--from", FROM, "--to", TO)
KEYS = {"AIRLOCK_ACCOUNT_PAPER_KEY": "the-key-itself", "AIRLOCK_ACCOUNT_PAPER_SECRET": "the-secret-itself"}
STOP_SECS = 10


def airlock(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.cli", *arguments],
        cwd=ROOT, env=environ(home, **environment), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def environ(home: Path, **more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOCK_")}
    return {**ours, "AIRLOCK_HOME": str(home), **more}


@contextmanager
def exchange(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "exchange", *MARKET, "--port", "0", *arguments],
        cwd=ROOT, env=environ(home, **KEYS), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=STOP_SECS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three days of two synthetic symbols in its lake."""
    folder = tmp_path_factory.mktemp("exchange-home")
    symbols = ("--symbol", "BTC/USDT", "--symbol", "ETH/USDT")
    span = ("--from", "2024-01-01", "--to", "2024-01-04")
    done = airlock(folder, "data", "import", "--source", "synthetic", "--venue", "synthetic", *symbols, *span)
    assert done.returncode == 0, done.stderr
    return folder


async def test_it_says_where_it_is_replays_the_lake_and_keeps_its_secrets(home: Path) -> None:
    with exchange(home, "--speed", "step", "--account", "paper", "--balance", "2500") as (process, ready):
        assert set(ready) == {"url", "pid"}
        assert ready["pid"] == process.pid
        assert str(ready["url"]).startswith("http://127.0.0.1:")
        venue = CcxtVenue(str(ready["url"]), SecretStr("the-key-itself"), SecretStr("the-secret-itself"))
        await venue.connect(["BTC/USDT", "ETH/USDT"], Timeframe(60))
        pacer, feed = SandboxPacer(venue), aiter(venue.events())
        assert (await venue.balances())[0].wallet == Decimal(2500)
        assert (await venue.history("BTC/USDT", 1_440))[0].open_time == parse_utc("2024-01-01")
        assert await pacer.advance()
        first = await anext(feed)
        assert isinstance(first, Bar)
        assert first.open_time == parse_utc(FROM)
        await venue.submit(order("one", Side.BUY, "0.01"))
        await pacer.advance()
        assert [position.quantity for position in await venue.positions()] == [Decimal("0.01")]
        await venue.close()
        process.send_signal(signal.SIGTERM)
        printed = "".join(process.communicate(timeout=STOP_SECS))
        assert process.returncode == 0
        assert "itself" not in printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(home: Path, number: signal.Signals) -> None:
    with exchange(home, "--speed", "60", "--account", "paper") as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=STOP_SECS) == 0


def test_a_busy_port_is_one_clear_line_and_exit_code_2(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = airlock(home, "exchange", *MARKET, "--port", str(port))
    assert (refused.returncode, refused.stdout) == (2, "")
    last = refused.stderr.strip().splitlines()[-1]
    assert f"port {port}" in last
    assert "already in use" in last


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*MARKET, "--account", "nobody"), "AIRLOCK_ACCOUNT_NOBODY_KEY"),
        ((*MARKET, "--speed", "fast"), "--speed 'fast'"),
        ((*MARKET, "--account", "paper", "--balance", "-1"), "--balance '-1'"),
        ((*MARKET, "--account", "paper", "--account", "paper"), "once"),
        ((*MARKET[:-4], "--from", "2031-01-01", "--to", "2031-02-01"), "BTC/USDT"),
        ((*MARKET[:-4], "--from", TO, "--to", FROM), "not before"),
        ((*MARKET[:2], "--symbol", "DOGE/USDT", *MARKET[-4:]), "DOGE/USDT"),
        ((*MARKET, "--symbol", "BTC/USDT"), "once"),
        ((*MARKET, "--timeframe", "1x"), "1x"),
        ((*MARKET, "--faults", "/nowhere/faults.yaml"), "fault plan /nowhere/faults.yaml"),
        ((*MARKET, "--state", "/nowhere/state.json"), "state file /nowhere/state.json"),
        ((*MARKET, "--brackets", "/nowhere/brackets.yaml"), "leverage brackets /nowhere/brackets.yaml"),
    ],
    ids=[
        "no keys",
        "speed",
        "balance",
        "account twice",
        "no data",
        "window",
        "symbol",
        "symbol twice",
        "timeframe",
        "faults",
        "state",
        "brackets",
    ],
)
def test_a_wrong_request_is_one_clear_line_and_exit_code_2(
    home: Path,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process: starting one takes longer than being refused."""
    for name, value in {**KEYS, "AIRLOCK_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["airlock", "exchange", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert words in told.err.strip().splitlines()[-1]


async def test_it_goes_on_from_its_state_with_the_keys_that_it_made_up_and_told_once(
    home: Path, tmp_path: Path
) -> None:
    state, faults = tmp_path / "state.json", tmp_path / "faults.yaml"
    faults.write_text("faults: [{kind: SERVER_ERROR, route: POST /fapi/v1/order, times: 1}]\n")
    options = ("--speed", "step", "--account", "bob:new:2500", "--state", str(state), "--faults", str(faults))
    with exchange(home, *options) as (process, ready):
        (told,) = ready["accounts"]
        venue = CcxtVenue(str(ready["url"]), SecretStr(told["key"]), SecretStr(told["secret"]))
        await venue.connect(["BTC/USDT"], Timeframe(60))
        await SandboxPacer(venue).advance()
        with pytest.raises(AirlockError):
            await venue.submit(order("one", Side.BUY, "0.01"))
        await venue.submit(order("two", Side.BUY, "0.01"))
        await venue.close()
        process.send_signal(signal.SIGTERM)
        assert told["secret"] not in process.communicate(timeout=STOP_SECS)[1]
    with exchange(home, *options) as (_, ready):
        assert set(ready) == {"url", "pid"}
        venue = CcxtVenue(str(ready["url"]), SecretStr(told["key"]), SecretStr(told["secret"]))
        await venue.connect(["BTC/USDT"], Timeframe(60))
        assert [report.client_order_id for report in await venue.open_orders()] == ["two"]
        await SandboxPacer(venue).advance()
        assert [position.quantity for position in await venue.positions()] == [Decimal("0.01")]
        await venue.close()


def test_keys_that_it_made_up_outlive_a_kill_before_the_first_snapshot(home: Path, tmp_path: Path) -> None:
    options = ("--speed", "step", "--account", "bob:new", "--state", str(tmp_path / "state.json"))
    with exchange(home, *options) as (process, ready):
        assert [account["name"] for account in ready["accounts"]] == ["bob"]
        process.kill()
        process.wait(STOP_SECS)
    with exchange(home, *options) as (_, ready):
        assert set(ready) == {"url", "pid"}


def test_the_history_it_serves_is_the_lake_it_replays_to_whoever_asks_it_as_an_exchange(home: Path) -> None:
    stored = bootstrap.open_lake(Settings(home=home)).bars(
        "synthetic", "ETH/USDT", Timeframe(60), parse_utc("2024-01-01"), parse_utc(FROM)
    )
    with exchange(home, "--speed", "step") as (_, ready):
        source = ExchangeSource("binanceusdm", url=str(ready["url"]), now=parse_utc(FROM))
        chunks = list(source.chunks(Request("ETH/USDT", Timeframe(60))))
    assert [len(chunk.columns["open_time"]) for chunk in chunks] == [1_000, 440]
    for name in ("open_time", "open", "high", "low", "close", "volume"):
        found = np.concatenate([chunk.columns[name] for chunk in chunks])
        np.testing.assert_array_equal(found, getattr(stored, name), err_msg=name)
