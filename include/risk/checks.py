"""The checks of the risk gate, one a reason code, in the order in which reasons are listed.

A check returns the reason to deny, or None. What it needs and does not have is a reason to deny.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from include.domain.enums import OrderType, Side, TradingState
from include.domain.reason_codes import RiskCode
from include.risk.limits import RATE_WINDOW
from include.risk.question import ZERO, Question, Reason

Check = Callable[[Question], Reason | None]

# --- state and standing ------------------------------------------------------------------------------------


def _state_halted(q: Question) -> Reason | None:
    return Reason(RiskCode.STATE_HALTED, "state=HALTED") if q.state is TradingState.HALTED else None


def _state_unknown(q: Question) -> Reason | None:
    return Reason(RiskCode.STATE_UNKNOWN, "state=None") if q.state is None else None


def _state_reduce_only(q: Question) -> Reason | None:
    if q.state is not TradingState.REDUCE_ONLY:
        return None
    held = q.account.positions.get(q.intent.symbol, ZERO)
    return Reason(RiskCode.STATE_REDUCE_ONLY, f"side={q.intent.side.value} position={held}")


def _reconciliation_pending(q: Question) -> Reason | None:
    return None if q.reconciled else Reason(RiskCode.RECONCILIATION_PENDING, "reconciled=False")


def _instrument_not_allowed(q: Question) -> Reason | None:
    if q.instrument is not None:
        return None
    return Reason(RiskCode.INSTRUMENT_NOT_ALLOWED, f"symbol={q.intent.symbol}")


def _duplicate_order(q: Question) -> Reason | None:
    if q.client_order_id not in q.known_order_ids:
        return None
    return Reason(RiskCode.DUPLICATE_ORDER, f"client_order_id={q.client_order_id}")


def _order_unresolved(q: Question) -> Reason | None:
    if q.intent.symbol not in q.unresolved_symbols:
        return None
    return Reason(RiskCode.ORDER_UNRESOLVED, f"symbol={q.intent.symbol}")


# --- price --------------------------------------------------------------------------------------------------


def _price_missing(q: Question) -> Reason | None:
    needed = {q.intent.symbol, *(symbol for symbol, held in q.account.positions.items() if held)}
    needed |= {order.intent.symbol for order in q.account.working if not order.intent.reduce_only}
    missing = sorted(symbol for symbol in needed if q.account.marks.get(symbol, ZERO) <= 0)
    if q.intent.reference_price <= 0 and q.intent.symbol not in missing:
        missing.append(q.intent.symbol)
    return Reason(RiskCode.PRICE_MISSING, f"symbols={','.join(missing)}") if missing else None


def _price_stale(q: Question) -> Reason | None:
    if q.last_bar_time is None:
        return Reason(RiskCode.PRICE_STALE, "last_bar=None")
    # A bar is named by its open, so the newest one is a whole timeframe old the moment it closes.
    oldest = min(q.last_bar_time, q.intent.bar_time)
    age_bars = (q.now - oldest) / q.timeframe.delta - 1
    if 0 <= age_bars < q.limits.max_bar_age_bars:
        return None
    return Reason(RiskCode.PRICE_STALE, f"age_bars={age_bars:.2f} limit={q.limits.max_bar_age_bars}")


def _price_collar(q: Question) -> Reason | None:
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


# --- size ---------------------------------------------------------------------------------------------------


def _quantity_step(q: Question) -> Reason | None:
    if q.instrument is None or q.intent.quantity % q.instrument.lot_size == 0:
        return None
    return Reason(RiskCode.QUANTITY_STEP, f"quantity={q.intent.quantity} lot={q.instrument.lot_size}")


def _notional_minimum(q: Question) -> Reason | None:
    if q.instrument is None:
        return None
    notional = q.intent.quantity * q.intent.reference_price
    if notional >= q.instrument.min_notional:
        return None
    return Reason(RiskCode.NOTIONAL_MINIMUM, f"notional={notional} minimum={q.instrument.min_notional}")


def _worst_quantity(q: Question, symbol: str) -> Decimal:
    """Largest position a symbol could reach if any subset of its working orders and this one filled."""
    held = q.account.positions.get(symbol, ZERO)
    adding = {Side.BUY: ZERO, Side.SELL: ZERO}
    for order in q.account.working:
        if order.intent.symbol == symbol and not order.intent.reduce_only:
            adding[order.intent.side] += order.remaining
    if q.intent.symbol == symbol:
        adding[q.intent.side] += q.intent.quantity
    # Reduce-only orders may fill first or not at all, so the adding ones count from flat and from the position.
    bought, sold = adding[Side.BUY], adding[Side.SELL]
    return max(abs(held + bought), abs(held - sold), bought, sold)


def _notional(q: Question, symbol: str) -> Decimal:
    price = q.account.marks.get(symbol, ZERO)
    if symbol == q.intent.symbol:
        price = max(price, q.intent.reference_price)
    return _worst_quantity(q, symbol) * price


def _position_size(q: Question) -> Reason | None:
    notional, equity = _notional(q, q.intent.symbol), q.account.equity
    if equity is None or notional > q.limits.max_position_fraction * equity:
        limit = q.limits.max_position_fraction
        return Reason(RiskCode.POSITION_SIZE, f"notional={notional:.2f} equity={_money(equity)} limit={limit}")
    return None


def _exposure_gross(q: Question) -> Reason | None:
    symbols = {q.intent.symbol, *q.account.positions, *(order.intent.symbol for order in q.account.working)}
    gross, equity = sum((_notional(q, symbol) for symbol in sorted(symbols)), ZERO), q.account.equity
    if equity is None or gross > q.limits.max_leverage * equity:
        limit = q.limits.max_leverage
        return Reason(RiskCode.EXPOSURE_GROSS, f"gross={gross:.2f} equity={_money(equity)} limit={limit}")
    return None


# --- account ------------------------------------------------------------------------------------------------


def _equity_unknown(q: Question) -> Reason | None:
    view = q.account
    values = {"equity": view.equity, "high_water": view.high_water, "day_start_equity": view.day_start_equity}
    bad = [f"{name}={_money(value)}" for name, value in values.items() if value is None or value <= 0]
    return Reason(RiskCode.EQUITY_UNKNOWN, " ".join(bad)) if bad else None


def _loss_daily(q: Question) -> Reason | None:
    equity, start, limit = q.account.equity, q.account.day_start_equity, q.limits.max_daily_loss_fraction
    if equity is None or start is None or start - equity >= limit * start:
        return Reason(RiskCode.LOSS_DAILY, f"equity={_money(equity)} day_start={_money(start)} limit={limit}")
    return None


def _drawdown_limit(q: Question) -> Reason | None:
    equity, high, limit = q.account.equity, q.account.high_water, q.limits.max_drawdown_fraction
    if equity is None or high is None or high - equity >= limit * high:
        return Reason(RiskCode.DRAWDOWN_LIMIT, f"equity={_money(equity)} high_water={_money(high)} limit={limit}")
    return None


def _rate_orders(q: Question) -> Reason | None:
    sent = sum(1 for at in q.recent_order_times if at > q.now - RATE_WINDOW)
    if sent < q.limits.max_orders_per_minute:
        return None
    return Reason(RiskCode.RATE_ORDERS, f"sent={sent} limit={q.limits.max_orders_per_minute}")


def _money(value: Decimal | None) -> str:
    return "None" if value is None else f"{value:.2f}"


CHECKS: tuple[tuple[Check, bool], ...] = (
    # the check, and whether it also holds for orders that shrink a position
    (_state_halted, True),
    (_state_reduce_only, False),
    (_state_unknown, True),
    (_reconciliation_pending, True),
    (_instrument_not_allowed, True),
    (_price_missing, False),
    (_price_stale, False),
    (_price_collar, False),
    (_quantity_step, True),
    (_notional_minimum, False),
    (_position_size, False),
    (_exposure_gross, False),
    (_equity_unknown, False),
    (_loss_daily, False),
    (_drawdown_limit, False),
    (_rate_orders, False),
    (_duplicate_order, True),
    (_order_unresolved, False),
)
