"""Alerts in the ledger: guarded moves, one open alert a condition, accountable silences, counters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.alerting import acknowledge
from include.domain.alerts import Alert, AlertState, Occasion, Said, Silence
from include.domain.enums import Severity
from include.domain.errors import ConfigurationError, RejectedError, RetryableError
from include.domain.reason_codes import AlertCode
from include.ledger.alert_models import ALERT_APPEND_ONLY
from include.ledger.unit_of_work import PostgresLedger
from include.ports import Button, Notice
from tests.adapters.alert_desk import SUBJECT, at
from tests.postgres import run_sql

_PENDING = Alert(
    0, "f" * 64, "drawdown", AlertCode.DRAWDOWN_HIGH, Severity.CRITICAL, SUBJECT, AlertState.PENDING, "summary", "halt",
    at(0), at(0),
)  # fmt: skip
_FIRING = replace(_PENDING, state=AlertState.FIRING, fired_at=at(1))


def _save(ledger: PostgresLedger, before: Alert | None, after: Alert, by: str = "airlock") -> Alert:
    with ledger.begin() as work:
        stored = work.alerts.save(before, after, by=by, reason="because", at=at(2))
        work.commit()
    return stored


def test_an_alert_comes_back_as_it_was_stored_with_who_moved_it_and_why(ledger: PostgresLedger) -> None:
    pending = _save(ledger, None, _PENDING)
    firing = _save(ledger, pending, replace(pending, state=AlertState.FIRING, fired_at=at(1)))
    taken = _save(ledger, firing, acknowledge(firing, "ada"), by="ada")
    with ledger.begin() as work:
        assert work.alerts.open() == [taken] == [work.alerts.get(taken.id)]
        changes = work.alerts.changes(taken.id)
        audited = work.audit.recent(5)
    assert [(c.before, c.after, c.by, c.reason) for c in changes] == [
        (None, AlertState.PENDING, "airlock", "because"),
        (AlertState.PENDING, AlertState.FIRING, "airlock", "because"),
        (AlertState.FIRING, AlertState.ACKNOWLEDGED, "ada", "because"),
    ]
    assert [(row.actor, row.action, row.details["alert"]) for row in audited] == [
        ("ada", "alert.acknowledge", taken.id)
    ]


def test_two_who_move_the_same_alert_cannot_both_win(ledger: PostgresLedger) -> None:
    firing = _save(ledger, None, _FIRING)
    _save(ledger, firing, acknowledge(firing, "ada"), by="ada")
    with pytest.raises(RetryableError, match="not FIRING any more"):
        _save(ledger, firing, acknowledge(firing, "bob"), by="bob")


def test_one_condition_has_one_open_alert_and_may_come_again_after_its_end(ledger: PostgresLedger) -> None:
    first = _save(ledger, None, _FIRING)
    with pytest.raises(RejectedError, match="uq_alerts_open"):
        _save(ledger, None, _FIRING)
    _save(ledger, first, replace(first, state=AlertState.RESOLVED, ended_at=at(9)))
    assert _save(ledger, None, _FIRING).id != first.id


@pytest.mark.parametrize("table", ALERT_APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = reason", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_history_of_alerts_cannot_be_edited(database_url: str, table: str, statement: str) -> None:
    with pytest.raises(Exception, match=f"table {table} is append-only"):
        run_sql(database_url, statement.format(table))


def test_silences_name_who_and_why_are_audited_and_end(ledger: PostgresLedger) -> None:
    wanted = Silence(0, "drawdown", SUBJECT, "ada", "known", at(0), at(60))
    with ledger.begin() as work:
        kept = work.alerts.silence(wanted)
        assert work.alerts.silences(at(59)) == [kept]
        assert work.alerts.silences(at(60)) == []
        assert work.alerts.lift(kept.id, "bob", "fixed", at(30)).ends_at == at(30)
        assert work.alerts.silences(at(31)) == []
        with pytest.raises(ConfigurationError, match="no silence"):
            work.alerts.lift(kept.id, "bob", "again", at(31))
        assert [row.action for row in work.audit.recent(5)] == ["alert.lift", "alert.silence"]
        for broken in (replace(wanted, by=" "), replace(wanted, reason=""), replace(wanted, ends_at=at(0))):
            with pytest.raises(ConfigurationError):
                work.alerts.silence(broken)


@pytest.mark.parametrize(
    ("values", "growth"),
    [
        ([(0, 5.0)], 0.0),  # what was before it was first seen is not growth
        ([(0, 5.0), (10, 7.0)], 2.0),
        ([(0, 5.0), (10, 7.0), (20, 7.0), (30, 8.0)], 3.0),
        ([(0, 5.0), (10, 9.0), (20, 1.0)], 5.0),  # begun anew: 4, then 1
        ([(0, 5.0), (100, 9.0), (3_700, 9.0)], 0.0),  # an hour later it is forgotten
        ([(0, 5.0), (100, 9.0), (3_650, 12.0)], 7.0),
    ],
)
def test_a_counters_growth_is_that_of_the_last_hour(
    ledger: PostgresLedger, values: list[tuple[int, float]], growth: float
) -> None:
    with ledger.begin() as work:
        found = [work.alerts.increase("d1", "reconnects", value, at(t), at(t - 3_600)) for t, value in values]
    assert found[-1] == growth


def test_the_same_is_put_into_the_outbox_once_and_comes_back_whole(ledger: PostgresLedger) -> None:
    notice = Notice(
        Severity.WARNING,
        "t",
        ("a", "b"),
        "http://x",
        "FAIL",
        (("m", "v"), ("x", "1")),
        (Button("Open", "http://y"),),
        "G",
    )
    stored = _save(ledger, None, _FIRING)
    said = Said("slack", Occasion.ESCALATED, 2)
    with ledger.begin() as work:
        times = {"now": at(0), "due_at": at(0)}
        assert work.outbox.put("slack", notice, alert_id=stored.id, said=said, **times)
        assert not work.outbox.put("slack", notice, alert_id=stored.id, said=said, **times)
        assert work.outbox.put("slack", notice, **times)
        assert work.outbox.put("slack", notice, **times)
        assert work.alerts.told([stored.id]) == {stored.id: frozenset({said})}
        batch = work.outbox.claim("slack", "me", now=at(0), pace_secs={Severity.WARNING: 0}, claim_secs=10)
        assert batch is not None
        assert batch.notices == (notice,) * 3
