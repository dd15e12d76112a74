"""The fill rule's table once more, now through REST, websockets and ccxt: the same trades as in the core alone."""

from __future__ import annotations

import pytest

from include.domain.bars import Bar
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, TimeInForce
from include.domain.errors import RejectedError
from include.domain.orders import Intent, Order, OrderReport
from include.domain.times import to_ms
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from tests.adapters.case_trader import CaseTrader, Wish
from tests.integration.venues.sandbox import connected, market_of, plan, running
from tests.unit.fill_rule_cases import CASES, MINUTE, START, FillCase


class SocketPlayer:
    """Plays one case on one venue in lockstep."""

    def __init__(self, case: FillCase, venue: CcxtVenue) -> None:
        self.trader = CaseTrader(case)
        self._case, self._venue, self._pacer = case, venue, SandboxPacer(venue)
        self._seen: set[str] = set()

    async def play(self) -> None:
        while await self._pacer.advance():
            await self._handle_all()
        await self._handle_all()

    async def _handle_all(self) -> None:
        queue, events = self._venue.streams._queue, []
        while not queue.empty():
            events.append(queue.get_nowait())
        for report in [event for event in events if isinstance(event, OrderReport)]:
            await self._handle(report)
        for bar in [event for event in events if isinstance(event, Bar)]:
            await self._send(self.trader.on_close((bar.open_time - START) // MINUTE.delta))

    async def _handle(self, report: OrderReport) -> None:
        fill = report.fill
        if fill is None or fill.trade_id in self._seen:
            return
        self._seen.add(fill.trade_id)
        name = fill.client_order_id
        await self._send(self.trader.on_fill(name, to_ms(fill.filled_at), fill.side, fill.quantity, fill.price))

    async def _send(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            try:
                await self._handle(await self._venue.submit(self._order(wish)))
            except RejectedError as error:
                # Its sibling has just closed the position.
                assert (error.code, wish.purpose) == ("-2022", OrderPurpose.TAKE_PROFIT)

    def _order(self, wish: Wish) -> Order:
        intent = Intent(
            "case", self._case.instrument.symbol, START, wish.purpose, wish.side, wish.type, wish.quantity,
            reference_price=self._case.decimal_bars()[0].close,
            price=wish.level if wish.type is OrderType.LIMIT else None,
            stop_price=wish.level if wish.type is OrderType.STOP_MARKET else None, reduce_only=wish.reduce_only,
        )  # fmt: skip
        return Order(wish.name, intent, TimeInForce.GTC, OrderStatus.SUBMITTED, wish.quantity * 0, None, "", START)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_sandbox_exchange_obeys_the_fill_rule_over_sockets(case: FillCase) -> None:
    data = market_of(case.bars(), case.instrument)
    symbol = case.instrument.symbol
    replay = plan(len(case.rows()), symbols=[symbol], start=START)
    async with running(replay, data) as sandbox, connected(sandbox, [symbol]) as venue:
        player = SocketPlayer(case, venue)
        await player.play()
        assert tuple(player.trader.fills) == case.fills
        fills = await venue.fills(symbol, START)
        assert [(f.side, f.quantity, f.price) for f in fills] == [(e.side, e.quantity, e.price) for e in case.fills]
