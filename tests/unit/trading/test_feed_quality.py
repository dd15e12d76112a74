"""What is counted of a feed, and when people hear of it. Tables of arrivals; times in minutes of a one-minute feed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest

from include.domain.bars import Bar
from include.domain.reason_codes import FeedCode
from include.domain.times import Timeframe, from_ms
from include.qualification.criterion import Comparison, Criterion, evaluate_criterion
from include.qualification.metrics import METRICS
from include.qualification.verdict import Verdict
from include.trading.feed_quality import FeedQuality
from include.trading.feed_report import FeedLimits, SymbolFeed, feed_metrics

MINUTE_MS, SYMBOL = 60_000, "BTC/USDT"
START_MS = 28_000_000 * MINUTE_MS


def bar(minute: int, price: int | None = None, symbol: str = SYMBOL) -> Bar:
    """The bar that opens so many minutes after the start; a price makes it flat."""
    p = Decimal(100 + minute if price is None else price)
    spread = Decimal(1 if price is None else 0)
    return Bar(symbol, from_ms(START_MS + minute * MINUTE_MS), p, p + spread, p - spread, p, Decimal(1))


def watched(opens: Sequence[int], price: int | None = None, **options: object) -> FeedQuality:
    quality = FeedQuality([SYMBOL], Timeframe(60), START_MS, **options)  # type: ignore[arg-type]
    for minute in opens:
        quality.bar(bar(minute, price))
    return quality


def at(minute: float) -> int:
    return START_MS + int(minute * MINUTE_MS)


@dataclass(frozen=True, slots=True)
class Case:
    """Bars by the minute they open, in order of arrival; `now` is the venue's time when it is looked at."""

    arrivals: tuple[int, ...]
    now: float
    received: int
    missing: int
    duplicates: int = 0
    out_of_order: int = 0
    down_minutes: float = 0.0
    silent: bool = False


CASES = {
    "every bar comes": Case((0, 1, 2, 3), 4, received=4, missing=0),
    "a bar that is not due yet is not missing": Case((0, 1), 2.5, received=2, missing=0),
    "within its grace a bar is late, not missing": Case((0, 1), 3.4, received=2, missing=0),
    "a hole of two bars is two minutes of silence beyond the usual one": Case(
        (0, 1, 4), 5, received=3, missing=2, down_minutes=2
    ),
    "a bar that comes again is a duplicate": Case((0, 1, 1, 1), 2, received=2, missing=0, duplicates=2),
    "a bar that comes after a later one is out of order and no longer missing": Case(
        (0, 2, 1), 3, received=3, missing=0, out_of_order=1, down_minutes=1
    ),
    "a late bar that comes again is a duplicate": Case(
        (0, 2, 1, 1), 3, received=3, missing=0, duplicates=1, out_of_order=1, down_minutes=1
    ),
    "bars from before the start are not counted": Case((-3, 0), 1, received=1, missing=0),
    "a feed that has fallen silent counts as down while it is": Case(
        (0, 1), 12, received=2, missing=9, down_minutes=9, silent=True
    ),
    "a symbol that never comes is down all the time but its first minute": Case(
        (), 10, received=0, missing=9, down_minutes=9, silent=True
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bars_are_counted(case: Case) -> None:
    quality = watched(case.arrivals)
    quality.reach(at(case.now))
    snapshot = quality.snapshot()
    seen = snapshot.symbols[SYMBOL]
    assert snapshot.whole == seen
    assert (seen.received, seen.missing) == (case.received, case.missing)
    assert (seen.duplicates, seen.out_of_order) == (case.duplicates, case.out_of_order)
    assert seen.uptime == pytest.approx(1 - case.down_minutes / case.now)
    assert seen.silent is case.silent


def test_together_symbols_are_as_good_as_the_worst_and_counts_are_added() -> None:
    quality = FeedQuality([SYMBOL, "ETH/USDT"], Timeframe(60), START_MS)
    for minute in range(10):
        quality.bar(bar(minute))
        if minute not in (4, 5, 6):
            quality.bar(bar(minute, symbol="ETH/USDT"))
    quality.bar(bar(3, symbol="SOL/USDT"))
    whole = quality.snapshot().whole
    assert (whole.expected, whole.received, whole.missing, whole.silences) == (20, 17, 3, 1)
    assert whole.uptime == pytest.approx(0.7)


def test_a_measurement_that_begins_within_a_bar_does_not_expect_that_bar() -> None:
    for first in (0, 1):
        quality = FeedQuality([SYMBOL], Timeframe(60), at(0.5))
        quality.bar(bar(first))
        assert quality.snapshot().whole.missing == 0
    quality = FeedQuality([SYMBOL], Timeframe(60), at(0.5))
    quality.bar(bar(2))
    assert quality.snapshot().whole.missing == 1


def test_nothing_measured_is_none_and_a_criterion_on_it_is_inconclusive() -> None:
    quality = watched([])
    document = quality.snapshot().document()
    assert (document["uptime"], document["latency"]) == (None, None)
    metrics = feed_metrics(document)
    for name in ("feed_uptime", "feed_latency_p99_ms"):
        assert evaluate_criterion(Criterion(name, Comparison.GE, 0.0), metrics).verdict is Verdict.INCONCLUSIVE
    assert feed_metrics(None) == {}


def test_every_metric_is_in_the_register() -> None:
    assert feed_metrics(watched([0]).snapshot().document()).keys() == {n for n in METRICS if n.startswith("feed_")}


def test_a_price_is_stale_for_as_long_as_it_stays_beyond_the_limit() -> None:
    limits = FeedLimits(max_unchanged_bars=5)
    still = watched(range(6), 100, limits=limits)
    assert still.snapshot().whole.stale == 0.0
    assert watched(range(10), 100, limits=limits).snapshot().whole.stale == pytest.approx(4 / 10)
    moved = watched(range(4), 100, limits=limits)
    moved.bar(bar(4, 101))
    for minute in range(5, 9):
        moved.bar(bar(minute, 101))
    assert moved.snapshot().whole.stale == 0.0


def test_a_bar_that_moved_and_came_back_is_not_stale() -> None:
    quality = FeedQuality([SYMBOL], Timeframe(60), START_MS, FeedLimits(max_unchanged_bars=2))
    p = Decimal(100)
    for minute in range(10):
        opened = from_ms(START_MS + minute * MINUTE_MS)
        quality.bar(Bar(SYMBOL, opened, p, p + 1, p, p, Decimal(1)))
    assert quality.snapshot().whole.stale == 0.0


def test_quotes_are_signs_of_life_but_no_bars() -> None:
    quality = watched([0, 1])
    for second in range(0, 600, 20):
        quality.quote(SYMBOL, at(2) + second * 1_000, Decimal(100 + second), at(2) + second * 1_000 + 40)
    quality.quote("SOL/USDT", at(60), Decimal(1))
    quality.reach(at(12))
    seen = quality.snapshot().symbols[SYMBOL]
    assert (seen.uptime, seen.silences, seen.received, seen.missing) == (1.0, 0, 2, 9)
    assert seen.latency is not None and seen.latency.count == 30


@pytest.mark.parametrize(
    ("delays", "p50", "p99", "longest"),
    [([80], 80, 80, 80), (list(range(1, 101)), 50, 99, 100), ([20] * 98 + [1_500] * 2, 20, 1_500, 1_500),
     ([0, 0, 0], 1, 1, 1), ([5_000_000], 3_600_000, 3_600_000, 3_600_000)],
)  # fmt: skip
def test_delays_are_told_as_percentiles(delays: list[int], p50: int, p99: int, longest: int) -> None:
    quality = FeedQuality([SYMBOL], Timeframe(60), START_MS)
    for minute, delay in enumerate(delays):
        quality.bar(bar(minute), at(minute + 1) + delay)
    latency = quality.snapshot().whole.latency
    assert latency is not None
    # Two significant digits.
    assert (latency.p50, latency.p99, latency.max) == pytest.approx((p50, p99, longest), rel=0.02)


def test_data_from_the_future_is_a_wrong_clock_and_no_delay() -> None:
    quality = FeedQuality([SYMBOL], Timeframe(60), START_MS)
    quality.bar(bar(0), at(1) - 30)
    whole = quality.snapshot().whole
    assert (whole.clock_ahead, whole.latency) == (1, None)


# --- over a restart ----------------------------------------------------------------------------------------


def test_the_time_in_which_the_engine_was_dead_is_down_time() -> None:
    before = watched(range(10))
    state = json.loads(json.dumps(before.state(reconnects=2)))
    after = watched([15, 16], state=state)
    snapshot = after.snapshot(reconnects=1)
    assert (snapshot.whole.received, snapshot.whole.missing, snapshot.reconnects) == (12, 5, 3)
    assert snapshot.whole.uptime == pytest.approx(1 - 5 / 17)


def test_bars_that_the_ledger_says_were_handled_are_not_lost_with_the_last_heartbeat() -> None:
    after = watched([], state=watched(range(10)).state())
    after.handled(at(12))
    after.bar(bar(12))
    whole = after.snapshot().whole
    assert (whole.received, whole.missing, whole.uptime) == (13, 0, 1.0)


def test_delays_and_alerts_survive_the_process() -> None:
    before = FeedQuality([SYMBOL], Timeframe(60), START_MS)
    for minute in range(50):
        before.bar(bar(minute), at(minute + 1) + 2_000)
    assert before.look()[1] == ((FeedCode.FEED_DELAYED, SYMBOL),)
    after = FeedQuality([SYMBOL], Timeframe(60), 0, state=json.loads(json.dumps(before.state())))
    assert after.snapshot() == before.snapshot()
    after.bar(bar(50), at(51) + 2_000)
    snapshot, alerts = after.look()
    assert alerts == ()
    assert snapshot.whole.latency is not None and snapshot.whole.latency.count == 51


# --- alerts ------------------------------------------------------------------------------------------------


def codes(quality: FeedQuality) -> list[FeedCode]:
    return [code for code, _ in quality.look()[1]]


def test_a_silence_is_told_once_and_again_only_after_it_has_ended() -> None:
    quality = watched([0, 1])
    quality.reach(at(3.4))
    assert codes(quality) == []
    quality.reach(at(3.6))
    assert codes(quality) == [FeedCode.FEED_SILENT]
    quality.reach(at(9))
    assert codes(quality) == []
    quality.bar(bar(9))
    assert codes(quality) == [], "its end shows bars missing, which is no second event"
    quality.reach(at(20))
    assert codes(quality) == [FeedCode.FEED_SILENT]


def test_a_gap_is_told_once_until_the_feed_has_been_whole_for_a_while() -> None:
    quality = watched([0, 2])
    assert codes(quality) == [FeedCode.FEED_GAP]
    quality.bar(bar(4))
    assert codes(quality) == []
    for minute in range(5, 16):
        quality.bar(bar(minute))
    assert codes(quality) == []
    quality.bar(bar(17))
    assert codes(quality) == [FeedCode.FEED_GAP]


def test_a_delay_is_told_above_the_alert_and_over_only_at_the_target() -> None:
    quality = FeedQuality([SYMBOL], Timeframe(60), START_MS)
    told = []
    for minute, delay in enumerate((900, 1_001, 900, 101, 2_000, 100, 900, 1_001)):
        quality.bar(bar(minute), at(minute + 1) + delay)
        told.append(bool(codes(quality)))
        assert codes(quality) == []
    assert told == [False, True, False, False, False, False, False, True]


def test_a_stale_price_is_told_once_and_ends_with_a_move() -> None:
    limits = FeedLimits(max_unchanged_bars=3)
    quality = watched(range(5), 100, limits=limits)
    assert codes(quality) == [FeedCode.FEED_STALE]
    quality.bar(bar(5, 100))
    assert codes(quality) == []
    quality.bar(bar(6, 101))
    assert codes(quality) == []
    for minute in range(7, 12):
        quality.bar(bar(minute, 101))
    assert codes(quality) == [FeedCode.FEED_STALE]


def test_uptime_is_told_after_a_day_and_over_once_half_of_the_allowance_is_back() -> None:
    limits = FeedLimits(uptime_after_ms=100 * MINUTE_MS, min_uptime=0.9, clean_bars=1)
    quality = watched([*range(80), *range(93, 99)], limits=limits)
    assert FeedCode.FEED_UPTIME not in codes(quality)
    quality.bar(bar(99))
    assert codes(quality) == [FeedCode.FEED_UPTIME]
    for minute in range(100, 259):
        quality.bar(bar(minute))
    assert codes(quality) == [] and quality.snapshot().alerts == ((FeedCode.FEED_UPTIME, SYMBOL),)
    quality.bar(bar(259))
    assert codes(quality) == [] and quality.snapshot().alerts == ()


def test_a_snapshot_is_plain_json() -> None:
    quality = watched([0, 1, 5])
    quality.look()
    document = quality.snapshot().document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["alerts"] == [f"FEED_GAP {SYMBOL}"]
    assert set(document["symbols"][SYMBOL]) == set(SymbolFeed.__slots__)
