"""Laws of paging through an exchange: whatever it has, every finished bar comes once, in finitely many pages."""

from __future__ import annotations

import copy
import functools
from datetime import datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.times import DAY_MS, Timeframe, to_ms
from include.market_data.sources.exchange import ExchangeSource
from include.market_data.sources.exchange_client import Row
from include.market_data.sources.protocol import Request
from tests.market import MINUTE, START, minutes

SPAN = 3 * 1_440
SOURCE = functools.cache(lambda: ExchangeSource("binanceusdm", now=START))


class MemoryExchange:
    """Stands in for `ExchangeClient`: answers from a set of open minutes, by count or by window."""

    exchange_id = "memory"

    def __init__(self, opens: list[int], now: datetime, *, by_window: bool, daily: bool) -> None:
        self.opens, self.now, self.by_window, self.daily, self.asked = sorted(opens), now, by_window, daily, 0

    def market(self, symbol: str, timeframe: Timeframe) -> str:
        return symbol

    def page_bars(self, market: str) -> int:
        return 100

    def has_timeframe(self, timeframe: Timeframe) -> bool:
        return self.daily or timeframe.ms < DAY_MS

    def now_ms(self) -> int:
        return to_ms(self.now)

    def page(
        self, market: str, timeframe: Timeframe, since: int, limit: int, *, holding: int | None = None
    ) -> list[Row]:
        self.asked += 1
        opens = sorted({t // timeframe.ms * timeframe.ms for t in self.opens})
        reach = since + limit * timeframe.ms if self.by_window else max(opens, default=0) + 1
        found: list[Row] = [(t, 1.0, 1.0, 1.0, 1.0, 1.0) for t in opens if since <= t < reach][:limit]
        assert holding is None or holding in {row[0] for row in found}
        return found


@settings(max_examples=60, deadline=None)
@given(
    kept=st.lists(st.integers(0, SPAN - 1), max_size=60, unique=True),
    whole=st.lists(st.tuples(st.integers(0, SPAN - 200), st.integers(1, 200)), max_size=3),
    page=st.integers(2, 90),
    now=st.integers(0, SPAN),
    by_window=st.booleans(),
    daily=st.booleans(),
)
def test_every_finished_bar_is_handed_out_once_and_any_cut_leaves_the_rest(
    kept: list[int], whole: list[tuple[int, int]], page: int, now: int, by_window: bool, daily: bool
) -> None:
    offsets = sorted({*kept, *(o for first, count in whole for o in range(first, first + count))})
    opens = [to_ms(START) + o * MINUTE.ms for o in offsets]
    finished = [t for t in opens if t + MINUTE.ms <= to_ms(START + minutes(now))]
    exchange = MemoryExchange(opens, START + minutes(now), by_window=by_window, daily=daily)
    source = copy.copy(SOURCE())
    source.client, source._page_bars, source._traded = exchange, page, {}  # type: ignore[assignment]

    handed_out: list[int] = []
    for chunk in source.chunks(Request("BTC/USDT", MINUTE, START)):
        handed_out += chunk.columns["open_time"].tolist()
        assert 0.0 <= chunk.done <= 1.0
        assert chunk.resume_at is not None
        before_the_cut = [t for t in finished if t < to_ms(chunk.resume_at)]
        assert handed_out == before_the_cut
    assert handed_out == finished
    assert exchange.asked <= 20 + 3 * SPAN // (page - 1) + 2 * len(finished)
    assert np.all(np.diff(handed_out) > 0)
