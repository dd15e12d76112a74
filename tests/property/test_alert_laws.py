"""Laws of alerts over any course of events: nothing critical is lost or said twice, moves keep to the table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.alerting import Audience, Condition, Observation, acknowledge, due, step
from include.domain.alerts import Alert, AlertState, Occasion, Outcome, Said, Silence
from include.domain.enums import Severity
from include.domain.errors import RejectedError
from include.domain.lifecycle import ALERT_TRANSITIONS
from include.ledger.unit_of_work import PostgresLedger
from include.notifications import Receipt, Sender
from include.ports import Notice
from tests.adapters.alert_desk import SUBJECT, Clock, ScriptedChannel, at, audience, rule

_CONDITIONS = st.sampled_from(Condition)
_RULES = st.builds(
    rule,
    severity=st.sampled_from(["CRITICAL", "WARNING"]),
    hold_secs=st.sampled_from([0, 30]),
    clear_for_secs=st.sampled_from([0, 60]),
    latched=st.booleans(),
)
_STEPS = st.lists(
    st.tuples(st.integers(1, 400), _CONDITIONS, st.sampled_from(["", "", "", "ack", "silence"])),
    min_size=1,
    max_size=40,
)


@dataclass
class Course:
    """Alerts of one condition through a course of events, with what was said about each."""

    listeners: Audience
    alert: Alert | None = None
    count: int = 0
    history: dict[int, list[Alert]] = field(default_factory=dict)
    said: dict[int, list[Said]] = field(default_factory=dict)
    silences: list[Silence] = field(default_factory=list)

    def see(self, seen: Observation, secs: float) -> None:
        after = step(self.alert, seen, at(secs))
        if after is None:
            return
        if after.id == 0:
            self.count += 1
            after = replace(after, id=self.count)
        self.keep(after)
        told = self.said.setdefault(after.id, [])
        listeners = replace(self.listeners, silences=self.silences)
        told += [item.said for item in due(after, frozenset(told), listeners, at(secs))]

    def keep(self, alert: Alert) -> None:
        self.history.setdefault(alert.id, []).append(alert)
        self.alert = alert if alert.is_open else None

    def act(self, what: str, secs: float) -> None:
        if what == "silence":
            self.silences = [Silence(1, "*", SUBJECT, "ada", "x", at(secs), at(secs + 300))]
        elif what == "ack" and self.alert is not None:
            try:
                self.keep(acknowledge(self.alert, "ada"))
            except RejectedError:
                assert self.alert.state is not AlertState.FIRING


@settings(max_examples=150, deadline=None)
@given(rule=_RULES, steps=_STEPS)
def test_any_course_of_events_keeps_the_laws_of_alerts(rule: object, steps: list[tuple[int, Condition, str]]) -> None:
    course, secs = Course(audience()), 0.0
    for pause, condition, act in steps:
        secs += pause
        course.act(act, secs)
        quiet = any(s.ends_at > at(secs) for s in course.silences)
        course.see(Observation(rule, SUBJECT, False, condition, "s", "f" * 64), secs)  # type: ignore[arg-type]
        if course.alert is not None and course.alert.state is AlertState.FIRING and not quiet:
            said = course.said[course.alert.id]
            # Whoever fires unheard of would be lost.
            assert {s.channel for s in said if s.occasion is Occasion.FIRED} >= {"slack"}
    for number, alerts in course.history.items():
        said = course.said.get(number, [])
        assert len(said) == len(set(said)), "nothing is said twice"
        for before, after in pairwise(alerts):
            assert before.state is after.state or after.state in ALERT_TRANSITIONS[before.state]
        ended = {s.channel for s in said if s.occasion is Occasion.RESOLVED}
        begun = {s.channel for s in said if s.occasion is not Occasion.RESOLVED}
        assert ended <= begun
        if alerts[-1].state is AlertState.RESOLVED:
            assert ended == begun, "whoever heard of it hears its end"
        if all(alert.state in (AlertState.PENDING, AlertState.RESOLVED) for alert in alerts):
            assert not said, "what never fired is never told"


@given(hold=st.integers(1, 600), first=st.integers(0, 600), gap=st.integers(1, 600))
def test_an_alert_fires_exactly_when_it_has_held_long_enough(hold: int, first: int, gap: int) -> None:
    seen = Observation(rule(hold_secs=hold), SUBJECT, False, Condition.HOLDS, "s", "f" * 64)
    begun = step(None, seen, at(first))
    later = step(begun, seen, at(first + gap))
    assert later is not None
    assert (later.state is AlertState.FIRING) == (gap >= hold)


_numbers = count(1)
_FATES = st.lists(st.sampled_from(["DELIVERED", "FAILED", "UNKNOWN", "KILLED"]), max_size=12)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=_FATES, waves=st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_whatever_becomes_of_its_senders_every_critical_notice_arrives_and_none_twice_without_saying_so(
    ledger: PostgresLedger, fates: list[str], waves: list[int]
) -> None:
    name = f"channel-{next(_numbers)}"
    channel, clock, fates, written = ScriptedChannel(name), Clock(), list(fates), 0

    def attempt() -> None:
        fate = fates.pop(0) if fates else "DELIVERED"
        if fate == "KILLED":
            with ledger.begin() as work:
                batch = work.outbox.claim(name, "k", now=clock(), pace_secs=dict.fromkeys(Severity, 0), claim_secs=0.0)
                work.commit()
            channel.uncertain += [notice.title for notice in batch.notices] if batch else []
            return
        channel.receipts = (
            [] if fate == "DELIVERED" else [Receipt(Outcome[fate if fate != "HUNG" else "UNKNOWN"], fate)]
        )
        Sender(ledger, channel, name="s", pace_secs=dict.fromkeys(Severity, 0), clock=clock).deliver_due()

    for wave in waves:
        with ledger.begin() as work:
            for _ in range(wave):
                work.outbox.put(name, Notice(Severity.CRITICAL, str(written)), now=clock(), due_at=clock())
                written += 1
            work.commit()
        attempt()
        clock.forward(7)
    while fates:
        attempt()
        clock.forward(61)
    clock.forward(timedelta(days=3).total_seconds())
    attempt()
    assert sorted(channel.titles, key=int) == [str(n) for n in range(written)]
    for message, repeated in zip(channel.heard, channel.repeats, strict=True):
        if {notice.title for notice in message} & set(channel.uncertain):
            assert repeated, "what may have arrived before says so"
