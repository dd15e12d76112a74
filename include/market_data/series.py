"""Names of series and their place in the lake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from include.domain.errors import DataError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe

_VENUE = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._]*")


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """Bars of one symbol (`domain.instruments.symbol_id`) on one venue at one timeframe."""

    venue: str
    symbol: str
    timeframe: Timeframe

    @classmethod
    def named(cls, venue: str, symbol: str, timeframe: Timeframe) -> Series:
        """Build from any spelling of the symbol.

        Raises:
            DataError: a name that cannot be a folder of the lake.
        """
        key = symbol_id(symbol)
        if not _VENUE.fullmatch(venue):
            raise DataError(f"venue {venue!r}: use lower-case letters, digits, dot, dash and underscore")
        if not _SYMBOL.fullmatch(key):
            raise DataError(f"symbol {symbol!r}: write for example BTC/USDT or BTCUSDT")
        return cls(venue, key, timeframe)

    @classmethod
    def at(cls, folder: Path) -> Series | None:
        """The series whose folder this is; None for any other folder."""
        parts = [part.partition("=") for part in folder.parts[-3:]]
        if [name for name, _, _ in parts] != ["venue", "symbol", "timeframe"]:
            return None
        return cls(parts[0][2], parts[1][2], Timeframe.parse(parts[2][2]))

    def folder(self, root: Path) -> Path:
        return root / f"venue={self.venue}" / f"symbol={self.symbol}" / f"timeframe={self.timeframe}"

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"
