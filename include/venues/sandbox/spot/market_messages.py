"""What Binance spot says about a market, in its own shapes."""

from __future__ import annotations

from decimal import Decimal

from include.venues.sandbox.depth import Book
from include.venues.sandbox.market import Window
from include.venues.sandbox.market_messages import MarketMessages, moved
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.prints import Print
from include.venues.sandbox.spot.numbers import eight

AVERAGE_MINUTES = 5


class SpotMarketMessages(MarketMessages):
    """The words of one spot market."""

    # --- numbers -------------------------------------------------------------------------------------------

    def price(self, price: Decimal) -> str:
        return eight(price)

    def quantity(self, quantity: Decimal) -> str:
        return eight(quantity)

    def volume(self, volume: float) -> str:
        return f"{volume:.8f}"

    def quote(self, amount: float) -> str:
        return f"{amount:.8f}"

    def average(self, price: float) -> str:
        return f"{price:.8f}"

    # --- trades --------------------------------------------------------------------------------------------

    def trade(self, t: Print) -> JsonObject:
        return {**super().trade(t), "quoteQty": eight(t.price * t.quantity), "isBestMatch": True}

    def agg_trade(self, t: Print) -> JsonObject:
        return {**super().agg_trade(t), "M": True}

    def trade_event(self, t: Print) -> JsonObject:
        return {
            "e": "trade", "E": t.at, "s": self.id, "t": t.id, "p": self.price(t.price),
            "q": self.quantity(t.quantity), "T": t.at, "m": t.buyer_is_maker, "M": True,
        }  # fmt: skip

    # --- book ----------------------------------------------------------------------------------------------

    def depth(self, book: Book, limit: int) -> JsonObject:
        sides = {"bids": self.levels(book.bids[:limit]), "asks": self.levels(book.asks[:limit])}
        return {"lastUpdateId": book.snapshot_id, **sides}

    def depth_event(self, before: Book | None, book: Book) -> JsonObject:
        bids, asks = moved(before, book)
        return {
            "e": "depthUpdate", "E": book.at, "s": self.id, "U": book.first_id, "u": book.last_id,
            "b": self.levels(bids), "a": self.levels(asks),
        }  # fmt: skip

    def partial_depth_event(self, book: Book, count: int) -> JsonObject:
        return self.depth(book, count)

    def book_ticker(self, book: Book) -> JsonObject:
        return self.touch(book)

    def book_ticker_event(self, book: Book) -> JsonObject:
        touch = self.touch(book)
        return {
            "u": book.last_id, "s": self.id, "b": touch["bidPrice"], "B": touch["bidQty"], "a": touch["askPrice"],
            "A": touch["askQty"],
        }  # fmt: skip

    # --- tickers -------------------------------------------------------------------------------------------

    def price_ticker(self) -> JsonObject:
        return {"symbol": self.id, "price": self.price(self.market.last_price)}

    def day_ticker(self, w: Window) -> JsonObject:
        touch = self.touch(self.market.book)
        return {**super().day_ticker(w), **touch, "prevClosePrice": self.price(w.before)}

    def window_ticker(self, w: Window) -> JsonObject:
        """A rolling window or trading day: the day's ticker without what belongs to the present."""
        told = super().day_ticker(w)
        del told["lastQty"]
        return told

    def ticker_event(self, w: Window, at: int) -> JsonObject:
        touch = self.touch(self.market.book)
        return {
            **super().ticker_event(w, at), "x": self.price(w.before), "b": touch["bidPrice"], "B": touch["bidQty"],
            "a": touch["askPrice"], "A": touch["askQty"],
        }  # fmt: skip

    def average_price(self) -> JsonObject:
        """Volume-weighted over the last minutes."""
        window = self.market.window(AVERAGE_MINUTES * 60_000)
        return {"mins": AVERAGE_MINUTES, "price": self.average(window.average), "closeTime": window.close_time}

    def average_price_event(self, at: int) -> JsonObject | None:
        told = self.average_price()
        return {
            "e": "avgPrice", "E": at, "s": self.id, "i": f"{AVERAGE_MINUTES}m", "w": told["price"],
            "T": told["closeTime"],
        }  # fmt: skip

    def mark_price_event(self, at: int) -> JsonObject | None:
        """Spot has no mark price."""
        return None
