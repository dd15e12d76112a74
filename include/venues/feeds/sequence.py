"""Whether a bar may follow those that were given out before it. Pure: no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from include.domain.bars import Bar
from include.domain.times import Timeframe, to_ms

MAX_JUMP = Decimal("0.2")
"""Change of price against the last close beyond which a bar is looked at twice. Minutes of real markets have moved by
less even in their worst crashes; erroneous prints have not."""


class Judgement(StrEnum):
    """What a bar is to a sequence."""

    NEXT = "NEXT"
    """It follows."""
    REPEAT = "REPEAT"
    """Its time has been given out."""
    HOLE = "HOLE"
    """There are bars missing before it."""
    OFF_GRID = "OFF_GRID"
    """It does not open where bars of this timeframe open."""
    JUMP = "JUMP"
    """It follows, but its prices are far from the last close: to be confirmed before it is believed."""


@dataclass(frozen=True, slots=True)
class BarSequence:
    """Bars of one symbol in their order; replaced, never edited.

    Attributes:
        last: the newest bar given out; None before the first, which may be any.
        max_jump: largest believable change against the last close, as a fraction.
    """

    timeframe: Timeframe
    last: Bar | None = None
    max_jump: Decimal = MAX_JUMP

    def judge(self, bar: Bar) -> Judgement:
        """What `bar` is here."""
        opened = to_ms(bar.open_time)
        if (opened - self.timeframe.anchor_ms) % self.timeframe.ms:
            return Judgement.OFF_GRID
        if self.last is None:
            return Judgement.NEXT
        steps = (opened - to_ms(self.last.open_time)) // self.timeframe.ms
        if steps < 1:
            return Judgement.REPEAT
        if steps > 1:
            return Judgement.HOLE
        return Judgement.JUMP if self._jumps(bar, self.last.close) else Judgement.NEXT

    def missing(self, bar: Bar) -> int:
        """How many bars lie between the last one and `bar`."""
        if self.last is None:
            return 0
        return max(0, (to_ms(bar.open_time) - to_ms(self.last.open_time)) // self.timeframe.ms - 1)

    def after(self, bar: Bar) -> BarSequence:
        """The sequence once `bar` has been given out."""
        return BarSequence(self.timeframe, bar, self.max_jump)

    def _jumps(self, bar: Bar, before: Decimal) -> bool:
        limit = before * self.max_jump
        return bar.high - before > limit or before - bar.low > limit


def is_crossed(bid: Decimal, ask: Decimal) -> bool:
    """Whether a best bid and ask cannot stand beside each other: a book that lost an update."""
    return bid >= ask or bid <= 0
