"""Market-data routes of USD-M: what anybody may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from aiohttp import web

from include.domain.enums import PositionSide
from include.venues.sandbox import errors
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.filters import exchange_info
from include.venues.sandbox.http import Params, integer, page, public, wall_ms
from include.venues.sandbox.klines import Candle
from include.venues.sandbox.market_messages import MarketMessages
from include.venues.sandbox.messages import JsonObject

MAX_KLINES = 1_500
MAX_TRADES = 1_000
MAX_LEVELS = 1_000
FUNDING_HOURS = 8
FUNDING_CAP = "0.02000000"
HOUR_MS = 3_600_000
Answer = Callable[[Exchange, Params], Any]


def routes() -> list[web.RouteDef]:
    table: dict[str, Answer] = {
        "/fapi/v1/ping": lambda exchange, params: {},
        # Wall time: clients sign with it. Market time is on every event and in `time` fields of market data.
        "/fapi/v1/time": lambda exchange, params: {"serverTime": wall_ms()},
        "/fapi/v1/exchangeInfo": lambda exchange, params: exchange_info(exchange.tapes.values(), wall_ms()),
        "/fapi/v1/depth": depth,
        "/fapi/v1/trades": trades,
        "/fapi/v1/historicalTrades": historical_trades,
        "/fapi/v1/aggTrades": agg_trades,
        "/fapi/v1/klines": klines,
        "/fapi/v1/continuousKlines": continuous_klines,
        "/fapi/v1/markPriceKlines": price_klines("symbol"),
        "/fapi/v1/indexPriceKlines": price_klines("pair"),
        "/fapi/v1/premiumIndexKlines": premium_klines,
        "/fapi/v1/ticker/24hr": each(lambda words: words.day_ticker(words.market.window())),
        "/fapi/v1/ticker/price": each(lambda words: words.price_ticker()),
        "/fapi/v2/ticker/price": each(lambda words: words.price_ticker()),
        "/fapi/v1/ticker/bookTicker": each(lambda words: words.book_ticker(words.market.book)),
        "/fapi/v1/premiumIndex": each(lambda words: words.premium_index()),
        "/fapi/v1/fundingRate": funding_rate,
        "/fapi/v1/fundingInfo": funding_info,
        "/fapi/v1/openInterest": open_interest,
    }
    return [web.get(path, public(route)) for path, route in table.items()]


def words_of(exchange: Exchange, market_id: str | None) -> MarketMessages:
    """Raises ApiError for a symbol that is not traded here."""
    return exchange.words[exchange.tape(market_id).instrument.symbol]


def each(one: Callable[[MarketMessages], JsonObject]) -> Answer:
    """A route that answers for one symbol, or with a list for all when none is named."""

    def route(exchange: Exchange, params: Params) -> Any:
        if params.get("symbol"):
            return one(words_of(exchange, params["symbol"]))
        return [one(words) for words in exchange.words.values()]

    return route


# --- klines ------------------------------------------------------------------------------------------------


def candles(words: MarketMessages, params: Params, most: int) -> list[Candle]:
    """The asked bars, the one in progress included. Warm-up history before the replay counts as past."""
    interval = params.get("interval")
    if not interval:
        raise errors.ApiError(errors.missing("interval"))
    first, last = integer(params, "startTime"), integer(params, "endTime")
    market = words.market
    return market.klines.page(interval, market.seen, first, last, page(params, most=most))


def klines(exchange: Exchange, params: Params) -> list[list[Any]]:
    words = words_of(exchange, params.get("symbol"))
    return [words.kline_row(candle) for candle in candles(words, params, MAX_KLINES)]


def continuous_klines(exchange: Exchange, params: Params) -> list[list[Any]]:
    """A perpetual is its own continuous contract. Raises ApiError for any other contract type."""
    words = words_of(exchange, params.get("pair"))
    if params.get("contractType") != "PERPETUAL":
        raise errors.ApiError(errors.missing("contractType"))
    return [words.kline_row(candle) for candle in candles(words, params, MAX_KLINES)]


def price_klines(key: str) -> Answer:
    """Mark and index price are the traded price."""

    def route(exchange: Exchange, params: Params) -> list[list[Any]]:
        words = words_of(exchange, params.get(key))
        return [words.price_kline_row(candle) for candle in candles(words, params, MAX_KLINES)]

    return route


def premium_klines(exchange: Exchange, params: Params) -> list[list[Any]]:
    """There is no premium where mark and index are one price."""
    words, zero = words_of(exchange, params.get("symbol")), Decimal(0)
    bars = (replace(c, open=zero, high=zero, low=zero, close=zero) for c in candles(words, params, MAX_KLINES))
    return [words.price_kline_row(bar) for bar in bars]


# --- trades and book ---------------------------------------------------------------------------------------


def trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    words = words_of(exchange, params.get("symbol"))
    return [words.trade(trade) for trade in words.market.last_trades(page(params, most=MAX_TRADES))]


def historical_trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    return historical_trades_of(words_of(exchange, params.get("symbol")), params)


def historical_trades_of(words: MarketMessages, params: Params) -> list[JsonObject]:
    """Trades from an id on, else the youngest."""
    first, limit, market = integer(params, "fromId"), page(params, most=MAX_TRADES), words.market
    found = market.last_trades(limit) if first is None else market.trades_from(first, limit)
    return [words.trade(trade) for trade in found]


def agg_trades(exchange: Exchange, params: Params) -> list[JsonObject]:
    return agg_trades_of(words_of(exchange, params.get("symbol")), params)


def agg_trades_of(words: MarketMessages, params: Params) -> list[JsonObject]:
    """Trades from an id on, or of a time span, else the youngest. Raises ApiError for both at once."""
    first, start, end = integer(params, "fromId"), integer(params, "startTime"), integer(params, "endTime")
    limit, market = page(params, most=MAX_TRADES), words.market
    if first is None:
        found = market.trades_between(start, end, limit)
    elif start is None and end is None:
        found = market.trades_from(first, limit)
    else:
        raise errors.ApiError(errors.TOO_MANY_PARAMETERS)
    return [words.agg_trade(trade) for trade in found]


def depth(exchange: Exchange, params: Params) -> JsonObject:
    words = words_of(exchange, params.get("symbol"))
    return words.depth(words.market.book, page(params, most=MAX_LEVELS))


# --- funding -----------------------------------------------------------------------------------------------


def funding_rate(exchange: Exchange, params: Params) -> list[JsonObject]:
    """What has been due so far, of one symbol or of all."""
    asked = [words_of(exchange, params["symbol"])] if params.get("symbol") else list(exchange.words.values())
    start, end, limit = integer(params, "startTime"), integer(params, "endTime"), page(params, default=100)
    return [
        words.funding_rate(funding) for words in asked for funding in words.market.funding_history(start, end, limit)
    ]


def funding_info(exchange: Exchange, params: Params) -> list[JsonObject]:
    return [
        {"symbol": words.id, "adjustedFundingRateCap": FUNDING_CAP, "adjustedFundingRateFloor": "-" + FUNDING_CAP,
         "fundingIntervalHours": FUNDING_HOURS, "disclaimer": False, "updateTime": exchange.event_time}
        for words in exchange.words.values()
    ]  # fmt: skip


def open_interest(exchange: Exchange, params: Params) -> JsonObject:
    """What the accounts of this exchange hold long: there is nobody else."""
    words = words_of(exchange, params.get("symbol"))
    symbol = words.tape.instrument.symbol
    held = (account.holding(symbol, side) for account in exchange.accounts.values() for side in PositionSide)
    interest = sum((holding.quantity for holding in held if holding.quantity > 0), Decimal(0))
    return {"openInterest": words.quantity(interest), "symbol": words.id, "time": exchange.event_time}
