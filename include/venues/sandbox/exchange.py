"""The exchange itself: accounts that trade on tapes while the replay moves, and what it tells its listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from include.domain.times import DAY_MS, from_ms, iso
from include.venues.matching import Account, Bracket, Event, Prices, RefusedError, Request, Resting, retention
from include.venues.sandbox import account_messages, errors, filters, messages
from include.venues.sandbox.accounts import AccountSpec, Credentials
from include.venues.sandbox.hub import Hub
from include.venues.sandbox.market import Market
from include.venues.sandbox.market_messages import MarketMessages
from include.venues.sandbox.market_streams import MarketStreams
from include.venues.sandbox.replay import Phase, Replay
from include.venues.sandbox.spot.desk import SpotDesk
from include.venues.sandbox.tape import Tape
from include.venues.sandbox.user_messages import user_events


class Exchange:
    """All state of one sandbox; changed only from the server's event loop."""

    def __init__(
        self,
        tapes: Mapping[str, Tape],
        accounts: Iterable[AccountSpec],
        hub: Hub,
        *,
        partial_klines: bool = False,
        brackets: Mapping[str, Sequence[Bracket]] | None = None,
    ) -> None:
        """`tapes` and leverage `brackets` by the lake's symbol; one without brackets gets that of its instrument.
        `partial_klines`: tell unfinished bars at their open, as a real stream does."""
        specs = list(accounts)
        self.hub = hub
        self.tapes = tapes
        self.by_id = {tape.id: tape for tape in tapes.values()}
        self.credentials = Credentials(specs)
        self.replay = Replay(tapes)
        instruments = {symbol: tape.instrument for symbol, tape in tapes.items()}
        self.accounts = {spec.name: Account(instruments, spec.balance, brackets) for spec in specs}
        self.words = {symbol: MarketMessages(Market(tape, self.replay)) for symbol, tape in tapes.items()}
        self.streams = MarketStreams(hub, self.words, partial_klines=partial_klines)
        markets = {symbol: words.market for symbol, words in self.words.items()}
        self.spot = SpotDesk(markets, specs, hub, partial_klines=partial_klines)
        self._playing: dict[str, int] = {}
        self._bars: dict[str, Prices] = {}
        for symbol, tape in tapes.items():
            if tape.start:
                for account in self.accounts.values():
                    account.set_mark(symbol, tape.prices(tape.start - 1).close)

    # --- time ----------------------------------------------------------------------------------------------

    @property
    def event_time(self) -> int:
        """Virtual market time, epoch milliseconds."""
        return self.replay.event_time

    @property
    def is_done(self) -> bool:
        return self.replay.phase is Phase.DONE

    def advance(self) -> None:
        """One step of lockstep time: a phase, or a whole bar when its open concerns nobody.

        An open that fills nothing gives a client nothing to react to, so stopping there would only cost a round trip.
        """
        if self.replay.phase is Phase.BETWEEN and self.open_bar():
            return
        if self.replay.phase is Phase.OPEN:
            self.finish_bar()

    def open_bar(self) -> bool:
        """Play the open of the next bar time; True when an order moved."""
        yesterday = self.event_time // DAY_MS
        self._playing = self.replay.begin_bar()
        if self.event_time // DAY_MS != yesterday:
            self._forget()
        self._bars = {symbol: self.tapes[symbol].prices(row) for symbol, row in self._playing.items()}
        moved = [self._tell(name, a.open_phase(self._bars, self.event_time)) for name, a in self.accounts.items()]
        self.streams.tell_open(self._playing)
        moved.append(self.spot.open_bar(self._bars, self._playing, self.event_time))
        return any(moved)

    def _forget(self) -> None:
        """Once a day of market time, what nobody may ask for any more is dropped."""
        for account in self.accounts.values():
            retention.forget(account, self.event_time)
        for spot in self.spot.accounts.values():
            retention.forget_spot(spot, self.event_time)

    def finish_bar(self) -> None:
        """Play the rest of the bar; its fills are told first, then the finished bars."""
        leg_times = self.replay.leg_times()
        for name, account in self.accounts.items():
            self._tell(name, account.path_phase(self._bars, leg_times))
        self.spot.play_path(self._bars, leg_times)
        self.replay.finish_bar()
        self.streams.tell_close(self._playing)
        self.spot.close_bar(self._playing)

    def restore(self, accounts: Mapping[str, Account]) -> None:
        """Go on with these accounts where the (restored) replay stands."""
        self.accounts.update(accounts)
        self._playing = self.replay.playing
        self._bars = {symbol: self.tapes[symbol].prices(row) for symbol, row in self._playing.items()}

    # --- orders --------------------------------------------------------------------------------------------

    def tape(self, market_id: str | None) -> Tape:
        """Raises ApiError for a symbol that is not traded here."""
        if not market_id:
            raise errors.ApiError(errors.missing("symbol"))
        tape = self.by_id.get(market_id)
        if tape is None:
            raise errors.ApiError(errors.INVALID_SYMBOL)
        return tape

    def spare_id(self, name: str) -> str:
        """A client id for an order that was sent without one."""
        return f"auto-{self.accounts[name].last_order_id + 1}"

    def submit(self, name: str, request: Request) -> Resting:
        """Check, accept and perhaps fill an order. Raises ApiError when it is refused."""
        account = self.accounts[name]
        filters.check(account.books[request.symbol], request)
        self.change(name, lambda: account.submit(request, self.event_time))
        return account.orders[account.by_client_id[request.client_order_id]]

    def modify(self, name: str, order: Resting, quantity: Decimal, price: Decimal) -> Resting:
        """Change a working limit order. Raises ApiError when it is refused."""
        account = self.accounts[name]
        filters.check_change(account.books[order.request.symbol], order.request, quantity, price)
        self.change(name, lambda: account.modify(order, quantity, price, self.event_time))
        return account.orders[order.id]

    def cancel(self, name: str, order: Resting) -> Resting:
        """Take a working order away. Raises ApiError when it is not working."""
        account = self.accounts[name]
        self.change(name, lambda: account.cancel(order, self.event_time))
        return account.orders[order.id]

    def fill_part(self, account: str, params: Mapping[str, str], fraction: Decimal) -> None:
        """Fill a part of the order in the book that `params` name, at its own price; for faults. Nothing when there is
        no such order or the part is less than a lot."""
        state, number = self.accounts[account], params.get("orderId", "")
        order = state.order(params.get("origClientOrderId", ""))
        if number.isdecimal():
            order = state.orders.get(state.children.get(int(number), int(number)))
        if order is None or not order.is_open or order.is_waiting:
            return
        quantity = state.instruments[order.request.symbol].floor_quantity(order.remaining * fraction)
        if quantity:
            self.change(account, lambda: state.fill_part(order, quantity, self.event_time))

    def change(self, name: str, command: Callable[[], Sequence[Event] | None]) -> None:
        """Do something to an account and tell what came of it. Raises ApiError when the account refuses it."""
        try:
            events = command()
        except RefusedError as error:
            raise errors.ApiError(errors.REFUSALS[error.refusal]) from None
        self._tell(name, events or ())

    # --- telling -------------------------------------------------------------------------------------------

    def _tell(self, name: str, events: Sequence[Event]) -> bool:
        if events and self.hub.has_user(name):
            for event in events:
                for message in user_events(event, self.tapes):
                    self.hub.publish_user(name, message)
        return bool(events)

    # --- inspection ----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Where the replay is and what has been sent: the answer of every advance."""
        return {
            "phase": self.replay.phase.value,
            "event_time": iso(from_ms(self.event_time)),
            "done": self.is_done,
            "progress": self.replay.progress,
            "sent": dict(self.hub.sent),
        }

    def state(self) -> dict[str, Any]:
        """`status` and every account with its positions, working orders and trades."""
        accounts = {name: self._account_state(account) for name, account in self.accounts.items()}
        return {**self.status(), "accounts": accounts, "spot": self.spot.state()}

    def _account_state(self, account: Account) -> dict[str, Any]:
        return {
            "initial_wallet": filters.text(account.initial_wallet),
            "wallet": filters.text(account.wallet),
            "equity": filters.text(account.equity),
            "positions": [
                account_messages.position_json(account, self.tapes[symbol], side, self.event_time)
                for symbol, side in account.margin.positions
            ],
            "open_orders": [
                (messages.algo_json if order.is_waiting else messages.order_json)(
                    order, self.tapes[order.request.symbol]
                )
                for order in account.open_orders()
            ],
            "trades": [messages.trade_json(t, self.tapes[t.symbol]) for t in account.trades],
        }
