"""Intents, orders, reports and fills: a wish, what we sent, what the venue claims, and what is fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from include.domain.enums import Liquidity, OrderPurpose, OrderStatus, OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class Intent:
    """A wish to trade, before the risk gate has seen it. Prices in quote, quantity in base currency."""

    deployment_id: str
    symbol: str
    bar_time: datetime
    """Open time of the bar whose close decided."""
    purpose: OrderPurpose
    side: Side
    type: OrderType
    quantity: Decimal
    reference_price: Decimal
    """Close of the deciding bar: what sizing, collars and slippage are measured against."""
    price: Decimal | None = None
    """Limit price; required for LIMIT, forbidden otherwise."""
    stop_price: Decimal | None = None
    """Trigger price; required for STOP_MARKET, forbidden otherwise."""
    reduce_only: bool = False
    sequence: int = 0
    protective_stop: Decimal | None = None
    """ENTRY only: trigger of the stop that rests once the entry has filled. Kept with the entry, so that a restart
    places exactly the protection that was decided."""
    protective_take_profit: Decimal | None = None
    """ENTRY only: limit of the take-profit that rests once the entry has filled."""

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError(f"{self.symbol}: quantity {self.quantity} is not positive")
        if (self.price is not None) != (self.type is OrderType.LIMIT):
            raise ValueError(f"{self.symbol}: a limit price belongs to LIMIT orders and to them alone")
        if (self.stop_price is not None) != (self.type is OrderType.STOP_MARKET):
            raise ValueError(f"{self.symbol}: a stop price belongs to STOP_MARKET orders and to them alone")
        protects = self.protective_stop is not None or self.protective_take_profit is not None
        if protects and self.purpose is not OrderPurpose.ENTRY:
            raise ValueError(f"{self.symbol}: protective levels belong to entries and to them alone")


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the ledger knows it. `version` grows by one with each accepted change."""

    client_order_id: str
    intent: Intent
    time_in_force: TimeInForce
    status: OrderStatus
    filled_quantity: Decimal
    venue_order_id: str | None
    reason: str
    """Reason code and context of a denial or rejection; empty otherwise."""
    created_at: datetime
    version: int = 0

    @property
    def remaining(self) -> Decimal:
        return self.intent.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True)
class Fill:
    """A fact: quantity exchanged at a price. Identified by the venue's trade id, so a repeat is harmless."""

    trade_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    """In quote currency; positive is paid."""
    liquidity: Liquidity
    filled_at: datetime
    """Venue event time."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the venue says about one order, with the fill that caused it if there was one."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    status: OrderStatus
    filled_quantity: Decimal
    reported_at: datetime
    fill: Fill | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Signed quantity (long > 0, short < 0) and its average entry price in quote currency."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """Wallet balance of one currency: deposits plus realised profit less fees, without open profit."""

    currency: str
    wallet: Decimal
