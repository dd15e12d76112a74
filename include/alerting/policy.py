"""`alerts.yaml`: the rules and how their alerts are told. Unknown keys, wrong types and contradictions are refused."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator

from include.alerting.metrics import ALERT_METRICS, Scope
from include.domain.enums import Mode, Severity
from include.domain.errors import ConfigurationError
from include.domain.ids import digest
from include.domain.reason_codes import AlertCode
from include.qualification.profile import Document, load_yaml, one_line

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Seconds = Annotated[int, Field(ge=0)]
ByName = Field(strict=False)
CHANNELS = ("log", "slack", "telegram", "email", "sms", "webhook")
"""Every channel there is; which of them are set up is a matter of settings. The log always is."""


class Compare(StrEnum):
    """How a value is wrong."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


_OPERATORS: Mapping[Compare, Callable[[float, float], bool]] = MappingProxyType(
    {
        Compare.ABOVE: operator.gt,
        Compare.AT_LEAST: operator.ge,
        Compare.BELOW: operator.lt,
        Compare.AT_MOST: operator.le,
    }
)


class AlertRule(Document):
    """When to call people, about what, and what they should do."""

    name: Name
    """Part of every alert's identity: renaming a rule ends its alerts and begins others."""
    code: Annotated[AlertCode, ByName]
    severity: Annotated[Severity, ByName]
    metric: str
    op: Annotated[Compare, ByName]
    threshold: float
    clear: float | None = None
    """Level that ends an alert, on the good side of `threshold`; the threshold itself when not given."""
    hold_secs: Seconds = 0
    """How long it must be so before anybody is told."""
    clear_for_secs: Seconds = 60
    """How long it must be over before the alert is."""
    min_samples: Annotated[int, Field(ge=0)] = 0
    """Fewer observations behind the value say nothing, neither good nor bad."""
    missing_after_secs: Seconds = 300
    """How long the value may be unknown before that is an alert itself."""
    latched: bool = False
    """The alert ends only after a person has acknowledged it."""
    modes: list[Annotated[Mode, ByName]] = [Mode.LIVE]
    deployments: list[str] = []
    """Ids, or beginnings of ids, of the deployments it is for; all when empty."""
    advice: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _makes_sense(self) -> AlertRule:
        if self.metric not in ALERT_METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; known: {', '.join(sorted(ALERT_METRICS))}")
        if self.clear is not None and self.is_beyond(self.clear, self.threshold):
            raise ValueError(f"clear {self.clear:g} lies on the bad side of the threshold {self.threshold:g}")
        if self.code is AlertCode.DATA_MISSING:
            raise ValueError("DATA_MISSING is what Airlock adds to every rule; choose another code")
        return self

    @property
    def scope(self) -> Scope:
        return ALERT_METRICS[self.metric].scope

    def is_beyond(self, value: float, level: float) -> bool:
        """True when `value` is wrong measured against `level`."""
        return _OPERATORS[self.op](value, level)


class Level(Document):
    """A step of the escalation: who hears of an alert that nobody has acknowledged."""

    after_secs: Seconds
    channels: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]

    @field_validator("channels")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if unknown := sorted(set(value) - set(CHANNELS)):
            raise ValueError(f"unknown channel {', '.join(unknown)}; known: {', '.join(CHANNELS)}")
        return value


class Telling(Document):
    """How alerts of one severity are told."""

    levels: Annotated[list[Level], Field(min_length=1)]
    repeat_secs: Seconds = 0
    """Level 0 hears again after so long while nobody has acknowledged; 0 for never."""
    pace_secs: Seconds
    """At most one message in so long on a channel; what comes in between is gathered into the next one."""
    gather_secs: Seconds = 0
    """How long the first alert waits for others like it."""
    expires_after_secs: Seconds = 0
    """Undelivered for so long, it is not worth telling any more; 0 for never."""

    @model_validator(mode="after")
    def _levels_grow(self) -> Telling:
        delays = [level.after_secs for level in self.levels]
        if delays[0] != 0 or delays != sorted(set(delays)):
            raise ValueError("levels: after_secs must begin with 0 and grow")
        return self


class QuietHours(Document):
    """When people are asleep: what may wait is told when they end."""

    begin: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    severities: list[Annotated[Severity, ByName]]

    @model_validator(mode="after")
    def _critical_never_waits(self) -> QuietHours:
        if Severity.CRITICAL in self.severities:
            raise ValueError("severities: CRITICAL never waits")
        if self.begin == self.end:
            raise ValueError("begin and end are the same time; leave quiet_hours out for none")
        return self

    def release(self, severity: Severity, now: datetime, zone: ZoneInfo) -> datetime:
        """When something may be told: `now`, or the end of the quiet hours it falls into (local time, so that a
        change of the clocks moves nobody's morning)."""
        if severity not in self.severities:
            return now
        local = now.astimezone(zone)
        begin, end, at = time.fromisoformat(self.begin), time.fromisoformat(self.end), local.time()
        overnight = begin > end
        if not ((at >= begin or at < end) if overnight else begin <= at < end):
            return now
        day = local.date() + timedelta(days=1 if overnight and at >= begin else 0)
        return max(datetime.combine(day, end, tzinfo=zone).astimezone(UTC), now)


class AlertPolicy(Document):
    """The whole document; `hash` names its exact content."""

    version: Annotated[int, Field(ge=1)]
    quiet_hours: QuietHours | None = None
    telling: dict[Annotated[Severity, ByName], Telling]
    rules: Annotated[list[AlertRule], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> AlertPolicy:
        if missing := [severity.value for severity in Severity if severity not in self.telling]:
            raise ValueError(f"telling: {', '.join(missing)} is missing; an alert nobody hears is none")
        if self.telling[Severity.CRITICAL].expires_after_secs:
            raise ValueError("telling: CRITICAL: expires_after_secs must be 0; a critical alert is never dropped")
        names = [rule.name for rule in self.rules]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules: {', '.join(repeated)} is there more than once")
        return self

    @property
    def hash(self) -> str:
        return digest(self.model_dump(mode="json"))


def load_policy(path: Path) -> AlertPolicy:
    """Read and validate alert rules.

    Raises:
        ConfigurationError: file, key and reason in one line.
    """
    try:
        return AlertPolicy.model_validate(load_yaml(path))
    except ValidationError as error:
        raise ConfigurationError(one_line(error, str(path))) from None
