"""Rules about how the account has fared: losses, drawdown, trades.

Each rule returns the reason to deny, or None. What it needs and does not have is a reason to deny.
"""

from __future__ import annotations

from datetime import timedelta

from include.domain.enums import OrderPurpose
from include.domain.reason_codes import RiskCode
from include.risk.question import Question, Reason, Record, money


def equity_unknown(q: Record) -> Reason | None:
    view = q.account
    values = {"equity": view.equity, "high_water": view.high_water, "day_start_equity": view.day_start_equity}
    unknown = {name: v for name, v in values.items() if v is None or not v.is_finite() or v <= 0}
    bad = [f"{name}={money(value)}" for name, value in unknown.items()]
    return Reason(RiskCode.EQUITY_UNKNOWN, " ".join(bad)) if bad else None


def loss_daily(q: Record) -> Reason | None:
    equity, start, limit = q.account.equity, q.account.day_start_equity, q.limits.max_daily_loss_fraction
    if equity is None or start is None or start - equity >= limit * start:
        return Reason(RiskCode.LOSS_DAILY, f"equity={money(equity)} day_start={money(start)} limit={limit}")
    return None


def drawdown_limit(q: Record) -> Reason | None:
    equity, high, limit = q.account.equity, q.account.high_water, q.limits.max_drawdown_fraction
    if equity is None or high is None or high - equity >= limit * high:
        return Reason(RiskCode.DRAWDOWN_LIMIT, f"equity={money(equity)} high_water={money(high)} limit={limit}")
    return None


def loss_rolling(q: Record) -> Reason | None:
    """Beside the calendar day's: a limit that is new at midnight allows twice the loss around it."""
    limit, equity, start = q.limits.max_rolling_loss_fraction, q.account.equity, q.account.equity_24h_ago
    if limit is None:
        return None
    if equity is None or start is None or start - equity >= limit * start:
        return Reason(RiskCode.LOSS_ROLLING, f"equity={money(equity)} before_24h={money(start)} limit={limit}")
    return None


def losses_consecutive(q: Record) -> Reason | None:
    limit = q.limits.max_consecutive_losses
    if limit is None:
        return None
    lost = 0
    for trip in reversed(q.round_trips):
        if not trip.is_loss:
            break
        lost += 1
    return None if lost < limit else Reason(RiskCode.LOSSES_CONSECUTIVE, f"losses={lost} limit={limit}")


def trades_daily(q: Question) -> Reason | None:
    limit = q.limits.max_trades_per_day
    if limit is None or q.intent.purpose is OrderPurpose.SCALE_IN or q.trades_today < limit:
        return None
    return Reason(RiskCode.TRADES_DAILY, f"trades={q.trades_today} limit={limit}")


def repeated_execution(q: Record) -> Reason | None:
    """The same thing over and over: round trips of one symbol and side that lose, or that are identical."""
    limit, minutes = q.limits.max_repeated_trades, q.limits.repeat_window_minutes
    if limit is None:
        return None
    since = q.now - timedelta(minutes=minutes)
    recent = [trip for trip in q.round_trips if trip.closed_at > since]
    if len(recent) < limit:
        return None
    seen: dict[str, int] = {}
    for trip in recent:
        seen[trip.kind] = seen.get(trip.kind, 0) + 1
        if trip.is_loss:
            seen[trip.way] = seen.get(trip.way, 0) + 1
    most = max(seen.values())
    if most < limit:
        return None
    return Reason(RiskCode.REPEATED_EXECUTION, f"round_trips={most} minutes={minutes} limit={limit}")
