"""Laws of importing: however the same bars are cut, into files or into runs, the lake ends up the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.errors import RetryableError
from include.market_data.importing import import_bars
from include.market_data.journal import JOURNAL
from include.market_data.lake import ParquetLake
from include.market_data.sources.files import FileKind
from include.market_data.sources.protocol import Request
from tests.adapters.remote_source import RemoteSource
from tests.market import MINUTE, NOW, START, Columns, bars, minutes, table, take
from tests.market_files import import_file, source_of

ROWS = 2_160
"""Minutes across the end of January."""
COLUMNS = bars(ROWS)
SLICES = st.tuples(st.integers(0, ROWS - 3), st.integers(2, 700)).map(lambda cut: slice(cut[0], cut[0] + cut[1]))


def print_of(lake: ParquetLake) -> str:
    return lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, START, START + minutes(ROWS))


def ingested(columns: Columns) -> str:
    with tempfile.TemporaryDirectory() as folder:
        lake = ParquetLake(Path(folder), {})
        lake.ingest("synthetic", "BTC/USDT", MINUTE, table(columns), source="x", now=NOW)
        return print_of(lake)


@settings(max_examples=12, deadline=None)
@given(st.lists(SLICES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_files_in_any_order_and_with_any_overlap_hold_each_bar_once(cuts: list[slice], random) -> None:  # type: ignore[no-untyped-def]
    names = [f"{n}.parquet" for n in range(len(cuts))]
    random.shuffle(names)
    held = np.unique(np.concatenate([np.arange(ROWS)[cut] for cut in cuts]))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "files").mkdir()
        for name, cut in zip(names, cuts, strict=True):
            pq.write_table(table(take(COLUMNS, cut)), Path(folder) / "files" / name)
        lake = ParquetLake(Path(folder) / "lake", {})
        (report,) = import_file(lake, source_of(Path(folder) / "files", FileKind.PARQUET))
        assert report.rows_added == len(held)
        assert print_of(lake) == ingested(take(COLUMNS, held))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=6), st.integers(100, 900))
def test_an_import_that_breaks_off_any_number_of_times_ends_in_the_same_bars(breaks: list[int], page: int) -> None:
    request = Request("BTC/USDT", MINUTE, START, None)
    with tempfile.TemporaryDirectory() as folder:
        lake, added = ParquetLake(Path(folder), {}), 0
        for answers in [*breaks, 10**9]:
            try:
                (report,) = import_bars(
                    lake, RemoteSource(COLUMNS, answers=answers, page=page), "synthetic", [request], now=NOW
                )
            except RetryableError:
                continue
            added += report.rows_added
            assert print_of(lake) == ingested(COLUMNS)
        assert added <= ROWS
        assert list((lake.state / JOURNAL).glob("*")) == []
