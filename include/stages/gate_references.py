"""What else the lake holds of a symbol, for the data gate to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from include.domain.instruments import base_venue
from include.domain.times import Timeframe
from include.ports import MarketData

Columns = dict[str, NDArray[Any]]
LONGEST_REFERENCE = Timeframe(4 * 3_600)
"""Longer bars close too seldom to show a lag of hours."""
BEST_REFERENCE = Timeframe(1_800)
"""Times are compared at half hours; shorter bars say the same and take longer to read."""


def bar_columns(table: Any) -> Columns:
    """Columns of a lake table as arrays; open times as epoch milliseconds."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return {**columns, "open_time": columns["open_time"].astype("datetime64[ms]").astype("int64")}


def coarser_bars(
    market_data: MarketData, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime
) -> dict[Timeframe, Columns]:
    """Stored coarser timeframes of the same series that bars of `timeframe` can be added up to, where they overlap.

    Raises:
        DataError: one of them cannot be read.
    """
    found = {}
    for other, longer in market_data.holdings(symbol):
        if other == venue and longer > timeframe and longer.ms % timeframe.ms == 0:
            columns = bar_columns(market_data.rows(venue, symbol, longer, start, end))
            if len(columns["open_time"]):
                found[longer] = columns
    return found


def reference_series(
    market_data: MarketData, venue: str, symbol: str, timeframe: Timeframe, start: datetime, end: datetime, *,
    coarser: Mapping[Timeframe, Columns],
) -> list[tuple[str, Timeframe, Columns]]:  # fmt: skip
    """At most two series to compare times with: the next timeframe of the same venue, and one of another venue.

    Args:
        coarser: of `coarser_bars`.

    Raises:
        DataError: the other venue's series cannot be read.
    """
    own = [(f"{venue} {symbol} {t}", t, columns) for t, columns in sorted(coarser.items()) if t <= LONGEST_REFERENCE]
    elsewhere = [
        (abs(other_timeframe.seconds - BEST_REFERENCE.seconds), other, other_timeframe)
        for other, other_timeframe in market_data.holdings(symbol)
        if base_venue(other) != base_venue(venue) and other_timeframe <= LONGEST_REFERENCE
    ]
    for _, other, other_timeframe in sorted(elsewhere):
        columns = bar_columns(market_data.rows(other, symbol, other_timeframe, start, end))
        if len(columns["open_time"]):
            return [*own[:1], (f"{other} {symbol} {other_timeframe}", other_timeframe, columns)]
    return own[:1]
