"""The daily report's line chart: extremes survive thinning, axes are round."""

from __future__ import annotations

import numpy as np
import pytest

from include.domain.times import DAY_MS
from include.reporting.charts import line_chart, nice_ticks, tick_text


def test_thinning_keeps_the_extremes() -> None:
    values = np.zeros(5_000)
    values[1_234], values[4_321] = 7.0, -3.0
    chart = line_chart(np.arange(5_000, dtype=np.int64) * DAY_MS, values)
    heights = [float(point.split(",")[1]) for point in chart.line.removeprefix("M").split("L")]
    top, bottom = (100 - label.position for label in (chart.y_labels[-1], chart.y_labels[0]))
    assert len(heights) < 1_300
    assert min(heights) < 100 - bottom and max(heights) > 100 - top
    assert all(0 <= height <= 100 for height in heights)


@pytest.mark.parametrize("value", [0.0, 5.0, -2.0])
def test_a_flat_curve_still_has_an_axis(value: float) -> None:
    chart = line_chart(np.arange(3, dtype=np.int64) * DAY_MS, np.full(3, value))
    assert len({label.text for label in chart.y_labels}) >= 2


def test_ticks_are_round_and_cover_the_range() -> None:
    for low, high in ((0.0, 1.0), (-0.38, 0.0), (800_000.0, 9_020_453.0), (3.0, 3.0)):
        ticks = nice_ticks(low, high)
        assert ticks[0] <= low and ticks[-1] >= high * (1 - 1e-12) and 2 <= len(ticks) <= 7
    assert [tick_text(v) for v in (0, 0.25, 1_500, 2.5e6, -3e9)] == ["0", "0.25", "1.5 k", "2.5 M", "-3 G"]
