"""The market's clock: which bar is being played and which of its two phases comes next. Pure, no wall time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

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
        self.before_bar: Callable[[Mapping[str, int], int], dict[str, int]] | None = None
        """Sees (and may change) the bars that are about to be played; returns those that trade. Faults come in here."""
        self._next = {symbol: tape.start for symbol, tape in tapes.items()}
        self.playing: dict[str, int] = {}
        """Rows of the symbols that trade in the bar that is open."""
        self._opened: dict[str, int] = {}

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
        """Move to the open of the next bar time; returns the row of each symbol that has a bar and trades in it."""
        self.event_time = int(self.timeline[self.step])
        self.phase = Phase.OPEN
        self._opened = {symbol: row for symbol in self.tapes if (row := self.current_row(symbol)) is not None}
        self.playing = self._opened if self.before_bar is None else self.before_bar(self._opened, self.event_time)
        return self.playing

    def leg_times(self) -> tuple[int, int, int]:
        """When the three legs of the current bar's path are reached: after a quarter, a half and three quarters."""
        quarter = self.interval_ms // 4
        return self.event_time + quarter, self.event_time + 2 * quarter, self.event_time + 3 * quarter

    def finish_bar(self) -> None:
        """Close the bars that `begin_bar` opened, those that did not trade included."""
        for symbol, row in self._opened.items():
            self._next[symbol] = row + 1
        self.event_time += self.interval_ms - 1
        self.step += 1
        self.phase = Phase.DONE if self.step == len(self.timeline) else Phase.BETWEEN

    # --- state ---------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Where the replay is, for a restart."""
        return {
            "phase": self.phase.value, "step": self.step, "event_time": self.event_time,
            "next": dict(self._next), "opened": dict(self._opened), "playing": dict(self.playing),
        }  # fmt: skip

    def restore(self, document: Mapping[str, Any]) -> None:
        """Go where `document` says; the tapes have to be the same."""
        self.phase = Phase(document["phase"])
        self.step, self.event_time = document["step"], document["event_time"]
        self._next, self._opened = dict(document["next"]), dict(document["opened"])
        self.playing = dict(document["playing"])
