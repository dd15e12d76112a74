"""Rules against facts: holds, clear, unknown; and missing data as a condition of its own."""

from __future__ import annotations

from typing import Any

import pytest

from include.alerting import Condition, observe
from include.domain.alerts import fingerprint
from include.domain.enums import Mode
from include.domain.reason_codes import AlertCode
from tests.adapters.alert_desk import SUBJECT, rule, snapshot

H, C, U = Condition.HOLDS, Condition.CLEAR, Condition.UNKNOWN
_OPEN = frozenset({fingerprint("drawdown", SUBJECT, missing=False)})


@pytest.mark.parametrize(
    ("changes", "value", "samples", "is_open", "own", "missing"),
    [
        # op > 0.08, clear 0.06
        ({}, 0.09, 0, False, H, C),
        ({}, 0.08, 0, False, C, C),
        ({}, 0.07, 0, False, C, C),
        ({}, 0.07, 0, True, H, C),  # between the levels an alert that is open stays
        ({}, 0.06, 0, True, C, C),
        ({"clear": None}, 0.08, 0, True, C, C),
        ({"op": ">=", "clear": None}, 0.08, 0, False, H, C),
        ({"op": "<", "clear": 0.09}, 0.07, 0, False, H, C),
        ({"op": "<", "clear": 0.09}, 0.085, 0, False, C, C),
        ({"op": "<", "clear": 0.09}, 0.085, 0, True, H, C),
        ({"op": "<=", "clear": None}, 0.08, 0, False, H, C),
        # what is not known neither holds nor is over
        ({}, None, 0, False, U, H),
        ({}, None, 0, True, U, H),
        ({}, float("nan"), 0, False, U, H),
        ({}, float("inf"), 0, False, U, H),
        # too few observations say nothing, and are no missing data either
        ({"min_samples": 20}, 0.5, 19, False, C, C),
        ({"min_samples": 20}, 0.5, 20, False, H, C),
        ({"min_samples": 20}, None, 0, False, C, C),
        ({"min_samples": 20}, None, 20, False, U, H),
    ],
)
def test_a_rule_is_judged_as_the_table_says(
    changes: dict[str, Any], value: float | None, samples: int, is_open: bool, own: Condition, missing: Condition
) -> None:
    seen = observe([rule(**changes)], [snapshot(value, samples=samples)], _OPEN if is_open else frozenset())
    assert [(item.missing, item.condition) for item in seen] == [(False, own), (True, missing)]


def test_a_metric_that_is_not_in_the_snapshot_is_missing_data() -> None:
    _, missing = observe([rule(metric="daily_loss")], [snapshot(0.0)], frozenset())
    assert (missing.condition, missing.code) == (H, AlertCode.DATA_MISSING)
    assert "daily_loss is not known" in missing.summary


@pytest.mark.parametrize(
    ("changes", "mode", "count"),
    [
        ({}, Mode.LIVE, 2),
        ({}, Mode.SIMULATION, 0),
        ({"modes": ["LIVE", "SIMULATION"]}, Mode.SIMULATION, 2),
        ({"deployments": ["d1"]}, Mode.LIVE, 2),
        ({"deployments": ["d"]}, Mode.LIVE, 2),
        ({"deployments": ["d2"]}, Mode.LIVE, 0),
        ({"metric": "critical_incident"}, Mode.LIVE, 0),
    ],
)
def test_a_rule_is_about_the_deployments_it_names(changes: dict[str, Any], mode: Mode, count: int) -> None:
    assert len(observe([rule(**changes)], [snapshot(0.0, mode=mode)], frozenset())) == count


def test_identities_tell_rule_subject_and_kind_apart_and_nothing_else() -> None:
    rules = [rule(), rule(name="other")]
    seen = observe(rules, [snapshot(0.0), snapshot(0.5, subject="deployment:d2")], frozenset())
    assert len({item.fingerprint for item in seen}) == len(seen) == 8
    again = observe(rules, [snapshot(0.3)], frozenset())
    assert {item.fingerprint for item in again} < {item.fingerprint for item in seen}
