"""The spot side of the exchange: its accounts, moved by the bars that move the margin accounts, and what they hear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from include.venues.matching import Prices, Refusal, RefusedError, Request, Resting
from include.venues.matching.spot import SpotAccount, SpotExecution
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.errors import UNKNOWN_ORDER, ApiError, Denial
from include.venues.sandbox.hub import SPOT, Hub
from include.venues.sandbox.market import Market
from include.venues.sandbox.market_streams import MarketStreams
from include.venues.sandbox.spot import filters, messages
from include.venues.sandbox.spot.market_messages import SpotMarketMessages
from include.venues.sandbox.spot.numbers import eight

REJECTED = -2010
REFUSALS: Mapping[Refusal, Denial] = {
    Refusal.DUPLICATE_ID: Denial(REJECTED, "Duplicate order sent."),
    Refusal.UNKNOWN_ORDER: UNKNOWN_ORDER,
    Refusal.MARGIN_INSUFFICIENT: Denial(REJECTED, "Account has insufficient balance for requested action."),
    Refusal.NO_PRICE: Denial(-1013, "Market is closed."),
    Refusal.WOULD_TAKE: Denial(REJECTED, "Order would immediately match and take."),
}
WOULD_TRIGGER = Denial(REJECTED, "Stop price would trigger immediately.")
CANNOT_FILL_ALL = Denial(REJECTED, "The order was rejected by the matching engine.")


class SpotDesk:
    """All spot accounts of one exchange, over the markets that it shares with USD-M."""

    def __init__(
        self, markets: Mapping[str, Market], specs: Iterable[AccountSpec], hub: Hub, *, partial_klines: bool = False
    ) -> None:
        """`markets` by the lake's symbol. An account begins with its first deposit in quote currency."""
        instruments = {symbol: market.tape.instrument for symbol, market in markets.items()}
        quote = next(iter(instruments.values())).quote
        self.words = {symbol: SpotMarketMessages(market) for symbol, market in markets.items()}
        self.accounts = {spec.name: SpotAccount(instruments, {quote: spec.balance}) for spec in specs}
        self._hub = hub
        self._streams = MarketStreams(hub, self.words, prefix=SPOT, partial_klines=partial_klines)
        for symbol, market in markets.items():
            if market.tape.start:
                for account in self.accounts.values():
                    account.set_mark(symbol, market.tape.prices(market.tape.start - 1).close)

    # --- time ----------------------------------------------------------------------------------------------

    def open_bar(self, bars: Mapping[str, Prices], rows: Mapping[str, int], at: int) -> bool:
        """Play the opens of one bar time; True when an order moved."""
        moved = [self._tell(name, account.open_phase(bars, at)) for name, account in self.accounts.items()]
        self._streams.tell_open(rows)
        return any(moved)

    def play_path(self, bars: Mapping[str, Prices], leg_times: tuple[int, int, int]) -> None:
        """Play the rest of the bar."""
        for name, account in self.accounts.items():
            self._tell(name, account.path_phase(bars, leg_times))

    def close_bar(self, rows: Mapping[str, int]) -> None:
        """The bar has closed: its market streams are told."""
        self._streams.tell_close(rows)

    # --- orders --------------------------------------------------------------------------------------------

    def check(self, name: str, request: Request) -> None:
        """Hold a request to the filters of its symbol. Raises ApiError."""
        account = self.accounts[name]
        working = len(account.open_orders(request.symbol))
        filters.check(account.instruments[request.symbol], request, account.mark(request.symbol), working)

    def submit(self, name: str, request: Request, at: int, quote_quantity: Decimal | None = None) -> Resting:
        """Check, accept and perhaps fill an order. Raises ApiError when it is refused."""
        account = self.accounts[name]
        self.check(name, request)
        try:
            self._tell(name, account.submit(request, at, quote_quantity))
        except RefusedError as error:
            raise ApiError(_denial(error.refusal, request)) from None
        return account.orders[account.ids[request.client_order_id]]

    def cancel(self, name: str, order: Resting, cancel_id: str, at: int) -> Resting:
        """Take a working order away. Raises ApiError when it does not work any more."""
        account = self.accounts[name]
        try:
            self._tell(name, account.cancel(order.id, at), cancel_id)
        except RefusedError as error:
            raise ApiError(REFUSALS[error.refusal]) from None
        return account.orders[order.id]

    def sized(self, name: str, request_symbol: str, side: Any, amount: Decimal) -> Decimal:
        """Quantity that an amount buys or brings where the market stands. Raises ApiError before the first bar."""
        try:
            return self.accounts[name].sized(request_symbol, side, amount)
        except RefusedError as error:
            raise ApiError(REFUSALS[error.refusal]) from None

    def transfer(self, name: str, asset: str, amount: Decimal, at: int) -> None:
        """Bring currency into an account, or take it out. Raises ApiError when that much is not free."""
        account = self.accounts[name]
        try:
            account.transfer(asset, amount)
        except RefusedError as error:
            raise ApiError(REFUSALS[error.refusal]) from None
        self._hub.publish_user(name, messages.balance_event(asset, amount, at), SPOT)
        self._hub.publish_user(name, messages.position_event({asset: account.balance(asset)}, at), SPOT)

    def _tell(self, name: str, told: list[SpotExecution], cancel_id: str | None = None) -> bool:
        if told and self._hub.has_user(name):
            account = self.accounts[name]
            for one in told:
                market_id = self.words[one.execution.order.request.symbol].id
                for event in messages.user_events(account, one, market_id, cancel_id):
                    self._hub.publish_user(name, event, SPOT)
        return bool(told)

    # --- inspection ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Every account with what it has, its working orders and trades."""
        return {name: self._account_state(account) for name, account in self.accounts.items()}

    def _account_state(self, account: SpotAccount) -> dict[str, Any]:
        names = {symbol: words.id for symbol, words in self.words.items()}
        return {
            "balances": {
                asset: {"free": eight(held.free), "locked": eight(held.locked)}
                for asset, held in account.balances().items()
            },
            "open_orders": [messages.order_json(account, o, names[o.request.symbol]) for o in account.open_orders()],
            "trades": [messages.trade_json(t, account.instruments[t.symbol], names[t.symbol]) for t in account.trades],
        }


def _denial(refusal: Refusal, request: Request) -> Denial:
    if refusal is Refusal.WOULD_TAKE and request.stop_price is not None:
        return WOULD_TRIGGER
    return REFUSALS.get(refusal, CANNOT_FILL_ALL)
