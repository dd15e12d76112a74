"""Laws of the feed's quality: counts add up, shares are shares, order of symbols and restarts do not matter."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.bars import Bar
from include.domain.times import Timeframe, from_ms
from include.trading.feed_quality import FeedQuality

STEP, START = 60_000, 28_000_000 * 60_000
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")

Arrival = tuple[str, int, int, int]
"""Symbol, minute of the bar, price, delay in milliseconds."""

arrivals = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 80), st.integers(100, 102), st.integers(-50, 4_000)), max_size=60
)
orderly = arrivals.map(lambda rows: sorted(rows, key=lambda row: row[1]))


def feed(quality: FeedQuality, rows: list[Arrival]) -> FeedQuality:
    for symbol, minute, price, delay in rows:
        p = Decimal(price)
        quality.bar(Bar(symbol, from_ms(START + minute * STEP), p, p, p, p, p), START + (minute + 1) * STEP + delay)
    return quality


def fresh(symbols: tuple[str, ...] = SYMBOLS, **options: object) -> FeedQuality:
    return FeedQuality(symbols, Timeframe(60), START, **options)  # type: ignore[arg-type]


@settings(max_examples=50, deadline=None)
@given(arrivals)
def test_counts_add_up(rows: list[Arrival]) -> None:
    snapshot = feed(fresh(), rows).snapshot()
    for symbol, seen in snapshot.symbols.items():
        minutes = [minute for of, minute, _, _ in rows if of == symbol]
        assert seen.received == len(set(minutes))
        assert seen.received + seen.duplicates == len(minutes)
        assert seen.expected == seen.received + seen.missing >= max(minutes, default=-1) + 1
        assert seen.latency is None or seen.latency.count + seen.clock_ahead == seen.received
        assert seen.out_of_order <= seen.received
    assert snapshot.whole.expected == sum(seen.expected for seen in snapshot.symbols.values())


@settings(max_examples=50, deadline=None)
@given(arrivals)
def test_shares_lie_between_zero_and_one_and_percentiles_rise(rows: list[Arrival]) -> None:
    snapshot = feed(fresh(), rows).snapshot()
    for seen in (snapshot.whole, *snapshot.symbols.values()):
        for share in (seen.uptime, seen.stale):
            assert share is None or 0.0 <= share <= 1.0
        if (latency := seen.latency) is not None:
            assert 1 <= latency.p50 <= latency.p95 <= latency.p99 <= latency.max


@settings(max_examples=30, deadline=None)
@given(arrivals, st.permutations(SYMBOLS))
def test_the_order_of_symbols_does_not_matter(rows: list[Arrival], symbols: tuple[str, ...]) -> None:
    one, other = feed(fresh(), rows), feed(fresh(tuple(symbols)), rows)
    assert one.look() == other.look()


@settings(max_examples=30, deadline=None)
@given(orderly, st.integers(0, 60))
def test_a_restart_at_any_moment_changes_no_count(rows: list[Arrival], cut: int) -> None:
    whole = feed(fresh(), rows)
    first = feed(fresh(), rows[:cut])
    second = feed(fresh(state=json.loads(json.dumps(first.state()))), rows[cut:])
    assert second.snapshot() == whole.snapshot()


@settings(max_examples=30, deadline=None)
@given(orderly, st.data())
def test_losing_a_bar_never_makes_the_feed_look_better(rows: list[Arrival], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(rows)) if rows else None
    rest = [row for row in rows if lost is None or row[:2] != lost[:2]]
    one, other = feed(fresh(), rows), feed(fresh(), rest)
    other.reach(START + 81 * STEP)
    one.reach(START + 81 * STEP)
    full, holed = one.snapshot().whole, other.snapshot().whole
    assert full.uptime is not None and holed.uptime is not None
    assert holed.uptime <= full.uptime + 1e-12
    assert holed.missing >= full.missing and holed.received <= full.received


@settings(max_examples=30, deadline=None)
@given(arrivals)
def test_an_alert_is_told_once_while_it_holds(rows: list[Arrival]) -> None:
    quality = fresh()
    active: set[object] = set()
    for row in rows:
        snapshot, alerts = feed(quality, [row]).look()
        assert active.isdisjoint(alerts)
        active = set(snapshot.alerts)
        assert active >= set(alerts)
        assert quality.look()[1] == ()
