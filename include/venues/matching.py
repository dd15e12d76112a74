"""Matching core of the sandbox exchange: one account, one-way positions, driven bar by bar along `docs/fill-rule.md`.

Pure and deterministic: no clock, no I/O, no randomness; time comes in with every call as venue milliseconds. The same
calls in the same order give the same executions, ids included.

A bar is played in two phases, so that an engine can protect an entry before the rest of its bar happens:

- `open_phase`: waiting market orders fill at the open (those that only reduce first), then resting orders that the
  open has reached, stops before limits. From here until `path_phase` the market stands at the open: an order that
  arrives now and is reached by it (every market order is) fills at once.
- `path_phase`: the rest of the bar; resting orders fill in the order in which the path touches them. Afterwards the
  market is between bars: market orders wait for the next open.

Accounts do not meet each other: the market is deep enough for all, and every fill is whole. A reduce-only order is
cut to the position when it fills, and expires as soon as there is nothing left to reduce.

Margin is the simple cross kind: an order that would need more initial margin (notional / leverage) than equity
leaves free is refused. Liquidation, funding and partial fills by volume are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from include.domain import fill_rule
from include.domain.enums import Liquidity, OrderStatus, OrderType, Side, TimeInForce
from include.domain.holding import ZERO, Holding
from include.domain.instruments import Instrument
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal

DEFAULT_LEVERAGE = 20
"""What Binance gives a fresh USD-M account."""


class Refusal(StrEnum):
    """Why the core refuses a request; the protocol layer gives each its exchange code."""

    DUPLICATE_ID = "DUPLICATE_ID"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOTHING_TO_REDUCE = "NOTHING_TO_REDUCE"
    MARGIN_INSUFFICIENT = "MARGIN_INSUFFICIENT"
    TIME_IN_FORCE = "TIME_IN_FORCE"
    NO_PRICE = "NO_PRICE"


class RefusedError(Exception):
    """The account refuses a request; nothing has changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


class ExecutionType(StrEnum):
    NEW = "NEW"
    TRIGGERED = "TRIGGERED"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Prices:
    """One bar's prices in quote currency."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for. `level`: limit price of a LIMIT, trigger of a STOP_MARKET, None for a MARKET."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    level: Decimal | None = None
    reduce_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC


@dataclass(frozen=True, slots=True)
class Resting:
    """An order as the exchange knows it; replaced, never edited."""

    id: int
    request: Request
    created_at: int
    updated_at: int
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    triggered_id: int | None = None
    """Id of the market order that a triggered stop became."""
    triggered_at: int | None = None

    @property
    def is_open(self) -> bool:
        return not is_terminal(ORDER_TRANSITIONS, self.status)


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


@dataclass(frozen=True, slots=True)
class Execution:
    """Something that happened to an order, with the order, position and wallet as they are afterwards."""

    type: ExecutionType
    order: Resting
    trade: Trade | None
    holding: Holding
    wallet: Decimal
    at: int


@dataclass(slots=True)
class _Market:
    """Where a symbol's market stands."""

    prices: Prices | None = None
    mark: Decimal | None = None
    at_open: bool = False


class Account:
    """One account's orders, positions and wallet."""

    def __init__(self, instruments: Mapping[str, Instrument], wallet: Decimal) -> None:
        self.instruments = instruments
        self.initial_wallet = wallet
        self.wallet = wallet
        self.orders: dict[str, Resting] = {}
        """Every order ever accepted, by client order id, in order of arrival."""
        self.trades: list[Trade] = []
        self.leverage: dict[str, int] = dict.fromkeys(instruments, DEFAULT_LEVERAGE)
        self._open: dict[str, dict[str, None]] = {symbol: {} for symbol in instruments}
        self._holdings: dict[str, Holding] = dict.fromkeys(instruments, Holding())
        self._markets: dict[str, _Market] = {symbol: _Market() for symbol in instruments}
        self._last_order_id = 0

    # --- views ---------------------------------------------------------------------------------------------

    def holding(self, symbol: str) -> Holding:
        return self._holdings[symbol]

    def mark(self, symbol: str) -> Decimal | None:
        """Price at which the market stands; None before the first bar."""
        return self._markets[symbol].mark

    def set_mark(self, symbol: str, price: Decimal) -> None:
        """Reference price before the first replayed bar: the last close of the history."""
        self._markets[symbol].mark = price

    def open_orders(self, symbol: str | None = None) -> list[Resting]:
        """Working orders, oldest first."""
        symbols: Iterable[str] = self._open if symbol is None else (symbol,)
        return sorted((self.orders[cid] for s in symbols for cid in self._open[s]), key=lambda order: order.id)

    def unrealised(self, symbol: str) -> Decimal:
        mark = self._markets[symbol].mark
        return self._holdings[symbol].unrealised(mark) if mark is not None else ZERO

    @property
    def equity(self) -> Decimal:
        return self.wallet + sum((self.unrealised(symbol) for symbol in self.instruments), ZERO)

    def position_margin(self, symbol: str) -> Decimal:
        """Initial margin that the open position of a symbol binds."""
        mark = self._markets[symbol].mark or ZERO
        return abs(self._holdings[symbol].quantity) * mark / self.leverage[symbol]

    def order_margin(self, symbol: str) -> Decimal:
        """Initial margin that working orders which may enlarge a position bind."""
        return sum(
            (self._needed_margin(o.request) for o in self.open_orders(symbol) if not o.request.reduce_only), ZERO
        )

    @property
    def available(self) -> Decimal:
        """Equity that no position and no order binds."""
        bound = (self.position_margin(s) + self.order_margin(s) for s in self.instruments)
        return self.equity - sum(bound, ZERO)

    # --- commands ------------------------------------------------------------------------------------------

    def submit(self, request: Request, at: int) -> list[Execution]:
        """Accept an order, and fill it if the market stands where it fills.

        Raises:
            RefusedError: the order is not acceptable; nothing has changed.
        """
        self._check(request)
        self._last_order_id += 1
        order = Resting(self._last_order_id, request, at, at)
        self.orders[request.client_order_id] = order
        self._open[request.symbol][request.client_order_id] = None
        executions = [self._execution(ExecutionType.NEW, order, None, at)]
        market = self._markets[request.symbol]
        if market.at_open and market.prices is not None and _fills_at(order, market.prices.open):
            executions += self._fill(order, market.prices, market.prices.open, at)
        return executions

    def cancel(self, client_order_id: str, at: int) -> list[Execution]:
        """Take a working order away.

        Raises:
            RefusedError: there is no such working order.
        """
        order = self.orders.get(client_order_id)
        if order is None or not order.is_open:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        return [self._finish(order, OrderStatus.CANCELED, ExecutionType.CANCELED, at)]

    # --- the bar -------------------------------------------------------------------------------------------

    def open_phase(self, bars: Mapping[str, Prices], at: int) -> list[Execution]:
        """Play the opens of one bar time: `bars` holds the symbols that have a bar."""
        for symbol, prices in bars.items():
            self._markets[symbol] = _Market(prices, prices.open, at_open=True)
        executions: list[Execution] = []
        for symbol, prices in bars.items():
            for client_order_id in self._queue(symbol):
                order = self.orders[client_order_id]
                if order.is_open and _fills_at(order, prices.open):
                    executions += self._fill(order, prices, prices.open, at)
        return executions

    def path_phase(self, bars: Mapping[str, Prices], leg_times: Sequence[int]) -> list[Execution]:
        """Play the rest of the bar; `leg_times` says when each of the three legs of the path is reached."""
        touches = sorted(touch for symbol, prices in bars.items() for touch in self._touches(symbol, prices))
        executions: list[Execution] = []
        for touch in touches:
            order = self.orders[touch.client_order_id]
            if order.is_open:
                executions += self._fill(order, bars[touch.symbol], touch.level, leg_times[touch.leg])
        for symbol, prices in bars.items():
            self._markets[symbol] = _Market(prices, prices.close, at_open=False)
        return executions

    def _queue(self, symbol: str) -> list[str]:
        """Client ids in the order in which an open serves them: market orders, reducing ones first, stops, limits."""
        return sorted(self._open[symbol], key=lambda client_order_id: _turn(self.orders[client_order_id]))

    def _touches(self, symbol: str, prices: Prices) -> Iterator[_Touch]:
        """Where the path meets the resting orders of a symbol."""
        waypoints = fill_rule.path(prices.open, prices.high, prices.low, prices.close)
        for client_order_id in self._open[symbol]:
            order = self.orders[client_order_id]
            request = order.request
            if request.level is None:
                continue
            point = fill_rule.touch_point(request.type, request.side, request.level, waypoints)
            if point is not None:
                yield _Touch(point[0], symbol, point[1], _turn(order), client_order_id, request.level)

    # --- internals -----------------------------------------------------------------------------------------

    def _check(self, request: Request) -> None:
        if request.client_order_id in self.orders:
            raise RefusedError(Refusal.DUPLICATE_ID)
        if request.time_in_force is not TimeInForce.GTC:
            raise RefusedError(Refusal.TIME_IN_FORCE)
        if request.reduce_only:
            if not self._holdings[request.symbol].closable(request.side):
                raise RefusedError(Refusal.NOTHING_TO_REDUCE)
        elif self._needed_margin(request) > self.available:
            raise RefusedError(Refusal.MARGIN_INSUFFICIENT)

    def _needed_margin(self, request: Request) -> Decimal:
        """Initial margin of what the order would add to the position (nothing for the part that closes)."""
        price = request.level if request.level is not None else self._markets[request.symbol].mark
        if price is None:
            raise RefusedError(Refusal.NO_PRICE)
        added = max(ZERO, request.quantity - self._holdings[request.symbol].closable(request.side))
        return added * price / self.leverage[request.symbol]

    def _fill(self, order: Resting, prices: Prices, reference: Decimal, at: int) -> list[Execution]:
        """Fill an order whole (reduce-only: as far as there is a position) with the market standing at `reference`."""
        request = order.request
        holding = self._holdings[request.symbol]
        quantity = min(request.quantity, holding.closable(request.side)) if request.reduce_only else request.quantity
        if not quantity:
            return [self._finish(order, OrderStatus.EXPIRED, ExecutionType.EXPIRED, at)]
        executions = []
        if request.type is OrderType.STOP_MARKET:
            self._last_order_id += 1
            order = self._store(replace(order, triggered_id=self._last_order_id, triggered_at=at, updated_at=at))
            executions.append(self._execution(ExecutionType.TRIGGERED, order, None, at))
        instrument = self.instruments[request.symbol]
        price = fill_rule.resting_price(
            instrument, request.type, request.side, reference, low=prices.low, high=prices.high
        )
        executions.append(self._trade(order, quantity, price, at))
        if quantity < request.quantity:
            executions.append(
                self._finish(self.orders[request.client_order_id], OrderStatus.EXPIRED, ExecutionType.EXPIRED, at)
            )
        return executions + self._expire_reducers(request.symbol, at)

    def _trade(self, order: Resting, quantity: Decimal, price: Decimal, at: int) -> Execution:
        request = order.request
        liquidity = Liquidity.MAKER if request.type is OrderType.LIMIT else Liquidity.TAKER
        fee = self.instruments[request.symbol].fee(quantity, price, liquidity)
        self._holdings[request.symbol], realised = self._holdings[request.symbol].after(request.side, quantity, price)
        self.wallet += realised - fee
        trade = Trade(
            id=len(self.trades) + 1, order_id=order.triggered_id or order.id, client_order_id=request.client_order_id,
            symbol=request.symbol, side=request.side, quantity=quantity, price=price, fee=fee, realised=realised,
            liquidity=liquidity, at=at,
        )  # fmt: skip
        self.trades.append(trade)
        status = OrderStatus.FILLED if quantity == request.quantity else OrderStatus.PARTIALLY_FILLED
        order = self._store(replace(order, status=status, filled=quantity, average_price=price, updated_at=at))
        return self._execution(ExecutionType.TRADE, order, trade, at)

    def _expire_reducers(self, symbol: str, at: int) -> list[Execution]:
        """Reduce-only orders end with the position that they protect."""
        holding = self._holdings[symbol]
        gone = [o for o in self.open_orders(symbol) if o.request.reduce_only and not holding.closable(o.request.side)]
        return [self._finish(order, OrderStatus.EXPIRED, ExecutionType.EXPIRED, at) for order in gone]

    def _finish(self, order: Resting, status: OrderStatus, kind: ExecutionType, at: int) -> Execution:
        return self._execution(kind, self._store(replace(order, status=status, updated_at=at)), None, at)

    def _store(self, order: Resting) -> Resting:
        self.orders[order.request.client_order_id] = order
        if not order.is_open:
            self._open[order.request.symbol].pop(order.request.client_order_id, None)
        return order

    def _execution(self, kind: ExecutionType, order: Resting, trade: Trade | None, at: int) -> Execution:
        return Execution(kind, order, trade, self._holdings[order.request.symbol], self.wallet, at)


class _Touch(NamedTuple):
    """Sorts into the order in which the orders of a bar fill."""

    leg: int
    symbol: str
    distance: Decimal
    turn: tuple[int, int]
    client_order_id: str
    level: Decimal


def _fills_at(order: Resting, price: Decimal) -> bool:
    """Whether an order fills when the market stands at `price`."""
    request = order.request
    return request.level is None or fill_rule.is_reached(request.type, request.side, request.level, price)


def _turn(order: Resting) -> tuple[int, int]:
    """Who comes first at one price: market orders (reducing ones before others), stops, limits; then the older one."""
    if order.request.type is OrderType.MARKET:
        return (0 if order.request.reduce_only else 1), order.id
    return (2 if order.request.type is OrderType.STOP_MARKET else 3), order.id
