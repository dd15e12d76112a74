"""One account's working orders of one symbol, and how a bar meets them along `docs/fill-rule.md`.

Pure and deterministic: no clock, no I/O, no randomness. The book knows prices, queues, triggers, trailing stops and
how much of a bar's volume is left; money is `Clearing`'s, so that margin accounts and spot wallets share it. A bar:
`stand_at_open`, `play_open`, orders that arrive meanwhile (`accept`), `play_leg` for each of the three legs, `close`.

Time in force. Between bars nobody stands in the market, so what would take at once (MARKET, IOC, FOK) waits for the
next open, and there takes what the bar's volume leaves; what an IOC does not get expires, a FOK fills whole or expires.
While the market stands at an open they take from it at once. They pay the taker fee at a worsened price, but never
beyond their limit. A post-only order (GTX) is refused where the market has already reached it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from include.domain import fill_rule
from include.domain.enums import Liquidity, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from include.domain.instruments import Instrument
from include.venues.matching.orders import (
    AT_ONCE,
    STOPS,
    ZERO,
    Execution,
    ExecutionType,
    Expiry,
    Prices,
    Refusal,
    RefusedError,
    Request,
    Resting,
    Trade,
)

Turn = tuple[int, Decimal, int]


class Clearing(Protocol):
    """Who owns the money behind a book."""

    def number(self) -> int:
        """The next order id."""

    def room(self, order: Resting) -> Decimal:
        """How much of what remains of an order may fill now; zero ends a reducing order."""

    def settle(self, order: Resting, quantity: Decimal, price: Decimal, liquidity: Liquidity, at: int) -> Trade:
        """Move money and goods of one fill. `order` is as it was before."""

    def tell(self, execution: Execution) -> None:
        """Something happened; called after every change of an order, in order."""

    def barrier(self, symbol: str, end: Decimal) -> Decimal | None:
        """Price between where the market stands and `end` at which the account itself takes over (a liquidation)."""

    def take_over(self, symbol: str, price: Decimal, at: int) -> None:
        """The market has reached the barrier."""


class Book:
    """Working orders of one symbol and where its market stands."""

    def __init__(self, instrument: Instrument, clearing: Clearing) -> None:
        self.instrument = instrument
        self.orders: dict[int, Resting] = {}
        """Working orders by id, in order of arrival."""
        self.prices: Prices | None = None
        self.mark: Decimal | None = None
        """Price at which the market stands; None before the first one is known."""
        self.at_open = False
        self.opened_at: int | None = None
        """Open time of the last bar, venue milliseconds."""
        self.budget: Decimal | None = None
        """What this bar's volume still lets fill; None for no limit."""
        self._clearing = clearing
        self._waypoints: fill_rule.Path | None = None
        self._levels: dict[int, tuple[Resting, Decimal | None]] = {}
        """What each order waits for, as long as it is the same object."""

    # --- the bar -------------------------------------------------------------------------------------------

    def stand_at_open(self, prices: Prices, at: int) -> None:
        """Move the market to the open of a bar; nothing fills yet.

        Raises:
            ValueError: the instrument limits participation and the bar brings no volume.
        """
        if self.instrument.participation is not None and prices.volume is None:
            raise ValueError(f"{self.instrument.symbol}: participation is limited, but the bar has no volume")
        self.budget = None if prices.volume is None else fill_rule.bar_capacity(self.instrument, prices.volume)
        self.prices, self.mark, self.at_open, self.opened_at = prices, prices.open, True, at
        self._waypoints = None

    def play_open(self, at: int) -> None:
        """Fill what the open fills: orders in work, then resting orders that it has reached. A liquidation comes before
        both, and once more after the first: for what this open has brought."""
        self._check_barrier(at)
        if not self.orders:
            return
        prices = self.bar
        for order in self._in_turn(order for order in self.orders.values() if order.is_in_work):
            if order.id in self.orders:
                self._take(self.orders[order.id], prices.open, at)
        self._check_barrier(at)
        for order in self._in_turn(order for order in self.orders.values() if self._is_reached(order, prices.open)):
            current = self.orders.get(order.id)
            if current is not None and self._is_reached(current, prices.open):
                self._meet(current, prices.open, at)

    def play_leg(self, leg: int, at: int) -> None:
        """Walk one leg of the bar's path; orders are met where it touches them."""
        prices = self.bar
        if self._waypoints is None:
            self._waypoints = fill_rule.path(prices.open, prices.high, prices.low, prices.close)
            self.at_open = False
            self._follow(prices.open)
        end = self._waypoints[leg + 1]
        while True:
            barrier, touch = self._clearing.barrier(self.instrument.symbol, end), self._next_touch(end)
            if barrier is not None and (touch is None or self._distance(barrier) <= self._distance(touch[1])):
                self.mark = barrier
                self._clearing.take_over(self.instrument.symbol, barrier, at)
            elif touch is not None:
                self.mark = touch[1]
                self._meet(touch[0], touch[1], at)
            else:
                break
        self.mark = end
        self._follow(end)

    def close(self) -> None:
        """The bar is over: the market is between bars."""
        self.mark, self.at_open, self._waypoints = self.bar.close, False, None

    # --- orders --------------------------------------------------------------------------------------------

    def check(self, request: Request) -> None:
        """Hold a request to its time in force. Raises RefusedError."""
        if request.is_conditional or request.price is None or self.mark is None:
            return
        reached = fill_rule.is_reached(OrderType.LIMIT, request.side, request.price, self.mark)
        if request.time_in_force is TimeInForce.GTX and reached:
            raise RefusedError(Refusal.WOULD_TAKE)
        if request.time_in_force is TimeInForce.FOK and self.at_open:
            short = self.budget is not None and self.budget < request.quantity
            if short or not reached:
                raise RefusedError(Refusal.CANNOT_FILL_ALL)

    def accept(self, order: Resting, at: int) -> None:
        """Take an order that has passed every check, and fill it where the market stands at an open that does."""
        if order.request.type is OrderType.TRAILING_STOP_MARKET and order.request.activation is None:
            order = replace(order, best=self.mark)
        self.orders[order.id] = order
        self._tell(ExecutionType.NEW, order, at)
        self._serve(order, at)

    def modify(self, order: Resting, quantity: Decimal, price: Decimal, at: int) -> None:
        """Change a working limit order; it goes to the end of the queue."""
        request = replace(order.request, quantity=quantity, price=price)
        order = replace(order, request=request, rank=self._clearing.number(), updated_at=at)
        self.orders[order.id] = order
        self._tell(ExecutionType.AMENDMENT, order, at)
        self._serve(order, at)

    def cancel(self, order: Resting, at: int) -> None:
        self._end(order, OrderStatus.CANCELED, ExecutionType.CANCELED, at)

    def fill_part(self, order: Resting, quantity: Decimal, at: int) -> None:
        """Fill a part of an order at its own price (or where the market stands), whatever the bar and its volume say:
        a fault. A reducing order fills no more than it reduces."""
        price, quantity = order.request.price or self.mark, min(quantity, self._clearing.room(order))
        if price is not None and quantity:
            liquidity = Liquidity.TAKER if order.is_in_work else Liquidity.MAKER
            self._trade(order, quantity, price, liquidity, at)

    def expire(self, order: Resting, why: Expiry, at: int) -> None:
        self._end(replace(order, expiry=why), OrderStatus.EXPIRED, ExecutionType.EXPIRED, at)

    def expire_reducers(self, at: int) -> None:
        """End the reducing orders that have nothing left to reduce."""
        for order in [o for o in self.orders.values() if o.request.reduces]:
            if not self._clearing.room(order):
                self.expire(order, Expiry.REDUCE_ONLY, at)

    def restart_trails(self, position_side: PositionSide) -> None:
        """Trailing stops of a position that has just been enlarged follow from here on (rule 13)."""
        for order in self.orders.values():
            request = order.request
            follows = order.best is not None and order.is_waiting and request.reduces
            if follows and request.position_side is position_side:
                self.orders[order.id] = replace(order, best=self.mark)

    # --- internals -----------------------------------------------------------------------------------------

    @property
    def bar(self) -> Prices:
        """The bar that is being played, or the last one."""
        if self.prices is None:
            raise ValueError(f"{self.instrument.symbol}: no bar is being played")
        return self.prices

    def _check_barrier(self, at: int) -> None:
        """Let the account take over where the standing market has already reached its barrier."""
        if self.mark is not None:
            while self._clearing.barrier(self.instrument.symbol, self.mark) is not None:
                self._clearing.take_over(self.instrument.symbol, self.mark, at)

    def _distance(self, level: Decimal) -> Decimal:
        return abs(level - (self.mark or ZERO))

    def _serve(self, order: Resting, at: int) -> None:
        """Let an order that has just come have what the standing market offers."""
        if self.at_open and self.mark is not None:
            if order.is_in_work:
                self._take(order, self.mark, at)
            elif self._is_reached(order, self.mark):
                self._meet(order, self.mark, at)
            self._check_barrier(at)

    def _in_turn(self, orders: Iterable[Resting]) -> list[Resting]:
        return sorted(orders, key=_turn)

    def _level(self, order: Resting) -> Decimal | None:
        """Price an order waits for; None when it is in work."""
        known = self._levels.get(order.id)
        if known is None or known[0] is not order:
            known = self._levels[order.id] = order, self._find_level(order)
        return known[1]

    def _find_level(self, order: Resting) -> Decimal | None:
        request = order.request
        if not order.is_waiting:
            return None if order.is_in_work else request.price
        if request.callback is None:
            return request.stop_price
        if order.best is None:
            return request.activation
        return fill_rule.trailing_level(self.instrument, request.side, order.best, request.callback)

    def _is_reached(self, order: Resting, price: Decimal) -> bool:
        level = self._level(order)
        return level is not None and fill_rule.is_reached(_touches_as(order), order.request.side, level, price)

    def _next_touch(self, end: Decimal) -> tuple[Resting, Decimal] | None:
        """The order that the market meets first on its way to `end`, and where."""
        return min(self._touches(end), key=lambda touch: (self._distance(touch[1]), _turn(touch[0])), default=None)

    def _touches(self, end: Decimal) -> Iterator[tuple[Resting, Decimal]]:
        mark = end if self.mark is None else self.mark
        low, high = min(mark, end), max(mark, end)
        for order in self.orders.values():
            level = self._level(order)
            if level is None or not low <= level <= high or (self.budget == 0 and not order.is_waiting):
                continue
            if fill_rule.is_reached(_touches_as(order), order.request.side, level, end):
                yield order, level

    def _follow(self, price: Decimal) -> None:
        """Trailing stops that are active see a new price."""
        for order in self.orders.values():
            if order.best is not None and order.is_waiting:
                best = max(order.best, price) if order.request.side is Side.SELL else min(order.best, price)
                if best != order.best:
                    self.orders[order.id] = replace(order, best=best)

    def _meet(self, order: Resting, price: Decimal, at: int) -> None:
        """The market, at `price`, has come to an order."""
        if not order.is_waiting:
            self._fill(order, price, Liquidity.MAKER, at)
        elif order.request.callback is not None and order.best is None:
            self.orders[order.id] = replace(order, best=price)
        elif not self._clearing.room(order):
            self.expire(order, Expiry.REDUCE_ONLY, at)
        else:
            self._trigger(order, price, at)

    def _trigger(self, order: Resting, price: Decimal, at: int) -> None:
        if order.request.close_position:
            order = replace(order, request=replace(order.request, quantity=self._clearing.room(order)))
        number = self._clearing.number()
        order = replace(order, triggered_id=number, rank=number, triggered_at=at, updated_at=at)
        self.orders[order.id] = order
        self._tell(ExecutionType.TRIGGERED, order, at)
        limit = order.request.price
        if limit is None or fill_rule.is_reached(OrderType.LIMIT, order.request.side, limit, price):
            if order.request.time_in_force is TimeInForce.GTX:
                self.expire(order, Expiry.AT_ONCE, at)
            else:
                self._take(order, price, at)
        elif order.request.time_in_force in AT_ONCE:
            self.expire(order, Expiry.AT_ONCE, at)

    def _take(self, order: Resting, price: Decimal, at: int) -> None:
        """Let an order take what there is with the market standing at `price`; what remains stays in work."""
        request = order.request
        if request.price is None or fill_rule.is_reached(OrderType.LIMIT, request.side, request.price, price):
            whole = self.budget is None or self.budget >= order.remaining
            if whole or request.time_in_force is not TimeInForce.FOK:
                self._fill(order, price, Liquidity.TAKER, at)
        rest = self.orders.get(order.id)
        if rest is not None and request.time_in_force in AT_ONCE:
            self.expire(rest, Expiry.AT_ONCE, at)

    def _fill(self, order: Resting, price: Decimal, liquidity: Liquidity, at: int) -> None:
        """Fill as much as the bar's volume and the account leave, and end what has nothing left to reduce."""
        room = self._clearing.room(order)
        if not room:
            return self.expire(order, Expiry.REDUCE_ONLY, at)
        quantity = room if self.budget is None else min(room, self.budget)
        if not quantity:
            return None
        if self.budget is not None:
            self.budget -= quantity
        price = self._taken_at(order.request, price) if liquidity is Liquidity.TAKER else price
        return self._trade(order, quantity, price, liquidity, at)

    def _trade(self, order: Resting, quantity: Decimal, price: Decimal, liquidity: Liquidity, at: int) -> None:
        trade = self._clearing.settle(order, quantity, price, liquidity, at)
        order = order.after(quantity, price, at)
        self._store(order)
        self._clearing.tell(Execution(ExecutionType.TRADE, order, trade, at))
        self._finish(order, at)
        self.expire_reducers(at)

    def _taken_at(self, request: Request, price: Decimal) -> Decimal:
        prices = self.bar
        taken = fill_rule.market_price(self.instrument, price, request.side, prices.low, prices.high)
        if request.price is None:
            return taken
        return min(taken, request.price) if request.side is Side.BUY else max(taken, request.price)

    def _end(self, order: Resting, status: OrderStatus, kind: ExecutionType, at: int) -> None:
        order = replace(order, status=status, updated_at=at)
        self._store(order)
        self._tell(kind, order, at)
        self._finish(order, at)

    def _finish(self, order: Resting, at: int) -> None:
        if order.triggered_id is not None and not order.is_open:
            self._tell(ExecutionType.FINISHED, order, at)

    def _store(self, order: Resting) -> None:
        if order.is_open:
            self.orders[order.id] = order
        else:
            self.orders.pop(order.id, None)
            self._levels.pop(order.id, None)

    def _tell(self, kind: ExecutionType, order: Resting, at: int) -> None:
        self._clearing.tell(Execution(kind, order, None, at))


def _touches_as(order: Resting) -> OrderType:
    """Which of the fill rule's two resting orders an order waits like."""
    request = order.request
    if not order.is_waiting:
        return OrderType.LIMIT
    if request.callback is not None and order.best is None:
        return OrderType.LIMIT  # a trailing stop is activated by a price that moves the trader's way
    return OrderType.STOP_MARKET if request.type in STOPS else OrderType.LIMIT


def _turn(order: Resting) -> Turn:
    """Who comes first at one moment: orders in work (reducing ones before others), stops, trailing stops, the rest by
    price; then the older one."""
    request = order.request
    if order.is_in_work:
        return (0 if request.reduces else 1), ZERO, order.rank
    if order.is_waiting and request.type in STOPS:
        return (3 if request.type is OrderType.TRAILING_STOP_MARKET else 2), ZERO, order.rank
    price = request.price if request.price is not None else request.stop_price or ZERO
    return 4, -request.side.sign * price, order.rank
