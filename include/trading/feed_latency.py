"""Delays of one symbol's data in a histogram of constant size: percentiles, the worst since the last look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hdrh.histogram import HdrHistogram

from include.trading.feed_report import Latency

LARGEST_MS = 3_600_000
"""Delays of an hour and more count as an hour."""
DIGITS = 2


class LatencyHistogram:
    """Takes delays in milliseconds; a negative one is a clock that is wrong, and is counted apart.

    Args:
        state: what `encoded` gave in an earlier life.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        state = state or {}
        self._histogram: Any = HdrHistogram.decode(state["histogram"]) if state.get("histogram") else None
        self.ahead: int = state.get("ahead", 0)
        self._worst: int | None = None

    @classmethod
    def merged(cls, histograms: Iterable[LatencyHistogram]) -> LatencyHistogram:
        """All of them together."""
        whole = cls()
        for other in histograms:
            whole.ahead += other.ahead
            if other._histogram is not None:
                whole._histogram = whole._histogram or _empty()
                whole._histogram.add(other._histogram)
        return whole

    def record(self, delay_ms: int) -> None:
        if delay_ms < 0:
            self.ahead += 1
            return
        # Made when first needed: a replay measures no delays, and has nothing to carry.
        self._histogram = self._histogram or _empty()
        self._histogram.record_value(max(1, min(delay_ms, LARGEST_MS)))
        self._worst = max(self._worst or 0, delay_ms)

    def take_worst(self) -> int | None:
        """The longest delay since this was asked last; None when there was none."""
        worst, self._worst = self._worst, None
        return worst

    def summary(self) -> Latency | None:
        """Percentiles; None when nothing was measured."""
        if self._histogram is None:
            return None
        values = self._histogram.get_percentile_to_value_dict([50, 95, 99])
        return Latency(
            self._histogram.get_total_count(), values[50], values[95], values[99], self._histogram.get_max_value()
        )

    def encoded(self) -> dict[str, Any]:
        """For the next life, as plain JSON."""
        packed = None if self._histogram is None else self._histogram.encode().decode("ascii")
        return {"histogram": packed, "ahead": self.ahead}


def _empty() -> Any:
    return HdrHistogram(1, LARGEST_MS, DIGITS)
