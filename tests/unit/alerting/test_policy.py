"""Alert rules as documents: what is shipped loads, and what makes no sense is refused with its reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from include.alerting import AlertPolicy, load_policy
from include.alerting.metrics import ALERT_METRICS
from include.alerting.policy import QuietHours
from include.config.files import ALERTS_FILE
from include.domain.enums import Severity
from include.domain.reason_codes import AlertCode
from tests.adapters.alert_desk import policy_document, rule_document


def test_the_shipped_rules_cover_every_metric_and_every_code_but_the_built_in_one() -> None:
    policy = load_policy(ALERTS_FILE)
    assert {rule.metric for rule in policy.rules} == set(ALERT_METRICS)
    assert {rule.code for rule in policy.rules} == set(AlertCode) - {AlertCode.DATA_MISSING}


@pytest.mark.parametrize(
    ("metric", "op", "threshold", "severity"),
    [
        ("win_rate", "<", 0.90, "WARNING"),
        ("drawdown", ">", 0.05, "WARNING"),
        ("drawdown", ">", 0.08, "CRITICAL"),
        ("daily_loss", ">", 0.02, "CRITICAL"),
    ],
)
def test_the_numbers_that_were_required_are_the_shipped_ones(
    metric: str, op: str, threshold: float, severity: str
) -> None:
    rules = load_policy(ALERTS_FILE).rules
    assert (metric, op, threshold, severity) in [(r.metric, r.op.value, r.threshold, r.severity.value) for r in rules]


def test_a_rule_that_is_changed_gives_the_policy_another_hash() -> None:
    one, other = (AlertPolicy.model_validate(policy_document(rules=[rule_document(hold_secs=n)])) for n in (0, 1))
    assert one.hash != other.hash


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metric": "luck"}, "unknown metric 'luck'"),
        ({"clear": 0.09}, "clear 0.09 lies on the bad side of the threshold 0.08"),
        ({"code": "DATA_MISSING"}, "DATA_MISSING is what Airlock adds"),
        ({"code": "NO_SUCH"}, "code"),
        ({"name": "Has Spaces"}, "name"),
        ({"threshold": float("nan")}, "finite"),
        ({"advice": ""}, "advice"),
        ({"treshold": 1.0}, "treshold"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        AlertPolicy.model_validate(policy_document(rules=[rule_document(**changes)]))


def _telling(severity: str, **changes: Any) -> dict[str, Any]:
    telling = policy_document()["telling"]
    return {"telling": telling | {severity: telling[severity] | changes}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rules": [rule_document(), rule_document()]}, "drawdown is there more than once"),
        ({"telling": {"CRITICAL": policy_document()["telling"]["CRITICAL"]}}, "INFO, WARNING is missing"),
        (_telling("CRITICAL", expires_after_secs=60), "never dropped"),
        (_telling("INFO", levels=[{"after_secs": 5, "channels": ["slack"]}]), "begin with 0 and grow"),
        (_telling("INFO", levels=[{"after_secs": 0, "channels": ["pigeon"]}]), "unknown channel pigeon"),
        ({"quiet_hours": {"begin": "22:00", "end": "07:00", "severities": ["CRITICAL"]}}, "CRITICAL never waits"),
        ({"quiet_hours": {"begin": "07:00", "end": "07:00", "severities": []}}, "the same time"),
    ],
)
def test_a_policy_that_could_lose_an_alert_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        AlertPolicy.model_validate(policy_document(**changes))


_NIGHT = QuietHours.model_validate({"begin": "22:00", "end": "07:00", "severities": ["INFO", "WARNING"]})
_LUNCH = QuietHours.model_validate({"begin": "12:00", "end": "13:30", "severities": ["WARNING"]})


@pytest.mark.parametrize(
    ("hours", "severity", "now", "told"),
    [
        (_NIGHT, "WARNING", "2026-01-10T21:59", "2026-01-10T21:59"),
        (_NIGHT, "WARNING", "2026-01-10T22:00", "2026-01-11T07:00"),
        (_NIGHT, "INFO", "2026-01-11T03:00", "2026-01-11T07:00"),
        (_NIGHT, "WARNING", "2026-01-11T07:00", "2026-01-11T07:00"),
        (_NIGHT, "CRITICAL", "2026-01-11T03:00", "2026-01-11T03:00"),
        (_LUNCH, "WARNING", "2026-01-11T12:00", "2026-01-11T13:30"),
        (_LUNCH, "INFO", "2026-01-11T12:00", "2026-01-11T12:00"),
        (_LUNCH, "WARNING", "2026-01-11T11:59", "2026-01-11T11:59"),
        # The clocks change in the night: the morning stays where people have it.
        (_NIGHT, "WARNING", "2026-03-28T23:00", "2026-03-29T07:00"),
        (_NIGHT, "WARNING", "2026-10-24T23:00", "2026-10-25T07:00"),
    ],
)
def test_what_may_wait_is_told_when_the_quiet_hours_end_in_local_time(
    hours: QuietHours, severity: str, now: str, told: str
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin, expected = (datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in (now, told))
    assert hours.release(Severity(severity), begin, zone) == expected
