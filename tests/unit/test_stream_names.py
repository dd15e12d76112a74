"""Stream names as the exchange spells them."""

from __future__ import annotations

import pytest

from include.venues.sandbox.stream_names import Channel, parse

INTERVALS = ("1m", "5m", "1h", "1M")


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("btcusdt@kline_5m", Channel("BTCUSDT", "kline", "5m")),
        ("btcusdt@kline_1M", Channel("BTCUSDT", "kline", "1M")),
        ("btcusdt_perpetual@continuousKline_1h", Channel("BTCUSDT", "continuousKline", "1h")),
        ("btcusdt@trade", Channel("BTCUSDT", "trade")),
        ("btcusdt@aggTrade", Channel("BTCUSDT", "aggTrade")),
        ("btcusdt@bookTicker", Channel("BTCUSDT", "bookTicker")),
        ("btcusdt@depth", Channel("BTCUSDT", "depth")),
        ("btcusdt@depth@100ms", Channel("BTCUSDT", "depth")),
        ("btcusdt@depth5", Channel("BTCUSDT", "depth", "5")),
        ("btcusdt@depth20@500ms", Channel("BTCUSDT", "depth", "20")),
        ("btcusdt@ticker", Channel("BTCUSDT", "ticker")),
        ("btcusdt@ticker_4h", Channel("BTCUSDT", "ticker", "_4h")),
        ("btcusdt@miniTicker", Channel("BTCUSDT", "miniTicker")),
        ("btcusdt@markPrice@1s", Channel("BTCUSDT", "markPrice")),
        ("btcusdt@avgPrice", Channel("BTCUSDT", "avgPrice")),
        ("!bookTicker", Channel(None, "bookTicker")),
        ("!ticker@arr", Channel(None, "ticker")),
        ("!ticker_1h@arr", Channel(None, "ticker", "_1h")),
        ("!markPrice@arr@1s", Channel(None, "markPrice")),
    ],
)
def test_a_name_of_the_exchange_is_understood(name: str, channel: Channel) -> None:
    assert parse(name, INTERVALS) == channel


@pytest.mark.parametrize(
    "name",
    [
        "", "btcusdt", "@trade", "btcusdt@", "btcusdt@kline", "btcusdt@kline_7m", "btcusdt@kline_3m",
        "btcusdt@kline_5m@1s",
        "btcusdt@continuousKline_1h", "btcusdt_perpetual@kline_1h", "btcusdt@depth7", "btcusdt@depth@7ms",
        "btcusdt@trade@1s",
        "btcusdt@ticker_9h", "btcusdt@forceOrder", "btcusdt@markPrice@7s", "!ticker", "!bookTicker@arr", "!trade@arr",
        "!miniTicker_1h@arr", "!ticker_1d_4h@arr", "btc usdt@trade", "btcusdt@@trade",
    ],
)  # fmt: skip
def test_any_other_name_means_nothing(name: str) -> None:
    assert parse(name, INTERVALS) is None
