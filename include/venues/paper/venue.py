"""`ports.Venue` over a real feed and an account of our own: paper trading without an account at any exchange.

A bar that the feed brings is played in two phases, open and path, with time for the engine in between (`advance`), so
paper trades are those of the fill rule. What is asked of the account is journalled before it is done; a restart replays
the journal, then plays the bars that finished meanwhile: the market did not wait for us. A journal that does not fit is
refused, never repaired.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from include.domain.bars import Bar
from include.domain.errors import AirlockError, RejectedError, RetryableError
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, Order, OrderReport, Position
from include.domain.times import Timeframe, from_ms
from include.ports import VenueEvent
from include.venues.feeds.source import BarSource
from include.venues.matching import Prices
from include.venues.paper.account import PaperAccount, prices_of
from include.venues.paper.commands import order_command, read_order, read_prices, write_prices
from include.venues.paper.journal import Command, Journal
from include.venues.paper.steps import StepGatherer

MAX_MISSED = 10_000
"""Bars played after a restart at most; a longer absence is for a person to look at."""


class PaperVenue:
    """One paper account.

    Args:
        feed: where bars come from.
        instruments: steps, fees and costs by symbol; those connected must be among them.
        deposit: what the account is opened with, in quote currency.
        journal: file of the account.
        patience_secs: how long a bar time waits for the symbols that are still missing.
    """

    def __init__(
        self,
        feed: BarSource,
        instruments: Mapping[str, Instrument],
        deposit: Decimal,
        journal: Path,
        *,
        patience_secs: float = 5.0,
    ) -> None:
        self._feed, self._deposit, self._path = feed, deposit, journal
        self._facts = instruments
        self._patience = patience_secs
        self._instruments: dict[str, Instrument] = {}
        self._timeframe = Timeframe(60)
        self._told: asyncio.Queue[VenueEvent | BaseException | None] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._waiting_since: float | None = None
        self._pending: dict[str, Bar] = {}
        """Bars of the open that is being played; told once they are finished."""
        self._unwritten: Command | None = None
        """The newest marks that the journal does not have: they matter only once something is asked."""
        self._account: PaperAccount
        self._journal: Journal | None = None
        self._steps: StepGatherer

    # --- life ----------------------------------------------------------------------------------------------

    @property
    def reconnects(self) -> int:
        """The account is here, so a stream that was opened again has lost nothing of it."""
        return 0

    @property
    def feed(self) -> BarSource:
        return self._feed

    @property
    def stands_at_open(self) -> bool:
        """Whether a bar's open has been played and its path waits."""
        return self._account.stands_at_open

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        """Connect the feed, restore the account, and play what finished since it was last here.

        Raises:
            RejectedError: a symbol has no instrument facts.
            FatalError: the journal is damaged or belongs to another account.
        """
        if unknown := [symbol for symbol in symbols if symbol not in self._facts]:
            raise RejectedError(f"paper account: no instrument facts for {', '.join(unknown)}", code="-1121")
        self._timeframe = timeframe
        self._instruments = {symbol: self._facts[symbol] for symbol in symbols}
        await self._feed.connect(symbols, timeframe)
        try:
            self._restore()
            await self._catch_up()
        except BaseException:
            await self.close()
            raise
        self._steps = StepGatherer(symbols, self._account.played_through_ms)
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Close feed and journal; `events` ends. Safe to call twice."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        await self._feed.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._told.put_nowait(None)

    async def events(self) -> AsyncIterator[VenueEvent]:
        """Reports, funding and finished bars in the order in which they happened; ends on `close`."""
        while (event := await self._told.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    async def advance(self, timeout_secs: float) -> bool:
        """Play the next phase that is due: the path of a bar whose open was played, or the next bar that the feed has
        finished (whole when its open concerns nobody). False: nothing was due within the time limit.

        Raises:
            AirlockError: the feed cannot go on.
        """
        if self._account.stands_at_open:
            self._finish_bar()
            return True
        step = await self._next_step(timeout_secs)
        if step is None:
            return False
        opened, bars = step
        if not self._open_bar(opened, bars):
            self._finish_bar()
        return True

    # --- facts ---------------------------------------------------------------------------------------------

    async def server_time(self) -> datetime:
        return await self._feed.server_time()

    async def instruments(self) -> Mapping[str, Instrument]:
        """The declared facts of the connected symbols."""
        return dict(self._instruments)

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        """The last bars that this account has lived through. What the feed has finished and the account has not played
        is left out: an order decided on it would fill in its own past."""
        behind = await self._bars_behind()
        bars = await self._feed.history(symbol, limit + behind)
        through = from_ms(self._account.played_through_ms)
        return [bar for bar in bars if bar.open_time <= through][-limit:]

    # --- orders --------------------------------------------------------------------------------------------

    async def prepare(self, leverage: Mapping[str, int]) -> None:
        """Isolated margin and leverage. Raises RejectedError."""
        self._write({"do": "prepare", "leverage": dict(leverage)})
        self._account.prepare(leverage)

    async def submit(self, order: Order) -> OrderReport:
        """Take an order under its client id. Raises RejectedError."""
        self._account.check(order)
        self._write(order_command(order))
        told = self._account.submit(order)
        self._tell(told)
        report = self._account.report(order.client_order_id)
        if report is None:
            raise RejectedError(f"{order.intent.symbol}: the account does not know {order.client_order_id}")
        fills = self._account.fills_of(order.client_order_id)
        return replace(report, fill=fills[0]) if len(fills) == 1 else report

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel one order by our id. Raises RejectedError: there is no such working order."""
        symbol, name = order.intent.symbol, order.client_order_id
        self._write({"do": "cancel", "symbol": symbol, "id": name})
        told = self._account.cancel(symbol, name)
        self._tell(told)
        return next(event for event in told if isinstance(event, OrderReport) and event.client_order_id == name)

    async def find_order(self, symbol: str, client_order_id: str) -> OrderReport | None:
        return self._account.report(client_order_id)

    async def open_orders(self) -> Sequence[OrderReport]:
        return self._account.open_orders()

    async def fills(self, symbol: str, since: datetime) -> Sequence[Fill]:
        return self._account.fills(symbol, since)

    async def funding(self, symbol: str, since: datetime) -> Sequence[FundingPayment]:
        return self._account.funding(symbol, since)

    async def positions(self) -> Sequence[Position]:
        return self._account.positions()

    async def balances(self) -> Sequence[Balance]:
        return self._account.balances()

    # --- time ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for event in self._feed.events():
                if isinstance(event, Bar):
                    self._steps.add(event)
                    self._arrived.set()
            self._fail(RetryableError("paper account: the feed ended"))
        except AirlockError as error:
            self._fail(error)

    def _fail(self, error: AirlockError) -> None:
        self._failure = error
        self._arrived.set()
        self._told.put_nowait(error)

    async def _next_step(self, timeout_secs: float) -> tuple[int, Mapping[str, Bar]] | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_secs
        while True:
            if self._failure is not None:
                raise self._failure
            step = self._steps.take(patient=not self._has_waited(loop.time()))
            if step is not None:
                self._waiting_since = None
                return step
            left = until - loop.time()
            if left <= 0:
                return None
            if self._waiting_since is not None:
                left = min(left, self._waiting_since + self._patience - loop.time())
            self._arrived.clear()
            try:
                async with asyncio.timeout(max(left, 0.001)):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _has_waited(self, now: float) -> bool:
        """Whether an incomplete bar time has waited long enough for the symbols that are missing."""
        if not self._steps.is_waiting:
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._patience

    def _open_bar(self, opened: int, bars: Mapping[str, Bar]) -> bool:
        """Play the opens; True when something happened that an engine may want to react to."""
        prices = {symbol: prices_of(bar) for symbol, bar in bars.items()}
        command = {"do": "open", "at": opened, "bars": {s: write_prices(p) for s, p in prices.items()}}
        if self._account.is_idle:
            closes = {symbol: format(bar.close, "f") for symbol, bar in bars.items()}
            self._unwritten = {"do": "idle", "at": opened, "closes": {**self._unwritten_closes(), **closes}}
        else:
            self._write(command)
        self._pending = dict(bars)
        told = self._account.open_bar(opened, prices)
        self._tell(told)
        return bool(told)

    def _unwritten_closes(self) -> Mapping[str, Any]:
        closes: Mapping[str, Any] = self._unwritten["closes"] if self._unwritten is not None else {}
        return closes

    def _finish_bar(self) -> None:
        if self._unwritten is None:
            self._write({"do": "path"})
        self._tell(self._account.finish_bar())
        for bar in self._pending.values():
            self._told.put_nowait(bar)
        self._pending = {}

    async def _bars_behind(self) -> int:
        """How many bars the feed may have finished that were not played yet."""
        now = await self._feed.server_time()
        played = from_ms(self._account.played_through_ms) + self._timeframe.delta
        return max(0, min(MAX_MISSED, int((now - played) / self._timeframe.delta) + 1))

    # --- restoring -----------------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._account = PaperAccount(self._instruments, self._deposit, self._timeframe)
        facts = hashlib.sha256(repr(sorted(self._instruments.items())).encode()).hexdigest()[:16]
        opening = {
            "symbols": sorted(self._instruments), "deposit": str(self._deposit), "timeframe": str(self._timeframe),
            "instruments": facts,
        }  # fmt: skip
        self._journal = Journal(self._path, opening)
        for command in self._journal.commands:
            self._run(command)
        if self._account.stands_at_open:
            self._finish_bar()  # the process died between the phases; nobody is there to react any more

    def _run(self, command: Command) -> None:
        """Do again what was done; the account refuses what it refused then."""
        do = command["do"]
        try:
            if do == "open":
                self._account.open_bar(command["at"], {s: read_prices(p) for s, p in command["bars"].items()})
            elif do == "path":
                self._account.finish_bar()
            elif do == "idle":
                self._run_idle(command)
            elif do == "submit":
                self._account.submit(read_order(command))
            elif do == "cancel":
                self._account.cancel(command["symbol"], command["id"])
            elif do == "prepare":
                self._account.prepare(command["leverage"])
        except RejectedError:
            return

    def _run_idle(self, command: Command) -> None:
        closes = {symbol: Decimal(price) for symbol, price in command["closes"].items()}
        self._account.open_bar(command["at"], {s: Prices(p, p, p, p, Decimal(0)) for s, p in closes.items()})
        self._account.finish_bar()

    async def _catch_up(self) -> None:
        """Play the bars that finished since the account was last here; a new account starts at the newest one."""
        # Nothing can have happened to an idle account, and its journal does not say when it last looked.
        through = 0 if self._account.is_idle else self._account.played_through_ms
        missed = await self._bars_behind() if through else 0
        if missed >= MAX_MISSED:
            raise RejectedError(f"{self._path}: more than {MAX_MISSED} bars were missed; look at the account first")
        gatherer = StepGatherer(list(self._instruments), through)
        for symbol in self._instruments:
            for bar in await self._feed.history(symbol, missed + 1):
                gatherer.add(bar)
        steps = []
        while (step := gatherer.take(patient=False)) is not None:
            steps.append(step)
        for opened, bars in steps if through else steps[-1:]:
            self._open_bar(opened, bars)
            self._finish_bar()
        while not self._told.empty():  # before the engine listened: reconciliation finds it in the account
            self._told.get_nowait()

    # --- telling -------------------------------------------------------------------------------------------

    def _tell(self, events: Sequence[VenueEvent]) -> None:
        for event in events:
            self._told.put_nowait(event)

    def _write(self, command: Command) -> None:
        if self._journal is None:
            raise RetryableError("paper account: not connected")
        if self._unwritten is not None and command["do"] != "path":
            idle, self._unwritten = self._unwritten, None
            self._journal.append(idle)
        self._journal.append(command)
