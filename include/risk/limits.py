"""A profile's risk limits as exact decimals: the form in which the gate compares them with money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from include.domain.errors import ConfigurationError
from include.qualification.profile import RiskLimits, RiskOverrides

RATE_WINDOW = timedelta(seconds=60)
_LARGER_IS_STRICTER = frozenset(
    {"min_liquidation_distance_fraction", "price_move_bars", "duplicate_window_secs", "repeat_window_minutes"}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate enforces. Fractions are of the deployment's equity; what each means is said once, in
    `qualification.profile`. None stands for "not enforced", as False does."""

    max_position_fraction: Decimal
    max_leverage: Decimal
    max_daily_loss_fraction: Decimal
    max_drawdown_fraction: Decimal
    max_orders_per_minute: int
    price_collar_fraction: Decimal
    max_bar_age_bars: int
    max_open_positions: int | None = None
    max_asset_fraction: Decimal | None = None
    max_sector_fraction: Decimal | None = None
    sectors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    max_net_fraction: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_order_fraction: Decimal | None = None
    max_set_leverage: int | None = None
    max_margin_fraction: Decimal | None = None
    check_balance: bool = False
    min_liquidation_distance_fraction: Decimal | None = None
    stop_before_liquidation: bool = False
    max_price_move_fraction: Decimal | None = None
    price_move_bars: int = 5
    max_messages_per_minute: int | None = None
    duplicate_window_secs: int | None = None
    max_rolling_loss_fraction: Decimal | None = None
    max_consecutive_losses: int | None = None
    max_trades_per_day: int | None = None
    max_repeated_trades: int | None = None
    repeat_window_minutes: int = 60
    breaker_marks: int | None = None
    check_models: bool = False


def build_limits(rules: RiskLimits, *, live: bool = False) -> Limits:
    """Limits of a profile; each float becomes the decimal that was written in the file.

    Args:
        live: with what the profile asks of LIVE deployments on top.
    """
    limits = Limits(**_given(rules))
    return tighten(limits, rules.live) if live and rules.live is not None else limits


def tighten(limits: Limits, more: RiskOverrides) -> Limits:
    """The stricter of two, limit by limit: what is asked on top never allows anything that was not allowed before.

    Raises:
        ConfigurationError: an asset is in another sector on top; which of the two is right is not ours to say.
    """
    changes: dict[str, Any] = {}
    for name, value in _given(more).items():
        old = getattr(limits, name)
        if name == "sectors":
            changes[name] = _joined(old, value)
        elif old is None or isinstance(value, bool):
            changes[name] = value
        else:
            changes[name] = max(old, value) if name in _LARGER_IS_STRICTER else min(old, value)
    return replace(limits, **changes)


def _given(rules: RiskLimits | RiskOverrides) -> dict[str, Any]:
    """What a document sets, exactly."""
    values = {item.name: getattr(rules, item.name) for item in fields(Limits)}
    return {name: _exact(value) for name, value in values.items() if value is not None}


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    return MappingProxyType(dict(value)) if isinstance(value, Mapping) else value


def _joined(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    moved = sorted(asset for asset in old.keys() & new.keys() if old[asset] != new[asset])
    if moved:
        raise ConfigurationError(f"risk limits: {', '.join(moved)}: already in another sector; give each asset one")
    return MappingProxyType({**old, **new})
