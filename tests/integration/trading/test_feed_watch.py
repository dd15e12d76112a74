"""The engine's watch over its feed: lost bars, dead time, delays and incidents, as heartbeat and ledger have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from include.domain.bars import Bar, Bars
from include.domain.deployments import Deployment
from include.domain.enums import Severity
from include.domain.reason_codes import FeedCode
from include.domain.times import to_ms
from include.ledger.unit_of_work import PostgresLedger
from include.ports import Incident
from include.stages.live import observe_deployment
from include.trading import engine as engine_module
from include.trading import recovery
from include.trading.endings import ACCOUNT_RECONCILED
from include.trading.engine import Outcome
from include.trading.feed_report import feed_metrics
from include.trading.feed_watch import FeedWatch
from tests.adapters.engines import churn_candidate, put, replay_deployment, replay_engine
from tests.adapters.live_engines import bar, build, running
from tests.adapters.memory_market import MINUTE, MemoryMarket, make_instrument
from tests.adapters.questions import NOW, SYMBOL
from tests.integration.venues.sandbox import HISTORY, START, SYMBOLS, market, plan
from tests.integration.venues.sandbox import running as exchange
from tests.samples import NOON, put_deployment, put_lease

MINUTES = 120
LOST = (*range(40, 50), 80)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BEAT_SECS", 0.02)
    monkeypatch.setattr(recovery, "PASS_DELAY_SECS", 0.0)


def incidents_of(ledger: PostgresLedger, deployment: Deployment) -> Sequence[Incident]:
    with ledger.begin() as work:
        return [i for i in work.incidents.recent() if i.subject == f"deployment:{deployment.id}"]


def without(bars: Bars, minutes: Sequence[int]) -> Bars:
    keep = np.delete(np.arange(len(bars)), [HISTORY + minute for minute in minutes])
    columns = {name: getattr(bars, name)[keep] for name in ("open_time", "open", "high", "low", "close", "volume")}
    return Bars(bars.symbol, bars.timeframe, **columns)


async def test_a_replay_with_lost_bars_says_which_symbol_lost_how_many(ledger: PostgresLedger) -> None:
    whole, candidate = market(MINUTES), churn_candidate()
    window = (START - HISTORY * MINUTE.delta, START + MINUTES * MINUTE.delta)
    stored = {symbol: whole.bars("test", symbol, MINUTE, *window) for symbol in SYMBOLS}
    stored["ETH/USDT"] = without(stored["ETH/USDT"], LOST)
    data = MemoryMarket(stored, {symbol: make_instrument(symbol) for symbol in SYMBOLS})
    deployment = put(ledger, candidate, replay_deployment(candidate, MINUTES))
    async with exchange(plan(MINUTES), data) as sandbox:
        assert await replay_engine(ledger, candidate, deployment, sandbox.url).run() is Outcome.COMPLETED
    with ledger.begin() as work:
        (final,) = work.audit.of_subject(deployment.id, ACCOUNT_RECONCILED)
        beat = work.deployments.heartbeat(deployment.id)
    feed = final.details["feed"]
    assert {s: (f["received"], f["missing"]) for s, f in feed["symbols"].items()} == {
        "BTC/USDT": (MINUTES, 0), "ETH/USDT": (MINUTES - len(LOST), len(LOST)),
    }  # fmt: skip
    metrics = feed_metrics(feed)
    assert metrics["feed_uptime"].value == pytest.approx(1 - len(LOST) / MINUTES)
    assert metrics["feed_missing_bars"].value == len(LOST)
    assert metrics["feed_latency_p99_ms"].value is None, "a replayed clock says nothing about delays"
    assert beat is not None and beat.feed is not None
    assert beat.feed["symbols"].keys() == set(SYMBOLS)
    found = incidents_of(ledger, deployment)
    assert found and {i.severity for i in found} == {Severity.WARNING}
    # Which of the two it is depends on whether a heartbeat falls into the hole or after it.
    assert {i.code for i in found} <= {FeedCode.FEED_GAP.value, FeedCode.FEED_SILENT.value}
    assert all(i.message.startswith("ETH/USDT: ") for i in found)


async def test_the_time_in_which_the_engine_was_dead_counts_against_the_feed(ledger: PostgresLedger) -> None:
    async with running(build(ledger)) as live:
        for minute in range(5):  # the first had closed when the engine came
            live.venue.tell_bar(bar(minute))
        await live.until(lambda: live.engine.session.bars_handled == 5)
    for minute in range(5, 10):
        live.venue.tell_bar(bar(minute), stream=False)
    async with running(build(ledger, live.venue)) as again:
        handled = again.engine.session.bars_handled
        again.venue.tell_bar(bar(10))
        again.venue.tell_again(bar(10))
        await again.until(lambda: again.engine.session.bars_handled == handled + 1)
        await again.until(lambda: (observe_deployment(ledger, live.deployment.id, NOW).feed or {}).get("duplicates"))
    feed = observe_deployment(ledger, live.deployment.id, NOW).feed
    assert feed is not None and "state" not in feed
    assert (feed["received"], feed["missing"], feed["duplicates"]) == (5, 5, 1)
    assert feed["uptime"] == pytest.approx(1 - 5 / 10)
    assert feed["latency"] is None
    (incident,) = incidents_of(ledger, live.deployment)
    assert incident.code in (FeedCode.FEED_GAP.value, FeedCode.FEED_SILENT.value)


# --- the watch alone, on a venue whose clock is ours ---------------------------------------------------------


class Watched:
    """A watch with a clock in our hand, and its heartbeats."""

    def __init__(self, ledger: PostgresLedger, deployment: Deployment, wall_ms: int) -> None:
        self.ledger, self.deployment, self.wall = ledger, deployment, wall_ms
        self.watch = FeedWatch(ledger, deployment, [SYMBOL], MINUTE, wall_ms=lambda: self.wall)

    def hear(self, minute: int, delay_ms: int) -> None:
        price = Decimal(100 + minute)
        opened = NOON + timedelta(minutes=minute)
        self.wall = to_ms(opened) + MINUTE.ms + delay_ms
        self.watch.heard(Bar(SYMBOL, opened, price, price, price, price, Decimal(1)))

    def beat(self, token: int, reconnects: int = 0) -> Any:
        with self.ledger.begin() as work:
            feed = self.watch.beat(work, reconnects)
            work.deployments.beat(self.deployment.id, token, NOON, 0, 0.0, feed)
            work.commit()
        return feed


def test_delays_and_silence_are_measured_against_our_clock_where_the_venue_keeps_it(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    token = put_lease(ledger, deployment).token
    watched = Watched(ledger, deployment, to_ms(NOON) + 300)
    watched.hear(0, 40)
    watched.wall = to_ms(NOON) + 61_000
    watched.watch.begin(NOON + timedelta(seconds=60.5), None)
    for minute in range(1, 20):
        watched.hear(minute, 40)
    watched.hear(20, 3_000)
    feed = watched.beat(token)
    assert feed["latency"] == {"count": 20, "p50": 40, "p95": 40, "p99": pytest.approx(3_000, rel=0.02),
                               "max": pytest.approx(3_000, rel=0.02)}  # fmt: skip
    assert [i.code for i in incidents_of(ledger, deployment)] == ["FEED_DELAYED"]
    watched.wall += 200_000
    assert watched.beat(token)["silent"] is True
    watched.beat(token)
    assert sorted(i.code for i in incidents_of(ledger, deployment)) == ["FEED_DELAYED", "FEED_SILENT"]
    assert {i.severity for i in incidents_of(ledger, deployment)} == {Severity.WARNING}


def test_a_successor_goes_on_with_the_counts_of_the_last_heartbeat(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    token = put_lease(ledger, deployment).token
    first = Watched(ledger, deployment, to_ms(NOON))
    first.watch.begin(NOON, None)
    for minute in range(10):
        first.hear(minute, 50)
    first.beat(token, reconnects=2)
    with ledger.begin() as work:
        # A beat before its own watch has begun leaves the counts alone.
        work.deployments.beat(deployment.id, token, None, 0, 0.0)
        work.commit()
    second = Watched(ledger, deployment, to_ms(NOON) + 15 * MINUTE.ms)
    second.watch.begin(NOON + timedelta(minutes=15), NOON + timedelta(minutes=10))
    second.hear(15, 50)
    feed = second.beat(token, reconnects=1)
    assert (feed["received"], feed["missing"], feed["reconnects"]) == (11, 5, 3)
    assert feed["latency"]["count"] == 11
    assert feed["uptime"] == pytest.approx(1 - 5 / 16, abs=0.001)


def test_without_counts_to_go_on_with_the_dead_time_is_taken_from_the_last_bar_handled(ledger: PostgresLedger) -> None:
    deployment = put_deployment(ledger)
    token = put_lease(ledger, deployment).token
    with ledger.begin() as work:
        work.deployments.beat(deployment.id, token, NOON, 0, 0.0, {"state": {"version": 0}})
        work.commit()
    watched = Watched(ledger, deployment, to_ms(NOON) + 20 * MINUTE.ms)
    watched.watch.begin(NOON + timedelta(minutes=20), NOON)
    feed = watched.beat(token)
    assert (feed["received"], feed["missing"]) == (0, 19)
    assert feed["uptime"] == pytest.approx(1 - 19 / 20)


def test_a_clock_that_is_not_ours_measures_no_delay_and_a_watch_that_has_not_begun_says_nothing(
    ledger: PostgresLedger,
) -> None:
    deployment = put_deployment(ledger)
    token = put_lease(ledger, deployment).token
    watched = Watched(ledger, replace(deployment), to_ms(NOON) + 3_600_000)
    assert watched.beat(token) is None
    watched.watch.begin(NOON, None)
    watched.hear(0, 0)
    feed = watched.beat(token)
    assert (feed["latency"], feed["clock_ahead"], feed["silent"]) == (None, 0, False)
