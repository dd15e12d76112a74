"""A deployment's orders and portfolio in memory, exactly as the ledger has them. No rule and no I/O of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.enums import OrderPurpose, OrderStatus
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.orders import Fill, FundingPayment, Order
from include.domain.round_trips import RoundTripLog
from include.risk.limits import RATE_WINDOW
from include.trading.portfolio import Portfolio, apply_fill, apply_funding
from include.trading.standing import History

_UNRESOLVED = (OrderStatus.SUBMITTED, OrderStatus.SUBMISSION_UNKNOWN)
_NEVER_SENT = (OrderStatus.INITIALIZED, OrderStatus.DENIED)


class OrderBook:
    """Mirror of the ledger: only what a ledger write returned is put here, so a restart rebuilds the same book."""

    def __init__(
        self,
        capital: Decimal,
        orders: Iterable[Order] = (),
        fills: Iterable[Fill] = (),
        funding: Iterable[FundingPayment] = (),
    ) -> None:
        self.portfolio = Portfolio(capital)
        self.known_ids: set[str] = set()
        self.round_trips = RoundTripLog()
        self.orders_sent = 0
        self.cancels_sent = 0
        self.fills_count = 0
        self.first_fill_at: datetime | None = None
        self.last_fill_at: datetime | None = None
        self.last_funding_at: datetime | None = None
        self.changed: set[str] = set()
        """Symbols whose protection must be looked at again; whoever looks takes them out."""
        self._relevant: dict[str, dict[str, Order]] = {}
        self._symbols: dict[str, str] = {}
        self._trades: set[tuple[str, str]] = set()
        self._payments: set[tuple[str, str]] = set()
        self._histories: dict[str, History] = {}
        self._sent_at: dict[str, datetime] = {}
        for order in orders:
            self.put(order)
        for fill in fills:
            self.add_fill(fill)
        for payment in funding:
            self.add_funding(payment)

    def put(self, order: Order) -> Order:
        """Take the newest version of an order."""
        key, symbol = order.client_order_id, order.intent.symbol
        sent = order.status not in _NEVER_SENT and order.intent.purpose is not OrderPurpose.LIQUIDATION
        if sent and key not in self.known_ids:
            self.orders_sent += 1
            self._sent_at[key] = order.created_at
        if order.status is OrderStatus.PENDING_CANCEL and not self._is_canceling(key):
            self.cancels_sent += 1
        self.known_ids.add(key)
        self._symbols[key] = symbol
        orders = self._relevant.setdefault(symbol, {})
        orders[key] = order
        self.changed.add(symbol)
        if order.intent.purpose is OrderPurpose.ENTRY and order.filled_quantity > 0:
            self._forget_before(symbol, order.intent.bar_time)
        return order

    def add_fill(self, fill: Fill) -> bool:
        """Count a fill once; False when its trade id is known already."""
        key = (fill.symbol, fill.trade_id)
        if key in self._trades:
            return False
        self._trades.add(key)
        self.portfolio = apply_fill(self.portfolio, fill)
        self.round_trips.add(fill)
        self.history(fill.symbol).add(fill)
        self.changed.add(fill.symbol)
        self.fills_count += 1
        self.first_fill_at = min(self.first_fill_at or fill.filled_at, fill.filled_at)
        self.last_fill_at = max(self.last_fill_at or fill.filled_at, fill.filled_at)
        return True

    def add_funding(self, payment: FundingPayment) -> bool:
        """Count a payment once; False when its id is known already."""
        key = (payment.symbol, payment.payment_id)
        if key in self._payments:
            return False
        self._payments.add(key)
        self.portfolio = apply_funding(self.portfolio, payment)
        self.history(payment.symbol).add(payment)
        self.last_funding_at = max(self.last_funding_at or payment.paid_at, payment.paid_at)
        return True

    def history(self, symbol: str) -> History:
        """What fills and funding of a symbol tell about any close that may still be asked about."""
        return self._histories.setdefault(symbol, History())

    def knows_trade(self, fill: Fill) -> bool:
        return (fill.symbol, fill.trade_id) in self._trades

    @property
    def trades(self) -> frozenset[tuple[str, str]]:
        """(symbol, trade id) of every fill that is counted."""
        return frozenset(self._trades)

    @property
    def payments(self) -> frozenset[tuple[str, str]]:
        """(symbol, payment id) of all funding that is counted."""
        return frozenset(self._payments)

    def get(self, client_order_id: str) -> Order | None:
        """An order that still matters (working, or of the present position); None when unknown or long finished."""
        return self._relevant.get(self._symbols.get(client_order_id, ""), {}).get(client_order_id)

    def of_symbol(self, symbol: str) -> Sequence[Order]:
        """Working orders of a symbol and all orders since the entry of its present position, oldest first."""
        return tuple(self._relevant.get(symbol, {}).values())

    def working(self) -> tuple[Order, ...]:
        """Orders that are not in a terminal state."""
        return tuple(o for orders in self._relevant.values() for o in orders.values() if is_working(o))

    def unresolved(self) -> tuple[Order, ...]:
        """Orders of which it is not known whether they reached the venue."""
        return tuple(order for order in self.working() if order.status in _UNRESOLVED)

    def unresolved_symbols(self) -> frozenset[str]:
        return frozenset(o.intent.symbol for o in self.working() if o.status is OrderStatus.SUBMISSION_UNKNOWN)

    def recent_order_times(self, now: datetime) -> tuple[datetime, ...]:
        """Event times of the orders sent within the rate window before `now`."""
        horizon = now - RATE_WINDOW - timedelta(seconds=1)
        self._sent_at = {key: at for key, at in self._sent_at.items() if at > horizon}
        return tuple(self._sent_at.values())

    def _is_canceling(self, client_order_id: str) -> bool:
        known = self.get(client_order_id)
        return known is not None and known.status is OrderStatus.PENDING_CANCEL

    def _forget_before(self, symbol: str, bar_time: datetime) -> None:
        # Orders of earlier positions can no longer change anything; without this every look would scan the whole past.
        orders = self._relevant[symbol]
        self._relevant[symbol] = {
            key: order for key, order in orders.items() if is_working(order) or order.intent.bar_time >= bar_time
        }


def is_working(order: Order) -> bool:
    """True until the order reaches a terminal state."""
    return not is_terminal(ORDER_TRANSITIONS, order.status)
