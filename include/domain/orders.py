"""Intents, orders, reports and fills: a wish, what we sent, what the venue claims, and what is fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from include.domain.enums import Liquidity, OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.fill_rule import MAX_TRAILING, MIN_TRAILING, TRAILING_STEP

_LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
_TRIGGERS = frozenset(
    {OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT}
)
_TRAILS = frozenset({OrderType.TRAILING_STOP_MARKET})


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
    """Limit price; required for LIMIT and the other limit types, forbidden otherwise."""
    stop_price: Decimal | None = None
    """Trigger price; required for orders that wait for one, forbidden otherwise."""
    reduce_only: bool = False
    sequence: int = 0
    protective_stop: Decimal | None = None
    """ENTRY only: trigger of the stop that rests as soon as any of the entry has filled. What protects a position is
    kept with its entry, so that a restart places exactly the protection that was decided."""
    protective_take_profit: Decimal | None = None
    """ENTRY only: limit of the take-profit that rests with the stop."""
    protective_trailing: Decimal | None = None
    """ENTRY only: distance of the trailing stop that rests with the stop, a fraction of the best price."""
    hold_bars: int | None = None
    """ENTRY only: how many bars after its first fill the position is left; None for no limit."""
    callback_rate: Decimal | None = None
    """Distance of a TRAILING_STOP_MARKET from the best price, a fraction of it; forbidden otherwise."""

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError(f"{self.symbol}: quantity {self.quantity} is not positive")
        for name, needed in (("price", _LIMITS), ("stop_price", _TRIGGERS), ("callback_rate", _TRAILS)):
            if (getattr(self, name) is not None) != (self.type in needed):
                raise ValueError(f"{self.symbol}: {name} belongs to {', '.join(sorted(needed))} and to them alone")
        for name in ("callback_rate", "protective_trailing"):
            distance = getattr(self, name)
            if distance is not None and not (MIN_TRAILING <= distance <= MAX_TRAILING and not distance % TRAILING_STEP):
                raise ValueError(f"{self.symbol}: {name} {distance} is no multiple of 0.1 % up to 10 %")
        if self.hold_bars is not None and self.hold_bars < 1:
            raise ValueError(f"{self.symbol}: a position cannot be held for {self.hold_bars} bars")
        if self.is_protected and self.purpose is not OrderPurpose.ENTRY:
            raise ValueError(f"{self.symbol}: what protects a position belongs to its entry alone")

    @property
    def is_protected(self) -> bool:
        """Whether anything was decided to protect the position that this order opens."""
        decided = (self.protective_stop, self.protective_take_profit, self.protective_trailing, self.hold_bars)
        return any(value is not None for value in decided)


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
class FundingPayment:
    """What a position was paid or paid at a funding time. Identified by the venue, so a repeat is harmless."""

    payment_id: str
    """The same whether the payment was told or asked for; unique within an account and a symbol."""
    symbol: str
    amount: Decimal
    """Quote currency as it changes the wallet: positive is received, negative is paid."""
    paid_at: datetime
    """Venue event time."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Wallet balance of one currency: deposits plus realised profit less fees, without open profit."""

    currency: str
    wallet: Decimal
