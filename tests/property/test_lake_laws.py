"""Laws of the lake: round trip, idempotence, and fingerprints that depend on content alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.market_data.merging import Merged, merge_rows
from tests.market import MINUTE, NOW, START, Columns, bars, lake_at, minutes, table, take

HOURS_36 = 2_160
"""Crosses the end of January, so two partitions."""


@st.composite
def messy_rows(draw: st.DrawFn) -> Columns:
    """Bars with any order, repeats and holes, and sometimes values that are no numbers."""
    picked = draw(st.lists(st.integers(0, HOURS_36 - 1), min_size=1, max_size=40))
    columns = take(bars(HOURS_36), np.array(picked))
    if draw(st.booleans()):
        columns["close"][draw(st.integers(0, len(picked) - 1))] = draw(st.sampled_from([np.nan, np.inf, -1.0, 0.0]))
    return columns


@settings(max_examples=40, deadline=None)
@given(messy_rows())
def test_round_trip_keeps_every_row_of_a_month_in_its_order(columns: Columns) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_at(Path(folder))
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="x", now=NOW)
        read = lake.rows("synthetic", "BTC/USDT", MINUTE, START, START + minutes(HOURS_36))
    months = columns["open_time"].astype("datetime64[ms]").astype("datetime64[M]")
    order = np.argsort(months, kind="stable")
    for name, values in columns.items():
        stored = read.column(name).to_numpy().astype(values.dtype)
        assert np.array_equal(stored, values[order], equal_nan=name != "open_time"), name


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, HOURS_36 - 1), max_size=4, unique=True), st.randoms(use_true_random=False))
def test_the_fingerprint_does_not_depend_on_how_the_bars_came_in(cuts: list[int], random) -> None:  # type: ignore[no-untyped-def]
    columns = bars(HOURS_36)
    pieces = np.split(np.arange(HOURS_36), sorted(cuts))
    random.shuffle(pieces)
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, START + minutes(HOURS_36))
    with tempfile.TemporaryDirectory() as folder:
        whole, pieced = lake_at(Path(folder) / "a"), lake_at(Path(folder) / "b")
        whole.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="once", now=NOW)
        for piece in pieces:
            pieced.ingest("synthetic", "BTCUSDT", MINUTE, table(take(columns, piece)), source="piece", now=NOW)
        assert whole.fingerprint(*window) == pieced.fingerprint(*window)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, HOURS_36 - 1), st.sampled_from(["open", "high", "low", "close", "volume"]), st.integers(0, HOURS_36)
)
def test_a_changed_value_inside_the_window_changes_the_fingerprint_and_outside_it_does_not(
    row: int, column: str, end: int
) -> None:
    columns = bars(HOURS_36)
    other = {name: values.copy() for name, values in columns.items()}
    other[column][row] = np.nextafter(other[column][row], np.inf)
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, START + minutes(max(1, end)))
    with tempfile.TemporaryDirectory() as folder:
        one, two = lake_at(Path(folder) / "a"), lake_at(Path(folder) / "b")
        one.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="x", now=NOW)
        two.ingest("synthetic", "BTC/USDT", MINUTE, table(other), source="x", now=NOW)
        assert (one.fingerprint(*window) == two.fingerprint(*window)) is (row >= max(1, end))


@settings(max_examples=100, deadline=None)
@given(messy_rows(), messy_rows())
def test_merging_twice_changes_nothing_and_loses_nothing(stored: Columns, incoming: Columns) -> None:
    first = merge_rows(stored, incoming)
    if not isinstance(first, Merged):
        return
    expected = set(stored["open_time"].tolist()) | set(incoming["open_time"].tolist())
    assert set(first.columns["open_time"].tolist()) == expected
    again = merge_rows(first.columns, incoming)
    assert isinstance(again, Merged)
    assert len(again.new_times) == 0
    for name, values in first.columns.items():
        assert np.array_equal(again.columns[name], values, equal_nan=name != "open_time")
