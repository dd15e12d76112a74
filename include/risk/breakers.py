"""The account guard: which limits shut a strategy down by themselves, and what then happens. Pure.

The gate refuses an order at the first close beyond a limit, which costs nothing if the price was wrong. A breaker takes
the strategy off the market, so it wants to see the breach several closes in a row: one bad price does not trip it.
What has happened for good (round trips) needs no second look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from include.domain.reason_codes import RiskCode
from include.domain.round_trips import RoundTrip
from include.risk import account_rules
from include.risk.limits import Limits
from include.risk.question import AccountView, Reason, Record

Measure = Callable[[Record], Reason | None]
ON_PRICE: Mapping[RiskCode, Measure] = MappingProxyType(
    {
        RiskCode.DRAWDOWN_LIMIT: account_rules.drawdown_limit,
        RiskCode.LOSS_ROLLING: account_rules.loss_rolling,
        RiskCode.LOSS_DAILY: account_rules.loss_daily,
    }
)
ON_FACTS: Mapping[RiskCode, Measure] = MappingProxyType(
    {
        RiskCode.LOSSES_CONSECUTIVE: account_rules.losses_consecutive,
        RiskCode.REPEATED_EXECUTION: account_rules.repeated_execution,
    }
)
LEAVES: frozenset[RiskCode] = frozenset({RiskCode.DRAWDOWN_LIMIT})
"""Breakers that also close what is held (R-2: drawdown exit)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An account at one close, as breakers see it."""

    account: AccountView
    limits: Limits
    round_trips: Sequence[RoundTrip]
    """Those that ended since a breaker last tripped."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Watch:
    """What the closes so far have come to: for each breaker on price, closes in a row beyond its limit."""

    beyond: Mapping[RiskCode, int]
    tripped: tuple[Reason, ...] = ()
    """Breakers that this close has tripped."""
    leaves: bool = False
    """Whether what is held must be closed; stays so for as long as the breach lasts."""


UNTOUCHED = Watch(MappingProxyType({}))


def is_armed(limits: Limits) -> bool:
    """Whether any breaker can trip under these limits."""
    return any(
        limit is not None for limit in (limits.breaker_marks, limits.max_consecutive_losses, limits.max_repeated_trades)
    )


def watch_breakers(mark: Mark, before: Watch) -> Watch:
    """Look at one more close.

    An account whose equity is not known neither confirms a breach nor clears one; what it must not do meanwhile is the
    gate's business, which denies.
    """
    beyond, tripped = dict(before.beyond), []
    needed = mark.limits.breaker_marks
    if needed is not None and mark.account.equity is not None:
        for code, measure in ON_PRICE.items():
            reason = measure(mark)
            beyond[code] = beyond.get(code, 0) + 1 if reason is not None else 0
            if reason is not None and beyond[code] == needed:
                tripped.append(reason)
    tripped += [reason for measure in ON_FACTS.values() if (reason := measure(mark)) is not None]
    leaves = needed is not None and any(beyond.get(code, 0) >= needed for code in LEAVES)
    return Watch(MappingProxyType(beyond), tuple(tripped), leaves)
