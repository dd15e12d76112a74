"""Market-data routes: what anybody may ask."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web

from include.domain.enums import Side
from include.domain.times import DAY_MS
from include.venues.sandbox import errors
from include.venues.sandbox.exchange import Exchange
from include.venues.sandbox.filters import exchange_info, text
from include.venues.sandbox.http import Params, integer, page, public, wall_ms
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.tape import Tape

MAX_KLINES = 1_500
FUNDING_MS = 8 * 3_600_000


def routes() -> list[web.RouteDef]:
    table = {
        "/fapi/v1/ping": lambda exchange, params: {},
        # Wall time: clients sign with it. Market time is on every event and in `time` fields of market data.
        "/fapi/v1/time": lambda exchange, params: {"serverTime": wall_ms()},
        "/fapi/v1/exchangeInfo": lambda exchange, params: exchange_info(exchange.tapes.values(), wall_ms()),
        "/fapi/v1/klines": klines,
        "/fapi/v1/ticker/price": each(price),
        "/fapi/v2/ticker/price": each(price),
        "/fapi/v1/ticker/bookTicker": each(book_ticker),
        "/fapi/v1/ticker/24hr": each(day_ticker),
        "/fapi/v1/premiumIndex": each(premium_index),
    }
    return [web.get(path, public(route)) for path, route in table.items()]


def each(one: Any) -> Any:
    """A route that answers for one symbol, or with a list for all when none is named."""

    def route(exchange: Exchange, params: Params) -> Any:
        if params.get("symbol"):
            return one(exchange, exchange.tape(params["symbol"]))
        return [one(exchange, tape) for tape in exchange.tapes.values()]

    return route


def klines(exchange: Exchange, params: Params) -> list[list[Any]]:
    """Finished bars, and the one in progress if its open has happened. Warm-up history before the replay included."""
    tape = exchange.tape(params.get("symbol"))
    if params.get("interval") != str(tape.bars.timeframe):
        raise errors.ApiError(errors.INVALID_INTERVAL)
    symbol = tape.instrument.symbol
    known = exchange.replay.known_rows(symbol)
    current = exchange.replay.current_row(symbol)
    limit = page(params, most=MAX_KLINES)
    visible = known + (current is not None)
    rows = tape.rows(integer(params, "startTime"), integer(params, "endTime"), limit, visible)
    return [tape.kline(row, finished=row != current) for row in rows]


def last_price(exchange: Exchange, tape: Tape) -> Decimal:
    """Where the market stands: the current bar's open, else the last close. Raises ApiError before the first bar."""
    symbol = tape.instrument.symbol
    current = exchange.replay.current_row(symbol)
    if current is not None:
        return tape.prices(current).open
    known = exchange.replay.known_rows(symbol)
    if not known:
        raise errors.ApiError(errors.NO_MARKET_YET)
    return tape.prices(known - 1).close


def price(exchange: Exchange, tape: Tape) -> JsonObject:
    return {"symbol": tape.id, "price": tape.price_text(last_price(exchange, tape)), "time": exchange.event_time}


def book_ticker(exchange: Exchange, tape: Tape) -> JsonObject:
    """Best bid and ask: the last price less and plus half the assumed spread. Depth is not replayed: quantity 1."""
    last, instrument = last_price(exchange, tape), tape.instrument
    half = instrument.half_spread_bps / 10_000
    quantity = tape.quantity_text(Decimal(1))
    return {
        "symbol": tape.id,
        "bidPrice": tape.price_text(instrument.worse_price(last * (1 - half), Side.SELL)),
        "bidQty": quantity,
        "askPrice": tape.price_text(instrument.worse_price(last * (1 + half), Side.BUY)),
        "askQty": quantity,
        "time": exchange.event_time,
        "lastUpdateId": exchange.replay.step,
    }


def day_ticker(exchange: Exchange, tape: Tape) -> JsonObject:
    """The last 24 hours of finished bars. Raises ApiError when there are none."""
    known = exchange.replay.known_rows(tape.instrument.symbol)
    rows = tape.rows(exchange.event_time - DAY_MS, exchange.event_time, known, known)
    if not len(rows):
        raise errors.ApiError(errors.NO_MARKET_YET)
    bars = tape.bars.window(rows.start, rows.stop)
    first, last = tape.prices(rows.start).open, tape.prices(rows.stop - 1).close
    change = f"{(last - first) / first * 100:.3f}"
    volume, quote = float(bars.volume.sum()), float((bars.volume * bars.close).sum())
    average = quote / volume if volume else float(last)
    return {
        "symbol": tape.id, "priceChange": tape.price_text(last - first),
        "priceChangePercent": change, "weightedAvgPrice": format(average, tape.price_format),
        "lastPrice": tape.price_text(last), "lastQty": tape.quantity_text(Decimal(0)),
        "openPrice": tape.price_text(first), "highPrice": format(float(bars.high.max()), tape.price_format),
        "lowPrice": format(float(bars.low.min()), tape.price_format), "volume": format(volume, tape.quantity_format),
        "quoteVolume": f"{quote:.5f}", "openTime": int(bars.open_time[0]), "closeTime": exchange.event_time,
        "firstId": -1, "lastId": -1, "count": len(rows),
    }  # fmt: skip


def premium_index(exchange: Exchange, tape: Tape) -> JsonObject:
    """Mark and index are the last price; funding is not modelled."""
    mark = text(last_price(exchange, tape))
    return {
        "symbol": tape.id, "markPrice": mark, "indexPrice": mark, "estimatedSettlePrice": mark,
        "lastFundingRate": "0.00000000", "interestRate": "0.00000000",
        "nextFundingTime": (exchange.event_time // FUNDING_MS + 1) * FUNDING_MS, "time": exchange.event_time,
    }  # fmt: skip
