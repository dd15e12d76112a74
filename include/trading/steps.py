"""Finished bars: holes repaired, each symbol decided at its close, and the close noted as handled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from include.domain.bars import Bar
from include.ports import Ledger, Venue
from include.strategies.protocol import Strategy, checked_signals
from include.trading.dealer import Dealer
from include.trading.decide import decide, last_wish, observe_situation
from include.trading.guard import AccountGuard
from include.trading.order_manager import OrderManager
from include.trading.session import Session


class BarSteps:
    """Takes one session from close to close."""

    def __init__(
        self,
        ledger: Ledger,
        venue: Venue,
        session: Session,
        strategy: Strategy,
        orders: OrderManager,
        dealer: Dealer,
    ) -> None:
        self._ledger, self._venue, self._session = ledger, venue, session
        self._strategy, self._orders, self._dealer = strategy, orders, dealer
        self._guard = AccountGuard(ledger, session, dealer)
        self._open: datetime | None = None
        self._symbols: set[str] = set()
        self._persisted_high_water = session.high_water

    async def warm_up(self) -> None:
        """Fill the windows with the venue's history."""
        for symbol, window in self._session.windows.items():
            window.fill(await self._venue.history(symbol, window.size))
            if window.last is not None:
                self._session.marks[symbol] = window.last.close

    async def catch_up(self) -> None:
        """Decide the last finished bar if the process died before it was handled completely."""
        through = self._session.handled_through
        if through is None:
            return
        delta = self._session.candidate.timeframe.delta
        lasts = [window.last for window in self._session.windows.values() if window.last is not None]
        pending = [bar for bar in lasts if bar.open_time + delta > through]
        newest = max((bar.open_time for bar in pending), default=None)
        if newest is not None:
            await self._close([bar for bar in pending if bar.open_time == newest])

    async def take(self, bars: Sequence[Bar]) -> None:
        """Finished bars of one open time: repair holes, ignore what is old, then decide."""
        session, fresh = self._session, []
        for bar in bars:
            window = session.windows.get(bar.symbol)
            if window is None or not window.is_new(bar):
                session.bars_ignored += 1
                continue
            if window.missing(bar):
                history = await self._venue.history(bar.symbol, window.size + window.missing(bar))
                session.bars_backfilled += window.fill(history, before=bar.open_time)
            window.append(bar)
            fresh.append(bar)
        if fresh:
            await self._close(fresh)

    async def _close(self, bars: Sequence[Bar]) -> None:
        """Decide every symbol whose bar closed, and note the close as handled once all of them are."""
        session, opened = self._session, bars[0].open_time
        if self._open is not None and opened > self._open:
            self.finish()
        for bar in bars:
            session.marks[bar.symbol] = bar.close
            session.bars_handled += 1
        self._open = max(self._open or opened, opened)
        session.reach(opened + session.candidate.timeframe.delta)
        await self._guard.look()
        for bar in bars:
            await self._decide(bar)
        self._symbols |= {bar.symbol for bar in bars if bar.open_time == self._open}
        if self._symbols >= set(session.candidate.symbols):
            self.finish()

    def finish(self) -> None:
        """Store the equity of this close: the ledger's mark that the bar was handled completely."""
        session = self._session
        if self._open is None:
            return
        at = self._open + session.candidate.timeframe.delta
        point = session.equity_point(at)
        if point is not None:
            with self._ledger.begin() as work:
                work.orders.record_equity(session.deployment.id, [point])
                if session.high_water > self._persisted_high_water:
                    self._persisted_high_water = work.orders.high_water(session.deployment.id, session.high_water)
                # Every later write-ahead waits for the disk and takes this with it, so no order outlives the mark.
                work.commit(durable=False)
            session.handled_through = at
        self._open, self._symbols = None, set()

    async def _decide(self, bar: Bar) -> None:
        session, window, book = self._session, self._session.windows[bar.symbol], self._session.book
        history = book.history(bar.symbol)
        history.settle(bar.open_time)
        if window.is_warm() and not self._is_last_of_run(bar):
            situation = observe_situation(book.of_symbol(bar.symbol), history, bar, session.candidate.timeframe)
            wish = last_wish(checked_signals(self._strategy, window.bars()))
            decision = decide(self._dealer.close_of(bar), wish, situation)
            for order in decision.withdraw:
                await self._orders.cancel(book.get(order.client_order_id) or order)
            for intent in decision.intents:
                await self._dealer.place([intent])
        await self._dealer.protect_changed((bar.symbol,))

    def _is_last_of_run(self, bar: Bar) -> bool:
        end = self._session.deployment.connection.end
        return end is not None and bar.open_time + self._session.candidate.timeframe.delta >= end
