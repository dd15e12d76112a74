"""The life of an alert: every state against every observation, and every move against the table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.alerting import Condition, Observation, acknowledge, leave, step
from include.domain.alerts import Alert, AlertState
from include.domain.errors import ConfigurationError, RejectedError, TransitionError
from include.domain.lifecycle import ALERT_TRANSITIONS, move
from tests.adapters.alert_desk import SUBJECT, at, rule

P, F, A, R = AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.RESOLVED
H, C, U = Condition.HOLDS, Condition.CLEAR, Condition.UNKNOWN


def _seen(condition: Condition, **changes: Any) -> Observation:
    return Observation(rule(**changes), SUBJECT, False, condition, "summary", "f" * 64)


def _alert(state: AlertState, **changes: Any) -> Alert:
    firing = step(None, _seen(H), at(0))
    assert firing is not None
    made = {
        P: replace(firing, state=P, fired_at=None),
        F: firing,
        A: replace(firing, state=A, acknowledged_by="ada"),
        R: replace(firing, state=R, ended_at=at(1)),
    }[state]
    return replace(made, id=1, **changes)


@pytest.mark.parametrize("before", AlertState)
@pytest.mark.parametrize("after", AlertState)
def test_the_table_allows_exactly_these_moves(before: AlertState, after: AlertState) -> None:
    allowed = {(P, F), (P, R), (F, A), (F, R), (A, R)}
    if before is after or (before, after) in allowed:
        assert move(ALERT_TRANSITIONS, before, after, subject="x") is after
    else:
        with pytest.raises(TransitionError):
            move(ALERT_TRANSITIONS, before, after, subject="x")


@pytest.mark.parametrize(
    ("state", "condition", "now", "changes", "after"),
    [
        (P, H, 29, {"hold_secs": 30}, P),
        (P, H, 30, {"hold_secs": 30}, F),
        (P, C, 10, {"hold_secs": 30}, R),
        (P, U, 99, {"hold_secs": 30}, P),
        (F, H, 99, {}, F),
        (F, C, 99, {}, F),  # first seen clear now: not yet for long enough
        (F, C, 99, {"clear_for_secs": 0}, R),
        (F, C, 99, {"clear_for_secs": 0, "latched": True}, F),
        (F, U, 99, {"clear_for_secs": 0}, F),
        (A, H, 99, {}, A),
        (A, C, 99, {}, A),
        (A, C, 99, {"clear_for_secs": 0}, R),
        (A, C, 99, {"clear_for_secs": 0, "latched": True}, R),
        (A, U, 99, {"clear_for_secs": 0}, A),
    ],
)
def test_an_observation_moves_an_alert_as_the_table_says(
    state: AlertState, condition: Condition, now: int, changes: dict[str, Any], after: AlertState
) -> None:
    moved = step(_alert(state), _seen(condition, **changes), at(now))
    assert moved is not None
    assert moved.state is after
    assert (moved.fired_at is not None) == (after in (F, A) or state in (F, A))
    assert (moved.ended_at is not None) == (after is R)


@pytest.mark.parametrize("condition", [C, U])
def test_nothing_begins_without_a_condition_that_holds(condition: Condition) -> None:
    assert step(None, _seen(condition), at(0)) is None


@pytest.mark.parametrize(("hold", "state"), [(0, F), (1, P)])
def test_without_a_hold_time_an_alert_fires_at_once(hold: int, state: AlertState) -> None:
    begun = step(None, _seen(H, hold_secs=hold), at(0))
    assert begun is not None
    assert begun.state is state


def test_the_end_counts_from_the_first_of_an_unbroken_row_of_clear_observations() -> None:
    alert: Alert | None = _alert(F)
    for secs, condition, state in (
        (0, C, F),
        (59, C, F),
        (60, H, F),
        (61, C, F),
        (100, U, F),
        (110, C, F),
        (170, C, R),
    ):
        alert = step(alert, _seen(condition), at(secs))
        assert alert is not None
        assert alert.state is state, secs


@pytest.mark.parametrize(
    ("state", "latched", "after"), [(P, False, R), (F, False, R), (F, True, F), (A, True, R), (A, False, R)]
)
def test_an_alert_whose_subject_is_gone_ends_unless_a_person_must_see_it(
    state: AlertState, latched: bool, after: AlertState
) -> None:
    assert leave(_alert(state), rule(latched=latched), at(5)).state is after


def test_an_alert_whose_rule_is_gone_ends() -> None:
    assert leave(_alert(F), None, at(5)).state is R


def test_only_a_firing_alert_can_be_acknowledged_and_only_by_somebody() -> None:
    taken = acknowledge(_alert(F), "ada")
    assert (taken.state, taken.acknowledged_by) == (A, "ada")
    for state in (P, A, R):
        with pytest.raises(RejectedError, match=state.value):
            acknowledge(_alert(state), "ada")
    with pytest.raises(ConfigurationError, match="--by"):
        acknowledge(_alert(F), "  ")
