"""A source of bars that a test plays by hand; implements `feeds.source.BarSource` and fails on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from include.domain.bars import Bar
from include.domain.conversion import to_decimal
from include.domain.errors import RetryableError
from include.domain.times import Timeframe, from_ms
from tests.adapters.memory_market import MemoryMarket


def bars_of(market: MemoryMarket, symbol: str, tick: str = "0.1", lot: str = "0.001") -> list[Bar]:
    """A memory market's bars in exact decimals."""
    held = market._held(symbol)
    step, size = Decimal(tick), Decimal(lot)
    return [
        Bar(
            symbol, from_ms(int(held.open_time[i])),
            *(to_decimal(float(column[i]), step) for column in (held.open, held.high, held.low, held.close)),
            to_decimal(float(held.volume[i]), size),
        )
        for i in range(len(held))
    ]  # fmt: skip


@dataclass(slots=True)
class ScriptedSource:
    """`bars`: everything the exchange will ever have; `row`: how many of them have finished."""

    bars: dict[str, list[Bar]]
    row: int
    timeframe: Timeframe = field(default_factory=lambda: Timeframe(60))
    unreachable: bool = False
    """REST and new connections fail."""
    mute: bool = False
    """The stream brings nothing, though the market goes on."""
    corrupt: dict[tuple[str, datetime], Bar] = field(default_factory=dict)
    """What the stream brings in place of a bar."""
    withheld: set[tuple[str, datetime]] = field(default_factory=set)
    """Bars that REST does not have either."""
    connects: int = 0
    questions: int = 0
    reconnects: int = 0
    _events: asyncio.Queue[Bar | BaseException | None] = field(default_factory=asyncio.Queue)

    # --- what the test does ----------------------------------------------------------------------------------

    def finish(self, count: int = 1, *, only: Sequence[str] | None = None, twice: bool = False) -> None:
        """Bars finish; the stream tells them unless it is mute, `only` those of some symbols."""
        for _ in range(count):
            for symbol, rows in self.bars.items():
                bar = rows[self.row]
                told = self.corrupt.get((symbol, bar.open_time), bar)
                if not self.mute and (only is None or symbol in only):
                    for _ in range(1 + twice):
                        self._events.put_nowait(told)
            self.row += 1

    def repeat(self, back: int) -> None:
        """The stream tells an old bar once more."""
        for rows in self.bars.values():
            self._events.put_nowait(rows[self.row - 1 - back])

    def cut(self) -> None:
        """The stream ends with an error."""
        self._events.put_nowait(RetryableError("connection lost"))

    # --- the protocol ----------------------------------------------------------------------------------------

    async def connect(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        self._reach()
        self.connects += 1
        self._events = asyncio.Queue()

    async def close(self) -> None:
        self._events.put_nowait(None)

    async def server_time(self) -> datetime:
        self._reach()
        return next(iter(self.bars.values()))[self.row - 1].open_time + self.timeframe.delta

    async def history(self, symbol: str, limit: int) -> Sequence[Bar]:
        self._reach()
        self.questions += 1
        known = [bar for bar in self.bars[symbol][: self.row] if (symbol, bar.open_time) not in self.withheld]
        return known[-limit:]

    async def events(self) -> AsyncIterator[Bar]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event

    def _reach(self) -> None:
        if self.unreachable:
            raise RetryableError("connection refused")
