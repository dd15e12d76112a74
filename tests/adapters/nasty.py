"""Strategies that break the rules in every way that was thought of: each must cost itself its verdict, nobody else."""

from __future__ import annotations

import sys

import numpy as np

from include.domain.bars import Bars, Signals


class Nasty:
    """Honest but for what `_answer` of a subclass does to it."""

    def __init__(self, *, warmup: int = 5, weight: float = 0.5) -> None:
        self.warmup, self._weight = warmup, weight

    def signals(self, bars: Bars) -> Signals:
        n = len(bars)
        target = np.where(np.arange(n) % 8 < 4, 1.0, 0.0)
        nowhere = np.full(n, np.nan)
        return self._answer(bars, Signals(target, np.full(n, self._weight), nowhere, nowhere))

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return made


class Short(Nasty):
    """A row less than there are bars."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return made.window(1, len(made))


class FutureRows(Nasty):
    """Rows for bars that have not come yet."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return Signals(*(np.append(c, c[-3:]) for c in (made.target, made.weight, made.stop, made.take_profit)))


class Raises(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        raise KeyError("no such\ncolumn")


class Exits(Nasty):
    """Wants to take the whole process with it."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        sys.exit("bye")


class Recurses(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return self._answer(bars, made)


class RewritesBars(Nasty):
    """Makes the past fit: the close becomes what the strategy would have liked."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        bars.close[:] = np.maximum.accumulate(bars.close)
        return made


class RewritesTimes(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        bars.open_time += bars.timeframe.ms
        return made


class Objects(Nasty):
    """Numbers in an array that holds anything."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return Signals(made.target.astype(object), made.weight, made.stop, made.take_profit)


class Words(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return Signals(made.target, np.full(len(made), "half"), made.stop, made.take_profit)  # type: ignore[arg-type]


class InfiniteLevels(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return Signals(made.target, made.weight, np.full(len(made), -np.inf), made.take_profit)


class TwoColumns(Nasty):
    """A table where a column is wanted."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return Signals(np.column_stack((made.target, made.target)), made.weight, made.stop, made.take_profit)


class Nothing(Nasty):
    def _answer(self, bars: Bars, made: Signals) -> Signals:
        return None  # type: ignore[return-value]


class CannotBeBuilt(Nasty):
    def __init__(self, *, warmup: int = 5, weight: float = 0.5) -> None:
        raise FileNotFoundError("model.bin")


class Lists(Nasty):
    """Not refused: whole numbers and views with a stride are numbers too."""

    def _answer(self, bars: Bars, made: Signals) -> Signals:
        wide = np.repeat(made.weight, 2)[::2]
        return Signals(made.target.astype(np.int8), wide, made.stop.astype(np.float32), made.take_profit)  # type: ignore[arg-type]
