"""A source that can be cut into checkpoints, like those over the network, but answers from memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from include.domain.errors import RetryableError
from include.domain.times import from_ms, to_ms
from include.market_data.sources.protocol import Chunk, Request
from tests.market import MINUTE, Columns, take


@dataclass
class RemoteSource:
    """Minutes from memory in pages that can be cut; stops answering after so many pages."""

    columns: Columns
    answers: int = 10**9
    page: int = 1_500
    cut: bool = True
    name: str = "remote:test"
    asked: list[datetime | None] = field(default_factory=list)

    def chunks(self, request: Request) -> Iterator[Chunk]:
        self.asked.append(request.start)
        times = self.columns["open_time"]
        first = int(np.searchsorted(times, to_ms(request.start))) if request.start else 0
        last = int(np.searchsorted(times, to_ms(request.end))) if request.end else len(times)
        for answered, at in enumerate(range(first, max(last, first + 1), self.page)):
            if answered == self.answers:
                raise RetryableError("remote: no answer")
            until = min(at + self.page, last)
            after = from_ms(int(times[until - 1])) + MINUTE.delta if until > at else request.start
            yield Chunk(
                take(self.columns, slice(at, until)),
                until / len(times),
                f"page {answered}",
                after if self.cut else None,
            )
