"""Rules about one order and the state it comes upon: trading state, allow-list, identity, steps, rates.

Each rule returns the reason to deny, or None. What it needs and does not have is a reason to deny.
"""

from __future__ import annotations

from datetime import timedelta

from include.domain.enums import TradingState
from include.domain.reason_codes import RiskCode
from include.risk.limits import RATE_WINDOW
from include.risk.question import ZERO, Question, Reason


def state_halted(q: Question) -> Reason | None:
    return Reason(RiskCode.STATE_HALTED, "state=HALTED") if q.state is TradingState.HALTED else None


def state_unknown(q: Question) -> Reason | None:
    return Reason(RiskCode.STATE_UNKNOWN, "state=None") if q.state is None else None


def state_reduce_only(q: Question) -> Reason | None:
    if q.state is not TradingState.REDUCE_ONLY:
        return None
    held = q.account.positions.get(q.intent.symbol, ZERO)
    return Reason(RiskCode.STATE_REDUCE_ONLY, f"side={q.intent.side.value} position={held}")


def reconciliation_pending(q: Question) -> Reason | None:
    return None if q.reconciled else Reason(RiskCode.RECONCILIATION_PENDING, "reconciled=False")


def instrument_not_allowed(q: Question) -> Reason | None:
    if q.instrument is not None:
        return None
    return Reason(RiskCode.INSTRUMENT_NOT_ALLOWED, f"symbol={q.intent.symbol}")


def duplicate_order(q: Question) -> Reason | None:
    if q.client_order_id not in q.known_order_ids:
        return None
    return Reason(RiskCode.DUPLICATE_ORDER, f"client_order_id={q.client_order_id}")


def order_unresolved(q: Question) -> Reason | None:
    if q.intent.symbol not in q.unresolved_symbols:
        return None
    return Reason(RiskCode.ORDER_UNRESOLVED, f"symbol={q.intent.symbol}")


def order_repeated(q: Question) -> Reason | None:
    window = q.limits.duplicate_window_secs
    if window is None:
        return None
    asked, since = q.intent, q.now - timedelta(seconds=window)
    for order in q.account.working:
        wish = order.intent
        if wish.symbol != asked.symbol or wish.reduce_only or order.created_at <= since:
            continue
        if (wish.side, wish.type, wish.quantity, wish.price, wish.stop_price) == (
            asked.side, asked.type, asked.quantity, asked.price, asked.stop_price
        ):  # fmt: skip
            return Reason(RiskCode.ORDER_REPEATED, f"like={order.client_order_id} window_secs={window}")
    return None


def model_checksum(q: Question) -> Reason | None:
    if not q.limits.check_models or q.models_match in (None, True):
        return None
    return Reason(RiskCode.MODEL_CHECKSUM, "models_match=False")


def quantity_step(q: Question) -> Reason | None:
    if q.instrument is None or q.intent.quantity % q.instrument.lot_size == 0:
        return None
    return Reason(RiskCode.QUANTITY_STEP, f"quantity={q.intent.quantity} lot={q.instrument.lot_size}")


def notional_minimum(q: Question) -> Reason | None:
    if q.instrument is None:
        return None
    notional = q.intent.quantity * q.intent.reference_price
    if notional >= q.instrument.min_notional:
        return None
    return Reason(RiskCode.NOTIONAL_MINIMUM, f"notional={notional} minimum={q.instrument.min_notional}")


def rate_orders(q: Question) -> Reason | None:
    sent = _orders_sent(q)
    if sent < q.limits.max_orders_per_minute:
        return None
    return Reason(RiskCode.RATE_ORDERS, f"sent={sent} limit={q.limits.max_orders_per_minute}")


def rate_messages(q: Question) -> Reason | None:
    limit = q.limits.max_messages_per_minute
    if limit is None:
        return None
    sent = _orders_sent(q) + q.recent_cancels
    return None if sent < limit else Reason(RiskCode.RATE_MESSAGES, f"sent={sent} limit={limit}")


def _orders_sent(q: Question) -> int:
    since = q.now - RATE_WINDOW
    return len([at for at in q.recent_order_times if at > since])
