"""Round trips of a running deployment: trades from flat to flat, folded from fills as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.enums import Side
from include.domain.holding import ZERO, Holding
from include.domain.orders import Fill

KEPT_FOR = timedelta(hours=25)
"""Longer than any window that a limit may look back."""
KEPT_AT_LEAST = 100
"""Round trips kept however old they are: as many as a limit on losses in a row may ask for."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One trade of one symbol, flat to flat."""

    symbol: str
    side: Side
    """Of the entry."""
    quantity: Decimal
    """Everything bought (sold, for a short) on the way in, base currency."""
    bought_for: Decimal
    """Notional of the way in, quote currency."""
    sold_for: Decimal
    """Notional of the way out."""
    profit: Decimal
    """After fees, before funding, quote currency."""
    closed_at: datetime
    is_loss: bool = field(init=False, compare=False, repr=False)
    """A trade that brings nothing is a loss: it has cost attention and exposure."""
    way: str = field(init=False, compare=False, repr=False)
    """Symbol and side."""
    kind: str = field(init=False, compare=False, repr=False)
    """What identical round trips have in common: way, quantity and money. All this is asked at every order,
    so it is computed once, and as texts, which remember their hash."""

    def __post_init__(self) -> None:
        way = f"{self.symbol} {self.side.value}"
        object.__setattr__(self, "is_loss", self.profit <= 0)
        object.__setattr__(self, "way", way)
        object.__setattr__(self, "kind", f"{way} {self.quantity} {self.bought_for} {self.sold_for}")


@dataclass(slots=True)
class _Open:
    side: Side
    held: Holding
    quantity: Decimal = ZERO
    bought_for: Decimal = ZERO
    sold_for: Decimal = ZERO
    fees: Decimal = ZERO


class RoundTripLog:
    """The newest round trips, and when trades were opened. A fill that turns a position over closes one trade and opens
    the next; its fee belongs to the one that it closes."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._closed: deque[RoundTrip] = deque()
        self._opened: deque[datetime] = deque()

    def add(self, fill: Fill) -> None:
        """Take the next fill, in venue order; the caller has seen to it that it is new."""
        trade = self._open.get(fill.symbol)
        closing = ZERO if trade is None else min(fill.quantity, trade.held.closable(fill.side))
        if trade is not None:
            trade.fees += fill.fee
        if trade is not None and closing:
            trade.held, _ = trade.held.after(fill.side, closing, fill.price)
            trade.sold_for += closing * fill.price
            if not trade.held.quantity:
                self._close(fill, trade)
        if rest := fill.quantity - closing:
            self._enlarge(fill, rest, new_fee=fill.fee if trade is None else ZERO)

    def closed_since(self, moment: datetime) -> Sequence[RoundTrip]:
        """Kept round trips that ended after `moment`, oldest first."""
        return tuple(trip for trip in self._closed if trip.closed_at > moment)

    def opened_since(self, moment: datetime) -> int:
        """Trades opened at `moment` or later; exact as far back as `KEPT_FOR`."""
        return sum(1 for at in self._opened if at >= moment)

    def _enlarge(self, fill: Fill, quantity: Decimal, new_fee: Decimal) -> None:
        trade = self._open.get(fill.symbol)
        if trade is None:
            trade = self._open[fill.symbol] = _Open(fill.side, Holding(), fees=new_fee)
            self._opened.append(fill.filled_at)
            while self._opened[0] < fill.filled_at - KEPT_FOR:
                self._opened.popleft()
        trade.held, _ = trade.held.after(fill.side, quantity, fill.price)
        trade.quantity += quantity
        trade.bought_for += quantity * fill.price

    def _close(self, fill: Fill, trade: _Open) -> None:
        del self._open[fill.symbol]
        profit = trade.side.sign * (trade.sold_for - trade.bought_for) - trade.fees
        self._closed.append(
            RoundTrip(fill.symbol, trade.side, trade.quantity, trade.bought_for, trade.sold_for, profit, fill.filled_at)
        )
        while len(self._closed) > KEPT_AT_LEAST and self._closed[0].closed_at < fill.filled_at - KEPT_FOR:
            self._closed.popleft()
