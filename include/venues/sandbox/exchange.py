"""The exchange itself: accounts that trade on tapes while the replay moves, and what it tells its listeners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.domain.times import from_ms, iso
from include.venues.matching import Account, Execution, Prices, RefusedError, Request, Resting
from include.venues.sandbox import errors, filters, messages
from include.venues.sandbox.accounts import AccountSpec, Credentials
from include.venues.sandbox.hub import Hub
from include.venues.sandbox.replay import Phase, Replay
from include.venues.sandbox.tape import Tape


class Exchange:
    """All state of one sandbox; changed only from the server's event loop."""

    def __init__(
        self, tapes: Mapping[str, Tape], accounts: Iterable[AccountSpec], hub: Hub, *, partial_klines: bool = False
    ) -> None:
        """`tapes` by the lake's symbol. `partial_klines`: tell unfinished bars at their open, as a real stream does."""
        specs = list(accounts)
        self.hub = hub
        self.tapes = tapes
        self.by_id = {tape.id: tape for tape in tapes.values()}
        self.credentials = Credentials(specs)
        self.replay = Replay(tapes)
        instruments = {symbol: tape.instrument for symbol, tape in tapes.items()}
        self.accounts = {spec.name: Account(instruments, spec.balance) for spec in specs}
        self._partial_klines = partial_klines
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
        self._playing = self.replay.begin_bar()
        self._bars = {symbol: self.tapes[symbol].prices(row) for symbol, row in self._playing.items()}
        moved = [self._tell(name, a.open_phase(self._bars, self.event_time)) for name, a in self.accounts.items()]
        if self._partial_klines:
            self._tell_klines(finished=False)
        return any(moved)

    def finish_bar(self) -> None:
        """Play the rest of the bar; its fills are told first, then the finished bars."""
        leg_times = self.replay.leg_times()
        for name, account in self.accounts.items():
            self._tell(name, account.path_phase(self._bars, leg_times))
        self.replay.finish_bar(self._playing)
        self._tell_klines(finished=True)

    # --- orders --------------------------------------------------------------------------------------------

    def tape(self, market_id: str | None) -> Tape:
        """Raises ApiError for a symbol that is not traded here."""
        if not market_id:
            raise errors.ApiError(errors.missing("symbol"))
        tape = self.by_id.get(market_id)
        if tape is None:
            raise errors.ApiError(errors.INVALID_SYMBOL)
        return tape

    def submit(self, name: str, request: Request) -> Resting:
        """Check, accept and perhaps fill an order. Raises ApiError when it is refused."""
        account = self.accounts[name]
        filters.check(account.instruments[request.symbol], request, account.mark(request.symbol))
        try:
            self._tell(name, account.submit(request, self.event_time))
        except RefusedError as error:
            raise errors.ApiError(errors.REFUSALS[error.refusal]) from None
        return account.orders[request.client_order_id]

    def cancel(self, name: str, client_order_id: str) -> Resting:
        """Take a working order away. Raises ApiError when there is none."""
        account = self.accounts[name]
        try:
            self._tell(name, account.cancel(client_order_id, self.event_time))
        except RefusedError as error:
            raise errors.ApiError(errors.REFUSALS[error.refusal]) from None
        return account.orders[client_order_id]

    # --- telling -------------------------------------------------------------------------------------------

    def _tell(self, name: str, executions: list[Execution]) -> bool:
        for execution in executions:
            for event in messages.user_events(execution, self.tapes[execution.order.request.symbol]):
                self.hub.publish_user(name, event)
        return bool(executions)

    def _tell_klines(self, *, finished: bool) -> None:
        for symbol, row in self._playing.items():
            tape = self.tapes[symbol]
            stream = f"{tape.id.lower()}@kline_{tape.bars.timeframe}"
            if self.hub.has_listener(stream):
                kline = tape.kline_fields(row, finished=finished)
                self.hub.publish_market(stream, {"e": "kline", "E": self.event_time, "s": tape.id, "k": kline})

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
        return {**self.status(), "accounts": accounts}

    def _account_state(self, account: Account) -> dict[str, Any]:
        tapes = list(self.tapes.values())
        return {
            "initial_wallet": filters.text(account.initial_wallet),
            "wallet": filters.text(account.wallet),
            "equity": filters.text(account.equity),
            "positions": [
                messages.position_json(account, tape, self.event_time)
                for tape in tapes
                if account.holding(tape.instrument.symbol).quantity
            ],
            "open_orders": [
                messages.algo_json(o, self.tapes[o.request.symbol])
                if messages.is_algo(o)
                else messages.order_json(o, self.tapes[o.request.symbol])
                for o in account.open_orders()
            ],
            "trades": [messages.trade_json(t, self.tapes[t.symbol]) for t in account.trades],
        }
