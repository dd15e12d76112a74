"""The sandbox's answers beside recorded ones of the real exchange: same fields, same kinds of value, route by route.

A field that the real exchange has and the sandbox lacks is listed here with the reason; an unlisted one fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.venues.sandbox import Running, plan, running

pytestmark = pytest.mark.shared_data

LEFT_OUT: dict[str, set[str]] = {
    "/fapi/v1/exchangeInfo": {
        # Which products may trade, settlement plans and theme labels: nothing here depends on them.
        "symbols[].permissionSets[]",
        "symbols[].underlyingSubType[]",
        # PERCENT_PRICE and POSITION_RISK_CONTROL are not enforced, and so are not promised.
        "symbols[].filters[].multiplierDecimal",
        "symbols[].filters[].multiplierDown",
        "symbols[].filters[].multiplierUp",
        "symbols[].filters[].positionControlSide",
    },
}
ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/fapi/v1/time", {}),
    ("/fapi/v1/exchangeInfo", {}),
    ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "5"}),
    ("/fapi/v1/ticker/24hr", {"symbol": "BTCUSDT"}),
    ("/fapi/v1/ticker/price", {"symbol": "BTCUSDT"}),
    ("/fapi/v1/ticker/price", {}),
    ("/fapi/v1/ticker/bookTicker", {"symbol": "BTCUSDT"}),
    ("/fapi/v1/ticker/bookTicker", {}),
    ("/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}),
)
TEXT_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running(plan(30, speed="step")) as started:
        await started.advance(10)
        yield started


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "wire" / "binance-rest-recordings.json"
    routes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["routes"]
    return routes


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


def recorded(recordings: dict[str, Any], route: str, query: dict[str, str]) -> Any:
    """The newest recorded answer with or without a symbol, as the query has it."""
    for entry in reversed(recordings[route]["GET"]):
        data = entry.get("data")
        named = "symbol=" in entry["queryString"]
        if data and named == ("symbol" in query) and not (isinstance(data, dict) and "code" in data):
            return data
    raise AssertionError(f"no recording of {route}")


def only_bitcoin(document: Any) -> Any:
    """exchangeInfo of one perpetual market: the recording holds hundreds, some of other kinds."""
    if isinstance(document, dict) and "symbols" in document:
        return {**document, "symbols": [s for s in document["symbols"] if s["symbol"] == "BTCUSDT"]}
    return document


@pytest.mark.parametrize(("route", "query"), ROUTES, ids=lambda value: value if isinstance(value, str) else str(value))
async def test_an_answer_has_the_recorded_fields_with_the_recorded_kinds(
    sandbox: Running, recordings: dict[str, Any], route: str, query: dict[str, str]
) -> None:
    async with aiohttp.ClientSession() as session, session.get(sandbox.url + route, params=query) as response:
        ours = dict(shape(only_bitcoin(await response.json())))
    theirs = dict(shape(only_bitcoin(recorded(recordings, route, query))))
    assert theirs.keys() - ours.keys() == LEFT_OUT.get(route, set())
    differing = {p: (ours[p], theirs[p]) for p in ours.keys() & theirs.keys() if ours[p] != theirs[p]}
    assert not differing


async def test_a_kline_event_has_the_recorded_shape(sandbox: Running, shared_data: Path) -> None:
    capture = (shared_data / "wire" / "capture-binance-futures.ws.1.0.txt").read_text(encoding="utf-8")
    line = next(line for line in capture.splitlines() if '"e":"kline"' in line)
    theirs = json.loads(line.partition(": ")[2])
    async with aiohttp.ClientSession() as session:
        address = sandbox.url.replace("http", "ws") + "/stream?streams=btcusdt@kline_1m"
        async with session.ws_connect(address) as socket:
            await sandbox.advance()
            ours = json.loads((await socket.receive(timeout=5)).data)
    assert dict(shape(ours)) == dict(shape(theirs))


async def test_an_unknown_symbol_is_refused_with_the_recorded_words(
    sandbox: Running, recordings: dict[str, Any]
) -> None:
    entries = recordings["/fapi/v1/ticker/24hr"]["GET"]
    theirs = next(e["data"] for e in entries if isinstance(e.get("data"), dict) and "code" in e["data"])
    url = f"{sandbox.url}/fapi/v1/ticker/24hr"
    async with aiohttp.ClientSession() as session, session.get(url, params={"symbol": "BTCUSD_201225"}) as response:
        assert await response.json() == theirs
