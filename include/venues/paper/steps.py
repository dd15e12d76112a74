"""Bars of several symbols, gathered into bar times: an account sees all its markets move at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from include.domain.bars import Bar
from include.domain.times import to_ms


class StepGatherer:
    """Collects bars until a bar time is complete.

    Args:
        symbols: those that a complete bar time has.
        through_ms: open time up to which everything has been played.
    """

    def __init__(self, symbols: Sequence[str], through_ms: int) -> None:
        self._symbols = frozenset(symbols)
        self._waiting: dict[int, dict[str, Bar]] = {}
        self._through = through_ms
        self.late = 0
        """Bars that came after their time had been played."""

    @property
    def is_waiting(self) -> bool:
        """Whether some symbol has brought a bar that is not played."""
        return bool(self._waiting)

    def add(self, bar: Bar) -> None:
        opened = to_ms(bar.open_time)
        if bar.symbol not in self._symbols:
            return
        if opened <= self._through:
            self.late += 1
            return
        self._waiting.setdefault(opened, {}).setdefault(bar.symbol, bar)

    def take(self, *, patient: bool = True) -> tuple[int, Mapping[str, Bar]] | None:
        """The oldest bar time, once nothing more is due for it: every symbol is there, or some symbol has gone on to a
        later one. Without patience it is taken as it is: a symbol that brings nothing has not traded."""
        if not self._waiting:
            return None
        opened = min(self._waiting)
        missing = self._symbols - self._waiting[opened].keys()
        ahead = {symbol for at, bars in self._waiting.items() if at > opened for symbol in bars}
        if patient and not missing <= ahead:
            return None
        self._through = opened
        return opened, self._waiting.pop(opened)
