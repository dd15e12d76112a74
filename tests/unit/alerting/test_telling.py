"""Who hears what and when: levels, repeats, silences, quiet hours, ends; and how it is worded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.alerting import Audience, build_notice, due, merge_notices
from include.alerting.wording import LISTED
from include.domain.alerts import Alert, AlertState, Occasion, Said, Silence
from include.domain.enums import Severity
from include.domain.reason_codes import AlertCode
from include.ports import Notice
from tests.adapters.alert_desk import SUBJECT, at, audience

_FIRED = Alert(
    7, "f" * 64, "drawdown", AlertCode.DRAWDOWN_HIGH, Severity.CRITICAL, SUBJECT, AlertState.FIRING,
    "LIVE d1: drawdown 9.00% (limit > 8.00%)", "halt", at(0), at(0), fired_at=at(0),
)  # fmt: skip


def _said(alert: Alert, listeners: Audience, secs: float, told: frozenset[Said] = frozenset()) -> set[str]:
    return {f"{d.said.channel} {d.said.occasion} {d.said.number}" for d in due(alert, told, listeners, at(secs))}


_FIRST = {"slack FIRED 0", "email FIRED 0"}
_ALL = {*_FIRST, "telegram ESCALATED 1", "sms ESCALATED 2"}


@pytest.mark.parametrize(
    ("secs", "expected"),
    [
        (0, _FIRST),
        (299, _FIRST),
        (300, {*_FIRST, "telegram ESCALATED 1"}),
        (900, _ALL),
        (1_800, {*_ALL, "slack REPEATED 1", "email REPEATED 1"}),
        (3_700, {*_ALL, "slack REPEATED 2", "email REPEATED 2"}),
    ],
)
def test_more_people_hear_of_an_alert_the_longer_nobody_takes_it(secs: float, expected: set[str]) -> None:
    assert _said(_FIRED, audience(), secs) == expected


def test_what_was_said_is_not_said_again() -> None:
    told = frozenset(item.said for item in due(_FIRED, frozenset(), audience(), at(300)))
    assert due(_FIRED, told, audience(), at(310)) == []


@pytest.mark.parametrize(
    "changes", [{"state": AlertState.ACKNOWLEDGED, "acknowledged_by": "ada"}, {"state": AlertState.PENDING}]
)
def test_an_alert_that_is_pending_or_taken_is_told_to_nobody(changes: dict[str, Any]) -> None:
    assert _said(replace(_FIRED, **changes), audience(), 5_000) == set()


@pytest.mark.parametrize(
    ("rule", "subject", "secs", "quiet"),
    [
        ("drawdown", SUBJECT, 10, True),
        ("*", "*", 10, True),
        ("drawdown", "deployment:d2", 10, False),
        ("daily-loss", "*", 10, False),
        ("drawdown", SUBJECT, 60, False),  # it has ended, and the alert has not
    ],
)
def test_a_silence_keeps_its_alerts_quiet_while_it_lasts(rule: str, subject: str, secs: float, quiet: bool) -> None:
    silence = Silence(1, rule, subject, "ada", "known", at(-5), at(60))
    assert (_said(_FIRED, audience(silences=[silence]), secs) == set()) is quiet


def test_a_channel_that_is_not_set_up_is_left_out_and_a_level_without_any_goes_to_the_log() -> None:
    assert _said(_FIRED, audience(channels=["log", "email"]), 900) == {
        "email FIRED 0", "log ESCALATED 1", "log ESCALATED 2",
    }  # fmt: skip


def test_whoever_heard_of_an_alert_hears_its_end_once() -> None:
    over = replace(_FIRED, state=AlertState.RESOLVED, ended_at=at(400))
    told = frozenset({Said("slack", Occasion.FIRED), Said("telegram", Occasion.ESCALATED, 1)})
    assert _said(over, audience(), 400, told) == {"slack RESOLVED 0", "telegram RESOLVED 0"}
    ended = told | {Said(channel, Occasion.RESOLVED) for channel in ("slack", "telegram")}
    assert _said(over, audience(), 500, ended) == set()
    assert _said(replace(over, fired_at=None), audience(), 400) == set()


def test_a_warning_waits_for_others_and_for_the_morning_and_a_critical_alert_for_nothing() -> None:
    night = {"quiet_hours": {"begin": "11:00", "end": "14:00", "severities": ["WARNING"]}}
    warning = replace(_FIRED, severity=Severity.WARNING)
    assert [item.at for item in due(warning, frozenset(), audience(), at(0))] == [at(10)]
    assert [item.at for item in due(warning, frozenset(), audience(**night), at(0))] == [at(7_200)]
    assert {item.at for item in due(_FIRED, frozenset(), audience(**night), at(0))} == {at(0)}


@pytest.mark.parametrize(
    ("occasion", "opening", "severity"),
    [
        (Occasion.FIRED, "#7 LIVE d1", Severity.CRITICAL),
        (Occasion.ESCALATED, "NOBODY HAS ANSWERED: #7 LIVE d1", Severity.CRITICAL),
        (Occasion.REPEATED, "STILL: #7 LIVE d1", Severity.CRITICAL),
        (Occasion.RESOLVED, "RESOLVED: #7 LIVE d1", Severity.INFO),
    ],
)
def test_a_notice_says_what_is_so_and_what_to_do(occasion: Occasion, opening: str, severity: Severity) -> None:
    notice = build_notice(_FIRED, Said("slack", occasion))
    assert notice.title.startswith(opening)
    assert notice.severity is severity
    text = "\n".join(notice.lines)
    assert ("Do: halt" in text and "airlock alerts ack 7" in text) is (occasion is not Occasion.RESOLVED)


def test_many_notices_become_one_under_the_worst_severity_with_nothing_uncounted() -> None:
    notices = [Notice(Severity.INFO, f"info {n}") for n in range(500)]
    notices += [Notice(Severity.CRITICAL, f"critical {n}", group="DRAWDOWN_HIGH") for n in range(20)]
    merged = merge_notices(notices)
    assert (merged.severity, merged.title) == (Severity.CRITICAL, "critical 0 (and 519 more)")
    assert merged.lines[0] == "520 messages, 20 of them CRITICAL: 500 x INFO, 20 x DRAWDOWN_HIGH"
    assert merged.lines[1 : LISTED + 1] == tuple(f"CRITICAL critical {n}" for n in range(LISTED))
    assert merged.lines[-1].startswith(f"and {520 - LISTED} more")


def test_one_notice_stays_as_it_is_and_a_repetition_says_so() -> None:
    notice = Notice(Severity.INFO, "t", ("l",), "http://x", "PASS", (("a",),))
    assert merge_notices([notice]) == notice
    assert merge_notices([notice], repeated=True).lines == (
        "l",
        merge_notices([notice, notice], repeated=True).lines[-1],
    )
    with pytest.raises(ValueError, match="nothing"):
        merge_notices([])
