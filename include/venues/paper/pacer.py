"""`ports.Pacer` of a paper account: the engine moves it on whenever it has nothing left to do."""

from __future__ import annotations

from include.venues.paper.venue import PaperVenue

PATIENCE_SECS = 1.0
"""How long one step waits for a bar: in between the engine looks after everything else."""


class PaperPacer:
    """Steps a paper account; it has no end."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue

    @property
    def progress(self) -> float:
        """Nothing to be the share of."""
        return 0.0

    async def advance(self) -> bool:
        """Play the next phase, or come back without one after a moment. Raises AirlockError: the feed cannot go on."""
        await self._venue.advance(PATIENCE_SECS)
        return True
