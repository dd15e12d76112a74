"""What the acceptance cards run on, one rig for each venue: a connected venue and a market that can be moved."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from include.domain.bars import Bar
from include.domain.times import Timeframe
from include.ports import Pacer, VenueEvent
from include.venues.acceptance import facts
from include.venues.acceptance.card import Card, Need, Traits
from include.venues.acceptance.cards import CARDS
from include.venues.ccxt_venue import CcxtVenue
from include.venues.feeds.source import CcxtSource
from include.venues.pacer import SandboxPacer
from include.venues.paper.venue import PaperVenue
from tests.adapters.bar_source import ScriptedSource, bars_of
from tests.adapters.bybit_exchange import BybitExchange
from tests.adapters.bybit_server import serving
from tests.adapters.memory_market import MINUTE, make_instrument
from tests.integration.venues.sandbox import ALICE, HISTORY, START, SYMBOLS, market, running

BINANCE_CODES = {
    "duplicate": "-4116", "nothing to reduce": "-2022", "notional": "-4164", "margin": "-2019", "lot": "-1111",
    "tick": "-4014", "unknown": "-2011",
}  # fmt: skip
BYBIT_CODES = BINANCE_CODES | {
    "duplicate": "110072", "nothing to reduce": "110017", "notional": "110094", "margin": "110007", "unknown": "110001",
}  # fmt: skip
SPOT_CODES = {"lot": "-1111", "tick": "-4014", "unknown": "-2011"}
CONTRACTS = Traits(codes=BINANCE_CODES)
BYBIT = Traits(frozenset(Need) - {Need.TRAILING}, BYBIT_CODES)
SPOT = Traits(frozenset({Need.STOPS}), SPOT_CODES)


@dataclass(slots=True)
class LockstepRig:
    """A venue and the pacer that moves its market."""

    venue: Any
    step: Callable[[], Any]
    queue: Callable[[], asyncio.Queue[Any]]
    traits: Traits
    symbols: Sequence[str] = SYMBOLS
    timeframe: Timeframe = MINUTE
    tag: str = "card-"

    async def advance(self) -> None:
        assert await self.step()

    def told(self) -> list[VenueEvent]:
        queue, events = self.queue(), []
        while not queue.empty():
            event = queue.get_nowait()
            assert event is not None
            events.append(event)
        return events


def _over_ccxt(venue: CcxtVenue, traits: Traits) -> LockstepRig:
    pacer: Pacer = SandboxPacer(venue)
    return LockstepRig(venue, pacer.advance, lambda: venue.streams._queue, traits)


@functools.cache
def _all_bars() -> dict[str, tuple[Bar, ...]]:
    """The market's bars in exact decimals; made once, because that takes longer than most cards."""
    data = market()
    return {symbol: tuple(bars_of(data, symbol)) for symbol in SYMBOLS}


@asynccontextmanager
async def binance_usdm(folder: Path) -> AsyncIterator[LockstepRig]:
    """CcxtVenue on the sandbox exchange's USD-M side."""
    async with running() as sandbox:
        venue = CcxtVenue(sandbox.url, ALICE.key, ALICE.secret)
        await venue.connect(SYMBOLS, MINUTE)
        try:
            yield _over_ccxt(venue, CONTRACTS)
        finally:
            await venue.close()


@asynccontextmanager
async def binance_spot(folder: Path) -> AsyncIterator[LockstepRig]:
    """CcxtVenue on the sandbox exchange's spot side."""
    async with running() as sandbox:
        venue = CcxtVenue(sandbox.url, ALICE.key, ALICE.secret, exchange="binance-spot")
        await venue.connect(SYMBOLS, MINUTE)
        try:
            yield _over_ccxt(venue, SPOT)
        finally:
            await venue.close()


@asynccontextmanager
async def bybit(folder: Path) -> AsyncIterator[LockstepRig]:
    """CcxtVenue on the double of Bybit."""
    exchange = BybitExchange(
        {symbol: list(bars) for symbol, bars in _all_bars().items()}, {s: make_instrument(s) for s in SYMBOLS}, START,
        {"key-of-alice": ("secret-of-alice", Decimal(100_000))}, MINUTE,
    )  # fmt: skip
    async with serving(exchange) as url:
        venue = CcxtVenue(url, SecretStr("key-of-alice"), SecretStr("secret-of-alice"), exchange="bybit")
        await venue.connect(SYMBOLS, MINUTE)
        try:
            yield _over_ccxt(venue, BYBIT)
        finally:
            await venue.close()


@asynccontextmanager
async def paper(folder: Path) -> AsyncIterator[LockstepRig]:
    """PaperVenue on bars that are played by hand."""
    source = ScriptedSource({symbol: list(bars) for symbol, bars in _all_bars().items()}, HISTORY)
    known = {symbol: make_instrument(symbol) for symbol in SYMBOLS}
    venue = PaperVenue(source, known, Decimal(100_000), folder / "paper.journal", patience_secs=5)
    await venue.connect(SYMBOLS, MINUTE)

    async def step() -> bool:
        if not venue._account.stands_at_open:
            source.finish()
        return await venue.advance(5)

    try:
        yield LockstepRig(venue, step, lambda: venue._told, CONTRACTS)
    finally:
        await venue.close()


@asynccontextmanager
async def paper_on_the_sandbox(folder: Path) -> AsyncIterator[LockstepRig]:
    """PaperVenue on the market streams of the sandbox exchange: a real feed over sockets."""
    async with running() as sandbox:
        source = CcxtSource(base_url=sandbox.url)
        known = {symbol: make_instrument(symbol) for symbol in SYMBOLS}
        venue = PaperVenue(source, known, Decimal(100_000), folder / "paper.journal")
        await venue.connect(SYMBOLS, MINUTE)
        pacer = SandboxPacer(source)

        async def step() -> bool:
            if not venue._account.stands_at_open:
                await pacer.advance()
            return await venue.advance(5)

        try:
            yield LockstepRig(venue, step, lambda: venue._told, CONTRACTS)
        finally:
            await venue.close()


RigMaker = Callable[[Path], AbstractAsyncContextManager[LockstepRig]]
RIGS: dict[str, tuple[RigMaker, Traits, Sequence[Card]]] = {
    "binance-usdm": (binance_usdm, CONTRACTS, CARDS),
    "binance-spot": (binance_spot, SPOT, CARDS),
    "bybit": (bybit, BYBIT, CARDS),
    "paper": (paper, CONTRACTS, CARDS),
    # The account is the one that the scripted feed has held to all cards; here it is the feed that is real.
    "paper-on-the-sandbox": (paper_on_the_sandbox, CONTRACTS, facts.CARDS),
}


def applicable() -> list[tuple[str, Card]]:
    """Every venue with each card that applies to it."""
    return [(name, card) for name, (_, traits, cards) in RIGS.items() for card in cards if card.applies_to(traits)]
