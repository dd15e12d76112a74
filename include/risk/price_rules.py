"""Rules about prices: known, fresh, near the market, and not running away.

Each rule returns the reason to deny, or None. What it needs and does not have is a reason to deny.
"""

from __future__ import annotations

from include.domain.enums import OrderType
from include.domain.reason_codes import RiskCode
from include.risk.question import ZERO, Question, Reason


def price_missing(q: Question) -> Reason | None:
    needed = {q.intent.symbol, *(symbol for symbol, held in q.account.positions.items() if held)}
    needed |= {order.intent.symbol for order in q.account.working if not order.intent.reduce_only}
    missing = sorted(symbol for symbol in needed if q.account.marks.get(symbol, ZERO) <= 0)
    if q.intent.reference_price <= 0 and q.intent.symbol not in missing:
        missing.append(q.intent.symbol)
    return Reason(RiskCode.PRICE_MISSING, f"symbols={','.join(missing)}") if missing else None


def price_stale(q: Question) -> Reason | None:
    if q.last_bar_time is None:
        return Reason(RiskCode.PRICE_STALE, "last_bar=None")
    # A bar is named by its open, so the newest one is a whole timeframe old the moment it closes.
    oldest = min(q.last_bar_time, q.intent.bar_time)
    age_bars = (q.now - oldest) / q.timeframe.delta - 1
    if 0 <= age_bars < q.limits.max_bar_age_bars:
        return None
    return Reason(RiskCode.PRICE_STALE, f"age_bars={age_bars:.2f} limit={q.limits.max_bar_age_bars}")


def price_collar(q: Question) -> Reason | None:
    price = q.intent.price if q.intent.type is OrderType.LIMIT else q.intent.stop_price
    mark = q.account.marks.get(q.intent.symbol, ZERO)
    references = [reference for reference in (q.intent.reference_price, mark) if reference > 0]
    # A market order has no price of its own: what it was decided at must still be near the market.
    asked = q.intent.reference_price if price is None else price
    far = [reference for reference in references if abs(asked - reference) > q.limits.price_collar_fraction * reference]
    if not far:
        return None
    limit = q.limits.price_collar_fraction
    return Reason(RiskCode.PRICE_COLLAR, f"price={asked} reference={far[0]} limit={limit}")


def price_move(q: Question) -> Reason | None:
    """A collar over time: how far the price was from here within the last bars."""
    limit, bars = q.limits.max_price_move_fraction, q.limits.price_move_bars
    if limit is None:
        return None
    closes = q.recent_closes[-bars - 1 :]
    if len(closes) <= bars or (lowest := min(closes)) <= 0:
        return Reason(RiskCode.PRICE_MOVE, f"closes={len(closes)} needed={bars + 1}")
    newest, highest = closes[-1], max(closes)
    moved = max(newest / lowest - 1, 1 - newest / highest)
    return None if moved <= limit else Reason(RiskCode.PRICE_MOVE, f"moved={moved:.4f} bars={bars} limit={limit}")
