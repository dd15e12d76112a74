"""Wrong time zones, found by correlation: markets of one kind move at the same moment, so returns of two series must
match at lag zero. A series whose returns match another's hours earlier or later carries the times of another zone.

Series are compared on closes at every half hour, in blocks of four weeks, so that a zone that holds for a part of the
history (or changes with the clocks) shows too. Formulas are in `docs/data-quality.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.domain.times import DAY_MS, Timeframe

HALF_HOUR_MS = 1_800_000
FARTHEST_LAG_MS = 14 * 3_600_000
BLOCK_DAYS = 28
FEWEST_RETURNS = 96
SMALLEST_CORRELATION = 0.3
SMALLEST_GAIN = 0.2
"""How much better a lag must correlate than zero. Real markets lead and lag each other by minutes, not by hours."""
DEVIATIONS = 5.0
"""Of chance: without any relation a correlation of n returns deviates by 1/sqrt(n), and dozens of lags are tried."""
CLIP = 6.0
"""Returns beyond this many times their median size count as that: one bad tick must not decide a correlation."""


@dataclass(frozen=True, slots=True)
class HalfHours:
    """Log closes of one series at whole multiples of its step; NaN where no bar closed then.

    Attributes:
        name: as shown to people.
        step_ms: half an hour, or the timeframe where that is longer.
        closes: shape (k,), by multiples of half an hour from the start of the window.
    """

    name: str
    step_ms: int
    closes: FloatArray


@dataclass(frozen=True, slots=True)
class Shift:
    """A series that is off in one block, or in several that follow each other.

    `lag_ms` is how much later (negative: earlier) than the other series its times are.
    """

    name: str
    other: str
    first_block: int
    last_block: int
    lag_ms: int
    at_zero: float
    at_lag: float


def block_edges(start_ms: int, end_ms: int) -> IntArray:
    """Edges of blocks of about four weeks that cover the window, shape (blocks + 1,).

    They lie at midnight, where bars of every timeframe that divides a day close.
    """
    begin, end = start_ms // DAY_MS, max(start_ms // DAY_MS + 1, -(-end_ms // DAY_MS))
    blocks = max(1, round((end - begin) / BLOCK_DAYS))
    return np.linspace(begin, end, blocks + 1).astype(np.int64) * DAY_MS


def half_hours(
    name: str, open_time: IntArray, close: FloatArray, timeframe: Timeframe, start_ms: int, end_ms: int
) -> HalfHours:
    """Sample a series for comparison; rows in any order, the last of a repeated time counts.

    Args:
        start_ms, end_ms: the window that all compared series share.
    """
    edges = block_edges(start_ms, end_ms)
    closes = np.full(int((edges[-1] - edges[0]) // HALF_HOUR_MS) + 1, np.nan)
    closed_at = open_time + timeframe.ms - edges[0]
    usable = (closed_at % HALF_HOUR_MS == 0) & (closed_at >= 0) & (closed_at <= edges[-1] - edges[0])
    at = np.flatnonzero(usable)
    at = at[np.isfinite(close[at]) & (close[at] > 0)]
    closes[closed_at[at] // HALF_HOUR_MS] = np.log(close[at])
    step = -(-max(timeframe.ms, HALF_HOUR_MS) // HALF_HOUR_MS) * HALF_HOUR_MS
    return HalfHours(name, step, closes)


def find_shifts(judged: Sequence[HalfHours], references: Sequence[HalfHours], edges: IntArray) -> tuple[Shift, ...]:
    """Judged series that are off against the majority; where there is none, all that contradict each other.

    Args:
        judged: series of the gate. With two that disagree and no reference both are named.
        references: other series, whose vote counts but which are never named themselves.
        edges: of `block_edges`.
    """
    shifts: list[Shift] = []
    everyone = [*judged, *references]
    at = ((edges - edges[0]) // HALF_HOUR_MS).tolist()
    for block, (begin, end) in enumerate(pairwise(at)):
        closes = [series.closes[begin : end + 1] for series in everyone]
        relations = _relations(closes, [series.step_ms for series in everyone])
        for i, (j, lag, at_zero, at_lag) in sorted(_outvoted(len(everyone), relations).items()):
            if i < len(judged):
                shifts.append(Shift(everyone[i].name, everyone[j].name, block, block, lag, at_zero, at_lag))
    return _joined(shifts)


# --- inside ------------------------------------------------------------------------------------------------

_Relation = tuple[int, float, float]
"""Lag in milliseconds of the second series behind the first, correlation at zero, correlation at that lag."""


def _relations(closes: Sequence[FloatArray], steps: Sequence[int]) -> dict[tuple[int, int], _Relation]:
    """How every two series that have to do with each other relate; pairs without a clear relation are left out."""
    found: dict[tuple[int, int], _Relation] = {}
    for step in sorted(set(steps)):
        members = [i for i, own in enumerate(steps) if own <= step]
        width = step // HALF_HOUR_MS
        if step > FARTHEST_LAG_MS or len(members) < 2:
            continue
        # One row for every phase at which a finer series can be sampled in steps of the coarser one.
        rows = [(i, phase) for i in members for phase in range(width if steps[i] < step else 1)]
        matrix = np.array([_returns(closes[i][phase:], width, len(closes[i]) // width - 1) for i, phase in rows])
        correlations = _correlations(matrix, FARTHEST_LAG_MS // step)
        own = [n for n, (i, phase) in enumerate(rows) if steps[i] == step and phase == 0]
        for n in own:
            for i in members:
                if i != rows[n][0] and (steps[i] < step or i > rows[n][0]):
                    phases = [m for m, row in enumerate(rows) if row[0] == i]
                    relation = _best(correlations, n, phases, step, matrix.shape[1])
                    if relation:
                        found[rows[n][0], i] = relation
    return found


def _returns(closes: FloatArray, width: int, count: int) -> FloatArray:
    """Standardised returns over `width` half hours, shape (count,), 0 where unknown; all 0 when too few are known."""
    moves = np.full(max(0, count), np.nan)
    sampled = np.diff(closes[::width])[: len(moves)]
    moves[: len(sampled)] = sampled
    known = np.isfinite(moves)
    size = float(np.median(np.abs(moves[known]))) if known.any() else 0.0
    if np.count_nonzero(known) < max(FEWEST_RETURNS, len(moves) / 2):
        return np.zeros(len(moves))
    size = size or float(np.mean(np.abs(moves[known])))
    clipped = np.where(known, np.clip(moves, -CLIP * size, CLIP * size), 0.0)
    deviation = float(clipped[known].std())
    if deviation == 0:
        return np.zeros(len(moves))
    return np.where(known, (clipped - clipped[known].mean()) / deviation, 0.0)


def _correlations(matrix: FloatArray, farthest: int) -> dict[int, FloatArray]:
    """Of every two rows at every lag: element (i, j) at lag k compares row i with row j k steps later."""
    count = matrix.shape[1]
    found: dict[int, FloatArray] = {}
    for lag in range(min(farthest, count - 1) + 1):
        products = matrix[:, : count - lag] @ matrix[:, lag:].T / max(1, count - lag)
        found[lag] = np.clip(products, -1.0, 1.0)
        found[-lag] = found[lag].T
    return found


def _best(
    correlations: dict[int, FloatArray], row: int, phases: Sequence[int], step: int, count: int
) -> _Relation | None:
    """The lag of a finer or equal series behind row `row`; None when no correlation stands out from chance."""
    at_zero = float(correlations[0][row, phases[0]]) if correlations else 0.0
    lag, at_lag = 0, at_zero
    for k, matrix in correlations.items():
        for phase, other in enumerate(phases):
            shift = k * step + phase * HALF_HOUR_MS
            if matrix[row, other] > at_lag and abs(shift) <= FARTHEST_LAG_MS:
                lag, at_lag = shift, float(matrix[row, other])
    needed = max(SMALLEST_CORRELATION, DEVIATIONS / sqrt(count)) if count else 1.0
    if at_zero >= needed and at_lag - at_zero < SMALLEST_GAIN:
        return 0, at_zero, at_zero
    return (lag, at_zero, at_lag) if at_lag >= needed and at_lag - at_zero >= SMALLEST_GAIN else None


def _outvoted(count: int, relations: dict[tuple[int, int], _Relation]) -> dict[int, tuple[int, int, float, float]]:
    """Series that are off, each with the best witness: (other series, lag behind it, at zero, at lag)."""
    group = list(range(count))
    for (i, j), (lag, _, _) in relations.items():
        if lag == 0:
            group = [group[i] if g == group[j] else g for g in group]
    shifted = {pair: relation for pair, relation in relations.items() if relation[0] != 0}
    concerned = {i for pair in shifted for i in pair}
    sizes = {g: group.count(g) for g in {group[i] for i in concerned}}
    largest = [g for g, size in sizes.items() if size == max(sizes.values())]
    right = largest[0] if len(largest) == 1 else None
    found: dict[int, tuple[int, int, float, float]] = {}
    for (i, j), (lag, at_zero, at_lag) in shifted.items():
        for member, other, signed in ((j, i, lag), (i, j, -lag)):
            witness = right is None or (group[member] != right and group[other] == right)
            if witness and (member not in found or found[member][3] < at_lag):
                found[member] = (other, signed, at_zero, at_lag)
    return found


def _joined(shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    """Blocks that follow each other with the same lag as one event, with the mean of their correlations."""
    groups: list[list[Shift]] = []
    for shift in sorted(shifts, key=lambda s: (s.name, s.first_block)):
        last = groups[-1][-1] if groups else None
        if last and (last.name, last.lag_ms, last.last_block + 1) == (shift.name, shift.lag_ms, shift.first_block):
            groups[-1].append(shift)
        else:
            groups.append([shift])
    return tuple(
        Shift(g[0].name, g[0].other, g[0].first_block, g[-1].last_block, g[0].lag_ms,
              float(np.mean([s.at_zero for s in g])), float(np.mean([s.at_lag for s in g])))
        for g in groups
    )  # fmt: skip
