"""A paper account: the matching core behind our orders, driven by commands that can be written down and run again.

Pure and deterministic: the same commands in the same order give the same account, ids included. That is what makes the
journal enough to restore it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.enums import MarginType, OrderStatus
from include.domain.errors import RejectedError
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, Intent, Order, OrderReport, Position
from include.domain.times import Timeframe, from_ms, to_ms
from include.ports import VenueEvent
from include.venues.matching import (
    Account,
    Change,
    ChangeReason,
    Event,
    Execution,
    ExecutionType,
    Income,
    IncomeType,
    Prices,
    Refusal,
    RefusedError,
    Request,
    Resting,
    Trade,
)
from include.venues.placing import require_steps

MIN_NOTIONAL = "-4164"
REFUSALS: Mapping[Refusal, str] = {
    Refusal.DUPLICATE_ID: "-4116",
    Refusal.UNKNOWN_ORDER: "-2011",
    Refusal.NOTHING_TO_REDUCE: "-2022",
    Refusal.MARGIN_INSUFFICIENT: "-2019",
    Refusal.WOULD_TAKE: "-5022",
    Refusal.CANNOT_FILL_ALL: "-5021",
}
"""Binance's codes, so that a refusal reads the same on paper; any other refusal carries its own name."""


def refused(symbol: str, refusal: Refusal) -> RejectedError:
    """A refusal of the core in the words of the port."""
    return RejectedError(f"{symbol}: {refusal.value}", code=REFUSALS.get(refusal, refusal.value))


class PaperAccount:
    """One account and the market it trades on, bar by bar. Times in epoch milliseconds of the market."""

    def __init__(self, instruments: Mapping[str, Instrument], deposit: Decimal, timeframe: Timeframe) -> None:
        self._core = Account(instruments, deposit)
        self._instruments, self._timeframe, self._deposit = instruments, timeframe, deposit
        self._known: set[str] = set()
        self._playing: dict[str, Prices] = {}
        self.now_ms = 0
        """Market time: the open that is being played, or the last close."""
        self.played_through_ms = 0
        """Open time of the last bar that was played to its close."""

    @property
    def stands_at_open(self) -> bool:
        """Whether a bar's open has been played and its path has not."""
        return bool(self._playing)

    @property
    def is_idle(self) -> bool:
        """Whether time passing can change nothing: no working order, no position."""
        return not self._core.working() and not self._core.margin.positions

    # --- commands ------------------------------------------------------------------------------------------

    def mark(self, prices: Mapping[str, Decimal], at: int) -> None:
        """Where the markets stand, without a bar being played."""
        for symbol, price in prices.items():
            self._core.set_mark(symbol, price)
        self.now_ms = max(self.now_ms, at)

    def prepare(self, leverage: Mapping[str, int]) -> None:
        """One-way positions, isolated margin, leverage. Raises RejectedError."""
        for symbol, factor in leverage.items():
            try:
                if self._core.margin.terms[symbol].margin_type is not MarginType.ISOLATED:
                    self._core.set_margin_type(symbol, MarginType.ISOLATED, self.now_ms)
                self._core.set_leverage(symbol, factor, self.now_ms)
            except RefusedError as error:
                raise refused(symbol, error.refusal) from None

    def check(self, order: Order) -> None:
        """Hold an order to what an exchange would hold it to. Raises RejectedError; nothing has changed."""
        intent = order.intent
        instrument = self._instruments[intent.symbol]
        require_steps(intent, instrument.tick_size, instrument.lot_size)
        if order.client_order_id in self._known:
            raise refused(intent.symbol, Refusal.DUPLICATE_ID)
        price = intent.price or intent.stop_price or self._core.mark(intent.symbol)
        if not intent.reduce_only and price is not None and intent.quantity * price < instrument.min_notional:
            raise RejectedError(f"{intent.symbol}: below {instrument.min_notional} of notional", code=MIN_NOTIONAL)

    def submit(self, order: Order) -> list[VenueEvent]:
        """Take an order. Raises RejectedError; nothing has changed."""
        self.check(order)
        try:
            told = self._core.submit(request_of(order), self.now_ms)
        except RefusedError as error:
            raise refused(order.intent.symbol, error.refusal) from None
        self._known.add(order.client_order_id)
        return self._translate(told)

    def cancel(self, symbol: str, client_order_id: str) -> list[VenueEvent]:
        """Take a working order away. Raises RejectedError when there is none."""
        found = self._core.order(client_order_id)
        if found is None:
            raise refused(symbol, Refusal.UNKNOWN_ORDER)
        try:
            return self._translate(self._core.cancel(found, self.now_ms))
        except RefusedError as error:
            raise refused(symbol, error.refusal) from None

    def open_bar(self, opened_ms: int, bars: Mapping[str, Prices]) -> list[VenueEvent]:
        """Play the opens of one bar time, symbol by symbol in the order of their names, however they came: trades are
        numbered as they happen, and a restart must number them alike."""
        self.now_ms = opened_ms
        self._playing = dict(sorted(bars.items()))
        return self._translate(self._core.open_phase(self._playing, opened_ms))

    def finish_bar(self) -> list[VenueEvent]:
        """Play the rest of the bar whose open was played."""
        opened, quarter = self.now_ms, self._timeframe.ms // 4
        legs = (opened + quarter, opened + 2 * quarter, opened + 3 * quarter)
        told = self._translate(self._core.path_phase(self._playing, legs))
        self._playing = {}
        self.now_ms, self.played_through_ms = opened + self._timeframe.ms - 1, opened
        return told

    # --- views ---------------------------------------------------------------------------------------------

    def report(self, client_order_id: str) -> OrderReport | None:
        """State of one order by our id."""
        found = self._core.order(client_order_id)
        return None if found is None else _report(found, found.updated_at)

    def open_orders(self) -> list[OrderReport]:
        return [_report(order, order.updated_at) for order in self._core.open_orders()]

    def fills(self, symbol: str, since: datetime) -> list[Fill]:
        return [_fill(t) for t in self._core.trades if t.symbol == symbol and t.at >= to_ms(since)]

    def fills_of(self, client_order_id: str) -> list[Fill]:
        return [_fill(trade) for trade in self._core.trades if trade.client_order_id == client_order_id]

    def funding(self, symbol: str, since: datetime) -> list[FundingPayment]:
        flows: Sequence[Income] = self._core.flows
        mine = (f for f in flows if f.type is IncomeType.FUNDING_FEE and f.symbol == symbol and f.at >= to_ms(since))
        return [_payment(symbol, flow.amount, flow.at) for flow in mine]

    def positions(self) -> list[Position]:
        held = ((symbol, self._core.holding(symbol)) for symbol in self._instruments)
        return [Position(symbol, h.quantity, h.entry_price) for symbol, h in held if h.quantity]

    def balances(self) -> list[Balance]:
        currencies = sorted({instrument.quote for instrument in self._instruments.values()})
        return [Balance(currency, self._core.wallet) for currency in currencies[:1]]

    def _translate(self, told: Sequence[Event]) -> list[VenueEvent]:
        found: list[VenueEvent] = []
        for event in told:
            if isinstance(event, Execution) and event.type is not ExecutionType.FINISHED:
                fill = None if event.trade is None else _fill(event.trade)
                found.append(_report(event.order, event.at, fill))
            elif isinstance(event, Change) and event.reason is ChangeReason.FUNDING_FEE:
                found.append(_payment(event.symbol, event.amount, event.at))
        return found


def request_of(order: Order) -> Request:
    """An order as the core takes it."""
    intent: Intent = order.intent
    return Request(
        order.client_order_id, intent.symbol, intent.side, intent.type, intent.quantity, price=intent.price,
        stop_price=intent.stop_price, reduce_only=intent.reduce_only, time_in_force=order.time_in_force,
        callback=intent.callback_rate,
    )  # fmt: skip


def prices_of(bar: Bar) -> Prices:
    return Prices(bar.open, bar.high, bar.low, bar.close, bar.volume)


def _report(order: Resting, at: int, fill: Fill | None = None) -> OrderReport:
    status = order.status
    if status is OrderStatus.ACCEPTED and order.triggered_id is not None:
        status = OrderStatus.TRIGGERED
    return OrderReport(
        order.request.client_order_id, str(order.triggered_id or order.id), order.request.symbol, status,
        order.filled, from_ms(at), fill,
    )  # fmt: skip


def _fill(trade: Trade) -> Fill:
    return Fill(
        str(trade.id), trade.client_order_id, trade.symbol, trade.side, trade.quantity, trade.price, trade.fee,
        trade.liquidity, from_ms(trade.at),
    )  # fmt: skip


def _payment(symbol: str, amount: Decimal, at: int) -> FundingPayment:
    return FundingPayment(str(at), symbol, amount, from_ms(at))
