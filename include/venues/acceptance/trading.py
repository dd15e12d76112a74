"""Cards 030 to 049: orders and the account behind them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from include.domain.enums import Liquidity, OrderStatus, OrderType, Side, TimeInForce
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.venues.acceptance.card import (
    Card,
    Need,
    Rig,
    build_order,
    expect,
    expect_refusal,
    far_limit,
    reports,
)

_TWO = Decimal(2)
_LOW, _HIGH = Decimal("0.5"), Decimal("1.5")
_POSITIONS = frozenset({Need.POSITIONS})
_STOPS = frozenset({Need.POSITIONS, Need.STOPS})


async def _close(rig: Rig) -> Decimal:
    return (await rig.venue.history(rig.symbols[0], 1))[-1].close


async def _level(rig: Rig, factor: Decimal) -> Decimal:
    tick = (await rig.venue.instruments())[rig.symbols[0]].tick_size
    return (await _close(rig) * factor // tick) * tick


async def _enter(rig: Rig) -> None:
    """Long two, and the market standing at the open that filled it."""
    await rig.venue.submit(build_order(rig, "entry", Side.BUY, _TWO))
    await rig.advance()


async def places_and_cancels(rig: Rig) -> None:
    order = await far_limit(rig, "far")
    placed = await rig.venue.submit(order)
    try:
        expect(placed.status is OrderStatus.ACCEPTED, f"a limit far below the market is {placed.status.value}")
        found = await rig.venue.find_order(order.intent.symbol, order.client_order_id)
        expect(found is not None and found.status is OrderStatus.ACCEPTED, f"found as {found}")
        names = [report.client_order_id for report in await rig.venue.open_orders()]
        expect(order.client_order_id in names, "not among the open orders")
    finally:
        canceled = await rig.venue.cancel(order)
    expect(canceled.status is OrderStatus.CANCELED, f"cancelled, and it is {canceled.status.value}")
    left = [report.client_order_id for report in await rig.venue.open_orders()]
    expect(order.client_order_id not in left, "still among the open orders after its cancel")


async def knows_no_strangers(rig: Rig) -> None:
    order = await far_limit(rig, "never")
    found = await rig.venue.find_order(order.intent.symbol, order.client_order_id)
    expect(found is None, f"an order that never was is found: {found}")
    await expect_refusal(rig, rig.venue.cancel(order), "unknown")


async def fills_at_the_next_open(rig: Rig) -> None:
    rig.told()
    order = build_order(rig, "entry", Side.BUY, _TWO)
    accepted = await rig.venue.submit(order)
    expect(accepted.status is OrderStatus.ACCEPTED and not accepted.filled_quantity, f"answered {accepted}")
    await rig.advance()
    told = reports(rig.told(), order.client_order_id)
    statuses = [report.status for report in told]
    expect(statuses[-1:] == [OrderStatus.FILLED], f"told as {statuses}")
    fill = told[-1].fill
    expect(fill is not None, "the report of a fill carries none")
    if fill is not None:
        fee = fill.quantity * fill.price * (await rig.venue.instruments())[fill.symbol].taker_fee_rate
        seen = (fill.client_order_id, fill.quantity, fill.liquidity, fill.fee)
        expect(seen == (order.client_order_id, _TWO, Liquidity.TAKER, fee), f"filled as {seen}, fee due {fee}")


async def answers_with_the_fill(rig: Rig) -> None:
    await _enter(rig)
    rig.told()
    order = build_order(rig, "exit", Side.SELL, _TWO, reduce_only=True)
    answer = await rig.venue.submit(order)
    expect(answer.status is OrderStatus.FILLED and answer.fill is not None, f"answered {answer}")
    await rig.advance()
    told = [report.fill for report in reports(rig.told(), order.client_order_id) if report.fill is not None]
    expect(told == [answer.fill], f"answered {answer.fill}, told {told}")


async def protects_a_position(rig: Rig) -> None:
    await _enter(rig)
    stop = build_order(rig, "stop", Side.SELL, _TWO, stop=await _level(rig, _LOW), reduce_only=True)
    take = build_order(rig, "take", Side.SELL, _TWO, price=await _level(rig, _HIGH), reduce_only=True)
    for order in (stop, take):
        await rig.venue.submit(order)
    names = {report.client_order_id for report in await rig.venue.open_orders()}
    expect(names == {stop.client_order_id, take.client_order_id}, f"open are {sorted(names)}")
    await rig.venue.submit(build_order(rig, "exit", Side.SELL, _TWO, reduce_only=True))
    await rig.advance()
    open_now = await rig.venue.open_orders()
    expect(not open_now, f"flat, and {[r.client_order_id for r in open_now]} still work")
    for order in (stop, take):
        last = await rig.venue.find_order(order.intent.symbol, order.client_order_id)
        ended = last is None or is_terminal(ORDER_TRANSITIONS, last.status)
        expect(ended, f"{order.intent.type.value} is {last}")
    expect(not await rig.venue.positions(), "a position is left")


async def stop_is_one_order(rig: Rig) -> None:
    await _enter(rig)
    order = build_order(rig, "stop", Side.SELL, _TWO, stop=await _level(rig, _HIGH), reduce_only=True)
    await rig.venue.submit(order)
    await rig.advance()
    told = reports(rig.told(), order.client_order_id)
    fills = [report for report in told if report.fill is not None]
    expect([report.status for report in fills] == [OrderStatus.FILLED], f"told as {[r.status for r in told]}")
    found = await rig.venue.find_order(order.intent.symbol, order.client_order_id)
    expect(found is not None and found.status is OrderStatus.FILLED, f"found as {found}")
    names = [fill.client_order_id for fill in await rig.venue.fills(order.intent.symbol, fills[0].reported_at)]
    expect(order.client_order_id in names, f"fills are of {names}")


async def stop_of_unknown_kind_is_cancelled(rig: Rig) -> None:
    await _enter(rig)
    stop = build_order(rig, "stop", Side.SELL, _TWO, stop=await _level(rig, _LOW), reduce_only=True)
    await rig.venue.submit(stop)
    canceled = await rig.venue.cancel(build_order(rig, "stop", Side.SELL, _TWO))
    expect(canceled.status is OrderStatus.CANCELED, f"it is {canceled.status.value}")
    expect(not await rig.venue.open_orders(), "it is still open")


async def takes_every_conditional_order(rig: Rig) -> None:
    await _enter(rig)
    low, high = await _level(rig, _LOW), await _level(rig, _HIGH)
    wanted = [
        build_order(rig, "sl", Side.SELL, _TWO, stop=low, price=low, kind=OrderType.STOP_LIMIT, reduce_only=True),
        build_order(rig, "tm", Side.SELL, _TWO, stop=high, kind=OrderType.TAKE_PROFIT_MARKET, reduce_only=True),
        build_order(
            rig, "tl", Side.SELL, _TWO, stop=high, price=high, kind=OrderType.TAKE_PROFIT_LIMIT, reduce_only=True
        ),
    ]
    for order in wanted:
        placed = await rig.venue.submit(order)
        expect(placed.status is OrderStatus.ACCEPTED, f"{order.intent.type.value} is {placed.status.value}")
    names = {report.client_order_id for report in await rig.venue.open_orders()}
    expect(names == {order.client_order_id for order in wanted}, f"open are {sorted(names)}")
    for order in wanted:
        await rig.venue.cancel(order)
    expect(not await rig.venue.open_orders(), "some are left after their cancel")


async def takes_a_trailing_stop(rig: Rig) -> None:
    await _enter(rig)
    order = build_order(
        rig, "trail", Side.SELL, _TWO, kind=OrderType.TRAILING_STOP_MARKET, callback=Decimal("0.05"), reduce_only=True
    )
    placed = await rig.venue.submit(order)
    expect(placed.status is OrderStatus.ACCEPTED, f"it is {placed.status.value}")
    canceled = await rig.venue.cancel(order)
    expect(canceled.status is OrderStatus.CANCELED, f"cancelled, and it is {canceled.status.value}")


async def post_only_never_takes(rig: Rig) -> None:
    far = await far_limit(rig, "maker")
    intent = far.intent
    order = build_order(rig, "maker", Side.BUY, intent.quantity, price=intent.price, time_in_force=TimeInForce.GTX)
    placed = await rig.venue.submit(order)
    expect(placed.status is OrderStatus.ACCEPTED, f"far from the market it is {placed.status.value}")
    await rig.venue.cancel(order)


async def refuses_a_repeated_id(rig: Rig) -> None:
    order = await far_limit(rig, "twice")
    await rig.venue.submit(order)
    await expect_refusal(rig, rig.venue.submit(order), "duplicate")
    names = [report.client_order_id for report in await rig.venue.open_orders()]
    expect(names.count(order.client_order_id) == 1, f"open are {names}")
    await rig.venue.cancel(order)


async def refuses_what_breaks_a_rule(rig: Rig) -> None:
    instrument = (await rig.venue.instruments())[rig.symbols[0]]
    lot, tick = instrument.lot_size, instrument.tick_size
    price = await _level(rig, _LOW)
    wrong = {
        "lot": build_order(rig, "lot", Side.BUY, _TWO + lot / 2),
        "tick": build_order(rig, "tick", Side.BUY, _TWO, price=price + tick / 2),
        "notional": build_order(rig, "notional", Side.BUY, lot, price=price),
        "margin": build_order(rig, "margin", Side.BUY, Decimal(1_000_000)),
    }
    for kind, order in wrong.items():
        await expect_refusal(rig, rig.venue.submit(order), kind)
        found = await rig.venue.find_order(order.intent.symbol, order.client_order_id)
        expect(found is None or is_terminal(ORDER_TRANSITIONS, found.status), f"{kind}: refused, yet it works")


async def reduces_only_what_is_there(rig: Rig) -> None:
    order = build_order(rig, "reduce", Side.SELL, _TWO, reduce_only=True)
    await expect_refusal(rig, rig.venue.submit(order), "nothing to reduce")


async def books_agree(rig: Rig) -> None:
    opening = (await rig.venue.balances())[0].wallet
    since = await rig.venue.server_time()
    for number in range(4):
        await rig.venue.submit(build_order(rig, f"in-{number}", Side.BUY, _TWO))
        await rig.advance()
        await rig.venue.submit(build_order(rig, f"out-{number}", Side.SELL, _TWO, reduce_only=True))
        await rig.advance()
        await rig.advance()
    fills = await rig.venue.fills(rig.symbols[0], since)
    cash = sum((-f.side.sign * f.quantity * f.price - f.fee for f in fills), Decimal(0))
    expect(len(fills) == 8, f"{len(fills)} fills of 8")
    wallet = (await rig.venue.balances())[0].wallet
    expect(wallet == opening + cash, f"wallet {wallet}, opening and fills {opening + cash}")
    expect(not await rig.venue.positions(), "a position is left")


async def fills_since(rig: Rig) -> None:
    for number in range(3):
        await rig.venue.submit(build_order(rig, f"in-{number}", Side.BUY, Decimal(1)))
        await rig.advance()
        await rig.advance()
    everything = await rig.venue.fills(rig.symbols[0], await _long_ago(rig))
    expect(len(everything) == 3, f"{len(everything)} fills of 3")
    later = await rig.venue.fills(rig.symbols[0], everything[1].filled_at)
    expect(list(later) == list(everything[1:]), f"since the second: {[f.client_order_id for f in later]}")


async def _long_ago(rig: Rig) -> datetime:
    return (await rig.venue.history(rig.symbols[0], 30))[0].open_time


async def prepares_twice(rig: Rig) -> None:
    wanted = dict.fromkeys(rig.symbols, 3)
    await rig.venue.prepare(wanted)
    await _enter(rig)
    await rig.venue.prepare(wanted)
    expect([p.quantity for p in await rig.venue.positions()] == [_TWO], "the position has changed")


CARDS = (
    Card(30, "smallest order far from the market", "connected",
         "submit a limit 5 % below, find_order, open_orders, cancel, open_orders",
         "ACCEPTED, found, open, CANCELED, gone", places_and_cancels, safe=True),
    Card(31, "what never was", "connected", "find_order and cancel under an unused id",
         "None, and a refusal", knows_no_strangers, safe=True),
    Card(32, "market order", "flat", "submit a market order, one bar passes",
         "ACCEPTED; then FILLED with one taker fill of the whole quantity and the stated fee", fills_at_the_next_open),
    Card(33, "order that fills at once", "long, market at the open", "submit a reduce-only market order",
         "the answer names the fill, and the stream tells the same one once", answers_with_the_fill, needs=_POSITIONS),
    Card(34, "stop and take-profit", "long", "submit both, then exit",
         "both open; both ended once flat", protects_a_position, needs=_STOPS),
    Card(35, "a stop is one order", "long", "submit a stop that is met",
         "its fill is told, found and listed under our id", stop_is_one_order, needs=_STOPS),
    Card(36, "cancel without knowing the kind", "long, a stop working", "cancel by id as if it were no stop",
         "CANCELED, nothing open", stop_of_unknown_kind_is_cancelled, needs=_STOPS),
    Card(37, "conditional orders", "long", "submit stop-limit, take-profit market and limit; cancel all",
         "all ACCEPTED and open; none left", takes_every_conditional_order, needs=_STOPS),
    Card(38, "trailing stop", "long", "submit a trailing stop of 5 %, cancel it", "ACCEPTED, CANCELED",
         takes_a_trailing_stop, needs=frozenset({Need.POSITIONS, Need.TRAILING})),
    Card(39, "post-only", "connected", "submit a post-only limit far from the market, cancel it", "ACCEPTED",
         post_only_never_takes),
    Card(40, "repeated id", "a limit working", "submit the same order again",
         "refused; one order is open", refuses_a_repeated_id),
    Card(41, "rules of the market", "flat", "submit off the lot, off the tick, below the minimum, beyond the margin",
         "each refused with its code, none works", refuses_what_breaks_a_rule),
    Card(42, "nothing to reduce", "flat", "submit a reduce-only order", "refused", reduces_only_what_is_there,
         needs=_POSITIONS),
    Card(43, "books", "flat", "four round trips", "wallet = opening + fills to the last digit; flat", books_agree,
         needs=_POSITIONS),
    Card(44, "fills since a time", "flat", "three fills, fills() since the second", "the second and third, in order",
         fills_since),
    Card(45, "margin", "flat", "prepare(leverage 3), go long, prepare again", "taken twice; the position is untouched",
         prepares_twice, needs=_POSITIONS),
)  # fmt: skip
