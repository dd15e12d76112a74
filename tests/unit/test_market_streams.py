"""Market streams without sockets: the frames that a subscriber is handed while bars are played."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest

from include.domain.bars import Bars
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.hub import SPOT, Connection, Hub
from include.venues.sandbox.tape import Tape
from tests.adapters.memory_market import MINUTE, make_instrument, random_bars

START = datetime(2024, 3, 1, tzinfo=UTC)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
KINDS = (
    "trade", "aggTrade", "depth", "depth@100ms", "depth5", "depth10@250ms", "bookTicker", "kline_1m", "kline_5m",
    "kline_1h", "miniTicker", "ticker", "ticker_1h", "markPrice", "avgPrice",
)  # fmt: skip
NAMES = [
    *(f"{market}@{kind}" for market in ("btcusdt", "ethusdt") for kind in KINDS),
    "!ticker@arr", "!miniTicker@arr", "!bookTicker", "!markPrice@arr", "btcusdt_perpetual@continuousKline_3m",
]  # fmt: skip


def tape(symbol: str, count: int, *, gone: tuple[int, ...] = (), start: int = 30) -> Tape:
    bars = random_bars(symbol, START, count, seed=len(symbol) + ord(symbol[0]))
    kept = np.array([row for row in range(count) if row not in gone])
    columns = (getattr(bars, name)[kept] for name in ("open_time", "open", "high", "low", "close", "volume"))
    return Tape(make_instrument(symbol), Bars(symbol, MINUTE, *columns), start)


class Listener:
    """A connection whose frames are kept instead of sent."""

    def __init__(self, exchange: Exchange, names: list[str], prefix: str = "") -> None:
        self.frames: list[bytes] = []
        connection = Connection(self._send, combined=True, account=None, prefix=prefix)
        connection.put = self.frames.append  # type: ignore[method-assign]
        exchange.hub.add(connection)
        exchange.hub.subscribe(connection, names)

    async def _send(self, payload: bytes) -> None:
        raise AssertionError("frames are taken from the connection directly")

    def events(self, stream: str) -> list[Any]:
        documents = (orjson.loads(frame) for frame in self.frames)
        return [document["data"] for document in documents if document["stream"] == stream]


def play(tapes: list[Tape], names: list[str], prefix: str = "", *, partial_klines: bool = False) -> Listener:
    exchange = Exchange({t.instrument.symbol: t for t in tapes}, [], Hub(), partial_klines=partial_klines)
    listener = Listener(exchange, names, prefix)
    while not exchange.is_done:
        exchange.open_bar()
        exchange.finish_bar()
    return listener


@pytest.mark.parametrize("prefix", ["", SPOT], ids=["USD-M", "spot"])
def test_a_replay_tells_the_same_bytes_again(prefix: str) -> None:
    def run() -> list[bytes]:
        return play([tape(symbol, 45) for symbol in SYMBOLS], NAMES, prefix, partial_klines=True).frames

    first = run()
    assert len(first) > 3_000
    assert first == run()


def test_every_known_name_is_told_something_in_its_protocol_and_time_never_runs_backwards() -> None:
    for prefix, silent in (("", {"avgPrice"}), (SPOT, {"markPrice", "!markPrice@arr"})):
        listener = play([tape(symbol, 36) for symbol in SYMBOLS], NAMES, prefix)
        for name in NAMES:
            events = listener.events(name)
            assert bool(events) != (name.rpartition("@")[2] in silent or name in silent), name
            times = [event["E"] for event in events if isinstance(event, dict) and "E" in event]
            # a stream of all markets tells one market's bar after the other's
            assert name.startswith("!") or times == sorted(times)


def test_a_longer_bar_that_ends_in_a_hole_is_closed_when_the_next_one_opens() -> None:
    listener = play([tape("BTC/USDT", 45, gone=(33, 34))], ["btcusdt@kline_5m"])
    told = [(event["E"], event["k"]) for event in listener.events("btcusdt@kline_5m")]
    first = [(at, k["x"]) for at, k in told if k["t"] == told[0][1]["t"]]
    assert [x for _, x in first] == [False, False, False, True]
    assert first[-1][0] == told[0][1]["T"] + 1
    assert [k["x"] for _, k in told[4:9]] == [False] * 4 + [True]


def test_a_running_clock_tells_every_bar_at_its_open_too() -> None:
    listener = play([tape("BTC/USDT", 32)], ["btcusdt@kline_1m"], partial_klines=True)
    bars = [event["k"] for event in listener.events("btcusdt@kline_1m")]
    assert [k["x"] for k in bars] == [False, True, False, True]
    opened = bars[0]
    assert opened["o"] == opened["h"] == opened["l"] == opened["c"] == bars[1]["o"]
    assert (opened["v"], opened["n"]) == ("0.000", 0)


def test_a_bar_without_volume_has_no_trades_and_a_book_all_the_same() -> None:
    quiet = tape("BTC/USDT", 33)
    quiet.bars.volume[31] = 0.0
    quiet.bar_changed(31)
    listener = play([quiet], ["btcusdt@trade", "btcusdt@depth", "btcusdt@kline_1m"])
    ids = [event["t"] for event in listener.events("btcusdt@trade")]
    assert ids == list(range(ids[0], ids[0] + 26))
    assert len(listener.events("btcusdt@depth")) == 39
    silent = listener.events("btcusdt@kline_1m")[1]["k"]
    assert (silent["v"], silent["n"], silent["f"], silent["L"]) == ("0.000", 0, -1, -1)


def test_names_that_mean_nothing_are_heard_by_nobody_and_harm_nobody() -> None:
    listener = play([tape("BTC/USDT", 32)], ["dogeusdt@trade", "btcusdt@forceOrder", "btcusdt@kline_7m", "nonsense"])
    assert listener.frames == []
