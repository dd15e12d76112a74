"""What happened to a feed, for people and reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FeedChange(StrEnum):
    """Kinds of events; stable, like every code."""

    SOURCE_LOST = "SOURCE_LOST"
    """A source could not be reached, or ended; it is tried again with growing waits."""
    SOURCE_BACK = "SOURCE_BACK"
    SILENT = "SILENT"
    """The source in use has brought nothing for too long."""
    POLLED = "POLLED"
    """Bars that the stream did not bring were asked for."""
    SWITCHED = "SWITCHED"
    """Another source is in use from here on."""
    RESTORED = "RESTORED"
    """The first source is in use again."""
    HOLE_FILLED = "HOLE_FILLED"
    HOLE_LEFT = "HOLE_LEFT"
    """No source has the missing bars: the market did not trade, or nobody noticed."""
    BAR_CONFIRMED = "BAR_CONFIRMED"
    """A bar far from the last close that a second look showed again."""
    BAR_CORRECTED = "BAR_CORRECTED"
    """A bar that a second look showed differently; the second look counts."""
    BAR_REFUSED = "BAR_REFUSED"
    """A bar that cannot be, or that nothing confirms."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change. `at`: our clock, aware UTC."""

    at: datetime
    change: FeedChange
    source: str
    symbol: str = ""
    detail: str = ""

    def __str__(self) -> str:
        subject = f" symbol={self.symbol}" if self.symbol else ""
        return f"{self.change.value} source={self.source}{subject} {self.detail}".rstrip()
