"""Market-data routes of spot: what anybody may ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from include.domain.times import DAY_MS
from include.venues.sandbox import errors
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.http import Params, page, public, wall_ms
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.public_routes import agg_trades_of, candles, historical_trades_of
from include.venues.sandbox.spot.filters import exchange_info
from include.venues.sandbox.spot.market_messages import SpotMarketMessages
from include.venues.sandbox.tape import Tape

MAX_KLINES = 1_000
MAX_TRADES = 1_000
MAX_LEVELS = 5_000
UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS}
LONGEST_WINDOW_MS = 7 * DAY_MS
Words = SpotMarketMessages
Answer = Callable[[Exchange, Params], Any]


def routes() -> list[web.RouteDef]:
    table: dict[str, Answer] = {
        "/api/v3/ping": lambda exchange, params: {},
        "/api/v3/time": lambda exchange, params: {"serverTime": wall_ms()},
        "/api/v3/exchangeInfo": lambda exchange, params: exchange_info(named_tapes(exchange, params), wall_ms()),
        "/api/v3/depth": depth,
        "/api/v3/trades": trades,
        "/api/v3/historicalTrades": historical_trades,
        "/api/v3/aggTrades": agg_trades,
        "/api/v3/klines": klines,
        "/api/v3/uiKlines": klines,
        "/api/v3/avgPrice": lambda exchange, params: words_of(exchange, params.get("symbol")).average_price(),
        "/api/v3/ticker": window_ticker,
        "/api/v3/ticker/tradingDay": trading_day,
        "/api/v3/ticker/24hr": each(lambda words: words.day_ticker(words.market.window())),
        "/api/v3/ticker/price": each(lambda words: words.price_ticker()),
        "/api/v3/ticker/bookTicker": each(lambda words: words.book_ticker(words.market.book)),
    }
    return [web.get(path, public(route)) for path, route in table.items()]


def words_of(exchange: Exchange, market_id: str | None) -> Words:
    """Raises ApiError for a symbol that is not traded here."""
    return exchange.spot.words[exchange.tape(market_id).instrument.symbol]


def named_tapes(exchange: Exchange, params: Params) -> list[Tape]:
    """The markets a request names by `symbol` or `symbols`; all of them when it names none. Raises ApiError."""
    if params.get("symbol") and params.get("symbols"):
        raise errors.ApiError(errors.TOO_MANY_PARAMETERS)
    if params.get("symbols"):
        return [exchange.tape(name) for name in _names(params["symbols"])]
    return [exchange.tape(params["symbol"])] if params.get("symbol") else list(exchange.tapes.values())


def _names(text: str) -> list[str]:
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise errors.ApiError(errors.illegal("symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\\]$'))
    return names


def each(one: Callable[[Words], JsonObject]) -> Answer:
    """A route that answers for one symbol, or with a list for the named ones or all."""

    def route(exchange: Exchange, params: Params) -> Any:
        told = [one(exchange.spot.words[tape.instrument.symbol]) for tape in named_tapes(exchange, params)]
        return told[0] if params.get("symbol") else told

    return route


def depth(exchange: Exchange, params: Params) -> JsonObject:
    words = words_of(exchange, params.get("symbol"))
    return words.depth(words.market.book, page(params, default=100, most=MAX_LEVELS))


def trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    words = words_of(exchange, params.get("symbol"))
    return [words.trade(trade) for trade in words.market.last_trades(page(params, most=MAX_TRADES))]


def historical_trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    return historical_trades_of(words_of(exchange, params.get("symbol")), params)


def agg_trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    return agg_trades_of(words_of(exchange, params.get("symbol")), params)


def klines(exchange: Exchange, params: Params) -> list[list[Any]]:
    words = words_of(exchange, params.get("symbol"))
    return [words.kline_row(candle) for candle in candles(words, params, MAX_KLINES)]


def window_ticker(exchange: Exchange, params: Params) -> Any:
    """A rolling window of minutes, hours or days, up to seven of these. Raises ApiError for any other."""
    span = _span(params.get("windowSize", "1d"))
    return _tickers(exchange, params, lambda words: span)


def trading_day(exchange: Exchange, params: Params) -> Any:
    """Since midnight UTC."""
    return _tickers(exchange, params, lambda words: exchange.event_time % DAY_MS + 1)


def _tickers(exchange: Exchange, params: Params, span: Callable[[Words], int]) -> Any:
    if not params.get("symbol") and not params.get("symbols"):
        raise errors.ApiError(errors.missing("symbol"))
    return each(lambda words: words.window_ticker(words.market.window(span(words))))(exchange, params)


def _span(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    span = int(number) * UNITS_MS[unit] if number.isdecimal() and len(number) < 3 and unit in UNITS_MS else 0
    if not 0 < span <= LONGEST_WINDOW_MS:
        raise errors.ApiError(errors.illegal("windowSize", "^(([1-5][0-9])|[1-9])m$|^(2[0-3]|1[0-9]|[1-9])h$|^[1-7]d$"))
    return span
