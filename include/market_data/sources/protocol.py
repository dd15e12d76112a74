"""Sources: where bars come from. One small protocol; the importer knows nothing else of any of them.

A source only reads. It hands out rows as the other side gives them, defects included: judging them is the data gate's
business, storing them (and resuming, comparing, refusing conflicts) the importer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.domain.times import Timeframe
from include.market_data.partitions import Columns


@dataclass(frozen=True, slots=True)
class Request:
    """Which bars are wanted.

    Attributes:
        symbol: the candidate's spelling (BTC/USDT).
        start: first open time, inclusive, aware UTC; None for as early as the source goes.
        end: exclusive; None for as late as the source goes. A source that grows hands out finished bars only.
    """

    symbol: str
    timeframe: Timeframe
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one symbol, in the source's own order.

    Attributes:
        columns: `open_time` int64 epoch milliseconds, everything else float64; may be empty.
        done: share of the request that has been handed out with this chunk, 0 to 1.
        what: what a person watching would like to read (a file name, a day).
        resume_at: the request may be cut here: asked again with this `start`, the source hands out the rest and nothing
            twice. None where it cannot (files, whose rows may come in any order); such an import is all or nothing.
    """

    columns: Columns
    done: float
    what: str
    resume_at: datetime | None = None


class Source(Protocol):
    """Something that has bars."""

    @property
    def name(self) -> str:
        """Kind and origin, kept in the manifests of the partitions it fills (`ccxt:binanceusdm`); holds no secret."""
        ...

    def chunks(self, request: Request) -> Iterator[Chunk]:
        """Bars of one symbol, chunk by chunk, at most a few hundred thousand rows in memory.

        Raises:
            DataError: what is there cannot be used (missing, damaged, another market or timeframe).
            ConfigurationError: the request makes no sense for this source.
            RetryableError: the other side does not answer, after the source's own retries; what was handed out stands.
        """
        ...
