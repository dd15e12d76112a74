"""What is known about the quality of a feed at one instant (D-6), as values, as a document and as metrics.

Times are the venue's event time. Formulas are in `docs/operations.md`; the counting is done by `feed_quality`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from include.domain.reason_codes import FeedCode
from include.domain.times import iso
from include.qualification.criterion import Measurement

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """When a feed is called bad. Durations in event time."""

    min_uptime: float = 0.999
    uptime_after_ms: int = DAY_MS
    """Uptime is judged once so much has been measured: a minute lost in the first hour is no trend."""
    silence_grace_ms: int = 30_000
    """A feed is silent when nothing has come for one timeframe and so much more."""
    max_unchanged_bars: int = 30
    """A price is stale when it has been the same for longer than so many timeframes."""
    latency_target_ms: int = 100
    """Below this an alert about delays is over."""
    latency_alert_ms: int = 1_000
    clean_bars: int = 10
    """An alert about a gap is over after so many bars without another."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From the moment that data is about (a bar's close, a quote's time) to its arrival here, milliseconds.

    Percentiles from a histogram with two significant digits."""

    count: int
    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class SymbolFeed:
    """One symbol's feed, or all of them together. None stands for not measured, never for zero."""

    uptime: float | None
    """Share of time in which the feed was not silent; together: the worst symbol's."""
    expected: int
    """Bars due: received and missing."""
    received: int
    """Different bars; late ones count, repeats do not."""
    missing: int
    duplicates: int
    out_of_order: int
    """Bars that came after a later one."""
    stale: float | None
    """Share of time in which the price had been unchanged for longer than the limit; together: the worst symbol's."""
    silences: int
    silent: bool
    clock_ahead: int
    """Data that seemed to arrive before it happened: our clock or the venue's is wrong. Not part of the latency."""
    latency: Latency | None


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """The feed from the start of the measurement (dead engines included) up to `at`."""

    since: datetime
    at: datetime
    whole: SymbolFeed
    symbols: Mapping[str, SymbolFeed]
    reconnects: int
    alerts: tuple[tuple[FeedCode, str], ...]
    """Conditions that hold now, with their symbol."""

    def document(self) -> dict[str, Any]:
        """Plain JSON form: what heartbeats and evidence carry."""
        return {
            "since": iso(self.since), "at": iso(self.at), **asdict(self.whole), "reconnects": self.reconnects,
            "alerts": [f"{code.value} {symbol}" for code, symbol in self.alerts],
            "symbols": {symbol: asdict(feed) for symbol, feed in sorted(self.symbols.items())},
        }  # fmt: skip


def feed_metrics(document: Mapping[str, Any] | None) -> dict[str, Measurement]:
    """Metrics of `qualification.metrics` from the document of a snapshot; none without one.

    What was not measured (latency on a replayed clock) has no value, so a criterion on it is INCONCLUSIVE.
    """
    if not document:
        return {}
    expected, latency = document["expected"], document["latency"] or {}
    counts = {
        "feed_missing_bars": document["missing"], "feed_duplicates": document["duplicates"],
        "feed_out_of_order": document["out_of_order"], "feed_reconnects": document["reconnects"],
    }  # fmt: skip
    return {
        "feed_uptime": Measurement(document["uptime"], samples=expected),
        "feed_stale": Measurement(document["stale"], samples=expected),
        **{name: Measurement(float(count), samples=expected) for name, count in counts.items()},
        **{
            f"feed_latency_{name}_ms": Measurement(
                None if name not in latency else float(latency[name]), samples=latency.get("count", 0)
            )
            for name in ("p50", "p95", "p99", "max")
        },
    }
