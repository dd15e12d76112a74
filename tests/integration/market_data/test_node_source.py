"""Bars from a data node: complete, checked and resumable, whatever the node or the network does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request as Asked
from werkzeug import Response

from include.domain.errors import AirlockError, ConfigurationError, DataError, RetryableError
from include.domain.times import parse_utc
from include.market_data.importing import import_bars
from include.market_data.node_server import build_app
from include.market_data.series import Series
from include.market_data.sources.node import NodeSource
from include.market_data.sources.protocol import Chunk, Request
from tests.market import MINUTE, NOW, START, Columns, Filled, bars, filled_lake, lake_at, minutes, table

COUNT = 4_000
REQUEST = Request("BTC/USDT", MINUTE)
Mangle = Callable[[httpx.Response], Response]


def passed_on(answer: httpx.Response, body: bytes | None = None, **changes: str) -> Response:
    headers = {k: v for k, v in answer.headers.items() if k != "content-length"} | changes
    return Response(answer.content if body is None else body, answer.status_code, headers)


@dataclass
class Bench:
    """A node behind a real socket whose answers with bars may be mangled, one entry of `faults` each."""

    server: HTTPServer
    filled: Filled
    node: TestClient
    faults: list[Mangle | None] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    csv_only: bool = False

    def start(self) -> None:
        self.server.expect_request("/v1/symbols").respond_with_handler(self._symbols)
        self.server.expect_request("/v1/ohlcv").respond_with_handler(self._ohlcv)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def source(self, venue: str = "synthetic", **options: Any) -> NodeSource:
        return NodeSource(self.url, None, venue, **{"now": lambda: NOW, "sleep": self.waits.append, **options})

    def _symbols(self, asked: Asked) -> Response:
        return passed_on(self.node.get("/v1/symbols"))

    def _ohlcv(self, asked: Asked) -> Response:
        self.asked.append(dict(asked.args))
        accept = "text/csv" if self.csv_only else asked.headers["Accept"]
        answer = self.node.get("/v1/ohlcv", params=dict(asked.args), headers={"Accept": accept})
        fault = self.faults.pop(0) if self.faults else None
        return passed_on(answer) if fault is None else fault(answer)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return filled_lake(tmp_path_factory.mktemp("served"), COUNT)


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as running:
        yield running


@pytest.fixture
def bench(server: HTTPServer, filled: Filled) -> Bench:
    server.clear()
    running = Bench(server, filled, TestClient(build_app(filled.lake)))
    running.start()
    return running


def joined(chunks: list[Chunk]) -> Columns:
    return {name: np.concatenate([c.columns[name] for c in chunks]) for name in chunks[0].columns}


def assert_whole(chunks: list[Chunk], filled: Filled) -> None:
    found = joined(chunks)
    assert set(found) == set(filled.columns)
    for name, values in filled.columns.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# --- what comes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("csv_only", [False, True], ids=["arrow", "csv"])
def test_a_lake_filled_from_a_node_has_the_fingerprint_of_the_lake_behind_it(
    bench: Bench, tmp_path: Path, csv_only: bool
) -> None:
    bench.csv_only = csv_only
    mine = lake_at(tmp_path)
    (report,) = import_bars(mine, bench.source(), "synthetic", [REQUEST], now=NOW)
    assert report.rows_added == COUNT
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, bench.filled.end)
    assert mine.fingerprint(*window) == bench.filled.lake.fingerprint(*window)
    assert mine.summaries()[0].sources == (f"node:127.0.0.1:{bench.server.port}",)


def test_a_window_is_asked_for_month_by_month_and_may_be_cut_between_them(bench: Bench) -> None:
    chunks = list(bench.source().chunks(REQUEST))
    assert_whole(chunks, bench.filled)
    assert [chunk.what for chunk in chunks] == ["2024-01", "2024-02"]
    assert [(a["from"], a["to"]) for a in bench.asked] == [
        ("2024-01-30T22:00:00Z", "2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-02-02T16:40:00Z"),
    ]
    assert chunks[-1].done == 1.0
    assert chunks[-1].resume_at == bench.filled.end
    rest = list(bench.source().chunks(Request("BTC/USDT", MINUTE, chunks[0].resume_at)))
    np.testing.assert_array_equal(joined(rest)["open_time"], chunks[1].columns["open_time"])


def test_a_window_is_kept_to(bench: Bench) -> None:
    wanted = Request("BTCUSDT", MINUTE, START + minutes(5), START + minutes(9))
    (chunk,) = bench.source().chunks(wanted)
    np.testing.assert_array_equal(chunk.columns["close"], bench.filled.columns["close"][5:9])
    assert list(bench.source().chunks(Request("BTCUSDT", MINUTE, bench.filled.end))) == []


def test_bars_that_had_not_closed_stay_at_the_node_and_are_asked_for_again(server: HTTPServer, tmp_path: Path) -> None:
    lake = lake_at(tmp_path)
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(bars(20)), source="test", now=START + minutes(18))
    for csv_only in (False, True):
        server.clear()
        bench = Bench(server, Filled(lake, bars(20), START + minutes(20)), TestClient(build_app(lake)))
        bench.csv_only = csv_only
        bench.start()
        (chunk,) = bench.source().chunks(REQUEST)
        assert len(chunk.columns["open_time"]) == 18
        assert chunk.resume_at == START + minutes(18)


def test_a_bar_that_is_not_over_here_is_left_out_even_if_the_node_says_it_is(bench: Bench) -> None:
    now = START + minutes(100)
    chunks = list(bench.source(now=lambda: now).chunks(REQUEST))
    assert len(joined(chunks)["open_time"]) == 100
    assert chunks[0].resume_at == now


def test_another_implementation_may_know_no_venues_no_fingerprint_and_csv_only(server: HTTPServer) -> None:
    server.clear()
    series = {"symbol": "BTC/USDT", "timeframe": "1m", "rows": 2, "first": "2024-01-01", "last": "2024-01-01T00:01:00Z"}
    server.expect_request("/v1/symbols").respond_with_json({"series": [series], "more": "to come"})
    body = "close,open_time,open,high,low,volume\n1.5,1704067200000,1,2,1,7\n2,1704067260000,1.5,2,1,nan\n"
    server.expect_request("/v1/ohlcv").respond_with_data(
        body, content_type="text/csv; charset=utf-8", headers={"Airlock-Rows": "2"}
    )
    source = NodeSource(f"http://127.0.0.1:{server.port}/", None, "binance-usdm", now=lambda: NOW)
    (chunk,) = source.chunks(REQUEST)
    assert chunk.columns["open_time"].tolist() == [1704067200000, 1704067260000]
    assert chunk.columns["close"].tolist() == [1.5, 2.0]
    assert np.isnan(chunk.columns["volume"]).tolist() == [False, True]


def test_repaired_bars_never_come_for_bars_as_they_were(server: HTTPServer, tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, 10).lake
    with lake.batch() as batch:
        for symbol, venue in (("BTC/USDT", "synthetic~repaired"), ("ETH/USDT", "synthetic~repaired")):
            series = Series.named(venue, symbol, MINUTE)
            batch.add(series, bars(5), source="repair", now=NOW, repairs=["forward-fill-3"])
        batch.publish()
    server.clear()
    bench = Bench(server, Filled(lake, bars(10), START + minutes(10)), TestClient(build_app(lake)))
    bench.start()
    (chunk,) = bench.source("").chunks(REQUEST)
    assert len(chunk.columns["open_time"]) == 10
    with pytest.raises(DataError, match="it has no such series"):
        list(bench.source("").chunks(Request("ETH/USDT", MINUTE)))
    with pytest.raises(DataError, match="repaired by forward-fill-3; import the series they are of"):
        list(bench.source("synthetic~repaired").chunks(REQUEST))


# --- what must not come ------------------------------------------------------------------------------------


def altered(answer: httpx.Response) -> Response:
    body = bytearray(answer.content)
    body[len(body) // 2] ^= 1
    return passed_on(answer, bytes(body))


FAULTS: dict[str, Mangle] = {
    "half the body": lambda a: passed_on(a, a.content[: len(a.content) // 2]),
    "all but the end": lambda a: passed_on(a, a.content[:-20]),
    "only the beginning": lambda a: passed_on(a, a.content[:300]),
    "no body": lambda a: passed_on(a, b""),
    "broken off": lambda a: Response(a.content[:500], 200, dict(a.headers) | {"content-length": str(len(a.content))}),
    "more rows announced": lambda a: passed_on(a, **{"airlock-rows": str(int(a.headers["airlock-rows"]) + 1)}),
    "fewer rows announced": lambda a: passed_on(a, **{"airlock-rows": "5"}),
    "another fingerprint": lambda a: passed_on(a, **{"airlock-fingerprint": "0" * 64}),
    "one bit altered": altered,
    "500": lambda a: Response("broken", 500),
    "503": lambda a: Response("<html>busy</html>", 503),
}


@pytest.mark.parametrize(
    ("csv_only", "name"),
    [*((False, name) for name in FAULTS), *((True, name) for name in ("half the body", "no body", "one bit altered"))],
)
def test_what_does_not_come_whole_is_asked_for_again_and_only_whole_months_are_handed_out(
    bench: Bench, name: str, csv_only: bool
) -> None:
    bench.csv_only, fault = csv_only, FAULTS[name]
    bench.faults = [None, fault]
    assert_whole(list(bench.source().chunks(REQUEST)), bench.filled)
    assert len(bench.waits) == 1
    bench.faults = [None, *[fault] * 3]
    chunks = bench.source(max_attempts=3).chunks(REQUEST)
    whole = next(chunks)
    assert len(whole.columns["open_time"]) == 26 * 60
    with pytest.raises(RetryableError, match=rf"^data node {bench.url}: BTC/USDT 1m 2024-02: .*3 of 3 attempts"):
        next(chunks)


def test_told_to_wait_it_waits_that_long(bench: Bench) -> None:
    bench.faults = [
        lambda _: Response("", 429, {"Retry-After": "9"}),
        lambda _: Response("", 503, {"Retry-After": "4"}),
    ]
    assert_whole(list(bench.source().chunks(REQUEST)), bench.filled)
    assert bench.waits == [9.0, 4.0]


def test_told_to_wait_too_long_it_says_so_instead(bench: Bench) -> None:
    bench.faults = [lambda _: Response("", 429, {"Retry-After": "4000"})]
    with pytest.raises(RetryableError, match="1 of 6 attempts, try again in 4000 s"):
        list(bench.source().chunks(REQUEST))
    assert bench.waits == []


@pytest.mark.parametrize(
    ("path", "answer", "kind", "line"),
    [
        ("/v1/symbols", Response("<html>Hi</html>", 200, content_type="text/html"), DataError,
         "does not answer like a data node; check the address: /v1/symbols answered '<html>Hi</html>'"),
        ("/v1/symbols", Response('{"series": [{"symbol": "BTC"}]}', 200), DataError, "not answer like a data node"),
        ("/v1/symbols", Response("", 302, {"Location": "https://elsewhere"}), DataError, "address: 302 FOUND"),
        ("/v1/symbols", Response("no such page", 404), DataError, "404 NOT FOUND"),
        ("/v1/symbols", Response('{"error": "send the token"}', 401), ConfigurationError,
         r"refused the token \(401 send the token\); set AIRLOCK_NODE_TOKEN"),
        ("/v1/ohlcv", Response("<html>Hi</html>", 200, {"Airlock-Rows": "3"}, content_type="text/html"), DataError,
         "answered text/html where bars were asked for"),
        ("/v1/ohlcv", Response("open_time", 200, content_type="text/csv"), DataError, "has no Airlock-Rows header"),
        ("/v1/ohlcv", Response("time,price\n1,2\n", 200, {"Airlock-Rows": "1"}, content_type="text/csv"), DataError,
         "columns open_time, open, high, low, close, volume are missing; the node sent time, price"),
        ("/v1/ohlcv", Response("open_time,open,high,low,close,volume\n1,1,1,1,1,1\n", 200, {"Airlock-Rows": "1"},
         content_type="text/csv"), DataError, "sent bars from 1970-01-01T00:00:00.001Z, outside the window"),
        ("/v1/ohlcv", Response('{"error": "window too long"}', 400), ConfigurationError, "400 window too long"),
    ],
)  # fmt: skip
def test_what_asking_again_would_not_change_is_said_at_once_in_one_line(
    bench: Bench, path: str, answer: Response, kind: type[AirlockError], line: str
) -> None:
    bench.server.clear()
    if path == "/v1/ohlcv":
        bench.server.expect_request("/v1/symbols").respond_with_handler(bench._symbols)
    bench.server.expect_request(path).respond_with_response(answer)
    with pytest.raises(kind, match=line) as caught:
        list(bench.source().chunks(REQUEST))
    assert bench.url in str(caught.value) or path == "/v1/ohlcv"
    assert "\n" not in str(caught.value)
    assert bench.waits == []


def test_nobody_listens_is_a_reason_to_come_back_later() -> None:
    source = NodeSource(
        "http://127.0.0.1:9", SecretStr("the-token"), now=lambda: NOW, max_attempts=2, sleep=lambda _: None
    )
    with pytest.raises(RetryableError, match=r"data node http://127\.0\.0\.1:9: .*ConnectError.*refused") as caught:
        list(source.chunks(REQUEST))
    assert "the-token" not in str(caught.value)


def test_a_series_the_node_does_not_have_is_named_with_those_it_has(bench: Bench) -> None:
    with pytest.raises(DataError, match=r"XRP/USDT 1m of synthetic: it has no .*\(it has: synthetic BTCUSDT 1m\)"):
        list(bench.source().chunks(Request("XRP/USDT", MINUTE)))
    with pytest.raises(DataError, match="of bitfinex: it has no such series"):
        list(bench.source("bitfinex").chunks(REQUEST))


def test_a_series_of_several_venues_has_to_be_named(server: HTTPServer) -> None:
    server.clear()
    series = {"symbol": "BTC/USDT", "timeframe": "1m", "rows": 2, "first": "2024-01-01", "last": "2024-01-01"}
    server.expect_request("/v1/symbols").respond_with_json({"series": [series | {"venue": v} for v in ("one", "two")]})
    source = NodeSource(f"http://127.0.0.1:{server.port}", None, now=lambda: NOW)
    with pytest.raises(ConfigurationError, match="is there of one, two; name one as the venue"):
        list(source.chunks(REQUEST))


@pytest.mark.parametrize("url", ["127.0.0.1:8700", "ftp://host", "http://", "http://user:secret@host"])
def test_an_address_that_is_none_is_refused_and_no_password_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="data node") as caught:
        NodeSource(url, None, now=lambda: NOW)
    assert "secret" not in str(caught.value)


def test_the_name_of_the_source_holds_no_secret() -> None:
    source = NodeSource("https://node.example:8700/bars/", SecretStr("the-token"), now=lambda: parse_utc("2024-01-01"))
    assert source.name == "node:node.example:8700/bars"
