"""Cards 050 to 069: the account as a whole, and a client that comes and goes."""

from __future__ import annotations

from include.venues.acceptance.card import Card, Rig, expect, far_limit


async def shows_the_account(rig: Rig) -> None:
    balances = await rig.venue.balances()
    expect(balances, "the account has no wallet at all")
    expect(any(balance.wallet > 0 for balance in balances), "every wallet is empty")
    await rig.venue.open_orders()
    for position in await rig.venue.positions():
        expect(position.quantity, f"{position.symbol}: a flat position is listed")


async def survives_a_client_that_goes(rig: Rig) -> None:
    order = await far_limit(rig, "stays")
    await rig.venue.submit(order)
    await rig.venue.close()
    await rig.venue.connect(rig.symbols, rig.timeframe)
    names = [report.client_order_id for report in await rig.venue.open_orders()]
    expect(names == [order.client_order_id], f"after a new connection open are {names}")
    await rig.venue.cancel(order)


async def leaves_nothing(rig: Rig) -> None:
    ours = [r.client_order_id for r in await rig.venue.open_orders() if r.client_order_id.startswith(rig.tag)]
    expect(not ours, f"orders of this check are left: {ours}")


CARDS = (
    Card(50, "account", "connected", "balances(), open_orders(), positions()",
         "at least one wallet with money; no flat position is listed", shows_the_account, safe=True),
    Card(51, "client that goes away", "a limit working", "close, connect, open_orders()",
         "the order is still there", survives_a_client_that_goes),
    Card(69, "nothing is left", "all other cards have run", "open_orders()", "no order of this check",
         leaves_nothing, safe=True),
)  # fmt: skip
