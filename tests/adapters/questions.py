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

ALL_LIMITS = replace(
    LIMITS, max_open_positions=5, max_asset_fraction=Decimal("0.2"), max_sector_fraction=Decimal("0.2"),
    sectors={"BTC": "one", "ETH": "one"}, max_net_fraction=Decimal(1), max_order_notional=Decimal(20_000),
    max_order_fraction=Decimal("0.2"), max_set_leverage=3, max_margin_fraction=Decimal("0.5"), check_balance=True,
    min_liquidation_distance_fraction=Decimal("0.15"), stop_before_liquidation=True,
    max_price_move_fraction=Decimal("0.05"), max_messages_per_minute=20, duplicate_window_secs=60,
    max_rolling_loss_fraction=Decimal("0.02"), max_consecutive_losses=5, max_trades_per_day=20, max_repeated_trades=3,
    breaker_marks=3, check_models=True,
)  # fmt: skip
"""Every rule in force."""


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
        "equity_24h_ago": Decimal(100_000), "wallet": Decimal(100_000), "positions": {}, "entry_prices": {},
        "marks": {SYMBOL: Decimal(50_000)}, "working": (),
    }  # fmt: skip
    return AccountView(**{**values, **changes})


def question(**changes: Any) -> Question:
    """Everything in order."""
    asked = Question(
        intent=intent(), client_order_id="al-new", account=account(), instrument=BTC, limits=LIMITS,
        state=TradingState.ACTIVE, reconciled=True, models_match=None, unresolved_symbols=frozenset(),
        known_order_ids=frozenset(), recent_order_times=(), recent_cancels=0, recent_closes=(Decimal(50_000),) * 6,
        round_trips=(), trades_today=0, last_bar_time=BAR, timeframe=Timeframe(60), now=NOW,
    )  # fmt: skip
    return replace(asked, **changes)
