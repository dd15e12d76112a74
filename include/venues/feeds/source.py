"""Where a feed's bars come from. Every `ports.Venue` is such a source; `CcxtSource` is one without an account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from include.domain.bars import Bar
from include.domain.times import Timeframe
from include.ports import VenueEvent
from include.trading.feed_latency import LatencyHistogram
from include.venues.ccxt_client import Endpoint
from include.venues.ccxt_link import Link
from include.venues.dialects import find_dialect
from include.venues.rate_limits import RateGovernor


class BarSource(Protocol):
    """Finished bars of some symbols, as they come and by question. Errors as `ports.Venue` declares them."""

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None: ...

    async def close(self) -> None: ...

    async def server_time(self) -> datetime: ...

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]: ...

    def events(self) -> AsyncIterator[VenueEvent]: ...

    @property
    def reconnects(self) -> int: ...


class CcxtSource:
    """Public market data of one exchange.

    Args:
        exchange: as `dialects.DIALECTS` names it.
        base_url, sandbox, timeout_ms: as for `CcxtVenue`.
    """

    def __init__(
        self, exchange: str = "binance-usdm", *, base_url: str = "", sandbox: bool = False, timeout_ms: int = 10_000
    ) -> None:
        endpoint = Endpoint(base_url.rstrip("/"), sandbox, timeout_ms)
        self._link = Link(find_dialect(exchange), endpoint, obeys_limits=not endpoint.base_url)

    @property
    def base_url(self) -> str:
        return self._link.endpoint.base_url

    @property
    def reconnects(self) -> int:
        """How often the stream was opened again since `connect`."""
        return self._link.streams.reconnects

    @property
    def governor(self) -> RateGovernor:
        return self._link.governor

    @property
    def latency(self) -> LatencyHistogram:
        """Age of messages when they arrived, by our clock; without meaning where time is replayed."""
        return self._link.streams.latency

    @property
    def streams(self) -> object:
        """The streams of the present connection, for a pacer."""
        return self._link.streams

    @property
    def listening(self) -> tuple[str, Mapping[str, str]]:
        """No key, and the kline streams of the present connection, for a pacer."""
        return self._link.listening

    @property
    def session(self) -> object:
        """The aiohttp session of the connection, for a pacer."""
        return self._link.session

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Load markets and open the market stream."""
        await self._link.open(symbols, timeframe, with_account=False)

    async def close(self) -> None:
        await self._link.close()

    async def server_time(self) -> datetime:
        """The market's time."""
        return await self._link.market_time()

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last finished bars, oldest first, at most `limit`."""
        return await self._link.history(symbol, limit)

    def events(self) -> AsyncIterator[VenueEvent]:
        """Finished bars as they arrived; ends on `close`."""
        return self._link.streams.events()
