"""The life of an alert as one function of (alert, observation, time). Pure; the ledger stores what comes out.

Moves are checked against `ALERT_TRANSITIONS`. A condition that cannot be judged neither begins nor ends an alert.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from include.alerting.observing import Condition, Observation
from include.alerting.policy import AlertRule
from include.domain.alerts import Alert, AlertState
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.lifecycle import ALERT_TRANSITIONS, move


def step(alert: Alert | None, seen: Observation, now: datetime) -> Alert | None:
    """The alert after one observation; None while there is none.

    Args:
        alert: the open alert with the observation's fingerprint, if there is one.
    """
    if alert is None:
        return _begin(seen, now) if seen.condition is Condition.HOLDS else None
    if seen.condition is Condition.UNKNOWN:
        return replace(alert, clear_since=None)
    if seen.condition is Condition.CLEAR:
        return _clearing(alert, seen.rule, now)
    alert = replace(alert, summary=seen.summary, seen_at=now, clear_since=None)
    if alert.state is AlertState.PENDING and now - alert.since >= timedelta(seconds=seen.hold_secs):
        return _moved(alert, AlertState.FIRING, fired_at=now)
    return alert


def leave(alert: Alert, rule: AlertRule | None, now: datetime) -> Alert:
    """The alert when nothing observes its condition any more: the subject has ended, or the rule is gone.

    A latched alert still waits for a person.
    """
    if alert.state is AlertState.FIRING and rule is not None and rule.latched:
        return replace(alert, clear_since=alert.clear_since or now)
    return _moved(alert, AlertState.RESOLVED, ended_at=now)


def acknowledge(alert: Alert, by: str) -> Alert:
    """The alert after a person has taken it.

    Raises:
        ConfigurationError: nobody is named.
        RejectedError: it is not firing, so there is nothing to take.
    """
    if not by.strip():
        raise ConfigurationError(f"alert {alert.id}: say who acknowledges it (--by NAME)")
    if alert.state is not AlertState.FIRING:
        raise RejectedError(f"alert {alert.id} is {alert.state.value}, only a FIRING one can be acknowledged")
    return _moved(alert, AlertState.ACKNOWLEDGED, acknowledged_by=by)


def _begin(seen: Observation, now: datetime) -> Alert:
    alert = Alert(
        id=0, fingerprint=seen.fingerprint, rule=seen.rule.name, code=seen.code, severity=seen.rule.severity,
        subject=seen.subject, state=AlertState.PENDING, summary=seen.summary, advice=seen.rule.advice, since=now,
        seen_at=now,
    )  # fmt: skip
    return alert if seen.hold_secs else _moved(alert, AlertState.FIRING, fired_at=now)


def _clearing(alert: Alert, rule: AlertRule, now: datetime) -> Alert:
    if alert.state is AlertState.PENDING:
        return _moved(alert, AlertState.RESOLVED, ended_at=now)
    since = alert.clear_since or now
    alert = replace(alert, clear_since=since)
    waits_for_person = rule.latched and alert.state is AlertState.FIRING
    if waits_for_person or now - since < timedelta(seconds=rule.clear_for_secs):
        return alert
    return _moved(alert, AlertState.RESOLVED, ended_at=now)


def _moved(
    alert: Alert,
    state: AlertState,
    *,
    fired_at: datetime | None = None,
    ended_at: datetime | None = None,
    acknowledged_by: str = "",
) -> Alert:
    return replace(
        alert,
        state=move(ALERT_TRANSITIONS, alert.state, state, subject=f"alert {alert.rule} on {alert.subject}"),
        fired_at=fired_at or alert.fired_at,
        ended_at=ended_at,
        acknowledged_by=acknowledged_by or alert.acknowledged_by,
    )
