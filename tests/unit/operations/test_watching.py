"""Watches on sessions: over, silent or in breach; an unknown is trouble, never a pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from include.domain.deployments import Deployment, Heartbeat, VenueConnection, VenueKind
from include.domain.enums import DeploymentStatus, DesiredState, Mode, TradingState
from include.operations.watching import SILENT_AFTER, START_GRACE, evaluate_breach, evaluate_end, evaluate_silence
from include.risk.limits import Limits
from include.stages.live import DeploymentHealth

NOW = datetime(2026, 1, 1, tzinfo=UTC)
S, D = DeploymentStatus, DesiredState
RUNNING = Deployment(
    id="d" * 64, candidate_id="c" * 64, profile="p", profile_hash="h", mode=Mode.LIVE,
    connection=VenueConnection(VenueKind.SANDBOX, "synthetic", "sandbox", "http://127.0.0.1:1"),
    capital=Decimal(1000), capital_fraction=Decimal("0.1"), session_key="k", desired=D.RUNNING, status=S.RUNNING,
    status_reason="", created_at=NOW,
)  # fmt: skip
HEALTH = DeploymentHealth(
    deployment_id="d" * 64, candidate_id="c" * 64, mode=Mode.LIVE, desired=D.RUNNING, status=S.RUNNING,
    status_reason="", state=TradingState.ACTIVE, heartbeat_age_secs=1.0, event_time=NOW, bars=10, progress=0.0,
    capital=Decimal(1000), equity=Decimal(1000), high_water=Decimal(1000), drawdown=0.0, daily_loss=0.0,
    net_profit=Decimal(0), orders=0, denied=0, rejected=0, fills=0, working=0, positions={}, critical_incidents=0,
)  # fmt: skip
LIMITS = Limits(
    max_position_fraction=Decimal("0.1"), max_leverage=Decimal(3), max_daily_loss_fraction=Decimal("0.02"),
    max_drawdown_fraction=Decimal("0.1"), max_orders_per_minute=60, price_collar_fraction=Decimal("0.05"),
    max_bar_age_bars=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "desired", "outcome"),
    [
        (S.PENDING, D.RUNNING, None),
        (S.RUNNING, D.RUNNING, None),
        (S.RUNNING, D.STOPPED, None),  # still winding down
        (S.STOPPED, D.RUNNING, None),  # about to start again
        (S.PENDING, D.STOPPED, "STOPPED"),
        (S.STOPPED, D.STOPPED, "STOPPED"),
        (S.COMPLETED, D.RUNNING, "COMPLETED"),
        (S.FAILED, D.RUNNING, "FAILED"),
        (S.FAILED, D.STOPPED, "FAILED"),
    ],
)
def test_a_session_is_over_by_status_and_wish_together(status, desired, outcome) -> None:
    answer = evaluate_end(replace(RUNNING, status=status, desired=desired))
    assert (answer and answer["outcome"]) == outcome


def beat(seconds_ago: float) -> Heartbeat:
    return Heartbeat("d" * 64, NOW - timedelta(seconds=seconds_ago), NOW, 5, 0.0)


LONG_AGO = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("heartbeat", "since", "trouble"),
    [
        (beat(1), LONG_AGO, False),
        (beat(SILENT_AFTER.total_seconds() + 1), LONG_AGO, True),
        (None, NOW - START_GRACE / 2, False),
        (None, NOW - START_GRACE - timedelta(seconds=1), True),
        # A beat from before the watch began says nothing about now, so the start's patience applies.
        (beat(3600), NOW - START_GRACE / 2, False),
        (beat(3600), NOW - START_GRACE - timedelta(seconds=1), True),
    ],
)
def test_silence_is_trouble(heartbeat, since, trouble: bool) -> None:
    answer = evaluate_silence(RUNNING, heartbeat, since, NOW)
    assert (answer is not None) is trouble
    if answer:
        assert answer["outcome"] == "TROUBLE"


def test_a_session_that_is_over_may_be_silent() -> None:
    over = replace(RUNNING, status=S.COMPLETED)
    assert evaluate_silence(over, None, LONG_AGO, NOW)["outcome"] == "COMPLETED"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"state": TradingState.REDUCE_ONLY}, None),
        ({"state": TradingState.HALTED}, "STATE_HALTED"),
        ({"drawdown": 0.0999}, None),
        ({"drawdown": 0.10}, "DRAWDOWN_LIMIT"),
        ({"daily_loss": 0.02}, "LOSS_DAILY"),
        ({"daily_loss": -0.5}, None),
        ({"drawdown": float("nan")}, "DRAWDOWN_LIMIT"),
        ({"drawdown": None, "daily_loss": None}, None),
    ],
)
def test_a_breach_is_named_by_its_reason_code(changes: dict, code: str | None) -> None:
    answer = evaluate_breach(replace(HEALTH, **changes), LIMITS)
    assert (answer and answer["reason"].split()[0]) == code
