"""Tables of exchanges: ccxt has every route, every order type is said or refused, every address is the right one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import OrderType, Side, TimeInForce
from include.domain.errors import ConfigurationError, RejectedError
from include.venues.acceptance.card import build_order
from include.venues.ccxt_client import Endpoint, build_client
from include.venues.ccxt_streams import Streams
from include.venues.dialect import Dialect, Route
from include.venues.dialects import DIALECTS, find_dialect
from include.venues.placing import arguments
from include.venues.rate_limits import RateGovernor

EACH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


class Rig:
    symbols = ("BTC/USDT",)
    tag = "t-"


def client_of(dialect: Dialect, endpoint: Endpoint) -> Any:
    return build_client(dialect, endpoint, Streams(dialect, {}), RateGovernor(dialect.limits))


def routes_in(value: Any) -> Iterator[Route]:
    if isinstance(value, Route):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from routes_in(getattr(value, entry.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from routes_in(item)


def addresses(urls: Any) -> Iterator[str]:
    if isinstance(urls, dict):
        for value in urls.values():
            yield from addresses(value)
    elif isinstance(urls, str):
        yield urls


@EACH
def test_ccxt_has_every_route_and_every_watch(dialect: Dialect) -> None:
    import ccxt.pro

    exchange = getattr(ccxt.pro, dialect.ccxt_id)()
    found = {route.method for route in routes_in(dialect)}
    assert len(found) > 10
    assert [name for name in sorted(found | set(dialect.watch_user)) if not hasattr(exchange, name)] == []


@EACH
async def test_an_address_of_ours_replaces_every_other(dialect: Dialect) -> None:
    client = client_of(dialect, Endpoint("http://127.0.0.1:9", sandbox=True))
    assert all(url.partition("://")[2].startswith("127.0.0.1:9") for url in addresses(client.urls["api"]))
    await client.close()


@pytest.mark.parametrize(
    ("name", "rest", "word"),
    [("binance-usdm", "fapiPrivate", "demo-fapi"), ("binance-spot", "private", "testnet.binance.vision"),
     ("bybit", "private", "api-testnet")],
)  # fmt: skip
async def test_the_exchanges_own_test_environment_is_used_when_asked_for(name: str, rest: str, word: str) -> None:
    client = client_of(DIALECTS[name], Endpoint(sandbox=True))
    assert word in client.urls["api"][rest]
    await client.close()
    real = client_of(DIALECTS[name], Endpoint())
    assert word not in real.urls["api"][rest]
    await real.close()


def test_only_the_exchanges_own_address_is_real_money() -> None:
    assert Endpoint().is_real
    assert not Endpoint(sandbox=True).is_real
    assert not Endpoint("http://127.0.0.1:9").is_real


def test_an_exchange_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="binance-usdm, binance-spot, bybit"):
        find_dialect("kraken")


LEVELS: dict[OrderType, dict[str, Any]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"price": Decimal("1E+2")},
    OrderType.STOP_MARKET: {"stop": Decimal(90)},
    OrderType.STOP_LIMIT: {"stop": Decimal(90), "price": Decimal(89)},
    OrderType.TAKE_PROFIT_MARKET: {"stop": Decimal(110)},
    OrderType.TAKE_PROFIT_LIMIT: {"stop": Decimal(110), "price": Decimal(109)},
    OrderType.TRAILING_STOP_MARKET: {"callback": Decimal("0.005")},
}
SAID = {
    ("binance-usdm", OrderType.MARKET): ("market", None, {}),
    ("binance-usdm", OrderType.LIMIT): ("limit", "100", {"timeInForce": "GTC"}),
    ("binance-usdm", OrderType.STOP_MARKET): ("market", None, {"stopLossPrice": "90"}),
    ("binance-usdm", OrderType.STOP_LIMIT): ("limit", "89", {"stopLossPrice": "90", "timeInForce": "GTC"}),
    ("binance-usdm", OrderType.TAKE_PROFIT_MARKET): ("market", None, {"takeProfitPrice": "110"}),
    ("binance-usdm", OrderType.TRAILING_STOP_MARKET): ("market", None, {"trailingPercent": "0.5"}),
    ("bybit", OrderType.STOP_MARKET): ("market", None, {"triggerPrice": "90", "triggerDirection": "descending"}),
    ("bybit", OrderType.TAKE_PROFIT_MARKET): ("market", None, {"triggerPrice": "110", "triggerDirection": "ascending"}),
}  # fmt: skip


@EACH
@pytest.mark.parametrize("kind", OrderType)
def test_every_type_is_said_in_the_exchanges_words_or_refused_before_it_is_sent(
    dialect: Dialect, kind: OrderType
) -> None:
    order = build_order(Rig(), "a", Side.SELL, Decimal("0.10"), kind=kind, reduce_only=True, **LEVELS[kind])  # type: ignore[arg-type]
    if kind not in dialect.order_types:
        with pytest.raises(RejectedError, match=f"{dialect.name} has no {kind.value}"):
            arguments(dialect, order)
        return
    said = arguments(dialect, order)
    assert (said.side, said.quantity) == ("sell", "0.10")
    assert said.params.pop(dialect.words.client_id) == "t-a"
    assert said.params.pop("reduceOnly", None) is (True if dialect.words.reduce_only else None)
    if (dialect.name, kind) in SAID:
        assert (said.kind, said.price, said.params) == SAID[dialect.name, kind]


def test_post_only_is_said_as_such() -> None:
    order = build_order(Rig(), "a", Side.BUY, Decimal(1), price=Decimal(9), time_in_force=TimeInForce.GTX)  # type: ignore[arg-type]
    for dialect in DIALECTS.values():
        assert arguments(dialect, order).params["postOnly"] is True
        assert "timeInForce" not in arguments(dialect, order).params


def test_spot_has_nothing_to_buy_back() -> None:
    order = build_order(Rig(), "a", Side.BUY, Decimal(1), reduce_only=True)  # type: ignore[arg-type]
    with pytest.raises(RejectedError, match="no short positions"):
        arguments(DIALECTS["binance-spot"], order)
