"""What Binance USD-M says about a market, in its own shapes: REST answers and stream events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from include.venues.sandbox.depth import Book, Levels, changes
from include.venues.sandbox.filters import text
from include.venues.sandbox.klines import Candle
from include.venues.sandbox.market import Funding, Market, Window
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.prints import Print

MARK_PLACES = Decimal("0.00000001")


class MarketMessages:
    """The words of one market. The spot protocol says the same in other places: `spot.market_messages`."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.tape = market.tape
        self.id = self.tape.id

    # --- numbers -------------------------------------------------------------------------------------------

    def price(self, price: Decimal) -> str:
        return self.tape.price_text(price)

    def quantity(self, quantity: Decimal) -> str:
        """On the lot; a trade's part of a lot (`prints.split`) is told in full."""
        return text(quantity) if quantity % self.tape.instrument.lot_size else self.tape.quantity_text(quantity)

    def volume(self, volume: float) -> str:
        return format(volume, self.tape.quantity_format)

    def quote(self, amount: float) -> str:
        return f"{amount:.5f}"

    def average(self, price: float) -> str:
        return format(price, self.tape.price_format)

    def levels(self, levels: Levels) -> list[list[str]]:
        tick, lot = self.tape.instrument.tick_size, self.tape.instrument.lot_size
        return [[self.price(price * tick), self.quantity(size * lot)] for price, size in levels]

    # --- klines --------------------------------------------------------------------------------------------

    def kline_row(self, c: Candle) -> list[Any]:
        return [
            c.open_time, self.price(c.open), self.price(c.high), self.price(c.low), self.price(c.close),
            self.quantity(c.volume), c.close_time, self.quote(c.quote_volume), c.trades, self.volume(c.taker_volume),
            self.quote(c.taker_quote_volume), "0",
        ]  # fmt: skip

    def price_kline_row(self, c: Candle) -> list[Any]:
        """A bar of mark, index or premium prices: they have no volume."""
        prices = (self.price(p) for p in (c.open, c.high, c.low, c.close))
        return [c.open_time, *prices, "0", c.close_time, "0", c.trades, "0", "0", "0"]

    def kline_event(self, c: Candle, at: int) -> JsonObject:
        return {"e": "kline", "E": at, "s": self.id, "k": self._k(c, {"s": self.id})}

    def continuous_kline_event(self, c: Candle, at: int) -> JsonObject:
        return {"e": "continuous_kline", "E": at, "ps": self.id, "ct": "PERPETUAL", "k": self._k(c, {})}

    def _k(self, c: Candle, name: JsonObject) -> JsonObject:
        return {
            "t": c.open_time, "T": c.close_time, **name, "i": c.interval, "f": c.first_id, "L": c.last_id,
            "o": self.price(c.open), "c": self.price(c.close), "h": self.price(c.high), "l": self.price(c.low),
            "v": self.quantity(c.volume), "n": c.trades, "x": c.finished, "q": self.quote(c.quote_volume),
            "V": self.volume(c.taker_volume), "Q": self.quote(c.taker_quote_volume), "B": "0",
        }  # fmt: skip

    # --- trades --------------------------------------------------------------------------------------------

    def trade(self, t: Print) -> JsonObject:
        return {
            "id": t.id, "price": self.price(t.price), "qty": self.quantity(t.quantity),
            "quoteQty": self.quote(float(t.price * t.quantity)), "time": t.at, "isBuyerMaker": t.buyer_is_maker,
        }  # fmt: skip

    def agg_trade(self, t: Print) -> JsonObject:
        """Every trade stands alone: an aggregate has the id of its one trade."""
        return {
            "a": t.id, "p": self.price(t.price), "q": self.quantity(t.quantity), "f": t.id, "l": t.id, "T": t.at,
            "m": t.buyer_is_maker,
        }  # fmt: skip

    def trade_event(self, t: Print) -> JsonObject:
        return {
            "e": "trade", "E": t.at, "T": t.at, "s": self.id, "t": t.id, "p": self.price(t.price),
            "q": self.quantity(t.quantity), "X": "MARKET", "m": t.buyer_is_maker,
        }  # fmt: skip

    def agg_trade_event(self, t: Print) -> JsonObject:
        return {"e": "aggTrade", "E": t.at, "s": self.id, **self.agg_trade(t)}

    # --- book ----------------------------------------------------------------------------------------------

    def depth(self, book: Book, limit: int) -> JsonObject:
        at = self.market.replay.event_time
        sides = {"bids": self.levels(book.bids[:limit]), "asks": self.levels(book.asks[:limit])}
        return {"lastUpdateId": book.snapshot_id, "E": at, "T": at, **sides}

    def depth_event(self, before: Book | None, book: Book) -> JsonObject:
        bids, asks = moved(before, book)
        return {
            "e": "depthUpdate", "E": book.at, "T": book.at, "s": self.id, "U": book.first_id, "u": book.last_id,
            "pu": book.first_id - 1, "b": self.levels(bids), "a": self.levels(asks),
        }  # fmt: skip

    def partial_depth_event(self, book: Book, count: int) -> JsonObject:
        return {
            "e": "depthUpdate", "E": book.at, "T": book.at, "s": self.id, "U": book.first_id, "u": book.last_id,
            "pu": book.first_id - 1, "b": self.levels(book.bids[:count]), "a": self.levels(book.asks[:count]),
        }  # fmt: skip

    def book_ticker(self, book: Book) -> JsonObject:
        return {**self.touch(book), "time": self.market.replay.event_time, "lastUpdateId": book.last_id}

    def book_ticker_event(self, book: Book) -> JsonObject:
        (bid, bid_size), (ask, ask_size) = self._best(book)
        return {
            "e": "bookTicker", "u": book.last_id, "s": self.id, "b": bid, "B": bid_size, "a": ask, "A": ask_size,
            "T": book.at, "E": book.at,
        }  # fmt: skip

    def touch(self, book: Book) -> JsonObject:
        (bid, bid_size), (ask, ask_size) = self._best(book)
        return {"symbol": self.id, "bidPrice": bid, "bidQty": bid_size, "askPrice": ask, "askQty": ask_size}

    def _best(self, book: Book) -> tuple[list[str], list[str]]:
        """Best bid and ask as [price, quantity]; a side without levels (a price of one tick) counts as zero."""
        zero = [self.price(Decimal(0)), self.quantity(Decimal(0))]
        return (*self.levels(book.bids[:1]), zero)[0], (*self.levels(book.asks[:1]), zero)[0]

    # --- tickers -------------------------------------------------------------------------------------------

    def price_ticker(self) -> JsonObject:
        market = self.market
        return {"symbol": self.id, "price": self.price(market.last_price), "time": market.replay.event_time}

    def day_ticker(self, w: Window) -> JsonObject:
        return {
            "symbol": self.id, "priceChange": self.price(w.change), "priceChangePercent": w.change_percent,
            "weightedAvgPrice": self.average(w.average), "lastPrice": self.price(w.last),
            "lastQty": self.quantity(w.last_quantity), "openPrice": self.price(w.open),
            "highPrice": self.price(w.high), "lowPrice": self.price(w.low), "volume": self.quantity(w.volume),
            "quoteVolume": self.quote(w.quote_volume), "openTime": w.open_time, "closeTime": w.close_time,
            "firstId": w.first_id, "lastId": w.last_id, "count": w.trades,
        }  # fmt: skip

    def mini_ticker_event(self, w: Window, at: int) -> JsonObject:
        return {
            "e": "24hrMiniTicker", "E": at, "s": self.id, "c": self.price(w.last), "o": self.price(w.open),
            "h": self.price(w.high), "l": self.price(w.low), "v": self.quantity(w.volume),
            "q": self.quote(w.quote_volume),
        }  # fmt: skip

    def ticker_event(self, w: Window, at: int) -> JsonObject:
        return {
            "e": "24hrTicker", "E": at, "s": self.id, "p": self.price(w.change), "P": w.change_percent,
            "w": self.average(w.average), "c": self.price(w.last), "Q": self.quantity(w.last_quantity),
            "o": self.price(w.open), "h": self.price(w.high), "l": self.price(w.low), "v": self.quantity(w.volume),
            "q": self.quote(w.quote_volume), "O": w.open_time, "C": w.close_time, "F": w.first_id, "L": w.last_id,
            "n": w.trades,
        }  # fmt: skip

    # --- mark price and funding ----------------------------------------------------------------------------

    def premium_index(self) -> JsonObject:
        """Mark and index price are the last price."""
        market = self.market
        mark = format(market.last_price.quantize(MARK_PLACES), "f")
        return {
            "symbol": self.id, "markPrice": mark, "indexPrice": mark, "estimatedSettlePrice": mark,
            "lastFundingRate": format(market.funding(market.last_row), ".8f"), "interestRate": "0.00000000",
            "nextFundingTime": market.next_funding_ms, "time": market.replay.event_time,
        }  # fmt: skip

    def average_price_event(self, at: int) -> JsonObject | None:
        """A spot stream; USD-M has none."""
        return None

    def mark_price_event(self, at: int) -> JsonObject | None:
        told = self.premium_index()
        return {
            "e": "markPriceUpdate", "E": at, "s": self.id, "p": told["markPrice"], "i": told["indexPrice"],
            "P": told["estimatedSettlePrice"], "r": told["lastFundingRate"], "T": told["nextFundingTime"],
        }  # fmt: skip

    def funding_rate(self, f: Funding) -> JsonObject:
        rate, mark = format(f.rate, ".8f"), format(f.mark.quantize(MARK_PLACES), "f")
        return {"symbol": self.id, "fundingTime": f.at, "fundingRate": rate, "markPrice": mark}


def moved(before: Book | None, book: Book) -> tuple[Levels, Levels]:
    """Changes of bids and asks from one book to the next; all of it when there was none before."""
    if before is None:
        return book.bids, book.asks
    return changes(before.bids, book.bids), changes(before.asks, book.asks)
