"""What alert rules can be about: metric names, their unit and meaning. `docs/alerts.md` shows this very table.

The last hour is an hour of the market's time (of the deployment's last bar), so it means the same on a replayed clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """What one observation of a metric is about."""

    DEPLOYMENT = "DEPLOYMENT"
    """A deployment that should be running."""
    INCIDENT = "INCIDENT"
    """One incident of the last ten minutes, whatever it is about."""
    CHANNEL = "CHANNEL"
    """A channel that alerts are delivered on."""


@dataclass(frozen=True, slots=True)
class AlertMetric:
    scope: Scope
    unit: str
    meaning: str


def _deployment(unit: str, meaning: str) -> AlertMetric:
    return AlertMetric(Scope.DEPLOYMENT, unit, meaning)


ALERT_METRICS: Mapping[str, AlertMetric] = MappingProxyType(
    {
        "win_rate": _deployment("fraction", "trades won (net of fees and funding) among closed trades"),
        "drawdown": _deployment("fraction", "fall of equity from its high-water mark"),
        "daily_loss": _deployment("fraction", "fall of equity since 00:00 UTC of the venue's day"),
        "equity_fraction": _deployment("fraction", "equity over the deployment's capital"),
        "leverage": _deployment("ratio", "value of all positions at their last fill's price over equity"),
        "liquidations": _deployment("count", "orders by which the exchange closed a position, in the last hour"),
        "worst_slippage": _deployment(
            "fraction", "farthest a market order filled from its deciding price, to its disadvantage, in the last hour"
        ),
        "reject_rate": _deployment("fraction", "orders the venue refused among those sent, in the last hour"),
        "api_errors": _deployment("count", "orders whose sending had an unknown outcome, in the last hour"),
        "reconnects": _deployment("count", "streams opened again within the last hour of our clock"),
        "heartbeat_age_secs": _deployment("seconds", "time since the engine's last sign of life"),
        "feed_faults": _deployment("count", "conditions that are wrong with the feed now (silent, stale, late, gaps)"),
        "feed_uptime": _deployment("fraction", "share of time in which the feed was live"),
        "halted": _deployment("0 or 1", "1 while the trading state that applies is HALTED"),
        "critical_incident": AlertMetric(Scope.INCIDENT, "0 or 1", "1 for an incident of severity CRITICAL"),
        "warning_incident": AlertMetric(Scope.INCIDENT, "0 or 1", "1 for an incident of severity WARNING"),
        "overdue_secs": AlertMetric(Scope.CHANNEL, "seconds", "how long the oldest undelivered message has been due"),
    }
)
