"""Acceptance cards of a venue: what every implementation of `ports.Venue` must do, simple to hard.

Numbered with gaps; each card says what is asked and what must be seen. They run against the sandbox exchange through
CcxtVenue; another venue joins by another fixture. The replay is in lockstep, so nothing here waits for a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, getcontext, localcontext
from itertools import pairwise

import pytest
from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.enums import Liquidity, OrderStatus, Side
from include.domain.errors import FatalError, RejectedError, RetryableError
from include.domain.orders import OrderReport
from include.venues.ccxt_venue import CcxtVenue
from include.venues.pacer import SandboxPacer
from tests.adapters.memory_market import MINUTE
from tests.integration.venues.sandbox import BOB, START, SYMBOLS, Running, connected, order, plan, running

BTC, ETH = SYMBOLS


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


# --- 010: facts ----------------------------------------------------------------------------------------------


async def test_010_instruments_state_steps_minimum_and_fees(venue: CcxtVenue) -> None:
    found = await venue.instruments()
    assert set(found) == set(SYMBOLS)
    btc = found[BTC]
    assert (btc.tick_size, btc.lot_size, btc.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(5))
    assert (btc.maker_fee_rate, btc.taker_fee_rate) == (Decimal("0.0002"), Decimal("0.0004"))


async def test_011_time_is_the_markets_time(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    before = await venue.server_time()
    await pacer.advance()
    assert START - timedelta(seconds=1) < before <= START
    assert timedelta() < await venue.server_time() - START < MINUTE.delta


async def test_012_history_ends_with_the_last_finished_bar(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    assert [bar.open_time for bar in await venue.history(BTC, 2)] == [START - 2 * MINUTE.delta, START - MINUTE.delta]
    await pacer.advance()
    assert (await venue.history(BTC, 1))[0].open_time == START


async def test_013_history_leaves_out_the_bar_that_is_forming(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    assert (await venue.history(BTC, 1))[0].open_time == START - MINUTE.delta


async def test_014_history_gives_what_there_is_when_more_is_asked_for(venue: CcxtVenue) -> None:
    bars = await venue.history(BTC, 5_000)
    assert len(bars) == 600
    assert all(later.open_time - earlier.open_time == MINUTE.delta for earlier, later in pairwise(bars))


# --- 020: bars -----------------------------------------------------------------------------------------------


async def test_020_every_symbol_brings_each_finished_bar_once(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    for _ in range(50):
        assert await pacer.advance()
    bars = [event for event in arrived(venue) if isinstance(event, Bar)]
    for symbol in SYMBOLS:
        times = [bar.open_time for bar in bars if bar.symbol == symbol]
        assert times == [START + i * MINUTE.delta for i in range(50)]


async def test_021_a_streamed_bar_equals_the_same_bar_asked_for(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await pacer.advance()
    streamed = {bar.symbol: bar for bar in arrived(venue) if isinstance(bar, Bar)}
    assert streamed == {symbol: (await venue.history(symbol, 1))[0] for symbol in SYMBOLS}


async def test_022_events_end_when_the_venue_closes(sandbox: Running) -> None:
    async with connected(sandbox) as venue:
        reading = asyncio.create_task(anext(aiter(venue.events()), None))
        await venue.close()
        assert await reading is None


# --- 030: orders ---------------------------------------------------------------------------------------------


async def test_030_a_market_order_is_accepted_and_fills_at_the_next_open(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    accepted = await venue.submit(order("entry", Side.BUY, "2"))
    assert (accepted.status, accepted.filled_quantity) == (OrderStatus.ACCEPTED, 0)
    await pacer.advance()
    told = reports(venue)
    assert [report.status for report in told] == [OrderStatus.ACCEPTED, OrderStatus.FILLED]
    fill = told[-1].fill
    assert fill is not None
    assert (fill.client_order_id, fill.quantity, fill.filled_at) == ("entry", 2, START)
    assert fill.liquidity is Liquidity.TAKER
    assert fill.fee == fill.quantity * fill.price * Decimal("0.0004")


async def test_031_the_answer_to_an_order_that_fills_at_once_names_its_fill(
    venue: CcxtVenue, pacer: SandboxPacer
) -> None:
    await enter(venue, pacer)
    left = await venue.submit(order("exit", Side.SELL, "2", reduce_only=True))
    assert left.status is OrderStatus.FILLED
    assert left.fill is not None
    await pacer.advance()
    assert [r.fill for r in reports(venue) if r.fill and r.client_order_id == "exit"] == [left.fill]


async def test_032_a_limit_order_rests_until_it_is_cancelled(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await venue.submit(order("limit", Side.BUY, "1", limit="50.0"))
    assert [report.client_order_id for report in await venue.open_orders()] == ["limit"]
    canceled = await venue.cancel(order("limit", Side.BUY, "1", limit="50.0"))
    assert canceled.status is OrderStatus.CANCELED
    assert await venue.open_orders() == []
    await pacer.advance()
    assert [report.status for report in reports(venue)] == [OrderStatus.ACCEPTED, OrderStatus.CANCELED]


async def test_033_stop_and_take_profit_protect_one_position(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    await venue.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
    await venue.submit(order("take", Side.SELL, "2", limit="150.0", reduce_only=True))
    assert {report.client_order_id for report in await venue.open_orders()} == {"stop", "take"}
    await venue.submit(order("exit", Side.SELL, "2", reduce_only=True))
    assert await venue.open_orders() == []
    await pacer.advance()
    last = {report.client_order_id: report.status for report in reports(venue)}
    assert (last["stop"], last["take"], last["exit"]) == (OrderStatus.EXPIRED, OrderStatus.EXPIRED, OrderStatus.FILLED)
    assert await venue.positions() == []


async def test_034_a_stop_that_triggers_is_reported_under_our_id_with_its_fill(
    venue: CcxtVenue, pacer: SandboxPacer
) -> None:
    await enter(venue, pacer)
    reached = await venue.submit(order("stop", Side.SELL, "2", stop="150.0", reduce_only=True))
    assert reached.status is OrderStatus.FILLED
    await pacer.advance()
    filled = [report for report in reports(venue) if report.client_order_id == "stop" and report.fill]
    assert [report.status for report in filled] == [OrderStatus.FILLED]
    found = await venue.find_order(BTC, "stop")
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert [fill.client_order_id for fill in await venue.fills(BTC, START)] == ["entry", "stop"]


async def test_035_a_repeated_id_is_refused_and_changes_nothing(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    with pytest.raises(RejectedError) as refused:
        await venue.submit(order("entry", Side.BUY, "2"))
    assert refused.value.code == "-4116"
    assert (await venue.positions())[0].quantity == 2


@pytest.mark.parametrize(
    ("code", "arguments", "more"),
    [
        ("-2022", (Side.SELL, "1"), {"reduce_only": True}),
        ("-4164", (Side.BUY, "0.001"), {}),
        ("-2019", (Side.BUY, "1000000"), {}),
        ("-1111", (Side.BUY, "1.0005"), {}),
        ("-4014", (Side.BUY, "1"), {"limit": "50.05"}),
    ],
    ids=["nothing to reduce", "below the minimum notional", "beyond the margin", "off the lot", "off the tick"],
)
async def test_036_what_breaks_a_rule_is_refused_with_its_code(
    venue: CcxtVenue, code: str, arguments: tuple[Side, str], more: dict[str, bool]
) -> None:
    with pytest.raises(RejectedError) as refused:
        await venue.submit(order("bad", *arguments, **more))
    assert refused.value.code == code
    assert await venue.find_order(BTC, "bad") is None


async def test_037_an_order_that_never_was_can_neither_be_found_nor_cancelled(venue: CcxtVenue) -> None:
    assert await venue.find_order(BTC, "never") is None
    with pytest.raises(RejectedError) as refused:
        await venue.cancel(order("never", Side.BUY, "1"))
    assert refused.value.code == "-2011"


async def test_038_an_order_of_unknown_kind_is_cancelled_all_the_same(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    await venue.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
    canceled = await venue.cancel(order("stop", Side.SELL, "2"))
    assert canceled.status is OrderStatus.CANCELED
    assert await venue.open_orders() == []


async def test_039_trading_leaves_decimal_arithmetic_alone(sandbox: Running) -> None:
    """ccxt sets the decimal context to round halves up; a tick rounded after that would differ from the backtest's."""
    with localcontext(Context()) as ours:
        async with connected(sandbox) as venue:
            await enter(venue, SandboxPacer(venue))
            await venue.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
        assert (ours.rounding, getcontext().rounding) == (ROUND_HALF_EVEN, ROUND_HALF_EVEN)


# --- 040: account --------------------------------------------------------------------------------------------


async def test_040_wallet_position_and_fills_agree_to_the_last_digit(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    opening = (await venue.balances())[0].wallet
    for number in range(5):
        await venue.submit(order(f"in-{number}", Side.BUY, "1.5"))
        await pacer.advance()
        await venue.submit(order(f"out-{number}", Side.SELL, "1.5", reduce_only=True))
        await pacer.advance()
    fills = await venue.fills(BTC, START)
    cash = sum((-f.side.sign * f.quantity * f.price - f.fee for f in fills), Decimal(0))
    assert len(fills) == 10
    assert (await venue.balances())[0].wallet == opening + cash
    assert await venue.positions() == []


async def test_041_fills_are_those_since_the_asked_time(venue: CcxtVenue, pacer: SandboxPacer) -> None:
    for number in range(3):
        await venue.submit(order(f"in-{number}", Side.BUY, "1"))
        await pacer.advance()
        await pacer.advance()
    fills = await venue.fills(BTC, START + MINUTE.delta)
    assert [fill.client_order_id for fill in fills] == ["in-1", "in-2"]


async def test_042_accounts_do_not_see_each_other(sandbox: Running, venue: CcxtVenue, pacer: SandboxPacer) -> None:
    await enter(venue, pacer)
    async with connected(sandbox, account=BOB) as other:
        assert await other.positions() == []
        assert await other.fills(BTC, START) == []
        assert (await other.balances())[0].wallet == BOB.balance
        await other.submit(order("entry", Side.SELL, "1"))  # the same id, in another account
        assert [p.quantity for p in await other.positions()] == [-1]
    assert [p.quantity for p in await venue.positions()] == [2]


# --- 050: life -----------------------------------------------------------------------------------------------


async def test_050_everything_survives_a_client_that_goes_away(sandbox: Running) -> None:
    async with connected(sandbox) as first:
        await enter(first, SandboxPacer(first))
        await first.submit(order("stop", Side.SELL, "2", stop="50.0", reduce_only=True))
    async with connected(sandbox) as second:
        assert [position.quantity for position in await second.positions()] == [2]
        assert [report.client_order_id for report in await second.open_orders()] == ["stop"]
        pacer = SandboxPacer(second)
        await pacer.advance()
        assert [bar.open_time for bar in arrived(second) if isinstance(bar, Bar)] == [START, START]


async def test_051_the_pacer_ends_with_the_replay_and_every_event_has_arrived_by_then() -> None:
    async with running(plan(7)) as sandbox, connected(sandbox) as venue:
        pacer = SandboxPacer(venue)
        steps = 0
        while await pacer.advance():
            steps += 1
        assert (steps, pacer.progress) == (7, 1.0)
        assert len([event for event in arrived(venue) if isinstance(event, Bar)]) == 14
        assert await pacer.advance() is False


async def test_052_wrong_credentials_are_fatal(sandbox: Running) -> None:
    for key, secret in (("nobody", "x"), ("key-of-alice", "wrong")):
        venue = CcxtVenue(sandbox.url, SecretStr(key), SecretStr(secret))
        with pytest.raises(FatalError) as refused:
            await venue.connect(SYMBOLS, MINUTE)
            await venue.balances()
        await venue.close()
        assert "wrong" not in str(refused.value)


async def test_053_a_symbol_that_is_not_traded_is_refused_at_the_door(sandbox: Running) -> None:
    with pytest.raises(RejectedError, match="DOGE/USDT"):
        await CcxtVenue(sandbox.url, BOB.key, BOB.secret).connect(["DOGE/USDT"], MINUTE)


async def test_054_an_exchange_that_is_not_there_is_worth_another_try() -> None:
    venue = CcxtVenue("http://127.0.0.1:9", BOB.key, BOB.secret)
    with pytest.raises(RetryableError):
        await venue.connect(SYMBOLS, MINUTE)


async def test_055_a_cut_stream_is_opened_again_and_counted(sandbox: Running, venue: CcxtVenue) -> None:
    pacer = SandboxPacer(venue)
    await pacer.advance()
    for client in [c for c in venue._client.clients.values() if c.connection is not None]:
        client.connection._conn.transport.abort()
    async with asyncio.timeout(10):
        while venue.reconnects < 2:
            await asyncio.sleep(0.001)
    assert await venue.server_time() > START
    await pacer.advance()
    assert [bar.open_time for bar in arrived(venue) if isinstance(bar, Bar)][-1] == START + MINUTE.delta
