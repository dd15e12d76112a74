"""A paper account: it survives anything that its journal survives, and trusts nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.bars import Bar
from include.domain.enums import Side
from include.domain.errors import FatalError, RejectedError, RetryableError
from include.domain.instruments import Instrument
from include.domain.orders import Order
from include.venues.paper.steps import StepGatherer
from include.venues.paper.venue import PaperVenue
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.memory_market import MINUTE, make_instrument
from tests.integration.venues.sandbox import HISTORY, START, SYMBOLS, market, order

BTC, ETH = SYMBOLS
DATA = market()
BARS = {symbol: bars_of(DATA, symbol) for symbol in SYMBOLS}
FACTS = {symbol: make_instrument(symbol) for symbol in SYMBOLS}
DEPOSIT = Decimal(100_000)


def source_at(row: int) -> ScriptedSource:
    return ScriptedSource(dict(BARS), row)


async def opened(path: Path, source: ScriptedSource, facts: dict[str, Instrument] | None = None) -> PaperVenue:
    venue = PaperVenue(source, facts or FACTS, DEPOSIT, path, patience_secs=0.05)
    await venue.connect(SYMBOLS, MINUTE)
    return venue


async def step(venue: PaperVenue, source: ScriptedSource) -> None:
    """One bar passes, both phases."""
    source.finish()
    assert await venue.advance(5)
    if venue._account.stands_at_open:
        assert await venue.advance(5)


async def state(venue: PaperVenue) -> object:
    return (
        await venue.balances(), await venue.positions(), await venue.open_orders(),
        [await venue.fills(symbol, BARS[symbol][0].open_time) for symbol in SYMBOLS],
    )  # fmt: skip


ACTIONS = st.lists(st.sampled_from(["buy", "sell", "limit", "stop", "cancel", "bar", "bars"]), min_size=1, max_size=14)


async def act(venue: PaperVenue, source: ScriptedSource, number: int, action: str) -> None:
    names = {"buy": Side.BUY, "sell": Side.SELL}
    wish: Order | None = None
    if action in names:
        wish = order(f"o{number}", names[action], "1.5")
    elif action == "limit":
        wish = order(f"o{number}", Side.BUY, "1", limit="99.0")
    elif action == "stop":
        wish = order(f"o{number}", Side.SELL, "1", stop="99.5", reduce_only=True)
    try:
        if wish is not None:
            await venue.submit(wish)
        elif action == "cancel":
            await venue.cancel(order(f"o{number - 1}", Side.BUY, "1"))
    except RejectedError:
        pass  # refused then, refused again when the journal is run
    for _ in range({"bar": 1, "bars": 3}.get(action, 0)):
        await step(venue, source)


@given(ACTIONS, st.integers(0, 13))
@settings(max_examples=25, deadline=None)
def test_a_restart_at_any_moment_finds_the_same_account(actions: list[str], crash: int) -> None:
    async def run(folder: Path) -> tuple[object, object, object]:
        journals = folder / "one", folder / "two"
        sources = source_at(HISTORY), source_at(HISTORY)
        steady, shaken = [await opened(j, s) for j, s in zip(journals, sources, strict=True)]
        for number, action in enumerate(actions):
            if number == crash:
                before = await state(shaken)
                await shaken.close()
                shaken = await opened(journals[1], sources[1])
                assert await state(shaken) == before
            await act(steady, sources[0], number, action)
            await act(shaken, sources[1], number, action)
        found = await state(steady), await state(shaken)
        await shaken.close()
        again = await opened(journals[1], sources[1])
        third = await state(again)
        await again.close()
        await steady.close()
        return *found, third

    with TemporaryDirectory() as folder:
        one, two, three = asyncio.run(run(Path(folder)))
    assert one == two == three


async def test_what_finished_while_nobody_was_there_has_happened_all_the_same(tmp_path: Path) -> None:
    sources = source_at(HISTORY), source_at(HISTORY)
    present, absent = [await opened(tmp_path / name, s) for name, s in zip("pa", sources, strict=True)]
    for venue in (present, absent):
        await venue.submit(order("entry", Side.BUY, "2"))
    await absent.close()
    for _ in range(5):
        await step(present, sources[0])
        sources[1].finish()
    returned = await opened(tmp_path / "a", sources[1])
    assert await state(returned) == await state(present)
    assert [p.quantity for p in await returned.positions()] == [2]
    await returned.close()
    await present.close()


async def test_an_idle_account_writes_nothing_while_bars_pass(tmp_path: Path) -> None:
    source = source_at(HISTORY)
    venue = await opened(tmp_path / "j", source)
    size = (tmp_path / "j").stat().st_size
    for _ in range(20):
        await step(venue, source)
    assert (tmp_path / "j").stat().st_size == size
    await venue.submit(order("entry", Side.BUY, "1"))
    assert (tmp_path / "j").stat().st_size > size
    await venue.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b'"quantity":"2"', b'"quantity":"9"'),
        lambda text: b"\n".join(text.splitlines()[1:]) + b"\n",
        lambda text: text.replace(b"\t", b" ", 1),
        lambda text: text + b"nonsense\n",
    ],
    ids=["a changed order", "a missing line", "no digest", "a line too many"],
)
async def test_a_journal_that_is_not_what_was_written_is_refused(tmp_path: Path, spoil: object) -> None:
    venue = await opened(tmp_path / "j", source_at(HISTORY))
    await venue.submit(order("entry", Side.BUY, "2"))
    await venue.close()
    (tmp_path / "j").write_bytes(spoil((tmp_path / "j").read_bytes()))  # type: ignore[operator]
    with pytest.raises(FatalError, match=r"cannot be trusted|other facts"):
        await opened(tmp_path / "j", source_at(HISTORY))


async def test_a_line_cut_short_by_a_crash_was_never_done(tmp_path: Path) -> None:
    venue = await opened(tmp_path / "j", source_at(HISTORY))
    await venue.submit(order("one", Side.BUY, "1", limit="50.0"))
    whole = (tmp_path / "j").read_bytes()
    await venue.submit(order("two", Side.BUY, "1", limit="50.0"))
    await venue.close()
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes()[: len(whole) + 20])
    again = await opened(tmp_path / "j", source_at(HISTORY))
    assert [report.client_order_id for report in await again.open_orders()] == ["one"]
    assert await again.find_order(BTC, "two") is None
    await again.close()
    assert (tmp_path / "j").read_bytes() == whole


async def test_other_facts_make_another_account(tmp_path: Path) -> None:
    venue = await opened(tmp_path / "j", source_at(HISTORY))
    await venue.close()
    with pytest.raises(FatalError, match="other facts"):
        await opened(tmp_path / "j", source_at(HISTORY), {**FACTS, BTC: make_instrument(BTC, tick="0.01")})


async def test_one_account_is_traded_by_one_process(tmp_path: Path) -> None:
    venue = await opened(tmp_path / "j", source_at(HISTORY))
    with pytest.raises(RetryableError, match="another process"):
        await opened(tmp_path / "j", source_at(HISTORY))
    await venue.close()


async def test_history_never_shows_what_the_account_has_not_lived_through(tmp_path: Path) -> None:
    source = source_at(HISTORY)
    venue = await opened(tmp_path / "j", source)
    source.finish(3)
    assert (await venue.history(BTC, 2))[-1].open_time == START - MINUTE.delta
    for _ in range(3):
        await venue.advance(5)
    assert [bar.open_time for bar in await venue.history(BTC, 2)] == [START + MINUTE.delta, START + 2 * MINUTE.delta]
    await venue.close()


async def test_a_symbol_that_does_not_trade_holds_nobody_up(tmp_path: Path) -> None:
    source = source_at(HISTORY)
    venue = await opened(tmp_path / "j", source)
    source.finish(only=[BTC])
    assert await venue.advance(5)
    source.finish()
    assert await venue.advance(5)
    told = [venue._told.get_nowait() for _ in range(venue._told.qsize())]
    assert [event.symbol for event in told if isinstance(event, Bar)] == [BTC, BTC, ETH]
    await venue.close()


async def test_a_feed_that_ends_ends_the_account(tmp_path: Path) -> None:
    source = source_at(HISTORY)
    venue = await opened(tmp_path / "j", source)
    source.cut()
    with pytest.raises(RetryableError, match="connection lost"):
        await venue.advance(5)
    with pytest.raises(RetryableError):
        await anext(aiter(venue.events()))
    await venue.close()


@given(st.permutations([(i, s) for i in range(4) for s in SYMBOLS]), st.booleans())
def test_steps_come_in_order_and_whole_however_bars_arrive(arrivals: Sequence[tuple[int, str]], patient: bool) -> None:
    gatherer = StepGatherer(SYMBOLS, 0)
    taken: list[tuple[int, set[str]]] = []
    for row, symbol in arrivals:
        gatherer.add(BARS[symbol][row])
        while (found := gatherer.take(patient=patient)) is not None:
            taken.append((found[0], set(found[1])))
    times = [at for at, _ in taken]
    assert times == sorted(set(times))
    assert sum(len(symbols) for _, symbols in taken) + gatherer.late + sum(
        len(bars) for bars in gatherer._waiting.values()
    ) == len(arrivals)
