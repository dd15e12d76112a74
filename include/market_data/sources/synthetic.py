"""The synthetic market as a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.domain.bars import BAR_COLUMNS
from include.domain.errors import ConfigurationError
from include.domain.times import iso
from include.market_data import synthetic
from include.market_data.sources.protocol import Chunk, Request


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """The seeded market, generated from its origin each time it is asked, so it has no place to be cut."""

    seed: int = synthetic.DEFAULT_SEED

    @property
    def name(self) -> str:
        return f"synthetic:seed={self.seed}"

    def chunks(self, request: Request) -> Iterator[Chunk]:
        """Bars of one symbol, a block at a time; from the market's origin to its usual end when no window is named.

        Raises:
            ConfigurationError: unknown symbol, another timeframe than one minute, or a window the market does not have.
        """
        if request.timeframe != synthetic.TIMEFRAME:
            raise ConfigurationError(
                f"timeframe {request.timeframe}: the synthetic market has {synthetic.TIMEFRAME} bars only"
            )
        start, end = request.start or synthetic.DEFAULT_START, request.end or synthetic.DEFAULT_END
        for bars, done in synthetic.generate_blocks(request.symbol, start, end, seed=self.seed):
            what = iso(bars.last)[:10] if len(bars) else "what came before the window"
            yield Chunk({name: getattr(bars, name) for name in BAR_COLUMNS}, done, what)
