"""A connection to one exchange: client, streams, connected markets, clock; with an account or without."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.errors import RejectedError, RetryableError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe, to_ms
from include.venues.asking import Asker
from include.venues.ccxt_client import NOBODY, Endpoint, build_client
from include.venues.ccxt_streams import Streams
from include.venues.clock_offset import ClockOffset, measure_offset
from include.venues.dialect import Dialect, Market
from include.venues.rate_limits import RateGovernor

CONNECT_TIMEOUT_SECS = 15.0


class Link:
    """One connection; opened and closed as often as needed."""

    def __init__(
        self,
        dialect: Dialect,
        endpoint: Endpoint,
        key: SecretStr = NOBODY,
        secret: SecretStr = NOBODY,
        *,
        obeys_limits: bool = True,
    ) -> None:
        self.dialect, self.endpoint = dialect, endpoint
        self.where = endpoint.base_url or dialect.name + (" (test)" if endpoint.sandbox else "")
        self.governor = RateGovernor(dialect.limits, obeys=obeys_limits)
        self.markets: dict[str, Market] = {}
        self.streams = Streams(dialect, self.markets)
        self.clock_offset: ClockOffset | None = None
        self.client: Any = None
        self.asker: Asker
        self._key, self._secret = key, secret
        self._timeframe = Timeframe(60)
        self._is_fresh = False

    @property
    def session(self) -> Any:
        """The aiohttp session. Raises RetryableError when there is none."""
        if self.client is None or self.client.session is None:
            raise RetryableError(f"{self.where}: not connected")
        return self.client.session

    @property
    def listening(self) -> tuple[str, Mapping[str, str]]:
        """API key, and side and kline streams of the connection as the sandbox's own routes take them: what it needs to
        count only what is sent to this connection."""
        prefix = self.dialect.sandbox_prefix
        streams = (f"{prefix}{name.lower()}@kline_{self._timeframe}" for name in self.markets)
        return self._key.get_secret_value(), {
            "segment": prefix.removesuffix(":") or "usdm",
            "streams": "/".join(streams),
        }

    async def open(self, symbols: Sequence[str], timeframe: Timeframe, *, with_account: bool) -> None:
        """Load markets, compare clocks, open the streams; nothing stays open when that fails.

        Raises:
            RetryableError: the exchange does not answer.
            RejectedError: a symbol or the timeframe is not offered there.
            FatalError: the credentials are refused, or our clock is too far off.
        """
        self._timeframe = timeframe
        self.markets = {}
        self.streams = Streams(self.dialect, self.markets, measures=not self.endpoint.base_url)
        self.client = build_client(self.dialect, self.endpoint, self.streams, self.governor, self._key, self._secret)
        self.asker = Asker(self.client, self.governor, self.where)
        try:
            await self.asker.call("load markets", self.client.load_markets)
            self._connect_markets(symbols)
            self._is_fresh = True
            self.clock_offset = await measure_offset(self._wall_clock)
            if with_account:
                self.clock_offset.require(self.where)
            pairs = [[market.unified, str(timeframe)] for market in self.markets.values()]
            await self.streams.open(
                lambda: self.client.watch_ohlcv_for_symbols(pairs),
                self._watch_user if with_account else None,
                CONNECT_TIMEOUT_SECS,
            )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close streams and session. Safe to call twice."""
        client, self.client = self.client, None
        if client is not None:
            await self.streams.close()
            await client.close()

    async def refresh_markets(self) -> None:
        """Ask again what is traded and in which steps; the first time, what `open` has just loaded will do."""
        if self._is_fresh:
            self._is_fresh = False
            return
        await self.asker.call("load markets", lambda: self.client.load_markets(True))
        self._connect_markets([market.symbol for market in self.markets.values()])

    def market(self, symbol: str) -> Market:
        """A connected market by the candidate's spelling. Raises RejectedError when it is none."""
        found = self.markets.get(symbol_id(symbol))
        if found is None:
            raise RejectedError(f"{self.where}: {symbol} is not connected", code="-1121")
        return found

    async def market_time(self) -> datetime:
        """What the exchange stamps on its market data now."""
        first = next(iter(self.markets.values()))
        answer = await self.asker.ask("ask for the time", self.dialect.market_time, first)
        return self.asker.read("time", self.dialect.read_market_time, answer)

    async def history(self, symbol: str, limit: int) -> list[Bar]:
        """The last finished bars by REST, oldest first, at most `limit`."""
        market, klines, now_ms = self.market(symbol), self.dialect.klines, to_ms(await self.market_time())
        bars: list[Bar] = []
        before: dict[str, int] = {}
        while len(bars) < limit:
            # One more than needed: the newest may still be forming.
            wanted = {klines.interval: self.client.timeframes[str(self._timeframe)], **before}
            wanted["limit"] = min(limit - len(bars) + 1, klines.page)
            rows = await self.asker.rows(f"{symbol}: ask for bars", klines.route, market, wanted)
            page = self.asker.read("bars", self._finished, rows, market, now_ms)
            if not page:
                break
            bars = page + bars
            before = {klines.end: to_ms(page[0].open_time) - 1}
        return bars[-limit:]

    def _finished(self, rows: Sequence[Sequence[Any]], market: Market, now_ms: int) -> list[Bar]:
        klines, last = self.dialect.klines, now_ms - self._timeframe.ms + 1
        ordered = reversed(rows) if klines.newest_first else rows
        return [klines.read(row, market.symbol) for row in ordered if int(row[0]) <= last]

    def _connect_markets(self, symbols: Sequence[str]) -> None:
        known = self.client.markets_by_id
        missing = [symbol for symbol in symbols if symbol_id(symbol) not in known]
        if missing:
            raise RejectedError(f"{self.where} does not trade {', '.join(missing)}", code="-1121")
        for symbol in symbols:
            found = known[symbol_id(symbol)][0]
            self.markets[found["id"]] = Market(
                found["id"], symbol, found["symbol"], found["base"], found["quote"], found["info"]
            )

    async def _wall_clock(self) -> datetime:
        answer = await self.asker.ask("ask for the clock", self.dialect.clock)
        return self.asker.read("clock", self.dialect.read_clock, answer)

    async def _watch_user(self) -> None:
        """All subscriptions of the user stream; ends with the first that fails."""
        watching = [asyncio.ensure_future(getattr(self.client, name)()) for name in self.dialect.watch_user]
        try:
            await asyncio.gather(*watching)
        finally:
            for watch in watching:
                watch.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
