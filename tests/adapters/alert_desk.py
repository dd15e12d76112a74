"""Small pieces for tests of alerts: rules, observations, an audience, and channels that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.alerting import AlertPolicy, AlertRule, Audience, Fact, Snapshot
from include.alerting.metrics import Scope
from include.domain.alerts import Outcome, Silence
from include.domain.enums import Mode
from include.notifications import Receipt
from include.notifications.channel import DELIVERED
from include.ports import Notice

START = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
SUBJECT = "deployment:d1"


def at(secs: float) -> datetime:
    return START + timedelta(seconds=secs)


def rule_document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "drawdown", "code": "DRAWDOWN_HIGH", "severity": "CRITICAL", "metric": "drawdown", "op": ">",
        "threshold": 0.08, "clear": 0.06, "clear_for_secs": 60, "advice": "halt", **changes,
    }  # fmt: skip


def rule(**changes: Any) -> AlertRule:
    return AlertRule.model_validate(rule_document(**changes))


def policy_document(**changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "telling": {
            "CRITICAL": {
                "levels": [
                    {"after_secs": 0, "channels": ["slack", "email"]},
                    {"after_secs": 300, "channels": ["telegram"]},
                    {"after_secs": 900, "channels": ["sms"]},
                ],
                "repeat_secs": 1_800,
                "pace_secs": 15,
            },
            "WARNING": {
                "levels": [{"after_secs": 0, "channels": ["slack"]}], "pace_secs": 60, "gather_secs": 10,
                "expires_after_secs": 3_600,
            },
            "INFO": {"levels": [{"after_secs": 0, "channels": ["slack"]}], "pace_secs": 30, "expires_after_secs": 60},
        },
        "rules": [rule_document()],
        **changes,
    }  # fmt: skip


def audience(
    *, channels: Sequence[str] = ("log", "slack", "email", "telegram", "sms"), silences: Sequence[Silence] = (),
    zone: str = "UTC", **changes: Any,
) -> Audience:  # fmt: skip
    policy = AlertPolicy.model_validate(policy_document(**changes))
    return Audience(policy, frozenset(channels), tuple(silences), ZoneInfo(zone))


def snapshot(
    value: float | None, *, metric: str = "drawdown", samples: int = 0, subject: str = SUBJECT, mode: Mode = Mode.LIVE
) -> Snapshot:
    return Snapshot(Scope.DEPLOYMENT, subject, {metric: Fact(value, samples)}, mode)


@dataclass(slots=True)
class ScriptedChannel:
    """Answers with the receipts it was given, then always delivers; `during` runs while a message is on its way."""

    name: str = "slack"
    receipts: list[Receipt] = field(default_factory=list)
    heard: list[tuple[Notice, ...]] = field(default_factory=list)
    repeats: list[bool] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    """Titles of what may have arrived."""
    during: Callable[[], object] = lambda: None

    def deliver(self, notices: Sequence[Notice], *, repeated: bool = False) -> Receipt:
        self.during()
        receipt = self.receipts.pop(0) if self.receipts else DELIVERED
        if receipt.delivered:
            self.heard.append(tuple(notices))
            self.repeats.append(repeated)
        elif receipt.outcome is Outcome.UNKNOWN:
            self.uncertain += [notice.title for notice in notices]
        return receipt

    @property
    def titles(self) -> list[str]:
        return [notice.title for message in self.heard for notice in message]


@dataclass(slots=True)
class Clock:
    """Time that moves when told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, secs: float) -> datetime:
        self.now += timedelta(seconds=secs)
        return self.now
