"""The quality of a feed, counted while it runs (D-6): uptime, missing, repeated, late and stale bars, delays.

Pure: no clock is read. Event times come with the data or from the venue, receive times are arguments. What is not
given (a receive time in a replay) is not measured. `state` and the constructor carry the counts over a restart, so
that the time in which the engine was dead is time in which nothing was received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from include.domain.bars import Bar
from include.domain.reason_codes import FeedCode
from include.domain.times import Timeframe, from_ms, to_ms
from include.trading.feed_latency import LatencyHistogram
from include.trading.feed_report import FeedLimits, FeedSnapshot, SymbolFeed

MAX_HOLES = 1_000
"""Missing bars remembered of one hole, so that late ones are recognised; a longer hole is not filled by stragglers."""

Alert = tuple[FeedCode, str]


class FeedQuality:
    """Counts what the feed of some symbols delivers.

    Args:
        symbols: those that should deliver; data of others is ignored.
        since_ms: event time at which the measurement begins; a restored state keeps its own.
        state: what `state` gave in an earlier life.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        timeframe: Timeframe,
        since_ms: int,
        limits: FeedLimits | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._limits, self._step = limits or FeedLimits(), timeframe.ms
        state = state or {"since": since_ms, "reconnects": 0, "alerts": [], "symbols": {}}
        self._since: int = state["since"]
        self._reconnects: int = state["reconnects"]
        self._active: set[Alert] = {(FeedCode[code], symbol) for code, symbol in state["alerts"]}
        known = state["symbols"]
        self._feeds = {s: _Feed.restored(known[s]) if s in known else self._fresh() for s in symbols}
        self._latencies = {s: LatencyHistogram(known.get(s, {}).get("latency")) for s in symbols}
        self._newest = max((feed.alive for feed in self._feeds.values()), default=self._since)

    def _fresh(self) -> _Feed:
        return _Feed(through=self._since // self._step * self._step, alive=self._since)

    # --- what arrives --------------------------------------------------------------------------------------

    def bar(self, bar: Bar, received_ms: int | None = None) -> None:
        """A finished bar has come, in order of arrival; `received_ms` on the venue's clock, or not known."""
        feed = self._feeds.get(bar.symbol)
        if feed is None:
            return
        close = to_ms(bar.open_time) + self._step
        if close <= feed.through:
            if close not in feed.holes:
                feed.repeats += close > self._since  # what was before the measurement is none of its business
                return
            feed.holes.discard(close)
            feed.missing -= 1
            feed.late += 1
        else:
            self._advance(feed, close)
            self._price(feed, close, bar.close, changed=not bar.high == bar.low == feed.price)
        feed.received += 1
        if received_ms is not None:
            self._latencies[bar.symbol].record(received_ms - close)

    def quote(self, symbol: str, event_ms: int, price: Decimal, received_ms: int | None = None) -> None:
        """A price between bars: a sign of life, a price that may be stale, a delay. Quotes are not counted as bars."""
        feed = self._feeds.get(symbol)
        if feed is None:
            return
        if event_ms >= feed.alive:
            self._live(feed, event_ms)
            self._price(feed, event_ms, price, changed=price != feed.price)
        if received_ms is not None:
            self._latencies[symbol].record(received_ms - event_ms)

    def reach(self, event_ms: int) -> None:
        """The venue's clock says so: time goes on although nothing comes."""
        self._newest = max(self._newest, event_ms)

    def handled(self, through_ms: int) -> None:
        """Every bar up to this close was handled in an earlier life, though its last state does not say so."""
        for feed in self._feeds.values():
            bars = (through_ms - feed.through) // self._step
            if bars > 0:
                feed.received += bars
                feed.through += bars * self._step
                feed.alive = max(feed.alive, feed.through)
        self.reach(through_ms)

    def _advance(self, feed: _Feed, close: int) -> None:
        missed = (close - feed.through) // self._step - 1 - self._under_way(feed)
        feed.clean += 1
        if missed > 0:
            feed.missing += missed
            feed.clean = 0
            lost = {close - i * self._step for i in range(1, min(missed, MAX_HOLES) + 1)}
            feed.holes = lost | feed.holes if len(feed.holes) < MAX_HOLES else lost
        feed.through = close
        self._live(feed, close)

    def _under_way(self, feed: _Feed) -> int:
        """1 until the first bar, if the measurement began within a bar: it may have been told before we listened."""
        return int(not feed.received and self._since % self._step != 0)

    def _live(self, feed: _Feed, event_ms: int) -> None:
        gap = event_ms - feed.alive
        if gap > self._step + self._limits.silence_grace_ms:
            feed.down += gap - self._step
            feed.silences += 1
        if gap > 0:
            feed.alive = event_ms
            self._newest = max(self._newest, event_ms)

    def _price(self, feed: _Feed, event_ms: int, price: Decimal, *, changed: bool) -> None:
        if changed:
            feed.price, feed.unchanged_since = price, event_ms
        else:
            before = max(feed.price_at - feed.unchanged_since, self._limits.max_unchanged_bars * self._step)
            feed.stale += max(0, event_ms - feed.unchanged_since - before)
        feed.price_at = event_ms

    # --- what is known -------------------------------------------------------------------------------------

    def snapshot(self, reconnects: int = 0) -> FeedSnapshot:
        """The feed up to the newest event time that is known.

        Args:
            reconnects: of the present life's streams; those of earlier lives are added.
        """
        at = self._newest
        symbols = {symbol: self._observe(symbol, feed, at) for symbol, feed in self._feeds.items()}
        return FeedSnapshot(
            since=from_ms(self._since), at=from_ms(at), whole=self._together(list(symbols.values())), symbols=symbols,
            reconnects=self._reconnects + reconnects, alerts=tuple(sorted(self._active)),
        )  # fmt: skip

    def look(self, reconnects: int = 0) -> tuple[FeedSnapshot, tuple[Alert, ...]]:
        """A snapshot, and the alerts that are new since the last look; one that still holds is not new."""
        snapshot = self.snapshot()
        before, now = self._active, set()
        for symbol, feed in self._feeds.items():
            now |= {(code, symbol) for code in self._conditions(symbol, feed, snapshot.symbols[symbol])}
        self._active = now
        return self.snapshot(reconnects), tuple(sorted(now - before))

    def state(self, reconnects: int = 0) -> dict[str, Any]:
        """Everything that must outlive the process, as plain JSON."""
        return {
            "since": self._since, "reconnects": self._reconnects + reconnects,
            "alerts": [[code.value, symbol] for code, symbol in sorted(self._active)],
            "symbols": {s: {**f.document(), "latency": self._latencies[s].encoded()} for s, f in self._feeds.items()},
        }  # fmt: skip

    def _observe(self, symbol: str, feed: _Feed, at: int) -> SymbolFeed:
        grace, elapsed, quiet = self._limits.silence_grace_ms, at - self._since, at - feed.alive
        silent = quiet > self._step + grace
        due = max(0, (at - grace - feed.through) // self._step - self._under_way(feed))
        down = feed.down + (quiet - self._step if silent else 0)
        histogram = self._latencies[symbol]
        return SymbolFeed(
            uptime=1.0 - down / elapsed if elapsed > 0 else None,
            expected=feed.received + feed.missing + due, received=feed.received, missing=feed.missing + due,
            duplicates=feed.repeats, out_of_order=feed.late, stale=feed.stale / elapsed if elapsed > 0 else None,
            silences=feed.silences + silent, silent=silent, clock_ahead=histogram.ahead, latency=histogram.summary(),
        )  # fmt: skip

    def _together(self, feeds: Sequence[SymbolFeed]) -> SymbolFeed:
        uptimes = [feed.uptime for feed in feeds if feed.uptime is not None]
        stales = [feed.stale for feed in feeds if feed.stale is not None]
        return SymbolFeed(
            uptime=min(uptimes, default=None), expected=sum(f.expected for f in feeds),
            received=sum(f.received for f in feeds), missing=sum(f.missing for f in feeds),
            duplicates=sum(f.duplicates for f in feeds), out_of_order=sum(f.out_of_order for f in feeds),
            stale=max(stales, default=None), silences=sum(f.silences for f in feeds),
            silent=any(f.silent for f in feeds), clock_ahead=sum(f.clock_ahead for f in feeds),
            latency=LatencyHistogram.merged(self._latencies.values()).summary(),
        )  # fmt: skip

    # --- alerts --------------------------------------------------------------------------------------------

    def _conditions(self, symbol: str, feed: _Feed, seen: SymbolFeed) -> set[FeedCode]:
        """Which conditions hold; one that held before ends only at its better limit (hysteresis)."""
        limits, active = self._limits, {code for code, of in self._active if of == symbol}
        lost, worst = feed.missing > feed.lost_seen, self._latencies[symbol].take_worst()
        stale = feed.stale > feed.stale_seen
        feed.lost_seen, feed.stale_seen = feed.missing, feed.stale
        # The end of a silence that was told shows the same bars missing: that is no second event.
        gap = lost and FeedCode.FEED_SILENT not in active
        slow = limits.latency_target_ms if FeedCode.FEED_DELAYED in active else limits.latency_alert_ms
        delayed = worst > slow if worst is not None else FeedCode.FEED_DELAYED in active
        needed = limits.min_uptime
        if FeedCode.FEED_UPTIME in active:
            needed = (1.0 + limits.min_uptime) / 2
        judged = self._newest - self._since >= limits.uptime_after_ms and seen.uptime is not None
        unchanged = feed.price_at - feed.unchanged_since > limits.max_unchanged_bars * self._step
        holds = {
            FeedCode.FEED_SILENT: seen.silent,
            FeedCode.FEED_GAP: gap or (FeedCode.FEED_GAP in active and feed.clean < limits.clean_bars),
            FeedCode.FEED_STALE: stale or unchanged,
            FeedCode.FEED_DELAYED: delayed,
            FeedCode.FEED_UPTIME: judged and (seen.uptime or 0.0) < needed,
        }
        return {code for code, held in holds.items() if held}


@dataclass(slots=True)
class _Feed:
    """Counts of one symbol; times and durations in milliseconds of event time."""

    through: int
    """Close of the newest bar."""
    alive: int
    """Newest event of any kind."""
    received: int = 0
    missing: int = 0
    late: int = 0
    repeats: int = 0
    silences: int = 0
    down: int = 0
    stale: int = 0
    price: Decimal | None = None
    price_at: int = 0
    unchanged_since: int = 0
    clean: int = 0
    """Bars since the last hole."""
    lost_seen: int = 0
    stale_seen: int = 0
    holes: set[int] = field(default_factory=set)
    """Closes of missing bars that may still come."""

    @classmethod
    def restored(cls, document: Mapping[str, Any]) -> _Feed:
        values = {name: document[name] for name in cls.__slots__ if name not in ("price", "holes")}
        price = document["price"]
        return cls(**values, price=None if price is None else Decimal(price))

    def document(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("price", "holes")}
        return {**plain, "price": None if self.price is None else str(self.price)}
