"""From facts in the ledger to messages on a channel: one evaluation after the other."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from include.alerting import Audience, acknowledge, load_policy
from include.config.files import ALERTS_FILE
from include.domain.alerts import Alert, AlertState, Outcome, Silence
from include.domain.enums import Mode, Severity, TradingState
from include.domain.errors import RetryableError
from include.ledger.unit_of_work import PostgresLedger
from include.notifications import Receipt, Sender
from include.operations.alert_facts import FactReader
from include.operations.alerts import Alarm, deliver, evaluate
from tests.adapters.alert_desk import Clock, ScriptedChannel, audience, rule_document
from tests.postgres import run_sql
from tests.samples import put_deployment, put_lease

_RULES = [
    rule_document(name="incident", code="INCIDENT_OPENED", metric="critical_incident", threshold=0.0, clear=None,
                  clear_for_secs=0, latched=True),
    rule_document(name="delivery", code="DELIVERY_FAILING", severity="WARNING", metric="overdue_secs", threshold=60.0,
                  clear=None, clear_for_secs=0),
]  # fmt: skip


_AWAY = Receipt(Outcome.FAILED, "Connection refused")


def _told_by(channels: list[str]) -> dict[str, object]:
    level = {"levels": [{"after_secs": 0, "channels": channels}], "pace_secs": 0}
    return {"CRITICAL": level, "WARNING": level, "INFO": level}


class Night:
    """One evening at the desk: incidents, a clock, evaluations, and channels that listen."""

    def __init__(self, ledger: PostgresLedger, listeners: Audience) -> None:
        self.ledger, self.listeners, self.clock = ledger, listeners, Clock()
        self.channels = {name: ScriptedChannel(name) for name in listeners.channels}

    def incident(self, message: str = "it died") -> datetime:
        with self.ledger.begin() as work:
            opened = work.incidents.open(Severity.CRITICAL, "ENGINE_FAILED", "deployment:d1", message)
            work.commit()
        self.clock.now = max(self.clock.now, opened.opened_at)
        return opened.opened_at

    def look(self) -> list[Alert]:
        evaluate(FactReader(self.ledger), self.listeners, self.clock())
        pace = {severity: telling.pace_secs for severity, telling in self.listeners.policy.telling.items()}
        deliver([Sender(self.ledger, c, name="t", pace_secs=pace, clock=self.clock) for c in self.channels.values()])
        with self.ledger.begin() as work:
            return list(work.alerts.open())

    def heard(self, name: str) -> list[str]:
        return self.channels[name].titles


@pytest.fixture
def night(ledger: PostgresLedger) -> Night:
    return Night(ledger, audience(rules=_RULES, channels=["log", "slack", "telegram", "sms"]))


def test_an_incident_calls_more_and_more_people_until_one_takes_it_and_its_end_is_told(night: Night) -> None:
    night.incident()
    (alert,) = night.look()
    assert (alert.state, len(night.heard("slack")), night.heard("telegram")) == (AlertState.FIRING, 1, [])
    night.look()
    assert len(night.heard("slack")) == 1, "the same is said once"
    night.clock.forward(301)
    night.look()
    assert [title.split(":")[0] for title in night.heard("telegram")] == ["NOBODY HAS ANSWERED"]
    with night.ledger.begin() as work:
        work.alerts.save(alert, acknowledge(alert, "ada"), by="ada", reason="looking", at=night.clock())
        work.commit()
    night.clock.forward(700)
    night.look()
    assert night.heard("sms") == [], "whoever takes it lets the others sleep"
    assert night.look() == []
    night.clock.forward(60)
    night.look()
    assert [title.split(":")[0] for title in night.heard("slack")][1:] == ["RESOLVED"]
    assert [title.split(":")[0] for title in night.heard("telegram")][1:] == ["RESOLVED"]


def test_an_incident_that_nobody_takes_does_not_end(night: Night) -> None:
    night.incident()
    night.look()
    night.clock.forward(86_400)
    assert [alert.state for alert in night.look()] == [AlertState.FIRING]


def test_taking_one_incident_does_not_hide_the_next(night: Night) -> None:
    night.incident("first")
    (alert,) = night.look()
    with night.ledger.begin() as work:
        work.alerts.save(alert, acknowledge(alert, "ada"), by="ada", reason="looking", at=night.clock())
        work.commit()
    night.incident("second")
    night.clock.forward(20)
    night.look()
    assert "second" in night.heard("slack")[-1]


def test_a_thousand_incidents_in_a_minute_are_a_handful_of_messages(night: Night, database_url: str) -> None:
    begun = night.incident("0")
    for step in range(5):
        run_sql(
            database_url,
            "INSERT INTO incidents (severity, code, subject, message) "
            f"SELECT 'CRITICAL', 'FLOOD', 'deployment:d1', '{step}.' || n FROM generate_series(1, 200) AS n",
        )
        night.clock.now = begun + timedelta(seconds=12 * step)
        night.look()
    night.clock.forward(30)
    alerts = night.look()
    assert len(alerts) == 1_001
    assert len(night.channels["slack"].heard) <= 6
    assert Counter(night.heard("slack")) == Counter(f"#{alert.id} {alert.summary}" for alert in alerts)


def test_a_silence_keeps_quiet_and_its_end_does_not(night: Night) -> None:
    opened = night.incident()
    with night.ledger.begin() as work:
        ends = opened + timedelta(minutes=5)
        work.alerts.silence(Silence(0, "incident", "*", "ada", "a drill", opened - timedelta(minutes=1), ends))
        work.commit()
    (alert,) = night.look()
    assert (alert.state, night.heard("slack")) == (AlertState.FIRING, [])
    night.clock.now = ends
    night.look()
    assert len(night.heard("slack")) >= 1


def test_a_channel_that_fails_is_an_alert_on_the_others(ledger: PostgresLedger) -> None:
    listeners = audience(
        rules=_RULES, channels=["log", "slack", "email"],
        telling=_told_by(["slack", "email"]),
    )  # fmt: skip
    night = Night(ledger, listeners)
    night.channels["slack"].receipts = [_AWAY] * 500
    night.incident()
    for _ in range(30):
        night.look()
        night.clock.forward(5)
    assert any("channel:slack: overdue_secs" in title for title in night.heard("email"))
    assert night.heard("slack") == []
    night.channels["slack"].receipts.clear()
    night.clock.forward(120)
    night.look()
    assert any("ENGINE_FAILED" in title for title in night.heard("slack"))


def test_two_evaluators_make_one_alert(night: Night) -> None:
    night.incident()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: evaluate(FactReader(night.ledger), night.listeners, night.clock()), range(12)))
    with night.ledger.begin() as work:
        (alert,) = work.alerts.recent()
        assert len(work.alerts.told([alert.id])[alert.id]) == 1


def test_rules_that_cannot_be_judged_are_told_past_the_ledger_but_not_every_time() -> None:
    listeners, clock = audience(), Clock()
    channels = {name: ScriptedChannel(name) for name in listeners.channels}
    alarm = Alarm(channels, listeners)
    error = RetryableError("database airlock at db: cannot be used now")
    told = [alarm.failed(error, clock.forward(60)) for _ in range(20)]
    assert told.count(True) == 2
    assert channels["slack"].titles == ["Alerts cannot be evaluated"] * 2
    assert "cannot be used now" in channels["email"].heard[0][0].lines[0]


def test_under_the_shipped_rules_a_session_that_just_began_calls_nobody_and_one_that_falls_silent_does(
    ledger: PostgresLedger, database_url: str
) -> None:
    policy = load_policy(ALERTS_FILE)
    night = Night(ledger, replace(audience(channels=["log", "slack"]), policy=policy))
    deployment = put_deployment(ledger, Mode.LIVE, capital=Decimal("1000"))
    lease = put_lease(ledger, deployment)
    feed = {"alerts": [], "expected": 0, "uptime": None, "reconnects": 0}
    with ledger.begin() as work:
        work.trading_states.set(f"deployment:{deployment.id}", TradingState.ACTIVE, "ada", "released")
        work.deployments.beat(deployment.id, lease.token, None, 0, 0.0, feed)
        beat = work.deployments.heartbeat(deployment.id)
        work.commit()
    assert beat is not None
    for minutes in range(0, 60, 10):
        night.clock.now = beat.beat_at + timedelta(minutes=minutes)
        moved = f"UPDATE heartbeats SET beat_at = '{night.clock.now.isoformat()}'"
        run_sql(database_url, moved)
        assert night.look() == []
    night.clock.forward(16)
    assert [alert.rule for alert in night.look()] == ["heartbeat"]
    assert "heartbeat_age_secs" in night.heard("slack")[0]


def test_a_database_that_restarts_wakes_nobody() -> None:
    listeners, clock = audience(), Clock()
    channels = {name: ScriptedChannel(name) for name in listeners.channels}
    alarm = Alarm(channels, listeners)
    for _ in range(5):
        assert not alarm.failed(RetryableError("away"), clock.forward(20))
        alarm.judged()
    assert channels["slack"].heard == []
