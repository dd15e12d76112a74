"""Bars that have not closed yet: a clock that is wrong, or data that was made up. Nothing is measured on them."""

from __future__ import annotations

from datetime import datetime

from include.domain.errors import DataError
from include.domain.times import iso
from include.ports import MarketData
from include.qualification.candidate import Candidate


def refuse_future_bars(market_data: MarketData, candidate: Candidate, end: datetime, now: datetime) -> None:
    """Refuse a window that would hold bars which close after `now`.

    Args:
        end: of the window, exclusive.

    Raises:
        DataError: with the symbol and its last such bar; also when a symbol is not in the lake.
    """
    length = candidate.timeframe.delta
    for symbol in candidate.symbols:
        _, last = market_data.span(candidate.venue, symbol, candidate.timeframe)
        latest = min(last, end - length)
        if latest + length > now:
            raise DataError(
                f"{symbol}: the bar that opens at {iso(latest)} has not closed yet at {iso(now)}; "
                "check the clock and where the data comes from"
            )
