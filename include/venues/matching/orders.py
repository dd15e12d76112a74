"""Orders as a matching engine sees them: what a client asks for, what is working, what has happened to it.

Values only: no accounts, positions or margin. `book` moves them; whoever owns the money stands behind it as `Clearing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from include.domain.enums import Liquidity, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from include.domain.ids import is_liquidation
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal

ZERO = Decimal(0)
STOPS = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP_MARKET})
"""Triggered by a price that moves against the trader; all other orders with a level wait for one that moves his way."""
PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
"""Types with a limit price."""
TRIGGERED = frozenset(
    {OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT}
)
"""Types with a stop price; a trailing stop makes its own."""
CONDITIONAL = TRIGGERED | {OrderType.TRAILING_STOP_MARKET}
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
FINAL = frozenset(status for status in OrderStatus if is_terminal(ORDER_TRANSITIONS, status))


class Refusal(StrEnum):
    """Why a request is refused; the protocol layer gives each its exchange code."""

    DUPLICATE_ID = "DUPLICATE_ID"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE"
    MARGIN_INSUFFICIENT = "MARGIN_INSUFFICIENT"
    NO_PRICE = "NO_PRICE"
    WOULD_TAKE = "WOULD_TAKE"
    """A post-only order that the market has already reached."""
    CANNOT_FILL_ALL = "CANNOT_FILL_ALL"
    """A fill-or-kill order that the standing market cannot fill."""
    NOT_MODIFIABLE = "NOT_MODIFIABLE"
    NOTHING_TO_MODIFY = "NOTHING_TO_MODIFY"
    POSITION_SIDE = "POSITION_SIDE"
    POSITION_SIDE_UNCHANGED = "POSITION_SIDE_UNCHANGED"
    POSITION_SIDE_BUSY = "POSITION_SIDE_BUSY"
    POSITION_SIDE_ORDERS = "POSITION_SIDE_ORDERS"
    MARGIN_TYPE_UNCHANGED = "MARGIN_TYPE_UNCHANGED"
    MARGIN_TYPE_BUSY = "MARGIN_TYPE_BUSY"
    MARGIN_TYPE_ORDERS = "MARGIN_TYPE_ORDERS"
    LEVERAGE = "LEVERAGE"
    LEVERAGE_REDUCTION = "LEVERAGE_REDUCTION"
    LEVERAGE_NOTIONAL = "LEVERAGE_NOTIONAL"
    LEVERAGE_MARGIN = "LEVERAGE_MARGIN"
    NO_ISOLATED_MARGIN = "NO_ISOLATED_MARGIN"
    NO_ISOLATED_POSITION = "NO_ISOLATED_POSITION"
    CROSSED_WALLET = "CROSSED_WALLET"
    ISOLATED_MARGIN = "ISOLATED_MARGIN"


class RefusedError(Exception):
    """A request is refused; nothing has changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class ExecutionType(StrEnum):
    NEW = "NEW"
    TRIGGERED = "TRIGGERED"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    CALCULATED = "CALCULATED"
    """The fill of a liquidation."""
    FINISHED = "FINISHED"
    """What a conditional order became after its trigger has ended; told after that end itself."""


class Expiry(StrEnum):
    """Why an order expired, in the exchange's numbers."""

    NONE = "0"
    AT_ONCE = "2"
    """The rest of an IOC or FOK order."""
    REDUCE_ONLY = "4"
    """Nothing is left to reduce."""
    LIQUIDATED = "5"
    GOOD_TILL = "8"


@dataclass(frozen=True, slots=True)
class Prices:
    """One bar in quote currency, and what it carries besides.

    `volume`: base currency; needed where an instrument limits participation. `funding_rate`: all the funding that is
    due at the open, where the data says it; None leaves it to the instrument's rate.
    """

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None
    funding_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for. Prices in quote, quantity in base currency.

    Attributes:
        price: limit price of LIMIT, STOP_LIMIT and TAKE_PROFIT_LIMIT.
        stop_price: trigger of STOP_* and TAKE_PROFIT_*.
        close_position: a STOP_MARKET or TAKE_PROFIT_MARKET for whatever there is when it triggers; `quantity` is 0
            until then.
        callback: distance of a trailing stop as a fraction of the best price.
        activation: price from which a trailing stop follows; None from the start.
        good_till: the order expires at the first moment after it; venue milliseconds.
    """

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC
    position_side: PositionSide = PositionSide.BOTH
    close_position: bool = False
    callback: Decimal | None = None
    activation: Decimal | None = None
    good_till: int | None = None

    def __post_init__(self) -> None:
        if (self.price is not None) != (self.type in PRICED):
            raise ValueError(f"{self.client_order_id}: a limit price belongs to {', '.join(sorted(PRICED))} alone")
        if (self.stop_price is not None) != (self.type in TRIGGERED):
            raise ValueError(f"{self.client_order_id}: a stop price belongs to {', '.join(sorted(TRIGGERED))} alone")
        if (self.callback is not None) != (self.type is OrderType.TRAILING_STOP_MARKET):
            raise ValueError(f"{self.client_order_id}: a callback rate belongs to trailing stops, and each needs one")
        if self.quantity < 0 or (self.quantity == 0 and not self.close_position):
            raise ValueError(f"{self.client_order_id}: quantity {self.quantity} is not one to trade")

    @property
    def is_conditional(self) -> bool:
        return self.type in CONDITIONAL

    @property
    def reduces(self) -> bool:
        """Whether the order can only make a position smaller."""
        if self.position_side is PositionSide.BOTH:
            return self.reduce_only or self.close_position
        return (self.position_side is PositionSide.LONG) == (self.side is Side.SELL)


@dataclass(frozen=True, slots=True)
class Resting:
    """An order as the exchange knows it; replaced, never edited."""

    id: int
    request: Request
    created_at: int
    updated_at: int
    rank: int
    """Place in the queue among equals: the id, until a trigger or a modification sends the order to the end."""
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    """Sum of quantity x price of its fills."""
    triggered_id: int | None = None
    """Id of the order that a conditional one became."""
    triggered_at: int | None = None
    best: Decimal | None = None
    """Best price that a trailing stop has seen; None before it is active."""
    expiry: Expiry = Expiry.NONE

    @property
    def is_open(self) -> bool:
        return self.status not in FINAL

    @property
    def remaining(self) -> Decimal:
        return self.request.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.filled if self.filled else ZERO

    @property
    def is_waiting(self) -> bool:
        """A conditional order that has not triggered."""
        return self.triggered_id is None and self.request.type in CONDITIONAL

    @property
    def is_in_work(self) -> bool:
        """Takes what there is at the next chance instead of waiting for a price."""
        return not self.is_waiting and (self.request.price is None or self.request.time_in_force in AT_ONCE)

    @property
    def is_liquidation(self) -> bool:
        return is_liquidation(self.request.client_order_id)

    def after(self, quantity: Decimal, price: Decimal, at: int) -> Resting:
        """With one more fill."""
        filled = self.filled + quantity
        status = OrderStatus.FILLED if filled == self.request.quantity else OrderStatus.PARTIALLY_FILLED
        return replace(self, filled=filled, cost=self.cost + quantity * price, status=status, updated_at=at)


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of one order; `fee` and `realised` in quote currency, `fee` positive when paid."""

    id: int
    order_id: int
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realised: Decimal
    liquidity: Liquidity
    at: int
    position_side: PositionSide = PositionSide.BOTH
    clearance: Decimal = ZERO
    """The part of `fee` that is the liquidation fee."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Something that happened to an order, with the order as it is afterwards."""

    type: ExecutionType
    order: Resting
    trade: Trade | None
    at: int
