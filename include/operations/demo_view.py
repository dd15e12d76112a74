"""What the demo shows in the terminal: a live table where there is one, plain lines where there is not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from include.operations.demo_state import Climb, Outcome

_COLOURS = {Outcome.CLIMBING: "cyan", Outcome.REFUSED: "yellow", Outcome.PROMOTED: "green", Outcome.BROKEN: "red"}
_PLAIN_EVERY_SECS = 15.0


class DemoView:
    """Shows messages above and the climbs below. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self._started = time.monotonic()
        self._last: dict[str, tuple[str, str]] = {}
        self._last_at = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.console.is_terminal:
            self._live.stop()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def say(self, message: str, style: str = "") -> None:
        """One line that stays."""
        line = Text.assemble((f"[{self.elapsed:5.0f} s] ", "dim"), (message, style))
        self.console.print(line, soft_wrap=True, highlight=False)

    def show(self, climbs: Sequence[Climb], status: str = "") -> None:
        """The present state of every climb."""
        if self.console.is_terminal:
            self._live.update(Group(_table(climbs), Text(status, style="dim")))
            return
        now = time.monotonic()
        due = now - self._last_at >= _PLAIN_EVERY_SECS
        for climb in climbs:
            if climb.outcome is not Outcome.CLIMBING:
                continue
            rung, line = climb.rung, f"{climb.rung} {climb.done:.0%} {climb.note}".rstrip()
            seen_rung, seen_line = self._last.get(climb.name, ("", ""))
            if rung != seen_rung or (due and line != seen_line):
                self.say(f"{climb.name}: {line}")
                self._last[climb.name] = (rung, line)
                self._last_at = now

    def result(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """A closing block of labelled lines."""
        self.console.print()
        self.console.print(f"[bold]{escape(title)}[/bold]")
        width = max(len(label) for label, _ in rows)
        for label, value in rows:
            self.console.print(f"  {label:<{width}}  {value}", markup=False, highlight=False, soft_wrap=True)


def _table(climbs: Sequence[Climb]) -> Table:
    table = Table("candidate", "stage", "", "", "elapsed", "what", box=None, padding=(0, 2, 0, 0), header_style="dim")
    now = time.monotonic()
    for climb in climbs:
        ended = climb.ended or now
        colour = _COLOURS[climb.outcome]
        stage = climb.rung if climb.outcome is Outcome.CLIMBING else climb.outcome.value
        done = climb.done if climb.outcome is Outcome.CLIMBING else 1.0
        bar = ProgressBar(total=1.0, completed=done, width=24, complete_style=colour, finished_style=colour)
        table.add_row(
            climb.name, Text(stage, style=colour), bar, f"{done:4.0%}", f"{ended - climb.started:4.0f} s",
            Text(climb.note, style="dim", overflow="ellipsis", no_wrap=True),
        )  # fmt: skip
    return table
