"""Rules over all deployments of one account together, as pure functions of one snapshot.

A deployment that stays within its own limits can still add up with others to more than the account should bear. What a
rule needs and does not have is a reason, as in the gate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType

from include.domain.reason_codes import AccountCode
from include.risk.exposure import base_asset

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """One deployment at the instant of the snapshot, quote currency."""

    name: str
    equity: Decimal | None
    positions: Mapping[str, Decimal]
    """Signed quantity by symbol."""
    marks: Mapping[str, Decimal]
    daily_returns: Mapping[date, float]
    """Return of each finished UTC day, as a fraction."""


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """An account with everything that trades on it."""

    deployments: Sequence[DeploymentView]
    high_water: Decimal | None
    """Highest sum of the deployments' equity so far."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Limits of an account; fractions of the deployments' equity together. None stands for "not enforced"."""

    max_gross_fraction: Decimal | None = None
    max_net_fraction: Decimal | None = None
    max_sector_fraction: Decimal | None = None
    sectors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    max_drawdown_fraction: Decimal | None = None
    max_correlation: float | None = None
    """Of two deployments' daily returns (Pearson), at most; opposite ones are not a danger but a hedge."""
    min_days: int = 20
    """Days that two deployments must have in common before their correlation says anything; until then it is not known,
    and what is not known is above the limit."""


@dataclass(frozen=True, slots=True)
class AccountReason:
    """A code and its context as `key=value` words."""

    code: AccountCode
    context: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.context}".strip()


def judge_account(snapshot: AccountSnapshot, limits: AccountLimits) -> tuple[AccountReason, ...]:
    """Every limit of the account that is broken, or cannot be judged."""
    exposures, unknown = _exposures(snapshot)
    equities = [deployment.equity for deployment in snapshot.deployments]
    known = [equity for equity in equities if equity is not None and equity.is_finite()]
    equity = sum(known, ZERO)
    if unknown or len(known) < len(equities) or equity <= 0:
        unknown += [d.name for d in snapshot.deployments if d.equity is None or not d.equity.is_finite()]
        names = ",".join(sorted(set(unknown))) or "none"
        return (AccountReason(AccountCode.SNAPSHOT_INCOMPLETE, f"unknown={names} equity={equity:.2f}"),)
    found = [
        _over(AccountCode.ACCOUNT_GROSS, sum(map(abs, exposures.values()), ZERO), limits.max_gross_fraction, equity),
        _over(AccountCode.ACCOUNT_NET, abs(sum(exposures.values(), ZERO)), limits.max_net_fraction, equity),
        _sector(exposures, limits, equity),
        _drawdown(snapshot.high_water, limits, equity),
        *_correlations(snapshot.deployments, limits),
    ]
    return tuple(reason for reason in found if reason is not None)


def correlation(first: Mapping[date, float], second: Mapping[date, float], min_days: int) -> float | None:
    """Pearson correlation of two series over the days they share; None below `min_days` or where one does not vary.

    Raises:
        ValueError: a return is not finite.
    """
    days = sorted(first.keys() & second.keys())
    a, b = [first[day] for day in days], [second[day] for day in days]
    if not all(map(math.isfinite, (*a, *b))):
        raise ValueError("a daily return is not finite")
    if len(days) < max(min_days, 2):
        return None
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    spread_a, spread_b = math.fsum((x - mean_a) ** 2 for x in a), math.fsum((y - mean_b) ** 2 for y in b)
    if spread_a <= 0 or spread_b <= 0:
        return None
    shared = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return shared / math.sqrt(spread_a) / math.sqrt(spread_b)


def _exposures(snapshot: AccountSnapshot) -> tuple[dict[tuple[str, str], Decimal], list[str]]:
    """Signed notional by deployment and symbol, and the deployments that cannot be valued.

    One-way accounts net positions of a symbol at the venue, but a strategy may leave at any time: each counts alone.
    """
    exposures: dict[tuple[str, str], Decimal] = {}
    unknown = []
    for deployment in snapshot.deployments:
        for symbol, quantity in deployment.positions.items():
            mark = deployment.marks.get(symbol)
            if mark is None or not mark.is_finite() or not quantity.is_finite() or mark <= 0:
                unknown.append(deployment.name)
                continue
            exposures[deployment.name, symbol] = quantity * mark
    return exposures, unknown


def _over(code: AccountCode, amount: Decimal, limit: Decimal | None, equity: Decimal) -> AccountReason | None:
    if limit is None or amount <= limit * equity:
        return None
    return AccountReason(code, f"notional={amount:.2f} equity={equity:.2f} limit={limit}")


def _sector(
    exposures: Mapping[tuple[str, str], Decimal], limits: AccountLimits, equity: Decimal
) -> AccountReason | None:
    limit = limits.max_sector_fraction
    if limit is None:
        return None
    sectors: dict[str, Decimal] = {}
    for (_, symbol), notional in exposures.items():
        sector = limits.sectors.get(base_asset(symbol))
        if sector is None:
            return AccountReason(AccountCode.ACCOUNT_SECTOR, f"sector=None asset={base_asset(symbol)}")
        sectors[sector] = sectors.get(sector, ZERO) + abs(notional)
    name, most = max(sectors.items(), key=lambda item: item[1], default=("none", ZERO))
    if most <= limit * equity:
        return None
    return AccountReason(AccountCode.ACCOUNT_SECTOR, f"sector={name} notional={most:.2f} limit={limit}")


def _drawdown(high: Decimal | None, limits: AccountLimits, equity: Decimal) -> AccountReason | None:
    limit = limits.max_drawdown_fraction
    if limit is None:
        return None
    if high is None or not high.is_finite() or high - equity >= limit * high:
        return AccountReason(AccountCode.ACCOUNT_DRAWDOWN, f"equity={equity:.2f} high_water={high} limit={limit}")
    return None


def _correlations(deployments: Sequence[DeploymentView], limits: AccountLimits) -> list[AccountReason]:
    if limits.max_correlation is None:
        return []
    reasons = []
    for one, two in combinations(deployments, 2):
        try:
            found = correlation(one.daily_returns, two.daily_returns, limits.min_days)
        except ValueError:
            found = math.nan
        if found is None or not found <= limits.max_correlation:
            shown = "None" if found is None else f"{found:.3f}"
            context = f"deployments={one.name},{two.name} correlation={shown} limit={limits.max_correlation}"
            reasons.append(AccountReason(AccountCode.RETURNS_CORRELATED, context))
    return reasons
