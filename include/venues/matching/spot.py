"""A spot account: balances of currencies, no margin, no shorting; the books match as they do for margin accounts.

Pure and deterministic like `book`. What an order may need is locked when it is accepted (a buy its cost in quote, a
sale its quantity) and given back as it fills or ends. A market order between two bars locks what it would cost now; if
the open is dearer it takes from what is free, and it buys no more than both pay for.

The commission is taken from what a fill brings, as Binance does without BNB: in base currency for a buy, in quote for a
sale, to eight decimals (ties to the even one). So `Trade.fee` of a buy is in base currency here: `commission_asset`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from include.domain import fill_rule
from include.domain.enums import Liquidity, OrderType, Side
from include.domain.instruments import Instrument
from include.venues.matching.book import Book
from include.venues.matching.orders import (
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

COMMISSION_STEP = Decimal("0.00000001")
LEGS = 3


@dataclass(frozen=True, slots=True)
class SpotBalance:
    """What an account has of a currency: free to use, and locked by working orders."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class SpotExecution:
    """Something that happened to an order, and the balances of its two currencies as they are afterwards."""

    execution: Execution
    balances: Mapping[str, SpotBalance]


def base_asset(instrument: Instrument) -> str:
    """Currency that is bought and sold."""
    return instrument.symbol.split("/")[0] if "/" in instrument.symbol else instrument.symbol.removesuffix("USDT")


def commission_asset(instrument: Instrument, side: Side) -> str:
    """Currency in which a fill's commission is taken: the one it brings."""
    return base_asset(instrument) if side is Side.BUY else instrument.quote


class SpotAccount:
    """One account's balances, orders and trades; `Clearing` of its books."""

    def __init__(self, instruments: Mapping[str, Instrument], deposits: Mapping[str, Decimal]) -> None:
        self.instruments = instruments
        self.orders: dict[int, Resting] = {}
        """Accepted orders by id, in order of arrival; `retention` forgets old ones."""
        self.ids: dict[str, int] = {}
        """Id of the latest order of each client order id."""
        self.trades: list[Trade] = []
        self.quote_quantities: dict[int, Decimal] = {}
        """What a market order given by amount shall spend or bring, by order id."""
        assets = {asset for i in instruments.values() for asset in (base_asset(i), i.quote)}
        self._balances = {asset: SpotBalance(deposits.get(asset, ZERO)) for asset in sorted(assets | set(deposits))}
        self.locks: dict[int, Decimal] = {}
        self.books = {symbol: Book(instrument, self) for symbol, instrument in instruments.items()}
        self._told: list[SpotExecution] = []
        self.last_id = 0

    # --- views ---------------------------------------------------------------------------------------------

    def balance(self, asset: str) -> SpotBalance:
        return self._balances.get(asset, SpotBalance())

    def balances(self) -> Mapping[str, SpotBalance]:
        """All currencies, by name."""
        return dict(self._balances)

    def mark(self, symbol: str) -> Decimal | None:
        """Price at which the market stands; None before the first bar."""
        return self.books[symbol].mark

    def set_mark(self, symbol: str, price: Decimal) -> None:
        """Reference price before the first replayed bar: the last close of the history."""
        self.books[symbol].mark = price

    def open_orders(self, symbol: str | None = None) -> list[Resting]:
        """Working orders, oldest first."""
        books = self.books.values() if symbol is None else (self.books[symbol],)
        return sorted((order for book in books for order in book.orders.values()), key=lambda order: order.id)

    def restore(self, balances: Mapping[str, SpotBalance], locks: Mapping[int, Decimal], last_id: int) -> None:
        """Go on with what another account of the same orders had."""
        self._balances, self.locks, self.last_id = dict(balances), dict(locks), last_id

    # --- commands ------------------------------------------------------------------------------------------

    def submit(self, request: Request, at: int, quote_quantity: Decimal | None = None) -> list[SpotExecution]:
        """Accept an order, and fill it if the market stands where it fills.

        Args:
            request: what is asked for; with `quote_quantity` its quantity is `sized` at the price of this moment.
            quote_quantity: a MARKET order for so much money: it is sized anew at the open that fills it.

        Raises:
            RefusedError: the order is not acceptable; nothing has changed.
        """
        self._check(request)
        book = self.books[request.symbol]
        asset, need = self._paid_in(request), self._need(request, request.quantity, quote_quantity)
        if need > self.balance(asset).free:
            raise RefusedError(Refusal.MARGIN_INSUFFICIENT)
        number = self.number()
        order = Resting(number, request, at, at, rank=number)
        self.orders[number] = order
        self.ids[request.client_order_id] = number
        if quote_quantity is not None:
            self.quote_quantities[number] = quote_quantity
        self._lock(order, need)
        book.accept(order, at)
        return self._drain()

    def cancel(self, order_id: int, at: int) -> list[SpotExecution]:
        """Take a working order away. Raises RefusedError when there is no such working order."""
        order = self.orders.get(order_id)
        if order is None or not order.is_open:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        book = self.books[order.request.symbol]
        book.cancel(book.orders[order_id], at)
        return self._drain()

    def transfer(self, asset: str, amount: Decimal) -> None:
        """Bring money in, or take it out (below zero). Raises RefusedError when that much is not free."""
        held = self.balance(asset)
        if held.free + amount < 0:
            raise RefusedError(Refusal.MARGIN_INSUFFICIENT)
        self._balances[asset] = replace(held, free=held.free + amount)

    def sized(self, symbol: str, side: Side, quote_quantity: Decimal) -> Decimal:
        """Whole lots that an amount of money buys or brings where the market stands. Raises RefusedError."""
        price = self._market_price(symbol, side)
        return self.instruments[symbol].floor_quantity(quote_quantity / price)

    # --- the bar -------------------------------------------------------------------------------------------

    def open_phase(self, bars: Mapping[str, Prices], at: int) -> list[SpotExecution]:
        """Play the opens of one bar time: `bars` holds the symbols that have a bar."""
        for symbol, prices in bars.items():
            self.books[symbol].stand_at_open(prices, at)
        for symbol in bars:
            book = self.books[symbol]
            if book.orders:
                self._size_orders(book, at)
                book.play_open(at)
        return self._drain()

    def path_phase(self, bars: Mapping[str, Prices], leg_times: Sequence[int]) -> list[SpotExecution]:
        """Play the rest of the bar; `leg_times` says when each of the three legs of the path is reached."""
        books = [self.books[symbol] for symbol in bars]
        for leg in range(LEGS):
            for book in books:
                if book.orders:
                    book.play_leg(leg, leg_times[leg])
        for book in books:
            book.close()
        return self._drain()

    def _size_orders(self, book: Book, at: int) -> None:
        """Market orders given by amount learn their quantity from the open."""
        for order in [o for o in book.orders.values() if o.id in self.quote_quantities and not o.filled]:
            quantity = self.sized(order.request.symbol, order.request.side, self.quote_quantities[order.id])
            if quantity:
                sized = replace(order, request=replace(order.request, quantity=quantity))
                book.orders[order.id] = self.orders[order.id] = sized
            else:
                book.expire(order, Expiry.AT_ONCE, at)

    # --- clearing ------------------------------------------------------------------------------------------

    def number(self) -> int:
        self.last_id += 1
        return self.last_id

    def room(self, order: Resting) -> Decimal:
        """What of an order may fill: all that remains, or as much as its lock and the free balance pay for."""
        request = order.request
        means = self.locks.get(order.id, ZERO) + self.balance(self._paid_in(request)).free
        if request.side is Side.SELL:
            return min(order.remaining, self.instruments[request.symbol].floor_quantity(means))
        if request.price is not None:
            return order.remaining  # its cost at the limit is locked
        affordable = means / self._market_price(request.symbol, request.side)
        return min(order.remaining, self.instruments[request.symbol].floor_quantity(affordable))

    def settle(self, order: Resting, quantity: Decimal, price: Decimal, liquidity: Liquidity, at: int) -> Trade:
        request, instrument = order.request, self.instruments[order.request.symbol]
        is_buy = request.side is Side.BUY
        paid, received = (quantity * price, quantity) if is_buy else (quantity, quantity * price)
        rate = instrument.maker_fee_rate if liquidity is Liquidity.MAKER else instrument.taker_fee_rate
        fee = (received * rate).quantize(COMMISSION_STEP, rounding=ROUND_HALF_EVEN)
        locked = self.locks[order.id]
        kept = min(max(locked - paid, ZERO), self._need(request, order.remaining - quantity))
        self.locks[order.id] = kept
        self._move(self._paid_in(request), free=locked - paid - kept, locked=kept - locked)
        self._move(commission_asset(instrument, request.side), free=received - fee)
        trade = Trade(
            id=len(self.trades) + 1, order_id=order.id, client_order_id=request.client_order_id, symbol=request.symbol,
            side=request.side, quantity=quantity, price=price, fee=fee, realised=ZERO, liquidity=liquidity, at=at,
        )  # fmt: skip
        self.trades.append(trade)
        return trade

    def tell(self, execution: Execution) -> None:
        if execution.type is ExecutionType.FINISHED:
            return  # a triggered stop is the same order here
        order = execution.order
        self.orders[order.id] = order
        if not order.is_open:
            locked = self.locks.pop(order.id)
            self._move(self._paid_in(order.request), free=locked, locked=-locked)
        instrument = self.instruments[order.request.symbol]
        balances = {asset: self.balance(asset) for asset in (base_asset(instrument), instrument.quote)}
        self._told.append(SpotExecution(execution, balances))

    def barrier(self, symbol: str, end: Decimal) -> Decimal | None:
        """Nothing is borrowed, so nothing is liquidated."""
        return None

    def take_over(self, symbol: str, price: Decimal, at: int) -> None:
        raise AssertionError("a spot account has no barrier")

    # --- internals -----------------------------------------------------------------------------------------

    def _check(self, request: Request) -> None:
        book = self.books[request.symbol]
        latest = self.orders.get(self.ids.get(request.client_order_id, 0))
        if latest is not None and latest.is_open:
            raise RefusedError(Refusal.DUPLICATE_ID)
        if book.mark is None:
            raise RefusedError(Refusal.NO_PRICE)
        book.check(request)
        if request.stop_price is not None:
            waits_as = OrderType.STOP_MARKET if request.type in STOPS else OrderType.LIMIT
            if fill_rule.is_reached(waits_as, request.side, request.stop_price, book.mark):
                raise RefusedError(Refusal.WOULD_TAKE)

    def _paid_in(self, request: Request) -> str:
        instrument = self.instruments[request.symbol]
        return instrument.quote if request.side is Side.BUY else base_asset(instrument)

    def _need(self, request: Request, quantity: Decimal, quote_quantity: Decimal | None = None) -> Decimal:
        """What `quantity` of an order may have to pay, in the currency that it pays in."""
        if request.side is Side.SELL:
            return quantity
        if quote_quantity is not None:
            return quote_quantity
        if request.price is not None:
            return quantity * request.price
        instrument, mark = self.instruments[request.symbol], self.books[request.symbol].mark
        reference = request.stop_price or mark or ZERO
        return quantity * instrument.worse_price(reference * (1 + instrument.market_cost_fraction), request.side)

    def _market_price(self, symbol: str, side: Side) -> Decimal:
        """What a market order would get where the market stands. Raises RefusedError before the first bar."""
        book, instrument = self.books[symbol], self.instruments[symbol]
        if book.mark is None:
            raise RefusedError(Refusal.NO_PRICE)
        if book.prices is not None and book.at_open:
            return fill_rule.market_price(instrument, book.mark, side, book.prices.low, book.prices.high)
        return instrument.worse_price(book.mark * (1 + side.sign * instrument.market_cost_fraction), side)

    def _lock(self, order: Resting, amount: Decimal) -> None:
        self.locks[order.id] = amount
        self._move(self._paid_in(order.request), free=-amount, locked=amount)

    def _move(self, asset: str, *, free: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        held = self.balance(asset)
        self._balances[asset] = SpotBalance(held.free + free, held.locked + locked)

    def _drain(self) -> list[SpotExecution]:
        told, self._told = self._told, []
        return told
