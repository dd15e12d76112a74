"""Market streams: what each subscribed name is told while a bar is played. A name nobody listens to costs nothing.

At the open: the first trade and the book there. At the close: the other trades with the book after each of them, then
klines, tickers and mark price. Market times lie inside the bar and grow; they are told in a burst because the replay
plays a bar in two strokes. `@100ms`, `@250ms` and `@500ms` name the same events: a replay knows no wall time between
two of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from include.venues.sandbox.depth import LEVELS, Book
from include.venues.sandbox.hub import Hub
from include.venues.sandbox.market import Market
from include.venues.sandbox.market_messages import MarketMessages
from include.venues.sandbox.messages import JsonObject
from include.venues.sandbox.prints import MOMENTS, Print, moments_of
from include.venues.sandbox.stream_names import WINDOWS, Channel, parse

Rows = Mapping[str, int]
Named = tuple[str, Channel]
"""A stream as the hub knows it, and what it asks for."""


class MarketStreams:
    """The streams of one protocol over one hub."""

    def __init__(
        self, hub: Hub, words: Mapping[str, MarketMessages], *, prefix: str = "", partial_klines: bool = False
    ) -> None:
        """`words` by the lake's symbol. `prefix` sets this protocol's names apart in the hub. `partial_klines`: tell
        unfinished bars at their open, as a real stream does."""
        self._hub, self._words, self._prefix, self._partial_klines = hub, words, prefix, partial_klines
        self._names: Collection[str] = frozenset()
        self._by_symbol: dict[str, list[Named]] = {}
        self._of_all: list[Named] = []

    def tell_open(self, rows: Rows) -> None:
        """The opens of one bar time have happened: `rows` of the symbols that have a bar."""
        self._understand()
        for symbol, streams in self._by_symbol.items():
            if symbol in rows:
                words, row = self._words[symbol], rows[symbol]
                self._tell_moments(words, row, streams, range(1))
                for stream, channel in streams:
                    self._tell_klines_at_open(words, row, stream, channel)

    def tell_close(self, rows: Rows) -> None:
        """The bars that opened have closed."""
        self._understand()
        for symbol, streams in self._by_symbol.items():
            if symbol in rows:
                words = self._words[symbol]
                self._tell_moments(words, rows[symbol], streams, range(1, MOMENTS))
                for stream, channel in streams:
                    if channel.kind in KLINES:
                        self._tell_kline(words, rows[symbol], stream, channel)
                    elif channel.kind in ONCE_A_BAR:
                        self._publish(stream, ONCE_A_BAR[channel.kind](words, channel))
        for stream, channel in self._of_all:
            told = (ONCE_A_BAR[channel.kind](self._words[symbol], channel) for symbol in rows)
            events = [event for event in told if event]
            if events:
                self._hub.publish_market(stream, events)

    # --- who listens ---------------------------------------------------------------------------------------

    def _ids(self) -> dict[str, str]:
        return {words.id: symbol for symbol, words in self._words.items()}

    def _channel(self, name: str) -> Channel | None:
        return parse(name, next(iter(self._words.values())).market.klines.intervals())

    def _understand(self) -> None:
        """Read the subscribed names anew when they have changed."""
        if self._hub.listened is self._names:
            return
        self._names, self._by_symbol, self._of_all = self._hub.listened, {}, []
        ids = self._ids()
        for stream in sorted(name for name in self._names if name.startswith(self._prefix)):
            channel = self._channel(stream.removeprefix(self._prefix))
            if channel is None:
                continue
            if channel.market_id is None and channel.kind in ONCE_A_BAR:
                self._of_all.append((stream, channel))
            wanted = ids if channel.market_id is None else {channel.market_id} & ids.keys()
            for market_id in wanted:
                if channel.market_id is not None or channel.kind not in ONCE_A_BAR:
                    self._by_symbol.setdefault(ids[market_id], []).append((stream, channel))

    # --- the moments of a bar ------------------------------------------------------------------------------

    def _tell_moments(self, words: MarketMessages, row: int, streams: Iterable[Named], moments: range) -> None:
        trading = [(stream, TRADES[c.kind]) for stream, c in streams if c.kind in TRADES]
        quoting = [(stream, BOOKS[c.kind], c) for stream, c in streams if c.kind in BOOKS]
        market = words.market
        trades = _by_moment(market.prints.of(row)) if trading else {}
        before, books = _books(market, row, moments, [c for _, _, c in quoting]) if quoting else (None, [])
        for moment in moments:
            for stream, tell in trading:
                if moment in trades:
                    self._publish(stream, tell(words, trades[moment]))
            for stream, quote, channel in quoting:
                self._publish(stream, quote(words, channel, books[moment - 1] if moment else before, books[moment]))

    # --- klines --------------------------------------------------------------------------------------------

    def _tell_klines_at_open(self, words: MarketMessages, row: int, stream: str, channel: Channel) -> None:
        if channel.kind not in KLINES:
            return
        if words.market.klines.left_open(channel.detail, row):
            self._tell_kline(words, row - 1, stream, channel)
        if self._partial_klines:
            self._tell_kline(words, row, stream, channel)

    def _tell_kline(self, words: MarketMessages, row: int, stream: str, channel: Channel) -> None:
        view = words.market.seen
        candle = words.market.klines.at(channel.detail, row, view)
        self._publish(stream, KLINES[channel.kind](words, candle, view.now))

    def _publish(self, stream: str, event: JsonObject | None) -> None:
        if event is not None:
            self._hub.publish_market(stream, event)


def _by_moment(trades: list[Print]) -> dict[int, Print]:
    return dict(zip(moments_of(len(trades)), trades, strict=True))


def _books(market: Market, row: int, moments: range, channels: Iterable[Channel]) -> tuple[Book | None, Sequence[Book]]:
    """The last book of the bar before and those of a bar up to the last of `moments`, as deep as a channel asks."""
    levels = max(LEVELS if c.kind == "depth" and not c.detail else int(c.detail or 1) for c in channels)
    if moments.stop > 1:
        return None, market.depth.through(row, levels)
    before = market.depth.at(row - 1, MOMENTS - 1, levels) if row else None
    return before, [market.depth.at(row, 0, levels)]


def _depth(words: MarketMessages, channel: Channel, before: Book | None, book: Book) -> JsonObject:
    if channel.detail:
        return words.partial_depth_event(book, int(channel.detail))
    return words.depth_event(before, book)


def _ticker(words: MarketMessages, channel: Channel) -> JsonObject:
    event = words.ticker_event(words.market.window(WINDOWS[channel.detail]), words.market.seen.now)
    return {**event, "e": f"{channel.detail[1:]}Ticker"} if channel.detail else event


KLINES = {"kline": MarketMessages.kline_event, "continuousKline": MarketMessages.continuous_kline_event}
TRADES: Mapping[str, Callable[[MarketMessages, Print], JsonObject]] = {
    "trade": lambda words, trade: words.trade_event(trade),
    "aggTrade": lambda words, trade: words.agg_trade_event(trade),
}
BOOKS: Mapping[str, Callable[[MarketMessages, Channel, Book | None, Book], JsonObject]] = {
    "depth": _depth,
    "bookTicker": lambda words, channel, before, book: words.book_ticker_event(book),
}
ONCE_A_BAR: Mapping[str, Callable[[MarketMessages, Channel], JsonObject | None]] = {
    "ticker": _ticker,
    "miniTicker": lambda words, channel: words.mini_ticker_event(words.market.window(), words.market.seen.now),
    "markPrice": lambda words, channel: words.mark_price_event(words.market.seen.now),
    "avgPrice": lambda words, channel: words.average_price_event(words.market.seen.now),
}
