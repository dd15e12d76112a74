"""Names of series and their place in the lake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from include.domain.errors import ConfigurationError, DataError
from include.domain.instruments import symbol_id
from include.domain.times import Timeframe

PARTITIONS = "[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"
"""Glob of the partitions in a series' folder."""
_VENUE = re.compile(r"[a-z0-9][a-z0-9._-]*(~[a-z0-9][a-z0-9._-]*)?")
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
    def at(cls, key: str) -> Series | None:
        """The series that a file of the lake belongs to; None for any other file.

        Raises:
            DataError: a file where partitions lie, under names that no series has.
        """
        parts = [part.partition("=") for part in PurePosixPath(key).parts[:-1]]
        if [name for name, _, _ in parts] != ["venue", "symbol", "timeframe"]:
            return None
        venue, symbol, timeframe = (value for _, _, value in parts)
        try:
            series = cls.named(venue, symbol, Timeframe.parse(timeframe))
        except (ConfigurationError, DataError) as error:
            raise DataError(f"{key}: not a file of a lake ({error}); move it away") from None
        if not series.owns(key):
            raise DataError(f"{key}: not a file of a lake (it would be {series.folder}); move it away")
        return series

    @property
    def folder(self) -> str:
        """Its folder under the root of the lake."""
        return f"venue={self.venue}/symbol={self.symbol}/timeframe={self.timeframe}"

    def owns(self, key: str) -> bool:
        """True for its own files."""
        return key.startswith(f"{self.folder}/")

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"
