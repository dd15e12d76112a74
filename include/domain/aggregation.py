"""Bars of a longer timeframe from shorter ones."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from include.domain.bars import Bars
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The complete longer bars, and how many others had some of their bars but not all."""

    bars: Bars
    incomplete: int


def aggregate(bars: Bars, timeframe: Timeframe) -> Aggregated:
    """Add bars up to `timeframe`: first open, highest high, lowest low, last close, sum of volume; no extras.

    A longer bar is made only when every one of its shorter bars is there, so none ever changes when later bars come.

    Args:
        bars: open times strictly increasing and on the grid of their timeframe.

    Raises:
        ConfigurationError: `timeframe` is not a multiple of the bars' own, or not longer.
    """
    ratio, rest = divmod(timeframe.ms, bars.timeframe.ms)
    if rest or ratio < 2:
        raise ConfigurationError(f"{bars.symbol}: bars of {bars.timeframe} cannot be added up to {timeframe}")
    group = (bars.open_time - timeframe.anchor_ms) // timeframe.ms
    first = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))
    size = np.diff(first, append=len(bars))
    whole = size == ratio
    # Rows of incomplete groups are dropped first, so that all groups have `ratio` rows and become a matrix of views.
    kept = bars if whole.all() else _rows(bars, np.repeat(whole, size))
    table = {name: getattr(kept, name).reshape(-1, ratio) for name in ("open", "high", "low", "close", "volume")}
    longer = Bars(
        bars.symbol, timeframe, group[first[whole]] * timeframe.ms + timeframe.anchor_ms,
        np.ascontiguousarray(table["open"][:, 0]), table["high"].max(axis=1), table["low"].min(axis=1),
        np.ascontiguousarray(table["close"][:, -1]), table["volume"].sum(axis=1), MappingProxyType({}),
    )  # fmt: skip
    return Aggregated(longer, int(np.count_nonzero(~whole)))


def _rows(bars: Bars, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Bars:
    return Bars(
        bars.symbol, bars.timeframe, bars.open_time[keep], bars.open[keep], bars.high[keep], bars.low[keep],
        bars.close[keep], bars.volume[keep],
    )  # fmt: skip
