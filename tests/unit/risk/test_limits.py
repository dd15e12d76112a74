"""Limits of profile, mode, environment, account and deployment: the strictest holds."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.config.files import find_profile, shipped
from include.config.risk_limits import deployment_limits, load_risk_limits
from include.domain.enums import Mode
from include.domain.errors import ConfigurationError
from include.qualification.profile import OptionalLimits, RiskLimits, RiskOverrides
from include.risk.limits import Limits, build_limits, tighten
from tests.adapters.engines import churn_candidate, replay_deployment
from tests.adapters.questions import ALL_LIMITS, LIMITS

TIGHTENED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a limit that was not there", {"max_open_positions": 2}, {"max_open_positions": 2}),
    ("a stricter one", {"max_position_fraction": 0.05}, {"max_position_fraction": Decimal("0.05")}),
    ("a looser one changes nothing", {"max_position_fraction": 0.5}, {}),
    ("further from liquidation", {"min_liquidation_distance_fraction": 0.3},
     {"min_liquidation_distance_fraction": Decimal("0.3")}),
    ("a longer look back", {"repeat_window_minutes": 90}, {"repeat_window_minutes": 90}),
    ("a shorter look back changes nothing", {"repeat_window_minutes": 30}, {}),
    ("fewer orders", {"max_orders_per_minute": 2}, {"max_orders_per_minute": 2}),
    ("a check that was off", {"check_balance": True}, {"check_balance": True}),
    ("one more asset", {"sectors": {"SOL": "two"}}, {"sectors": {"SOL": "two"}}),
]  # fmt: skip


@pytest.mark.parametrize(("more", "changes"), [row[1:] for row in TIGHTENED], ids=[row[0] for row in TIGHTENED])
def test_what_is_asked_on_top_only_ever_tightens(more: dict[str, Any], changes: dict[str, Any]) -> None:
    assert tighten(LIMITS, RiskOverrides(**more)) == replace(LIMITS, **changes)


def test_an_asset_in_two_sectors_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="BTC"):
        tighten(ALL_LIMITS, RiskOverrides(sectors={"BTC": "two"}))


def test_every_limit_of_a_profile_reaches_the_gate() -> None:
    assert {field.name for field in fields(Limits)} == set(RiskLimits.model_fields) - {"live"}
    assert set(RiskOverrides.model_fields) == set(RiskLimits.model_fields) - {"live"}
    assert set(OptionalLimits.model_fields) < set(RiskOverrides.model_fields)


@pytest.mark.parametrize("name", shipped("profiles"))
def test_a_simulation_knows_only_the_limits_the_backtest_was_measured_beside(name: str) -> None:
    rules = find_profile(name).risk
    simulated, live = build_limits(rules), build_limits(rules, live=True)
    optional = [field for field in fields(Limits) if field.name in OptionalLimits.model_fields]
    assert all(getattr(simulated, field.name) in (field.default, {}) for field in optional)
    assert live.min_liquidation_distance_fraction == Decimal("0.15")
    assert live.max_rolling_loss_fraction == live.max_daily_loss_fraction
    assert live.max_leverage == 3


def test_a_limit_that_a_profile_does_not_use_does_not_change_its_hash() -> None:
    profile = find_profile("five-year")
    explicit = profile.model_copy(update={"risk": profile.risk.model_copy(update={"max_open_positions": None})})
    assert explicit.hash == profile.hash
    used = profile.model_copy(update={"risk": profile.risk.model_copy(update={"max_open_positions": 3})})
    assert used.hash != profile.hash


def test_environment_account_and_deployment_add_up(tmp_path: Path) -> None:
    deployment = replay_deployment(churn_candidate(), 60)
    path = tmp_path / "limits.yaml"
    path.write_text(
        "environments: {production: {max_open_positions: 5}}\n"
        f"accounts: {{{deployment.connection.account}: {{max_open_positions: 4, max_leverage: 1.0}}}}\n"
        f'deployments: {{"{deployment.id[:12]}": {{max_open_positions: 9}}, "000000000000": {{max_leverage: 0.1}}}}\n'
    )
    profile = find_profile("five-year")
    limits = deployment_limits("production", profile, deployment, path)
    assert (limits.max_open_positions, limits.max_leverage) == (4, Decimal(1))
    assert limits.max_position_fraction == Decimal("0.1")
    live = deployment_limits("dev", profile, replace(deployment, mode=Mode.LIVE), path)
    assert (live.max_open_positions, live.max_consecutive_losses) == (4, 5)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("acounts: {}", "acounts"),
        ("environments: {prod: {max_leverage: 1.0}}", "prod"),
        ("accounts: {main: {max_leverge: 1.0}}", "max_leverge"),
        ("deployments: {abc: {max_leverage: 1.0}}", "12 digits"),
        ("accounts: {main: {check_balance: false}}", "check_balance"),
    ],
)
def test_a_limits_file_that_is_not_understood_is_refused(text: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=wrong):
        load_risk_limits(path)


def test_a_limits_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_risk_limits(tmp_path / "nowhere.yaml")


def test_the_shipped_limits_file_reads() -> None:
    load_risk_limits()
