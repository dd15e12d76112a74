"""The outbox and its senders: nothing critical is lost, nothing is said twice, and many alerts are few messages."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from include.domain.alerts import Outcome
from include.domain.enums import Severity
from include.ledger.unit_of_work import PostgresLedger
from include.notifications import Receipt, Sender
from include.notifications.sender import backoff_secs
from include.ports import Notice
from tests.adapters.alert_desk import Clock, ScriptedChannel, at

_PACE = {Severity.CRITICAL: 15, Severity.WARNING: 60, Severity.INFO: 30}
_NO_PACE = dict.fromkeys(Severity, 0)
_AWAY = Receipt(Outcome.FAILED, "Connection refused")


def _put(ledger: PostgresLedger, *notices: Notice, now: float = 0, expires: float | None = None) -> None:
    with ledger.begin() as work:
        for notice in notices:
            work.outbox.put(
                "slack", notice, now=at(now), due_at=at(now), expires_at=None if expires is None else at(expires)
            )
        work.commit()


def _sender(ledger: PostgresLedger, channel: ScriptedChannel, clock: Clock, **changes: object) -> Sender:
    options = {"name": "one", "pace_secs": _NO_PACE, "clock": clock, "timeout_secs": 5.0, **changes}
    return Sender(ledger, channel, **options)  # type: ignore[arg-type]


def _critical(name: str = "c") -> Notice:
    return Notice(Severity.CRITICAL, name)


def test_what_waits_is_sent_once_and_recorded(ledger: PostgresLedger) -> None:
    channel, clock = ScriptedChannel(), Clock()
    _put(ledger, _critical("one"), Notice(Severity.INFO, "two"))
    sender = _sender(ledger, channel, clock)
    assert sender.deliver_due() == Receipt(Outcome.DELIVERED)
    assert sender.deliver_due() is None
    assert channel.titles == ["one", "two"]
    with ledger.begin() as work:
        (attempt,) = work.outbox.attempts("slack")
        assert (attempt.outcome, attempt.sender, len(attempt.items)) == (Outcome.DELIVERED, "one", 2)
        assert work.outbox.backlogs(at(99)) == []


def test_a_critical_alert_survives_ten_minutes_without_slack(ledger: PostgresLedger) -> None:
    channel, clock = ScriptedChannel(receipts=[_AWAY] * 1_000), Clock()
    _put(ledger, _critical())
    sender = _sender(ledger, channel, clock, pace_secs=_PACE)
    while clock.forward(1) < at(600):
        sender.deliver_due()
    with ledger.begin() as work:
        attempts = work.outbox.attempts("slack", 1_000)
        (backlog,) = work.outbox.backlogs(clock())
    assert (backlog.waiting, backlog.oldest_at, backlog.reason) == (1, at(0), "Connection refused")
    assert 10 <= len(attempts) <= 20  # it tries on, but not like mad
    channel.receipts.clear()
    while not channel.heard:
        assert clock.forward(1) <= at(661), "told within a minute of Slack's return"
        sender.deliver_due()
    assert channel.titles == ["c"]
    assert channel.repeats == [False]


def test_pauses_double_up_to_a_minute() -> None:
    assert [backoff_secs(n) for n in (1, 2, 3, 5, 6, 60, 10_000)] == [2, 4, 8, 32, 60, 60, 60]


def test_a_channel_that_asks_for_a_pause_gets_it(ledger: PostgresLedger) -> None:
    channel, clock = ScriptedChannel(receipts=[Receipt(Outcome.FAILED, "ratelimited", 40.0)]), Clock()
    _put(ledger, _critical())
    sender = _sender(ledger, channel, clock)
    sender.deliver_due()
    clock.forward(39)
    assert sender.deliver_due() is None
    clock.forward(1)
    assert sender.deliver_due() == Receipt(Outcome.DELIVERED)


def test_a_flood_is_a_handful_of_messages_and_nothing_of_it_is_missing(ledger: PostgresLedger) -> None:
    channel, clock = ScriptedChannel(), Clock()
    sender = _sender(ledger, channel, clock, pace_secs=_PACE)
    for second in range(60):
        _put(ledger, *(_critical(f"{second}.{n}") for n in range(5)), now=second)
        sender.deliver_due()
        clock.forward(1)
    clock.forward(20)
    sender.deliver_due()
    assert len(channel.heard) <= 5
    assert sorted(channel.titles) == sorted(f"{second}.{n}" for second in range(60) for n in range(5))


def test_two_senders_never_send_the_same(ledger: PostgresLedger) -> None:
    channels = [ScriptedChannel(during=lambda: time.sleep(0.002)) for _ in range(4)]
    senders = [_sender(ledger, channel, Clock(), name=str(i)) for i, channel in enumerate(channels)]
    done = threading.Event()

    def work_on(sender: Sender) -> None:
        while not done.is_set() or sender.deliver_due() is not None:
            sender.deliver_due()

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work_on, sender) for sender in senders]
        for n in range(60):
            _put(ledger, _critical(str(n)))
        done.set()
        for future in running:
            future.result(30)
    titles = [title for channel in channels for title in channel.titles]
    assert sorted(titles, key=int) == [str(n) for n in range(60)]


def test_what_a_killed_sender_had_claimed_is_sent_by_another_and_says_that_it_may_be_a_repetition(
    ledger: PostgresLedger,
) -> None:
    _put(ledger, _critical())
    with ledger.begin() as work:  # claimed and committed; then its process is gone
        assert work.outbox.claim("slack", "dead", now=at(0), pace_secs=_NO_PACE, claim_secs=0.0) is not None
        work.commit()
    channel = ScriptedChannel()
    assert _sender(ledger, channel, Clock()).deliver_due() == Receipt(Outcome.DELIVERED)
    assert (channel.titles, channel.repeats) == (["c"], [True])
    with ledger.begin() as work:
        assert [attempt.outcome for attempt in work.outbox.attempts("slack")] == [Outcome.DELIVERED, None]


def test_nobody_takes_what_is_claimed(ledger: PostgresLedger) -> None:
    _put(ledger, _critical())
    channel, other = ScriptedChannel(), ScriptedChannel()
    rival = _sender(ledger, other, Clock(), name="rival")
    channel.during = rival.deliver_due
    _sender(ledger, channel, Clock()).deliver_due()
    assert (channel.titles, other.titles) == (["c"], [])


def test_a_channel_that_hangs_is_given_up_and_not_called_again_until_it_returns(ledger: PostgresLedger) -> None:
    release, clock = threading.Event(), Clock()
    channel = ScriptedChannel(during=lambda: release.wait(20))
    _put(ledger, _critical())
    sender = _sender(ledger, channel, clock, timeout_secs=0.05)
    first = sender.deliver_due()
    assert first is not None
    assert (first.outcome, first.reason) == (Outcome.UNKNOWN, "no answer within 0.05 s")
    clock.forward(60)
    second = sender.deliver_due()
    assert second is not None
    assert (second.outcome, second.reason) == (Outcome.FAILED, "an earlier message still hangs")
    release.set()


def test_only_what_is_not_critical_expires(ledger: PostgresLedger) -> None:
    channel, clock = ScriptedChannel(), Clock()
    _put(ledger, Notice(Severity.INFO, "old news"), expires=60)
    _put(ledger, _critical())
    clock.forward(86_400 * 30)
    _sender(ledger, channel, clock).deliver_due()
    assert channel.titles == ["c"]


def test_what_arrived_late_counts_although_its_claim_had_run_out(ledger: PostgresLedger) -> None:
    _put(ledger, _critical())
    with ledger.begin() as work:
        slow = work.outbox.claim("slack", "slow", now=at(0), pace_secs=_NO_PACE, claim_secs=0.0)
        work.commit()
        other = work.outbox.claim("slack", "other", now=at(0), pace_secs=_NO_PACE, claim_secs=0.0)
        work.commit()
        assert slow is not None
        assert other is not None
        later = at(0) + timedelta(days=1)
        # The slow one's failure is not the other's business; its success is everybody's.
        work.outbox.settle(slow, Outcome.FAILED, "x", now=at(1), retry_at=later)
        assert work.outbox.claim("slack", "third", now=at(1), pace_secs=_NO_PACE, claim_secs=0.0) is not None
        work.outbox.settle(other, Outcome.DELIVERED, "", now=at(2), retry_at=later)
        assert work.outbox.claim("slack", "fourth", now=later, pace_secs=_NO_PACE, claim_secs=0.0) is None
