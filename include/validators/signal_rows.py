"""Comparing signals as an executor would use them, and choosing the rows to compare."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from include.backtesting.kernel import nearest_steps
from include.domain.bars import Bars, FloatArray, IntArray, Signals
from include.domain.fill_rule import TRAILING_STEP, WEIGHT_STEP
from include.domain.instruments import Instrument
from include.domain.times import from_ms, iso

SAMPLES = 32
"""Rows sampled for each symbol. A fault that shows on one row in ten escapes 32 samples with probability 3 %."""
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class SignalCheck:
    """Outcome of a check on one symbol: how many rows were compared, how many differed, and a few of them."""

    compared: int
    differing: int
    examples: tuple[str, ...]


def differing_rows(one: Signals, other: Signals, instrument: Instrument) -> NDArray[np.bool_]:
    """Rows on which two equally long signals would trade differently.

    Targets must be equal, NaN like NaN. Weight and levels count where an entry is asked for, and on the grids that
    executors put them on: rounding noise far below a tick is no difference.
    """
    differing = _unequal(one.target, other.target)
    tick = instrument.tick_size
    for name, step in (
        ("weight", WEIGHT_STEP), ("stop", tick), ("take_profit", tick), ("trailing", TRAILING_STEP),
        ("hold", Decimal(1)), ("add", WEIGHT_STEP),
    ):  # fmt: skip
        a, b = _column(one, name), _column(other, name)
        rows = np.flatnonzero(_unequal(a, b) & (np.abs(one.target) == 1))
        differing[rows] |= nearest_steps(a[rows], step) != nearest_steps(b[rows], step)
    return differing


def _column(signals: Signals, name: str) -> FloatArray:
    """A column, NaN all over where the strategy left it out."""
    column: FloatArray | None = getattr(signals, name)
    return np.full(len(signals), np.nan) if column is None else column


def _unequal(a: FloatArray, b: FloatArray) -> NDArray[np.bool_]:
    unequal: NDArray[np.bool_] = (a != b) & ~(np.isnan(a) & np.isnan(b))
    return unequal


def sample_rows(signals: Signals, first: int, seed: int) -> IntArray:
    """Up to `SAMPLES` rows from `first` on, ascending: half of them rows that ask for an entry, half any rows."""
    random = np.random.default_rng(seed)
    rows = np.arange(first, len(signals))
    entries = rows[np.abs(signals.target[first:]) == 1]
    chosen = [random.choice(pool, min(SAMPLES // 2, len(pool)), replace=False) for pool in (entries, rows) if len(pool)]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def describe_row(bars: Bars, row: int, shown: Signals, shown_row: int, full: Signals) -> str:
    """One line on a difference, for the report."""
    return (
        f"{bars.symbol} {iso(from_ms(int(bars.open_time[row])))}: target {full.target[row]:g} became "
        f"{shown.target[shown_row]:g}, stop {full.stop[row]:g} became {shown.stop[shown_row]:g}, "
        f"take-profit {full.take_profit[row]:g} became {shown.take_profit[shown_row]:g}"
    )
