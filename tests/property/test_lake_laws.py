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


@st.composite
def views_of_one_market(draw: st.DrawFn) -> list[Columns]:
    """Pieces of one market: any rows, any of its extra columns with holes; they never contradict each other."""
    whole = take(bars(HOURS_36), np.array(sorted(draw(st.sets(st.integers(0, HOURS_36 - 1), min_size=1, max_size=30)))))
    count = len(whole["open_time"])
    extras = {name: np.arange(count) * scale for name, scale in (("count", 1.0), ("funding", -0.5), ("interest", 1e9))}
    views = []
    for _ in range(draw(st.integers(1, 4))):
        rows = np.array(sorted(draw(st.sets(st.integers(0, count - 1), min_size=1))))
        view = take(whole, rows)
        for name in draw(st.sets(st.sampled_from(sorted(extras)))):
            holes = np.array(draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
            view[name] = np.where(holes, np.nan, extras[name][rows])
        views.append(view)
    return views


@settings(max_examples=30, deadline=None)
@given(views_of_one_market(), st.randoms(use_true_random=False))
def test_pieces_with_different_extras_add_up_to_the_same_whatever_their_order(views, random) -> None:  # type: ignore[no-untyped-def]
    window = ("synthetic", ["BTC/USDT"], MINUTE, START, START + minutes(HOURS_36))
    shuffled = random.sample(views, len(views))
    with tempfile.TemporaryDirectory() as folder:
        one, two = lake_at(Path(folder) / "a"), lake_at(Path(folder) / "b")
        for lake, order in ((one, views), (two, shuffled)):
            for view in order:
                lake.ingest("synthetic", "BTC/USDT", MINUTE, table(view), source="x", now=NOW)
        assert one.fingerprint(*window) == two.fingerprint(*window)
        for view in shuffled:
            again = one.ingest("synthetic", "BTC/USDT", MINUTE, table(view), source="x", now=NOW)
            assert (again.rows_added, again.rows_enriched, again.partitions) == (0, 0, ())


@settings(max_examples=100, deadline=None)
@given(views_of_one_market())
def test_merging_never_changes_a_number_that_was_there_and_keeps_every_number_that_came(views: list[Columns]) -> None:
    merged = views[0]
    for view in views[1:]:
        outcome = merge_rows(merged, view)
        assert isinstance(outcome, Merged)
        for side in (merged, view):
            at = np.searchsorted(outcome.columns["open_time"], side["open_time"])
            for name, values in side.items():
                known = ~np.isnan(values)
                assert not known.any() or np.array_equal(outcome.columns[name][at][known], values[known]), name
        merged = outcome.columns
