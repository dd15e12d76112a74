"""Rules against facts: which conditions hold, which do not, and which cannot be judged. Pure.

Every rule yields two conditions on each subject it applies to: its own, and that its value is not known. So missing
data is told like anything else, and while it is missing the rule's own condition is neither begun nor ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from include.alerting.metrics import ALERT_METRICS, Scope
from include.alerting.policy import AlertRule
from include.domain.alerts import fingerprint
from include.domain.enums import Mode
from include.domain.reason_codes import AlertCode


@dataclass(frozen=True, slots=True)
class Fact:
    """A measured value, how many observations are behind it, and words. None: it should be known and is not."""

    value: float | None
    samples: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known about one subject at one instant, by metric."""

    scope: Scope
    subject: str
    facts: Mapping[str, Fact]
    mode: Mode | None = None
    """Of a deployment; None for what has none."""
    label: str = ""
    """What people call the subject."""


class Condition(StrEnum):
    HOLDS = "HOLDS"
    CLEAR = "CLEAR"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Observation:
    """One condition on one subject, as seen now."""

    rule: AlertRule
    subject: str
    missing: bool
    """The condition is that the value is not known."""
    condition: Condition
    summary: str
    fingerprint: str = field(default="")

    @property
    def code(self) -> AlertCode:
        return AlertCode.DATA_MISSING if self.missing else self.rule.code

    @property
    def hold_secs(self) -> int:
        return self.rule.missing_after_secs if self.missing else self.rule.hold_secs


_NOTHING = Fact(None)
_UNITS: Mapping[str, str] = MappingProxyType({"heartbeat_age_secs": "s", "overdue_secs": "s"})


def observe(
    rules: Sequence[AlertRule], snapshots: Iterable[Snapshot], open_fingerprints: frozenset[str]
) -> list[Observation]:
    """Both conditions of every rule on every subject it applies to, in a fixed order.

    Args:
        open_fingerprints: of alerts that are open: for those the clear level counts, not the threshold.
    """
    return [
        observation
        for snapshot in snapshots
        for rule in rules
        if applies(rule, snapshot)
        for observation in _observe_one(rule, snapshot, open_fingerprints)
    ]


def applies(rule: AlertRule, snapshot: Snapshot) -> bool:
    """Whether a rule is about this subject."""
    if rule.scope is not snapshot.scope:
        return False
    if snapshot.mode is not None and snapshot.mode not in rule.modes:
        return False
    deployment = snapshot.subject.removeprefix("deployment:")
    return not rule.deployments or any(deployment.startswith(wanted) for wanted in rule.deployments)


def _observe_one(rule: AlertRule, snapshot: Snapshot, open_fingerprints: frozenset[str]) -> list[Observation]:
    fact = snapshot.facts.get(rule.metric, _NOTHING)
    own = fingerprint(rule.name, snapshot.subject, missing=False)
    lack = fingerprint(rule.name, snapshot.subject, missing=True)
    name = snapshot.label or snapshot.subject
    known = fact.value is not None and math.isfinite(fact.value)
    too_few = fact.samples < rule.min_samples
    unknown = not known and not too_few
    condition = _judge(rule, fact, is_open=own in open_fingerprints) if known else Condition.UNKNOWN
    if too_few:
        condition = Condition.CLEAR
    summary = f"{name}: {rule.metric} is not known, so {rule.name} cannot be judged"
    return [
        Observation(rule, snapshot.subject, False, condition, _words(rule, fact, name), own),
        Observation(
            rule, snapshot.subject, True, Condition.HOLDS if unknown else Condition.CLEAR,
            f"{summary} ({fact.note})" if fact.note else summary, lack,
        ),
    ]  # fmt: skip


def _judge(rule: AlertRule, fact: Fact, *, is_open: bool) -> Condition:
    assert fact.value is not None  # noqa: S101 - the caller has looked
    level = rule.clear if is_open and rule.clear is not None else rule.threshold
    return Condition.HOLDS if rule.is_beyond(fact.value, level) else Condition.CLEAR


def _words(rule: AlertRule, fact: Fact, name: str) -> str:
    if ALERT_METRICS[rule.metric].unit == "0 or 1":
        return f"{name}; {fact.note}" if fact.note else name
    value = "not known" if fact.value is None else _number(rule.metric, fact.value)
    text = f"{name}: {rule.metric} {value} (limit {rule.op.value} {_number(rule.metric, rule.threshold)})"
    return f"{text}; {fact.note}" if fact.note else text


def _number(metric: str, value: float) -> str:
    if ALERT_METRICS[metric].unit == "fraction":
        return f"{value:.2%}"
    unit = _UNITS.get(metric, "")
    return f"{value:,.4g} {unit}".strip() if abs(value) < 10_000 else f"{value:,.0f} {unit}".strip()
