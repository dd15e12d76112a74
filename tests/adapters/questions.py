"""A question that the risk gate approves, to be spoilt in one respect at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side, TimeInForce, TradingState
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.domain.times import Timeframe
from include.risk.limits import Limits
from include.risk.question import AccountView, Question

BAR = datetime(2024, 3, 5, 12, 0, tzinfo=UTC)
NOW = BAR + timedelta(minutes=1)
SYMBOL = "BTC/USDT"
BTC = Instrument(
    symbol=SYMBOL, tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_notional=Decimal(100),
    maker_fee_rate=Decimal("0.0002"), taker_fee_rate=Decimal("0.0004"), half_spread_bps=Decimal("0.5"),
    slippage_bps=Decimal("0.5"),
)  # fmt: skip
LIMITS = Limits(
    max_position_fraction=Decimal("0.1"), max_leverage=Decimal(3), max_daily_loss_fraction=Decimal("0.02"),
    max_drawdown_fraction=Decimal("0.1"), max_orders_per_minute=3, price_collar_fraction=Decimal("0.05"),
    max_bar_age_bars=2,
)  # fmt: skip


def intent(**changes: Any) -> Intent:
    """Buy 0.1 BTC at market, decided at 50,000."""
    values: dict[str, Any] = {
        "deployment_id": "d" * 64, "symbol": SYMBOL, "bar_time": BAR, "purpose": OrderPurpose.ENTRY, "side": Side.BUY,
        "type": OrderType.MARKET, "quantity": Decimal("0.1"), "reference_price": Decimal(50_000),
    }  # fmt: skip
    return Intent(**{**values, **changes})


def order(status: OrderStatus = OrderStatus.ACCEPTED, filled: str = "0", name: str = "", **changes: Any) -> Order:
    """An order of such an intent."""
    wish = intent(**changes)
    key = name or f"al-{wish.purpose.value.lower()}-{wish.bar_time:%H%M}-{wish.sequence}"
    return Order(key, wish, TimeInForce.GTC, status, Decimal(filled), "v1", "", NOW)


def account(**changes: Any) -> AccountView:
    """100,000 USDT, flat, nothing lost."""
    values: dict[str, Any] = {
        "equity": Decimal(100_000), "high_water": Decimal(100_000), "day_start_equity": Decimal(100_000),
        "positions": {}, "marks": {SYMBOL: Decimal(50_000)}, "working": (),
    }  # fmt: skip
    return AccountView(**{**values, **changes})


def question(**changes: Any) -> Question:
    """Everything in order."""
    asked = Question(
        intent=intent(), client_order_id="al-new", account=account(), instrument=BTC, limits=LIMITS,
        state=TradingState.ACTIVE, reconciled=True, unresolved_symbols=frozenset(), known_order_ids=frozenset(),
        recent_order_times=(), last_bar_time=BAR, timeframe=Timeframe(60), now=NOW,
    )  # fmt: skip
    return replace(asked, **changes)
