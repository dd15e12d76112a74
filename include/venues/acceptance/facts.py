"""Cards 010 to 029: what a venue says about its markets."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from include.domain.bars import Bar
from include.venues.acceptance.card import Card, Rig, expect


async def states_steps(rig: Rig) -> None:
    found = await rig.venue.instruments()
    expect(set(found) == set(rig.symbols), f"facts of {sorted(found)} instead of {sorted(rig.symbols)}")
    for instrument in found.values():
        expect(instrument.min_notional > 0, f"{instrument.symbol}: no minimum notional")
        expect(0 <= instrument.maker_fee_rate <= instrument.taker_fee_rate, f"{instrument.symbol}: fees {instrument}")


async def tells_the_time(rig: Rig) -> None:
    first, second = await rig.venue.server_time(), await rig.venue.server_time()
    expect(first.tzinfo is not None and first <= second, f"time went from {first} to {second}")
    last = (await rig.venue.history(rig.symbols[0], 1))[-1]
    age = second - last.open_time - rig.timeframe.delta
    expect(age >= timedelta(milliseconds=-1), f"the last finished bar ends {-age} after the market's time")


async def gives_history(rig: Rig) -> None:
    for symbol in rig.symbols:
        bars = await rig.venue.history(symbol, 50)
        expect(len(bars) == 50, f"{symbol}: {len(bars)} bars instead of 50")
        steps = {later.open_time - earlier.open_time for earlier, later in pairwise(bars)}
        expect(min(steps) >= rig.timeframe.delta, f"{symbol}: bars are not in order, or come twice")


async def history_pages_agree(rig: Rig) -> None:
    symbol = rig.symbols[0]
    long = await rig.venue.history(symbol, 120)
    short = await rig.venue.history(symbol, 20)
    known = {bar.open_time: bar for bar in long}
    expect(all(known.get(bar.open_time, bar) == bar for bar in short), f"{symbol}: two questions, two histories")


async def history_ends_with_the_last_bar(rig: Rig) -> None:
    before = (await rig.venue.history(rig.symbols[0], 1))[-1]
    await rig.advance()
    after = (await rig.venue.history(rig.symbols[0], 1))[-1]
    moved = after.open_time - before.open_time
    expect(moved == rig.timeframe.delta, f"one bar on, the history went on by {moved}")


async def bars_come_once(rig: Rig) -> None:
    last = (await rig.venue.history(rig.symbols[0], 1))[-1].open_time
    rig.told()
    for _ in range(30):
        await rig.advance()
    told = [event for event in rig.told() if isinstance(event, Bar)]
    for symbol in rig.symbols:
        times = [bar.open_time for bar in told if bar.symbol == symbol]
        wanted = [last + (i + 1) * rig.timeframe.delta for i in range(30)]
        expect(times == wanted, f"{symbol}: {len(times)} bars of 30, or not in order")


async def streamed_equals_asked(rig: Rig) -> None:
    rig.told()
    await rig.advance()
    for bar in [event for event in rig.told() if isinstance(event, Bar)]:
        asked = (await rig.venue.history(bar.symbol, 1))[-1]
        expect(asked == bar, f"{bar.symbol}: streamed {bar}, asked {asked}")


CARDS = (
    Card(10, "facts of instruments", "connected", "instruments()",
         "tick, lot, minimum notional and fees of every connected symbol", states_steps, safe=True),
    Card(11, "market time", "connected", "server_time() twice, history(1)",
         "aware, never backwards, not before the end of the last finished bar", tells_the_time, safe=True),
    Card(12, "history", "connected", "history(50) of every symbol",
         "50 finished bars, oldest first, each once", gives_history, safe=True),
    Card(13, "history is one", "connected", "history(120), history(20)",
         "a bar is the same in both", history_pages_agree, safe=True),
    Card(14, "history ends with the last finished bar", "connected", "history(1), one bar passes, history(1)",
         "exactly one bar further", history_ends_with_the_last_bar),
    Card(20, "bars are streamed once", "connected", "30 bars pass",
         "every symbol brings each of them once, in order", bars_come_once),
    Card(21, "streamed is asked", "connected", "one bar passes, history(1)",
         "the streamed bar and the asked one are equal in every field", streamed_equals_asked),
)  # fmt: skip
