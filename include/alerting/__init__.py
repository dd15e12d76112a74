"""Alerts: rules over facts, the life of an alert, and what is said about it to whom. Pure rules; no I/O.

`observe` turns facts into observations, `step` moves alerts by them, `due` says what is to be told, and the outbox
(`ports.Outbox`) and the sender (`include.notifications`) do the telling. See `docs/alerts.md`.
"""

from include.alerting.observing import Condition, Fact, Observation, Snapshot, observe
from include.alerting.policy import CHANNELS, AlertPolicy, AlertRule, load_policy
from include.alerting.stepping import acknowledge, leave, step
from include.alerting.telling import Audience, Due, due, release
from include.alerting.wording import build_notice, merge_notices

__all__ = [
    "CHANNELS",
    "AlertPolicy",
    "AlertRule",
    "Audience",
    "Condition",
    "Due",
    "Fact",
    "Observation",
    "Snapshot",
    "acknowledge",
    "build_notice",
    "due",
    "leave",
    "load_policy",
    "merge_notices",
    "observe",
    "release",
    "step",
]
