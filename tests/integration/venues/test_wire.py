"""The sandbox's answers beside recorded ones of the real exchange: same fields, same kinds of value, route by route.

A field that the real exchange has and the sandbox lacks is listed here with the reason; an unlisted one fails. So does
a route that is served, has a recording and is not compared with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domain.bars import Bars
from include.venues.sandbox.klines import Klines, Seen
from include.venues.sandbox.prints import Prints
from include.venues.sandbox.server import rest_routes
from include.venues.sandbox.tape import Tape
from tests.adapters.memory_market import MINUTE, make_instrument
from tests.integration.venues.sandbox import ALICE, Running, plan, running

pytestmark = pytest.mark.shared_data

LEFT_OUT: dict[str, set[str]] = {
    "/fapi/v1/exchangeInfo": {
        # Which products may trade, settlement plans and theme labels: nothing here depends on them.
        "symbols[].permissionSets[]",
        "symbols[].underlyingSubType[]",
        # POSITION_RISK_CONTROL is not enforced, and so is not promised.
        "symbols[].filters[].positionControlSide",
    },
    "/api/v3/exchangeInfo": {
        # Icebergs, trailing deltas and order lists are not served; PERCENT_PRICE_BY_SIDE is not enforced.
        *(f"symbols[].filters[].{side}Multiplier{end}" for side in ("ask", "bid") for end in ("Down", "Up")),
        *(f"symbols[].filters[].m{end}Trailing{way}Delta" for end in ("ax", "in") for way in ("Above", "Below")),
        "symbols[].filters[].limit",
        "symbols[].filters[].maxNumAlgoOrders",
    },
    # Deposits and withdrawals: the sandbox has no chains.
    "/sapi/v1/capital/config/getall": set(),
}
NETWORKS = "[].networkList[]"
BTC = {"symbol": "BTCUSDT"}
ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/fapi/v1/time", {}),
    ("/fapi/v1/exchangeInfo", {}),
    ("/fapi/v1/depth", {**BTC, "limit": "100"}),
    ("/fapi/v1/trades", {**BTC, "limit": "5"}),
    ("/fapi/v1/aggTrades", {**BTC, "limit": "5"}),
    ("/fapi/v1/klines", {**BTC, "interval": "1m", "limit": "5"}),
    ("/fapi/v1/klines", {**BTC, "interval": "1d", "limit": "5"}),
    ("/fapi/v1/ticker/24hr", BTC),
    ("/fapi/v1/ticker/24hr", {}),
    ("/fapi/v1/ticker/price", BTC),
    ("/fapi/v1/ticker/price", {}),
    ("/fapi/v1/ticker/bookTicker", BTC),
    ("/fapi/v1/ticker/bookTicker", {}),
    ("/fapi/v1/premiumIndex", BTC),
    ("/fapi/v1/premiumIndex", {}),
    ("/fapi/v1/fundingRate", BTC),
    ("/fapi/v1/fundingInfo", {}),
    ("/fapi/v1/openInterest", BTC),
    ("/api/v3/exchangeInfo", {}),
    ("/api/v3/depth", {**BTC, "limit": "1000"}),
    ("/api/v3/trades", {**BTC, "limit": "15"}),
    ("/api/v3/historicalTrades", {**BTC, "limit": "5"}),
    ("/api/v3/aggTrades", {**BTC, "limit": "5"}),
    ("/api/v3/klines", {**BTC, "interval": "5m", "limit": "24"}),
    ("/api/v3/avgPrice", BTC),
    ("/api/v3/ticker/24hr", BTC),
    ("/api/v3/ticker/24hr", {}),
    ("/api/v3/ticker/price", BTC),
    ("/api/v3/ticker/bookTicker", BTC),
)
PRIVATE: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("GET", "/api/v3/account", {}),
    ("GET", "/api/v3/order", {**BTC, "origClientOrderId": "resting"}),
    ("GET", "/api/v3/openOrders", BTC),
    ("GET", "/api/v3/allOrders", BTC),
    ("DELETE", "/api/v3/order", {**BTC, "origClientOrderId": "resting"}),
    ("POST", "/api/v3/userDataStream", {}),
    ("GET", "/sapi/v1/capital/config/getall", {}),
)
NOT_COMPARED = {
    # The recordings hold requests only.
    ("POST", "/api/v3/order"),
    ("POST", "/api/v3/order/test"),
    ("PUT", "/api/v3/userDataStream"),
    # There are no coin-margined markets here.
    ("GET", "/dapi/v1/exchangeInfo"),
}
TEXT_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "wire" / "binance-rest-recordings.json"
    routes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["routes"]
    return routes


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running(plan(30, speed="step")) as started:
        await started.advance(10)
        yield started


def kind(value: Any) -> str:
    """Sort of a value; numbers in text count as numbers in text, not as any text."""
    if isinstance(value, str):
        return "number in text" if TEXT_NUMBER.fullmatch(value) else "text"
    return "integer" if isinstance(value, int) and not isinstance(value, bool) else type(value).__name__


def shape(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, kind) of every leaf. Elements of a list share one path, columns of a table row have one each."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from shape(item, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        is_row = len({kind(item) for item in value}) > 1
        for column, item in enumerate(value):
            yield from shape(item, f"{path}[{column if is_row else ''}]")
    else:
        yield path, kind(value)


def recorded(recordings: dict[str, Any], route: str, named: bool | None, method: str = "GET") -> Any:
    """The newest recorded answer with or without a symbol; None: either."""
    for entry in reversed(recordings[route][method]):
        data = entry.get("data")
        is_refusal = isinstance(data, dict) and "code" in data
        if data and not is_refusal and named in (None, "symbol=" in entry["queryString"]):
            return data
    raise AssertionError(f"no recording of {method} {route}")


def only_bitcoin(document: Any) -> Any:
    """exchangeInfo of one market: the recording holds many, some of other kinds."""
    if isinstance(document, dict) and "symbols" in document:
        wanted = [s for s in document["symbols"] if s["symbol"] in {"BTCUSDT", "ETHBTC"}][:1]
        return {**document, "symbols": wanted}
    return document


def assert_same_shape(ours: Any, theirs: Any, left_out: set[str]) -> None:
    mine, real = dict(shape(only_bitcoin(ours))), dict(shape(only_bitcoin(theirs)))
    assert {path for path in real.keys() - mine.keys() if NETWORKS not in path} == left_out
    assert {p: (mine[p], real[p]) for p in mine.keys() & real.keys() if mine[p] != real[p]} == {}


async def signed(sandbox: Running, method: str, route: str, query: dict[str, str]) -> Any:
    """A signed request of alice's, answered with whole JSON types (ccxt turns numbers into text)."""
    text = urlencode({**query, "timestamp": str(time.time_ns() // 1_000_000)})
    signature = hmac.new(ALICE.secret.get_secret_value().encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": ALICE.key.get_secret_value()}
    url = f"{sandbox.url}{route}?{text}&signature={signature}"
    async with aiohttp.ClientSession(headers=headers) as session, session.request(method, url) as response:
        return await response.json()


@pytest.mark.parametrize(("route", "query"), ROUTES, ids=lambda value: value if isinstance(value, str) else str(value))
async def test_an_answer_has_the_recorded_fields_with_the_recorded_kinds(
    sandbox: Running, recordings: dict[str, Any], route: str, query: dict[str, str]
) -> None:
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + route, params=query) as response:
        ours = await response.json()
    theirs = recorded(recordings, route, "symbol" in query)
    assert_same_shape(ours, theirs, LEFT_OUT.get(route, set()))


async def test_signed_answers_have_the_recorded_fields_with_the_recorded_kinds(
    sandbox: Running, recordings: dict[str, Any]
) -> None:
    order = {**BTC, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "60.0"}
    await signed(sandbox, "POST", "/api/v3/order", {**order, "newClientOrderId": "resting"})
    for method, route, query in PRIVATE:
        ours = await signed(sandbox, method, route, query)
        assert_same_shape(ours, recorded(recordings, route, None, method), LEFT_OUT.get(route, set()))


def test_every_served_route_that_was_recorded_is_compared(recordings: dict[str, Any]) -> None:
    served = {(route.method, route.path) for route in rest_routes()}
    held = {(method, route) for route, methods in recordings.items() for method in methods}
    compared = {("GET", route) for route, _ in ROUTES} | {(method, route) for method, route, _ in PRIVATE}
    assert served & held - NOT_COMPARED == compared


STREAMS = {
    "USD-M": (
        "/market/stream",
        "capture-binance-futures.ws.1.0.txt",
        ("kline_1m", "aggTrade", "depth@100ms", "bookTicker"),
    ),
    "spot": (
        "/streams/spot/stream",
        "capture-binance.ws.1.0.txt",
        ("kline_1m", "aggTrade", "depth@100ms", "bookTicker"),
    ),
}


@pytest.mark.parametrize(("path", "capture", "names"), STREAMS.values(), ids=STREAMS)
async def test_stream_events_have_the_recorded_shape(
    sandbox: Running, shared_data: Path, path: str, capture: str, names: tuple[str, ...]
) -> None:
    lines = (shared_data / "wire" / capture).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line.partition(": ")[2]) for line in lines if ': {"stream":' in line]
    address = sandbox.url.replace("http", "ws") + f"{path}?streams=" + "/".join(f"btcusdt@{name}" for name in names)
    ours: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        await sandbox.advance()
        while len(ours) < len(names):
            event = json.loads((await socket.receive(timeout=5)).data)
            ours.setdefault(event["stream"].partition("@")[2], event)
    for name in names:
        recorded_ones = [e for e in events if e["stream"].endswith(f"@{name}")]
        theirs = next(e for e in recorded_ones if e["data"].get("b") != [] and e["data"].get("a") != [])
        assert dict(shape(ours[name])) == dict(shape(theirs)), name


async def test_a_depth_snapshot_has_the_captured_shape(sandbox: Running, shared_data: Path) -> None:
    line = (shared_data / "wire" / "capture-binance-futures.http.0.0.txt").read_text(encoding="utf-8").splitlines()[0]
    theirs = json.loads(line.partition(" -> ")[2].partition(": ")[2])
    url = f"{sandbox.url}/fapi/v1/depth"
    async with aiohttp.ClientSession() as session, session.get(url, params={**BTC, "limit": "1000"}) as response:
        assert dict(shape(await response.json())) == dict(shape(theirs))


async def test_an_unknown_symbol_is_refused_with_the_recorded_words(
    sandbox: Running, recordings: dict[str, Any]
) -> None:
    entries = recordings["/fapi/v1/ticker/24hr"]["GET"]
    theirs = next(e["data"] for e in entries if isinstance(e.get("data"), dict) and "code" in e["data"])
    for url in (f"{sandbox.url}/fapi/v1/ticker/24hr", f"{sandbox.url}/api/v3/ticker/24hr"):
        async with aiohttp.ClientSession() as session, session.get(url, params={"symbol": "BTCUSD_201225"}) as response:
            assert await response.json() == theirs


def columns(path: Path, rows: int | None = None) -> dict[str, Any]:
    """Arrays of the first rows of a recorded Parquet file; open times as epoch milliseconds."""
    table = pq.read_table(path, columns=["open_time", "open", "high", "low", "close", "volume"]).slice(0, rows)
    times = table["open_time"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
    return {"open_time": times, **{name: table[name].to_numpy() for name in table.column_names[1:]}}


def test_hours_made_of_recorded_minutes_are_the_exchanges_own_hours(shared_data: Path) -> None:
    minutes = columns(shared_data / "usdm-1m" / "BTCUSDT" / "2022.parquet", rows=90 * 1_440)
    hours = columns(shared_data / "usdm-1h" / "BTCUSDT.parquet")
    tape = Tape(make_instrument("BTC/USDT", tick="0.01"), Bars("BTC/USDT", MINUTE, *minutes.values()), 0)
    view = Seen(len(tape.bars), None, int(tape.bars.open_time[-1]) + MINUTE.ms - 1)
    made = Klines(tape, Prints(tape)).page("1h", view, limit=10_000)
    prices = ("open", "high", "low", "close")
    first = int(np.searchsorted(hours["open_time"], made[0].open_time))
    theirs = np.column_stack([hours[name][first : first + len(made)] for name in prices])
    ours = np.array([[float(getattr(candle, name)) for name in prices] for candle in made])
    assert len(made) == 90 * 24
    assert [c.open_time for c in made] == hours["open_time"][first : first + len(made)].tolist()
    assert np.array_equal(ours, theirs)
