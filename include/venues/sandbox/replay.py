"""The market's clock: which bar is being played and which of its two phases comes next. Pure, no wall time."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from include.domain.bars import IntArray
from include.venues.sandbox.tape import Tape


class Phase(StrEnum):
    BETWEEN = "BETWEEN"
    """Between two bars: the last one has closed, market orders wait for the next open."""
    OPEN = "OPEN"
    """The market stands at the open of the current bar."""
    DONE = "DONE"
    """The last bar has closed; time does not move any more."""


class Replay:
    """Walks the union of the symbols' bar times; a gap in one symbol stays a gap."""

    def __init__(self, tapes: Mapping[str, Tape]) -> None:
        self.tapes = tapes
        times = [tape.bars.open_time[tape.start :] for tape in tapes.values()]
        self.timeline: IntArray = np.unique(np.concatenate(times))
        self.interval_ms = next(iter(tapes.values())).interval_ms
        self.phase = Phase.BETWEEN if len(self.timeline) else Phase.DONE
        self.step = 0
        """Bar times that have been played to their close."""
        self.event_time = int(self.timeline[0]) - 1 if len(self.timeline) else 0
        """Virtual market time in epoch milliseconds."""
        self._next = {symbol: tape.start for symbol, tape in tapes.items()}

    @property
    def progress(self) -> float:
        return self.step / len(self.timeline) if len(self.timeline) else 1.0

    def known_rows(self, symbol: str) -> int:
        """How many rows of a symbol have closed."""
        return self._next[symbol]

    def current_row(self, symbol: str) -> int | None:
        """Row of the bar whose open has happened and whose close has not."""
        row = self._next[symbol]
        tape = self.tapes[symbol]
        if self.phase is not Phase.OPEN or row >= len(tape.bars):
            return None
        return row if int(tape.bars.open_time[row]) == self.event_time else None

    def begin_bar(self) -> dict[str, int]:
        """Move to the open of the next bar time; returns the row of each symbol that has a bar."""
        self.event_time = int(self.timeline[self.step])
        self.phase = Phase.OPEN
        return {symbol: row for symbol in self.tapes if (row := self.current_row(symbol)) is not None}

    def leg_times(self) -> tuple[int, int, int]:
        """When the three legs of the current bar's path are reached: after a quarter, a half and three quarters."""
        quarter = self.interval_ms // 4
        return self.event_time + quarter, self.event_time + 2 * quarter, self.event_time + 3 * quarter

    def finish_bar(self, rows: Mapping[str, int]) -> None:
        """Close the bars that `begin_bar` opened."""
        for symbol, row in rows.items():
            self._next[symbol] = row + 1
        self.event_time += self.interval_ms - 1
        self.step += 1
        self.phase = Phase.DONE if self.step == len(self.timeline) else Phase.BETWEEN
