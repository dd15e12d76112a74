"""Line charts as SVG geometry for the daily report: numbers in, coordinates in a 1000 x 100 box out.

The templates stretch the box to the page and write the labels in HTML beside it, so text stays readable on a phone
and colours follow the page's light or dark scheme. No script, no library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.domain.times import from_ms

WIDTH, HEIGHT = 1000.0, 100.0
POINTS = 600
"""A line is thinned to about this many points; extremes of each stretch are kept."""


@dataclass(frozen=True, slots=True)
class Label:
    """Text at a position along an axis, in percent of the chart's width from the left or height from the top."""

    position: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """An SVG path of a curve, the same closed to the base line, and the axes' labels."""

    line: str
    area: str
    y_labels: tuple[Label, ...]
    x_labels: tuple[Label, ...]


def line_chart(day_ms: IntArray, values: FloatArray, *, base: float | None = None) -> LineChart:
    """A curve over days. `base` is included in the vertical range."""
    low, high = float(values.min()), float(values.max())
    if base is not None:
        low, high = min(low, base), max(high, base)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    rows = thin(values)
    x = rows / max(1, len(values) - 1) * WIDTH
    y = (high - values[rows]) / (high - low) * HEIGHT
    line = "M" + "L".join(f"{a:.1f},{b:.2f}" for a, b in zip(x, y, strict=True))
    floor = (high - (low if base is None else base)) / (high - low) * HEIGHT
    return LineChart(
        line, f"{line}L{x[-1]:.1f},{floor:.2f}L{x[0]:.1f},{floor:.2f}Z",
        tuple(Label((high - tick) / (high - low) * 100, tick_text(tick)) for tick in ticks),
        _date_labels(day_ms),
    )  # fmt: skip


def thin(values: FloatArray, points: int = POINTS) -> IntArray:
    """Rows to draw, `points` or a few more: first, last, and the lowest and highest of each stretch."""
    n = len(values)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, points // 2 + 1).astype(np.int64)
    kept = [0, n - 1]
    for a, b in pairwise(edges):
        kept += [a + int(np.argmin(values[a:b])), a + int(np.argmax(values[a:b]))]
    return np.unique(np.array(kept, dtype=np.int64))


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers that cover low..high; at least two."""
    if high <= low:
        high = low + (abs(low) or 1.0) * 0.01
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick_text(value: float) -> str:
    """Short text of a round number: 1.2 M, 800 k, 0.5."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{unit}"
    return f"{value:.6g}"


def _date_labels(day_ms: IntArray) -> tuple[Label, ...]:
    """About five dates, spread evenly."""
    rows: Sequence[int] = sorted({round(i * (len(day_ms) - 1) / 4) for i in range(5)})
    form = "%Y-%m-%d" if len(day_ms) < 120 else "%b %Y"
    return tuple(Label(row / max(1, len(day_ms) - 1) * 100, from_ms(int(day_ms[row])).strftime(form)) for row in rows)
