"""`airlock node` as a process: two lakes with a node between them, how it says where it is, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from include import bootstrap
from include.config.settings import Settings
from include.domain.errors import ConfigurationError, RetryableError
from include.market_data.importing import import_bars
from include.market_data.node_process import serve
from include.market_data.node_server import build_app
from include.market_data.sources.node import NodeSource
from include.market_data.sources.protocol import Request
from tests.market import MINUTE, NOW, START, Filled, filled_lake, lake_at

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "a-token-for-readers"
COUNT = 4_000
STOP_SECS = 15


@contextmanager
def node(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node over the lake of a home folder, and the line it printed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOCK_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "node", *arguments], cwd=ROOT,
        env={**ours, "AIRLOCK_HOME": str(home), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=STOP_SECS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return filled_lake(tmp_path_factory.mktemp("home"), COUNT)


def home_of(filled: Filled) -> Path:
    return Path(filled.lake.root).parent


def settings_for(home: Path, url: str, token: str) -> Settings:
    return Settings(home=home, historical_node_url=url, node_token=SecretStr(token))


def test_one_airlock_feeds_another_and_ends_in_order_when_told_to(filled: Filled, tmp_path: Path) -> None:
    with node(home_of(filled), "--json", AIRLOCK_NODE_TOKEN=TOKEN) as (process, line):
        ready = json.loads(line)
        assert ready["pid"] == process.pid
        assert ready["url"].startswith("http://127.0.0.1:")

        source = bootstrap.node_source(settings_for(tmp_path, ready["url"], TOKEN), "synthetic")
        mine = lake_at(tmp_path)
        (report,) = import_bars(mine, source, "synthetic", [Request("BTC/USDT", MINUTE)], now=NOW)
        assert report.rows_added == COUNT
        window = ("synthetic", ["BTC/USDT"], MINUTE, START, filled.end)
        assert mine.fingerprint(*window) == filled.lake.fingerprint(*window)
        (again,) = import_bars(mine, source, "synthetic", [Request("BTC/USDT", MINUTE)], now=NOW)
        assert (again.rows_added, again.rows_known) == (0, COUNT)

        stranger = bootstrap.node_source(settings_for(tmp_path, ready["url"], "wrong"), "synthetic")
        with pytest.raises(ConfigurationError, match=r"refused the token .*set AIRLOCK_NODE_TOKEN"):
            list(stranger.chunks(Request("BTC/USDT", MINUTE)))

        process.send_signal(signal.SIGTERM)
        printed, logged = process.communicate(timeout=STOP_SECS)
        assert process.returncode == 0
        assert printed == ""
        assert "GET /v1/ohlcv?symbol=BTC%2FUSDT" in logged
        assert TOKEN not in logged
        assert "Traceback" not in logged


def test_a_node_killed_in_the_middle_of_a_stream_leaves_whole_months_and_a_reason(filled: Filled) -> None:
    with node(home_of(filled), "--venue", "synthetic") as (process, line):
        assert line.startswith("http://127.0.0.1:")
        with cutting_relay(line.strip(), lambda: os.kill(process.pid, signal.SIGKILL)) as relay:
            source = NodeSource(
                relay.url, None, "synthetic", now=lambda: datetime.now(UTC), max_attempts=3, sleep=lambda _: None
            )
            chunks = source.chunks(Request("BTC/USDT", MINUTE))
            first = next(chunks)
            relay.bytes_left = 5_000
            with pytest.raises(
                RetryableError, match=rf"^data node {relay.url}: BTC/USDT 1m 2024-02: .*3 of 3 attempts"
            ):
                next(chunks)
            assert process.wait(STOP_SECS) == -signal.SIGKILL
        np.testing.assert_array_equal(first.columns["close"], filled.columns["close"][: 26 * 60])


def test_a_port_that_is_taken_is_named(filled: Filled) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} on 127\.0\.0\.1 is already in use.*--port"):
            serve(build_app(filled.lake), "127.0.0.1", port, print)


def test_the_command_refuses_an_open_address_without_a_token(tmp_path: Path) -> None:
    open_to_all = Settings(home=tmp_path, node_token=None)
    with pytest.raises(ConfigurationError, match="set AIRLOCK_NODE_TOKEN"):
        bootstrap.run_node(open_to_all, host="0.0.0.0", port=0, venue="", ready=print)


def test_without_an_address_the_node_is_asked_for_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set HISTORICAL_NODE_URL"):
        bootstrap.node_source(Settings(home=tmp_path, historical_node_url=""), "binance-usdm")
    assert bootstrap.node_source(Settings(home=tmp_path), "", "http://127.0.0.1:8").name == "node:127.0.0.1:8"


def test_the_exchange_of_a_venue_is_the_declared_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert bootstrap.exchange_source(settings, "binance-usdm", "http://127.0.0.1:8").name == "ccxt:binanceusdm"
    with pytest.raises(ConfigurationError, match=r"'synthetic': venues\.yaml names no exchange"):
        bootstrap.exchange_source(settings, "synthetic")
    with pytest.raises(ConfigurationError, match=r"'nowhere' is not declared in venues\.yaml"):
        bootstrap.exchange_source(settings, "nowhere")


# --- a wire that breaks ------------------------------------------------------------------------------------


class CuttingRelay:
    """Passes connections on; once `bytes_left` of answers have gone through, calls `at_the_cut` and hangs up."""

    def __init__(self, target: str, listener: socket.socket, at_the_cut: Callable[[], None]) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target, self._listener, self._at_the_cut = (host, int(port)), listener, at_the_cut
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.bytes_left: int | None = None

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                with socket.create_connection(self._target) as upstream:
                    threading.Thread(target=_copy, args=(client, upstream), daemon=True).start()
                    while data := upstream.recv(2_000):
                        client.sendall(data)
                        if self.bytes_left is not None:
                            self.bytes_left -= len(data)
                            if self.bytes_left < 0:
                                self._at_the_cut()
                                return
            except OSError:
                return
            finally:
                client.shutdown(socket.SHUT_RDWR)  # the other thread still reads from it


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
    except OSError:
        return


@contextmanager
def cutting_relay(target: str, at_the_cut: Callable[[], None]) -> Iterator[CuttingRelay]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = CuttingRelay(target, listener, at_the_cut)
        threading.Thread(target=relay.run, daemon=True).start()
        yield relay
        listener.shutdown(socket.SHUT_RDWR)
