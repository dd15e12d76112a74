"""What is particular to `CcxtVenue` and its lockstep with the sandbox; what every venue must do is in the acceptance
cards (`test_venue_contract.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, getcontext, localcontext
from typing import Any

import pytest
from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.enums import MarginType, OrderStatus, Side
from include.domain.errors import FatalError, RejectedError, RetryableError
from include.domain.orders import OrderReport
from include.venues.ccxt_venue import CcxtVenue
from include.venues.dialect import Route
from include.venues.matching.positions import Terms
from include.venues.pacer import SandboxPacer
from tests.adapters.memory_market import MINUTE
from tests.integration.venues.sandbox import ALICE, BOB, START, SYMBOLS, Running, connected, order, plan, running

BTC, ETH = SYMBOLS
FILLED = OrderStatus.FILLED


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running() as started:
        yield started


@pytest.fixture
async def venue(sandbox: Running) -> AsyncIterator[CcxtVenue]:
    async with connected(sandbox) as opened:
        yield opened


@pytest.fixture
def pacer(venue: CcxtVenue) -> SandboxPacer:
    return SandboxPacer(venue)


def arrived(venue: CcxtVenue) -> list[Bar | OrderReport]:
    """What the venue has to say by now; lockstep has already waited for it."""
    queue, events = venue.streams._queue, []
    while not queue.empty():
        event = queue.get_nowait()
        assert event is not None
        events.append(event)
    return events


def reports(venue: CcxtVenue) -> list[OrderReport]:
    return [event for event in arrived(venue) if isinstance(event, OrderReport)]


async def enter(venue: CcxtVenue, pacer: SandboxPacer, quantity: str = "2") -> None:
    """A long position opened at the next open, and the market standing at that open."""
    await venue.submit(order("entry", Side.BUY, quantity))
    await pacer.advance()
    assert venue.streams.received["user"] > 0


async def test_time_is_the_markets_time(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    before = await venue.server_time()
    await pacer.advance()
    assert START - timedelta(seconds=1) < before <= START
    assert timedelta() < await venue.server_time() - START < MINUTE.delta


async def test_history_leaves_out_the_bar_that_is_forming(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    assert (await venue.history(BTC, 1))[0].open_time == START - MINUTE.delta


async def test_events_end_when_the_venue_closes(sandbox: Running) -> None:
    async with connected(sandbox) as venue:
        reading = asyncio.create_task(anext(aiter(venue.events()), None))
        await venue.close()
        assert await reading is None


async def test_trading_leaves_decimal_arithmetic_alone(sandbox: Running) -> None:
    """ccxt sets the decimal context to round halves up; a tick rounded after that would differ from the backtest's."""
    with localcontext(Context()) as ours:
        async with connected(sandbox) as venue:
            await enter(venue, SandboxPacer(venue))
            await venue.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
        assert (ours.rounding, getcontext().rounding) == (ROUND_HALF_EVEN, ROUND_HALF_EVEN)


async def test_accounts_do_not_see_each_other(sandbox: Running, venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    async with connected(sandbox, account=BOB) as other:
        assert await other.positions() == []
        assert await other.fills(BTC, START) == []
        assert (await other.balances())[0].wallet == BOB.balance
        await other.submit(order("entry", Side.SELL, "1"))  # the same id, in another account
        assert [p.quantity for p in await other.positions()] == [-1]
    assert [p.quantity for p in await venue.positions()] == [2]


async def test_everything_survives_a_client_that_goes_away(sandbox: Running) -> None:
    async with connected(sandbox) as first:
        await enter(first, SandboxPacer(first))
        await first.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
    async with connected(sandbox) as second:
        assert [position.quantity for position in await second.positions()] == [2]
        assert [report.client_order_id for report in await second.open_orders()] == ["stop"]
        pacer = SandboxPacer(second)
        await pacer.advance()
        assert [bar.open_time for bar in arrived(second) if isinstance(bar, Bar)] == [START, START]


async def test_the_pacer_ends_with_the_replay_and_every_event_has_arrived_by_then() -> None:
    async with running(plan(7)) as sandbox, connected(sandbox) as venue:
        pacer = SandboxPacer(venue)
        steps = 0
        while await pacer.advance():
            steps += 1
        assert (steps, pacer.progress) == (7, 1.0)
        assert len([event for event in arrived(venue) if isinstance(event, Bar)]) == 14
        assert await pacer.advance() is False


async def test_wrong_credentials_are_fatal(sandbox: Running) -> None:
    for key, secret in (("nobody", "x"), ("key-of-alice", "wrong")):
        venue = CcxtVenue(sandbox.url, SecretStr(key), SecretStr(secret))
        with pytest.raises(FatalError) as refused:
            await venue.connect(SYMBOLS, MINUTE)
            await venue.balances()
        await venue.close()
        assert "wrong" not in str(refused.value)


async def test_a_symbol_that_is_not_traded_is_refused_at_the_door(sandbox: Running) -> None:
    with pytest.raises(RejectedError, match="DOGE/USDT"):
        await CcxtVenue(sandbox.url, BOB.key, BOB.secret).connect(["DOGE/USDT"], MINUTE)


async def test_an_exchange_that_is_not_there_is_worth_another_try() -> None:
    venue = CcxtVenue("http://127.0.0.1:9", BOB.key, BOB.secret)
    with pytest.raises(RetryableError):
        await venue.connect(SYMBOLS, MINUTE)


async def test_a_cut_stream_is_opened_again_and_counted(sandbox: Running, venue: CcxtVenue) -> None:
    pacer = SandboxPacer(venue)
    await pacer.advance()
    for client in [c for c in venue._link.client.clients.values() if c.connection is not None]:
        client.connection._conn.transport.abort()
    async with asyncio.timeout(10):
        while venue.reconnects < 2:
            await asyncio.sleep(0.001)
    assert await venue.server_time() > START
    await pacer.advance()
    assert [bar.open_time for bar in arrived(venue) if isinstance(bar, Bar)][-1] == START + MINUTE.delta


def recorded(venue: CcxtVenue) -> list[str]:
    """Routes asked from here on."""
    asker, asked = venue._link.asker, []
    ask = asker.ask

    async def note(action: str, route: Route, *arguments: Any, **options: Any) -> Any:
        asked.append(route.method)
        return await ask(action, route, *arguments, **options)

    asker.ask = note  # type: ignore[method-assign]
    return asked


async def test_margin_is_asked_for_and_changed_only_where_it_differs(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    asked = recorded(venue)
    await venue.prepare({BTC: 3})
    assert [name for name in asked if "Post" in name] == ["fapiPrivatePostMarginType", "fapiPrivatePostLeverage"]
    await enter(venue, pacer)
    asked.clear()
    await venue.prepare({BTC: 3})
    assert [name for name in asked if "Post" in name] == []


async def test_facts_are_asked_for_once(venue: CcxtVenue) -> None:
    first = await venue.instruments()
    asked = recorded(venue)
    assert await venue.instruments() == first
    assert asked == []
    venue._facts.forget()  # an hour has passed
    assert await venue.instruments() == first
    assert asked == ["fapiPrivateGetCommissionRate"] * len(SYMBOLS)


async def test_a_margin_setting_whose_answer_is_lost_can_be_tried_again(sandbox: Running, venue: CcxtVenue) -> None:
    lost = {"kind": "TIMEOUT_AFTER_ACCEPT", "route": "POST /fapi/v1/*", "answer": "TELL", "times": 1}
    await venue.session.post(f"{sandbox.url}/sandbox/v1/faults", json={"faults": [lost]})
    with pytest.raises(RetryableError):
        await venue.prepare({BTC: 3})
    await venue.prepare({BTC: 3})
    assert sandbox.exchange.accounts["alice"].margin.terms[BTC] == Terms(3, MarginType.ISOLATED)


async def test_a_pacer_waits_for_its_own_account_on_its_own_side_and_for_nobody_else(sandbox: Running) -> None:
    spot_of_alice = CcxtVenue(sandbox.url, ALICE.key, ALICE.secret, exchange="binance-spot")
    spot_of_bob = CcxtVenue(sandbox.url, BOB.key, BOB.secret, exchange="binance-spot")
    async with connected(sandbox) as alice, connected(sandbox, account=BOB) as bob:
        venues = [alice, bob, spot_of_alice, spot_of_bob]
        for venue in venues[2:]:
            await venue.connect(SYMBOLS, MINUTE)
        pacers = [SandboxPacer(venue) for venue in venues]
        for pacer in pacers:
            await pacer.advance()
        for venue in venues:
            await venue.submit(order("same-name", Side.BUY, "0.5"))
        for pacer in pacers * 3:
            await pacer.advance()
        told = [[(r.status, r.client_order_id) for r in reports(venue) if r.status is FILLED] for venue in venues]
        assert told == [[(FILLED, "same-name")]] * 4
        for venue in venues[2:]:
            await venue.close()


async def test_what_is_used_of_the_limits_is_known_from_the_answers(venue: CcxtVenue) -> None:
    assert 0 < venue.governor.used["x-mbx-used-weight-1m"] < 1
    assert venue.clock_offset is not None
    assert abs(venue.clock_offset.offset) < timedelta(seconds=1)


async def test_how_much_is_allowed_is_what_the_exchange_states_with_its_markets(venue: CcxtVenue) -> None:
    venue.governor._used_of["x-mbx-order-count-10s"] = (1, 1)
    await venue._link.client.load_markets(True)
    assert venue.governor.limits["x-mbx-order-count-10s"] == (300, 10)


@pytest.mark.parametrize("ahead", [5, -5])
async def test_a_clock_that_is_seconds_off_is_refused_at_the_door(sandbox: Running, ahead: int) -> None:
    venue = CcxtVenue(sandbox.url, BOB.key, BOB.secret)
    dialect = venue._link.dialect
    venue._link.dialect = replace(dialect, read_clock=lambda a: dialect.read_clock(a) + timedelta(seconds=ahead))
    with pytest.raises(FatalError, match="set this machine's clock"):
        await venue.connect(SYMBOLS, MINUTE)
    assert venue._link.client is None


async def test_a_message_that_cannot_be_read_asks_for_a_look_at_the_account(venue: CcxtVenue) -> None:
    before = venue.reconnects
    assert venue.streams.take({"e": "ORDER_TRADE_UPDATE", "E": 1, "o": {"s": "BTCUSDT"}})
    assert venue.reconnects == before + 1
