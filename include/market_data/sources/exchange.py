"""Bars of any ccxt exchange: public REST, page by page, forwards.

Every page begins with the last bar of the page before, which shows that it is the page that was asked for. Where that
is all it holds, twice, there is a hole: the next day that traded is looked up in the daily bars, and what lies between
is passed over. The bar in progress is never handed out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import ConfigurationError
from include.domain.times import DAY_MS, Timeframe, from_ms, iso, to_ms
from include.market_data.partitions import Columns
from include.market_data.sources.exchange_client import ExchangeClient, Row
from include.market_data.sources.patience import MAX_ATTEMPTS, Patience
from include.market_data.sources.protocol import Chunk, Request

FIRST_TRADE_MS = to_ms(datetime(2009, 1, 3, tzinfo=UTC))
"""No market of this kind is older."""
DAY = Timeframe(86_400)
TIMEOUT_MS = 20_000


class ExchangeSource:
    """`Source` over ccxt.

    Args:
        exchange_id: ccxt's id (`binanceusdm`).
        url: base address to use instead of the exchange's own, for example a sandbox exchange.
        now: the current time, aware, or what tells it.
        max_attempts: how often one request is made before giving up.
        page_bars: bars asked for at once; as many as the exchange gives when 0.
        sleep: waits so many seconds.

    Raises:
        ConfigurationError: ccxt knows no such exchange, or it has no public bars.
    """

    def __init__(
        self,
        exchange_id: str,
        *,
        now: Callable[[], datetime] | datetime,
        url: str = "",
        max_attempts: int = MAX_ATTEMPTS,
        page_bars: int = 0,
        timeout_ms: int = TIMEOUT_MS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        told = (lambda: now) if isinstance(now, datetime) else now
        self.client = ExchangeClient(
            exchange_id, url, now=told, patience=Patience(max_attempts, sleep), timeout_ms=timeout_ms
        )
        self._page_bars = page_bars
        self._traded: dict[str, int] = {}  # market -> open of the last day that was found to have traded
        self._has_days = True

    @property
    def name(self) -> str:
        return f"ccxt:{self.client.exchange_id}"

    def chunks(self, request: Request) -> Iterator[Chunk]:
        """Bars page by page, oldest first.

        Raises:
            ConfigurationError: the exchange has no such market or timeframe, or refuses.
            RetryableError: it does not answer, or asks for a longer wait than we have patience for.
        """
        market = self.client.market(request.symbol, request.timeframe)
        length, page = request.timeframe.ms, self._page_bars or self.client.page_bars(market)
        if page < 2:
            raise ConfigurationError(f"pages of {page} bars: a page begins with a known bar, so ask for two or more")
        stop = self._stop(request)
        first = cursor = handed_out = (
            self._first(market, request, page) if request.start is None else to_ms(request.start)
        )
        known: int | None = None  # the last bar handed out, if the bar at the cursor would follow it
        over = cursor >= stop
        while not over:
            since = cursor if known is None else known
            rows = self._page(market, request.timeframe, since, min(page, (stop - since) // length + 2), known)
            stop = self._stop(request)
            fresh = [row for row in rows if cursor <= row[0] < stop]
            if fresh:
                known = int(fresh[-1][0])
                cursor = handed_out = known + length
            over = cursor >= stop or any(row[0] >= stop for row in rows)
            if not fresh and not over:
                # A page reaches as far as it has bars; without any, as far as it could have had.
                cursor, known = self._beyond_hole(market, request.timeframe, cursor + (page - 1) * length, stop), None
                over = cursor >= stop
            done = 1.0 if over else (cursor - first) / max(stop - first, 1)
            # Never past a hole at the end: bars that the exchange is late with would not be asked for again.
            yield Chunk(_columns(fresh), done, iso(from_ms(min(cursor, stop))), from_ms(handed_out))

    # --- inside --------------------------------------------------------------------------------------------

    def _page(self, market: str, timeframe: Timeframe, since: int, limit: int, known: int | None) -> list[Row]:
        """One page; one that brings nothing new (a hole, or a stale answer) is believed when it is given twice."""
        rows = self.client.page(market, timeframe, since, limit, holding=known)
        if any(row[0] != known for row in rows):
            return rows
        return self.client.page(market, timeframe, since, limit, holding=known)

    def _stop(self, request: Request) -> int:
        """Open times from here on are not handed out: past the end, or of a bar that is not over."""
        finished = self.client.now_ms() - request.timeframe.ms + 1
        return finished if request.end is None else min(finished, to_ms(request.end))

    def _first(self, market: str, request: Request, page: int) -> int:
        """Open time of the earliest bar that the exchange gives."""
        rows = self.client.page(market, request.timeframe, FIRST_TRADE_MS, page)
        if rows:
            return int(rows[0][0])
        return self._beyond_hole(market, request.timeframe, FIRST_TRADE_MS, self._stop(request))

    def _beyond_hole(self, market: str, timeframe: Timeframe, at: int, stop: int) -> int:
        """The next time from `at` on where bars may be: the first traded day; `stop` when there is none."""
        if at >= stop or timeframe >= DAY or not (self._has_days and self.client.has_timeframe(DAY)):
            return at
        if 0 <= at - self._traded.get(market, at + 1) < DAY_MS:
            return at
        page = self.client.page_bars(market)
        # A day earlier, because not every exchange's days begin at midnight UTC.
        for since in range(at // DAY_MS * DAY_MS - DAY_MS, stop, page * DAY_MS):
            try:
                days = self.client.page(market, DAY, since, page)
            except ConfigurationError:  # it lists daily bars and refuses them: page through the hole instead
                self._has_days = False
                return at
            traded = [int(day[0]) for day in days if day[0] + DAY_MS > at]
            if traded:
                self._traded[market] = traded[0]
                return max(at, traded[0])
        return stop


def _columns(rows: Sequence[Row]) -> Columns:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(BAR_COLUMNS))
    columns = {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(BAR_COLUMNS)}
    return columns | {"open_time": columns["open_time"].astype(np.int64)}
