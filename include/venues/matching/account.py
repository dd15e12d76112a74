"""One margin account of the sandbox exchange: orders and money, driven bar by bar along `docs/fill-rule.md`.

Pure and deterministic: no clock, no I/O, no randomness; time comes in with every call as venue milliseconds. The same
calls in the same order give the same events, ids included.

A bar is played in two phases, so that an engine can protect an entry before the rest of its bar happens: `open_phase`
(funding, liquidations, then what the open fills), and `path_phase` (the rest). In between the market stands at the
open: an order that arrives then and is reached by it fills at once. After `path_phase` the market is between bars.

Accounts do not meet each other, and each may take its own share of a bar's volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from include.domain import fill_rule
from include.domain.enums import Liquidity, MarginType, OrderType, PositionSide
from include.domain.holding import ZERO, Holding
from include.domain.ids import LIQUIDATION_PREFIX
from include.domain.instruments import Instrument
from include.venues.matching.book import Book
from include.venues.matching.brackets import Bracket
from include.venues.matching.changes import Change, ChangeReason, Income, IncomeType, MarginMove, incomes_of
from include.venues.matching.margin import Margin
from include.venues.matching.orders import (
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
from include.venues.matching.reservations import Bound, Reservations

Event = Execution | Change
MARGIN_CALL_RISK = Decimal("0.8")
"""Ratio of maintenance margin to what backs it from which an account is warned."""


class Account:
    """One account's orders and money."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        wallet: Decimal,
        brackets: Mapping[str, Sequence[Bracket]] | None = None,
    ) -> None:
        self.instruments = instruments
        self.initial_wallet = wallet
        self.books = {symbol: Book(instrument, self) for symbol, instrument in instruments.items()}
        self.margin = Margin(instruments, wallet, self.mark, brackets)
        self.reservations = Reservations(self.margin)
        self.orders: dict[int, Resting] = {}
        """Accepted orders by id, in order of arrival; `retention` forgets old ones."""
        self.by_client_id: dict[str, int] = {}
        """Id of the latest order of each client id."""
        self.children: dict[int, int] = {}
        """Id of the conditional order by that of the order it became."""
        self.trades: list[Trade] = []
        self.trades_of: dict[int, list[Trade]] = {}
        """Trades of each order, by the id that they name."""
        self.flows: list[Income] = []
        """What moved the wallet other than trades."""
        self.margin_moves: list[MarginMove] = []
        self.countdowns: dict[str, int] = {}
        """When all orders of a symbol are cancelled unless somebody says he is alive; venue milliseconds."""
        self.last_order_id = self.last_trade_id = 0
        self.warned = False
        """Whether the present danger of liquidation has been told."""
        self.dated: dict[int, int] = {}
        """Last moment of each working order that has one."""
        self._events: list[Event] = []

    # --- views ---------------------------------------------------------------------------------------------

    @property
    def wallet(self) -> Decimal:
        return self.margin.wallet

    @property
    def equity(self) -> Decimal:
        return self.margin.equity

    def holding(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Holding:
        return self.margin.holding(symbol, side)

    def mark(self, symbol: str) -> Decimal | None:
        """Price at which the market stands; None before the first bar."""
        return self.books[symbol].mark

    def set_mark(self, symbol: str, price: Decimal) -> None:
        """Reference price before the first replayed bar: the last close of the history."""
        self.books[symbol].mark = price

    def order(self, client_order_id: str) -> Resting | None:
        """The latest order of a client id."""
        number = self.by_client_id.get(client_order_id)
        return None if number is None else self.orders[number]

    def working(self, symbol: str | None = None) -> bool:
        """Whether any order is working."""
        return any(book.orders for name, book in self.books.items() if symbol in (None, name))

    def open_orders(self, symbol: str | None = None) -> list[Resting]:
        """Working orders, oldest first."""
        books = self.books.values() if symbol is None else (self.books[symbol],)
        return sorted((order for book in books for order in book.orders.values()), key=lambda order: order.id)

    def incomes(self) -> list[Income]:
        """All that changed the wallet since the account was opened, oldest first."""
        told = [*self.flows, *(income for trade in self.trades for income in incomes_of(trade))]
        return sorted(told, key=lambda income: income.at)

    # --- orders --------------------------------------------------------------------------------------------

    def submit(self, request: Request, at: int) -> list[Event]:
        """Accept an order, and fill it if the market stands where it fills.

        Raises:
            RefusedError: the order is not acceptable; nothing has changed.
        """
        book = self.books[request.symbol]
        bound = self._check(request)
        number = self.number()
        order = Resting(number, request, at, at, number)
        self.by_client_id[request.client_order_id] = number
        self.reservations.bind(order, bound)
        if request.good_till is not None:
            self.dated[number] = request.good_till
        book.accept(order, at)
        return self._drain()

    def modify(self, order: Resting, quantity: Decimal, price: Decimal, at: int) -> list[Event]:
        """Change quantity and price of a working limit order; one that has filled as much already is cancelled.

        Raises:
            RefusedError: the order is not a working limit order, nothing changes, or the new one is not acceptable.
        """
        request, book = order.request, self.books[order.request.symbol]
        if order.id not in book.orders:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        if request.type is not OrderType.LIMIT:
            raise RefusedError(Refusal.NOT_MODIFIABLE)
        if (quantity, price) == (request.quantity, request.price):
            raise RefusedError(Refusal.NOTHING_TO_MODIFY)
        if quantity <= order.filled:
            return self.cancel(order, at)
        wanted = replace(request, quantity=quantity, price=price)
        book.check(wanted)
        self.reservations.bind(order, self.reservations.check_change(order, wanted))
        book.modify(book.orders[order.id], quantity, price, at)
        return self._drain()

    def cancel(self, order: Resting, at: int) -> list[Event]:
        """Take a working order away.

        Raises:
            RefusedError: it is not working any more.
        """
        book = self.books[order.request.symbol]
        if order.id not in book.orders:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        book.cancel(book.orders[order.id], at)
        return self._drain()

    def fill_part(self, order: Resting, quantity: Decimal, at: int) -> list[Event]:
        """Fill a part of a working order at its own price, whatever the market does: what a fault asks for.

        Raises:
            RefusedError: it is not working any more, or has not triggered.
        """
        book = self.books[order.request.symbol]
        current = book.orders.get(order.id)
        if current is None or current.is_waiting:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        book.fill_part(current, quantity, at)
        return self._drain()

    def set_countdown(self, symbol: str, deadline: int | None) -> None:
        """Cancel all orders of a symbol at `deadline` (venue milliseconds) unless this is called again; None: never."""
        self.countdowns.pop(symbol, None)
        if deadline is not None:
            self.countdowns[symbol] = deadline

    # --- settings and money --------------------------------------------------------------------------------

    def set_leverage(self, symbol: str, leverage: int, at: int) -> list[Event]:
        """Raises RefusedError; see `Margin.set_leverage`."""
        if self.margin.terms[symbol].leverage != leverage:
            self.margin.set_leverage(symbol, leverage)
            self._change(ChangeReason.LEVERAGE, at, symbol=symbol, leverage=leverage)
        return self._drain()

    def set_margin_type(self, symbol: str, margin_type: MarginType, at: int) -> list[Event]:
        """Raises RefusedError: nothing to change, or the symbol has a position or a working order."""
        if self.margin.terms[symbol].margin_type is not margin_type and self.working(symbol):
            raise RefusedError(Refusal.MARGIN_TYPE_ORDERS)
        self.margin.set_margin_type(symbol, margin_type)
        self._change(ChangeReason.MARGIN_TYPE_CHANGE, at, sides=((symbol, s) for s in self.margin.sides))
        return self._drain()

    def set_hedged(self, hedged: bool) -> None:
        """Raises RefusedError: nothing to change, or there is a position or a working order."""
        if hedged is not self.margin.hedged and self.working():
            raise RefusedError(Refusal.POSITION_SIDE_ORDERS)
        self.margin.set_hedged(hedged)

    def add_margin(self, symbol: str, side: PositionSide, amount: Decimal, at: int) -> list[Event]:
        """Raises RefusedError; see `Margin.add_margin`."""
        self.margin.add_margin(symbol, side, amount)
        self.margin_moves.append(MarginMove(symbol, side, amount, at))
        self._change(ChangeReason.MARGIN_TRANSFER, at, sides=[(symbol, side)])
        return self._drain()

    def transfer(self, amount: Decimal, at: int) -> list[Event]:
        """Pay into the wallet, or out of it (negative). Raises RefusedError: more than is available."""
        if amount < 0 and -amount > self.margin.available:
            raise RefusedError(Refusal.MARGIN_INSUFFICIENT)
        reason = ChangeReason.DEPOSIT if amount > 0 else ChangeReason.WITHDRAW
        self._flow(IncomeType.TRANSFER, amount, at, "")
        self._change(reason, at, amount=amount)
        return self._drain()

    # --- the bar -------------------------------------------------------------------------------------------

    def open_phase(self, bars: Mapping[str, Prices], at: int) -> list[Event]:
        """Play the opens of one bar time: `bars` holds the symbols that have a bar."""
        self._keep_time(at)
        due = {symbol: self._funding_rate(symbol, prices, at) for symbol, prices in bars.items()}
        for symbol, prices in bars.items():
            self.books[symbol].stand_at_open(prices, at)
        for symbol, rate in due.items():
            self._pay_funding(symbol, rate, at)
        for symbol in bars:
            self.books[symbol].play_open(at)
        return self._drain()

    def path_phase(self, bars: Mapping[str, Prices], leg_times: Sequence[int]) -> list[Event]:
        """Play the rest of the bar; `leg_times` says when each of the three legs of the path is reached. Symbols walk
        a leg one after another; those that have not walked it yet stand where the last leg has left them."""
        busy = [s for s in sorted(bars) if self.books[s].orders or self.margin.of(s)]
        for leg, at in enumerate(leg_times):
            self._keep_time(at)
            for symbol in busy:
                self.books[symbol].play_leg(leg, at)
        for symbol in bars:
            self.books[symbol].close()
        if busy:
            self._warn(leg_times[-1])
        return self._drain()

    # --- clearing: what the books ask ----------------------------------------------------------------------

    def number(self) -> int:
        self.last_order_id += 1
        return self.last_order_id

    def room(self, order: Resting) -> Decimal:
        request = order.request
        if not request.reduces:
            return order.remaining
        closable = self.margin.holding(request.symbol, request.position_side).closable(request.side)
        return closable if request.close_position and order.is_waiting else min(order.remaining, closable)

    def settle(self, order: Resting, quantity: Decimal, price: Decimal, liquidity: Liquidity, at: int) -> Trade:
        fee = self.instruments[order.request.symbol].fee(quantity, price, liquidity)
        return self._settle(order, quantity, price, liquidity, fee, ZERO, at)

    def tell(self, execution: Execution) -> None:
        order = execution.order
        self.orders[order.id] = order
        if execution.type is ExecutionType.TRIGGERED and order.triggered_id is not None:
            self.children[order.triggered_id] = order.id
        self.reservations.update(order)
        if not order.is_open:
            self.dated.pop(order.id, None)
        self._events.append(execution)
        if execution.trade is not None:
            self._change(ChangeReason.ORDER, execution.at, sides=[(order.request.symbol, order.request.position_side)])

    def barrier(self, symbol: str, end: Decimal) -> Decimal | None:
        return self.margin.barrier(symbol, end)

    def take_over(self, symbol: str, price: Decimal, at: int) -> None:
        """Liquidate a position of a symbol, whole; the symbol's orders are gone before (rule 14)."""
        book, instrument = self.books[symbol], self.instruments[symbol]
        side, bankruptcy = self.margin.victim(symbol, price)
        for order in list(book.orders.values()):
            book.expire(order, Expiry.LIQUIDATED, at)
        position, number = self.margin.positions[symbol, side], self.number()
        request = Request(
            f"{LIQUIDATION_PREFIX}{number}", symbol, position.closing_side, OrderType.MARKET, position.size,
            reduce_only=side is PositionSide.BOTH, position_side=side,
        )  # fmt: skip
        order, bar = Resting(number, request, at, at, number), book.bar
        paid = fill_rule.liquidation_price(instrument, request.side, price, bankruptcy, low=bar.low, high=bar.high)
        fee = fill_rule.liquidation_fee(instrument, position.size, paid, bankruptcy)
        clearance = max(ZERO, fee - instrument.fee(position.size, paid, Liquidity.TAKER))
        self.by_client_id[request.client_order_id] = number
        trade = self._settle(order, position.size, paid, Liquidity.TAKER, fee, clearance, at)
        self.tell(Execution(ExecutionType.CALCULATED, order.after(position.size, paid, at), trade, at))

    # --- internals -----------------------------------------------------------------------------------------

    def _drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _check(self, request: Request) -> Bound | None:
        """Hold a new order to everything; returns the margin that it will bind. Raises RefusedError."""
        latest = self.order(request.client_order_id)
        if latest is not None and latest.is_open:
            raise RefusedError(Refusal.DUPLICATE_ID)
        if request.position_side not in self.margin.sides:
            raise RefusedError(Refusal.POSITION_SIDE)
        book = self.books[request.symbol]
        book.check(request)
        return self.reservations.check_new(request, book.mark)

    def _settle(
        self, order: Resting, quantity: Decimal, price: Decimal, liquidity: Liquidity, fee: Decimal,
        clearance: Decimal, at: int,
    ) -> Trade:  # fmt: skip
        request = order.request
        key = request.symbol, request.position_side
        realised, grew = self.margin.fill(key, request.side, quantity, price, fee, at)
        if grew:
            self.books[request.symbol].restart_trails(request.position_side)
        trade = Trade(
            id=self.last_trade_id + 1, order_id=order.triggered_id or order.id, client_order_id=request.client_order_id,
            symbol=request.symbol, side=request.side, quantity=quantity, price=price, fee=fee, realised=realised,
            liquidity=liquidity, at=at, position_side=request.position_side, clearance=clearance,
        )  # fmt: skip
        self.add_trade(trade)
        return trade

    def add_trade(self, trade: Trade) -> None:
        """Keep a trade; money is not moved."""
        self.trades.append(trade)
        self.last_trade_id = trade.id
        self.trades_of.setdefault(trade.order_id, []).append(trade)

    def _funding_rate(self, symbol: str, prices: Prices, at: int) -> Decimal:
        """All the funding that is due at this open as a rate (16)."""
        if prices.funding_rate is not None:
            return prices.funding_rate
        last = self.books[symbol].opened_at
        return ZERO if last is None else fill_rule.funding_due(last, at) * self.instruments[symbol].funding_rate

    def _pay_funding(self, symbol: str, rate: Decimal, at: int) -> None:
        mark = self.mark(symbol)
        if not rate or mark is None:
            return
        for side, position in self.margin.of(symbol):
            amount = -position.holding.quantity * mark * rate
            self._flow(IncomeType.FUNDING_FEE, amount, at, symbol)
            sides = [(symbol, side)] if self.margin.is_isolated(symbol) else []
            self._change(ChangeReason.FUNDING_FEE, at, amount=amount, sides=sides, symbol=symbol)

    def _flow(self, kind: IncomeType, amount: Decimal, at: int, symbol: str) -> None:
        self.margin.wallet += amount
        self.flows.append(Income(kind, amount, at, len(self.flows) + 1, symbol))

    def _keep_time(self, at: int) -> None:
        """End what the clock ends: orders past their date, and all orders of a symbol whose countdown has run out."""
        for number in [n for n, last in self.dated.items() if last < at]:
            book = self.books[self.orders[number].request.symbol]
            book.expire(book.orders[number], Expiry.GOOD_TILL, at)
        for symbol in [s for s, deadline in self.countdowns.items() if deadline <= at]:
            del self.countdowns[symbol]
            for order in self.open_orders(symbol):
                self.books[symbol].cancel(order, at)

    def _warn(self, at: int) -> None:
        """Tell once that a liquidation is near."""
        is_near = bool(self.margin.positions) and self.margin.risk >= MARGIN_CALL_RISK
        if is_near and not self.warned:
            self._change(ChangeReason.MARGIN_CALL, at, sides=self.margin.positions)
        self.warned = is_near

    def _change(
        self, reason: ChangeReason, at: int, *, sides: Iterable[tuple[str, PositionSide]] = (), amount: Decimal = ZERO,
        symbol: str = "", leverage: int = 0,
    ) -> None:  # fmt: skip
        margin = self.margin
        held = tuple(margin.held(name, side) for name, side in sides)
        self._events.append(Change(reason, at, margin.wallet, margin.cross_wallet, held, amount, symbol, leverage))
