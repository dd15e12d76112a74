"""Merging: what an extra column may add, and what is still a contradiction."""

from __future__ import annotations

import numpy as np
import pytest

from include.market_data.merging import Conflict, Merged, merge_rows
from tests.market import Columns, bars, take

NAN = np.nan


def side(rows: slice, **extras: list[float]) -> Columns:
    return {**take(bars(6), rows), **{name: np.array(values) for name, values in extras.items()}}


CASES = {
    "a column that only the stored side has stays": (
        side(slice(0, 3), count=[1, 2, 3]), side(slice(0, 3)), {"count": [1, 2, 3]}, 0,
    ),
    "a column that only the incoming side has is taken": (
        side(slice(0, 3)), side(slice(0, 3), count=[1, 2, 3]), {"count": [1, 2, 3]}, 3,
    ),
    "rows of one side alone have NaN in the other's column": (
        side(slice(0, 3), count=[1, 2, 3]), side(slice(2, 5), funding=[7, 8, 9]),
        {"count": [1, 2, 3, NAN, NAN], "funding": [NAN, NAN, 7, 8, 9]}, 1,
    ),
    "a number takes the place of NaN, either way": (
        side(slice(0, 3), count=[NAN, 2, NAN]), side(slice(0, 3), count=[1, NAN, NAN]), {"count": [1, 2, NAN]}, 1,
    ),
    "a column of NaN alone is no column": (
        side(slice(0, 3), count=[1, 2, 3]), side(slice(0, 3), funding=[NAN] * 3), {"count": [1, 2, 3]}, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_extra_columns_add_up(case: str) -> None:
    stored, incoming, extras, enriched = CASES[case]
    before = {name: values.copy() for name, values in stored.items()}
    merged = merge_rows(stored, incoming)
    assert isinstance(merged, Merged)
    for name, values in extras.items():
        assert np.array_equal(merged.columns[name], values, equal_nan=True), name
    assert set(merged.columns) == set(bars(1)) | set(extras)
    assert merged.enriched == enriched
    assert all(np.array_equal(stored[n], v, equal_nan=True) for n, v in before.items()), (
        "the stored side is not touched"
    )


@pytest.mark.parametrize(
    ("stored", "incoming", "column"),
    [
        (side(slice(0, 3), count=[1, 2, 3]), side(slice(0, 3), count=[1, 2, 4]), "count"),
        ({**side(slice(0, 3)), "close": np.array([1, NAN, 1])}, {**side(slice(0, 3)), "close": np.ones(3)}, "close"),
        ({**side(slice(0, 3)), "volume": np.ones(3)}, {**side(slice(0, 3)), "volume": np.array([1, NAN, 1])}, "volume"),
        ({**side(slice(0, 3)), "volume": np.zeros(3)}, {**side(slice(0, 3)), "volume": -np.zeros(3)}, "volume"),
        (side(slice(0, 3)), take(bars(6), [0, 1, 1]), "rows"),
    ],
    ids=["another number", "a price for NaN", "NaN for a volume", "another bit", "a row twice"],
)
def test_values_that_both_sides_have_must_agree(stored: Columns, incoming: Columns, column: str) -> None:
    for one, other in ((stored, incoming), (incoming, stored)):
        conflict = merge_rows(one, other)
        assert isinstance(conflict, Conflict)
        assert conflict.column == column
