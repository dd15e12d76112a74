"""The fill rule's table once more, now through REST, websockets and ccxt: the same fills as in the core alone.

All cases of one timeframe are played at once, each on a market of its own: one exchange, one account, one client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby

import pytest
from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, TimeInForce
from include.domain.errors import RejectedError
from include.domain.orders import Fill, FundingPayment, Intent, Order, OrderReport
from include.domain.times import Timeframe, to_ms
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from include.venues.sandbox.accounts import AccountSpec
from include.venues.sandbox.server import ReplayPlan
from tests.adapters.case_trader import Action, CaseTrader, Withdrawal
from tests.adapters.memory_market import MemoryMarket
from tests.integration.venues.sandbox import running
from tests.unit.fill_rule_cases import CASES, FillCase

RICH = AccountSpec("rich", SecretStr("key-of-rich"), SecretStr("secret-of-rich"), Decimal(10**9))
GONE = {"-2022", "-2011"}
"""The sibling of an order has just closed the position, or has ended it."""


@dataclass(slots=True)
class Player:
    """The engine's part of one case, on its own market."""

    case: FillCase
    trader: CaseTrader
    number: int
    orders: dict[str, Order] = field(default_factory=dict)
    funding: list[tuple[int, Decimal]] = field(default_factory=list)
    asked: list[Fill] = field(default_factory=list)
    """What the exchange answers when it is asked for the fills afterwards."""

    @property
    def symbol(self) -> str:
        return self.case.instrument.symbol

    @property
    def opens(self) -> list[int]:
        return [to_ms(bar.open_time) for bar in self.case.decimal_bars()]


class Game:
    """All cases of one timeframe on one venue in lockstep."""

    def __init__(self, venue: CcxtVenue, players: Sequence[Player]) -> None:
        self._venue, self._pacer = venue, SandboxPacer(venue)
        self._players = {player.symbol: player for player in players}
        self._seen: set[tuple[str, str]] = set()

    async def play(self) -> None:
        await self._venue.prepare({s: p.case.instrument.leverage for s, p in self._players.items()})
        while await self._pacer.advance():
            await self._handle_all()
        await self._handle_all()
        for player in self._players.values():
            player.asked = list(await self._venue.fills(player.symbol, player.case.start))

    async def _handle_all(self) -> None:
        queue, events = self._venue.streams._queue, []
        while not queue.empty():
            events.append(queue.get_nowait())
        for event in events:
            player = self._players[event.symbol]
            if isinstance(event, OrderReport):
                await self._handle(player, event)
            elif isinstance(event, FundingPayment):
                player.funding.append((player.opens.index(to_ms(event.paid_at)), -event.amount))
                player.trader.on_funding(event.amount)
        for bar in [event for event in events if isinstance(event, Bar)]:
            player = self._players[bar.symbol]
            await self._act(player, player.trader.on_close(player.opens.index(to_ms(bar.open_time))))

    async def _handle(self, player: Player, report: OrderReport) -> None:
        name, fill = report.client_order_id.removeprefix(f"{player.number}:"), report.fill
        if report.status is OrderStatus.TRIGGERED:
            await self._act(player, player.trader.on_trigger(name))
        if fill is None or (player.symbol, fill.trade_id) in self._seen:
            return
        self._seen.add((player.symbol, fill.trade_id))
        at = to_ms(fill.filled_at)
        await self._act(player, player.trader.on_fill(name, at, fill.side, fill.quantity, fill.price, fill.fee))

    async def _act(self, player: Player, actions: Sequence[Action]) -> None:
        for action in actions:
            try:
                if isinstance(action, Withdrawal):
                    await self._venue.cancel(player.orders[action.name])
                else:
                    player.orders[action.name] = order = _order(player, action)
                    await self._handle(player, await self._venue.submit(order))
            except RejectedError as error:
                assert error.code in GONE


def _order(player: Player, wish: Action) -> Order:
    assert not isinstance(wish, Withdrawal)
    is_limit = wish.type is OrderType.LIMIT
    intent = Intent(
        "case", player.symbol, player.case.start, OrderPurpose.EXIT, wish.side, wish.type, wish.quantity,
        reference_price=Decimal(1), price=wish.level if is_limit else None,
        stop_price=None if is_limit else wish.level, reduce_only=wish.reduce_only, callback_rate=wish.callback,
    )  # fmt: skip
    name = f"{player.number}:{wish.name}"
    return Order(name, intent, TimeInForce.GTC, OrderStatus.SUBMITTED, Decimal(0), None, "", player.case.start)


def players_of(cases: Sequence[tuple[int, FillCase]]) -> list[Player]:
    """Each case on a market of its own name."""
    own = [(n, replace(case, instrument=replace(case.instrument, symbol=f"C{n}/USDT"))) for n, case in cases]
    return [Player(case, CaseTrader(case), number) for number, case in own]


async def play(timeframe: Timeframe, players: Sequence[Player]) -> None:
    bars = {player.symbol: player.case.bars() for player in players}
    data = MemoryMarket(bars, {player.symbol: player.case.instrument for player in players})
    start = min(player.case.start for player in players)
    end = max(b.last for b in bars.values()) + timeframe.delta
    replay = ReplayPlan("test", tuple(bars), timeframe, start, end, (RICH,), "step")
    async with running(replay, data) as sandbox:
        venue = CcxtVenue(sandbox.url, RICH.key, RICH.secret)
        await venue.connect(list(bars), timeframe)
        try:
            await Game(venue, players).play()
        finally:
            await venue.close()


@pytest.fixture(scope="module")
async def played() -> dict[str, Player]:
    """Every case by name, after its last bar."""
    found: dict[str, Player] = {}
    numbered = sorted(enumerate(CASES), key=lambda entry: entry[1].timeframe.seconds)
    for seconds, group in groupby(numbered, key=lambda entry: entry[1].timeframe.seconds):
        players = players_of(list(group))
        await play(Timeframe(seconds), players)
        found |= {player.case.name: player for player in players}
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_sandbox_exchange_obeys_the_fill_rule_over_sockets(case: FillCase, played: dict[str, Player]) -> None:
    player = played[case.name]
    assert tuple(player.trader.fills) == case.fills
    assert tuple(player.funding) == case.funding
    asked = sum((fill.side.sign * fill.quantity for fill in player.asked), Decimal(0))
    assert asked == player.trader.position
