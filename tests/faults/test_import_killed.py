"""An import killed at any moment leaves a readable lake, and run again it ends in the same bars."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domain.times import from_ms
from include.market_data.journal import JOURNAL
from include.market_data.lake import ParquetLake
from include.market_data.storage import STAGING
from tests.market import MINUTE, Columns, bars, table

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20
SEED = 20260101
MINUTES = 120 * 1_440
"""Four months of minutes a symbol: five partitions each."""
SYMBOLS = ("BTC/USDT", "ETH/USDT")


def lake_of(home: Path) -> ParquetLake:
    return ParquetLake(home / "lake", {})


class Driver:
    """The process that forks the imports; see tests/adapters/import_driver.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.adapters.import_driver", str(MINUTES)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True, bufsize=1,
        )  # fmt: skip

    def run(self, home: Path, arguments: list[str], *, at: int = 0, hold: bool = False) -> tuple[int, int]:
        """One import, killed when it reaches event `at`; returns its status and how many events it had."""
        job = {"home": str(home), "arguments": arguments, "remote": 0 if arguments else MINUTES, "at": at, "hold": hold}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        events = 0
        while True:
            word, number = self._line()
            if word == "reached":
                os.kill(number, signal.SIGKILL)
            elif word == "events":
                events = number
            else:
                return number, events

    def _line(self) -> tuple[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the driver is gone; its standard error says why"
        word, _, number = line.partition(" ")
        return word, int(number)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def given() -> dict[str, Columns]:
    return {symbol: bars(MINUTES, seed=seed) for seed, symbol in enumerate(SYMBOLS)}


@pytest.fixture(scope="module")
def files(given: dict[str, Columns], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of an import of two symbols from Parquet files."""
    folder = tmp_path_factory.mktemp("files")
    for symbol, columns in given.items():
        pq.write_table(table(columns), folder / f"{symbol.replace('/', '')}.parquet")
    return ["import", "--source", "parquet", "--path", str(folder), "--venue", "synthetic", "--json",
            *(word for symbol in SYMBOLS for word in ("--symbol", symbol))]  # fmt: skip


def check_readable(lake: ParquetLake, given: dict[str, Columns]) -> int:
    """Every stored partition is what its manifest says, and every stored bar what the source gives; returns rows."""
    rows = 0
    for series in (summary.series for summary in lake.summaries()):
        columns = next(c for symbol, c in given.items() if symbol.replace("/", "") == series.symbol)
        first, last = (from_ms(int(columns["open_time"][at])) for at in (0, -1))
        lake.fingerprint(series.venue, [series.symbol], MINUTE, first, last + MINUTE.delta)
        stored = lake.bars(series.venue, series.symbol, MINUTE, first, last + MINUTE.delta)
        at = np.searchsorted(columns["open_time"], stored.open_time)
        for name, values in columns.items():
            assert np.array_equal(getattr(stored, name), values[at]), f"{series} {name}"
        rows += len(stored)
    return rows


def partitions_of(home: Path) -> dict[Path, pa.Table]:
    """The rows of every file of the lake, by its place in it."""
    return {path.relative_to(home): pq.read_table(path) for path in sorted(home.rglob("*.parquet"))}


def check_same(home: Path, whole: dict[Path, pa.Table]) -> None:
    """The lake holds the same bars, and no trace of what was killed."""
    assert partitions_of(home) == whole
    assert list((lake_of(home).state / JOURNAL).glob("*")) == []
    assert not (lake_of(home).state / STAGING).exists()


@pytest.mark.parametrize("kind", ["all or nothing", "resumable"])
def test_an_import_killed_twenty_times_leaves_a_readable_lake_and_ends_in_the_same_bars(
    kind: str, driver: Driver, files: list[str], given: dict[str, Columns], tmp_path: Path
) -> None:
    arguments = files if kind == "all or nothing" else []
    expected = given if arguments else {"BTC/USDT": given["BTC/USDT"]}
    total = sum(len(columns["open_time"]) for columns in expected.values())
    status, events = driver.run(tmp_path / "whole", arguments)
    assert (status, check_readable(lake_of(tmp_path / "whole"), expected)) == (0, total)
    whole = partitions_of(tmp_path / "whole")
    sys.stdout.write(f"seed {SEED}, {events} events in an import that nobody kills\n")
    chosen = random.Random(SEED)
    # A resumed import has less left to do, so its kills come early; the other kind starts over each time.
    life = events if arguments else events // 3
    moments = [chosen.randint(1 + i * life // KILLS, (i + 1) * life // KILLS) for i in range(KILLS)]
    chosen.shuffle(moments)
    lakes, partly = 1, 0
    home = tmp_path / "lake-1"
    while moments:
        # Half of them wait to be killed just before they touch a file, half are killed while they go on.
        status, _ = driver.run(home, arguments, at=moments[-1], hold=len(moments) % 2 == 0)
        rows = check_readable(lake_of(home), expected)
        if status == -signal.SIGKILL:
            moments.pop()
            partly += 0 < rows < total
        else:  # It was faster than the kill, or had less left to do: the next one is killed in a new lake.
            assert status == 0
            check_same(home, whole)
            lakes += 1
            home = tmp_path / f"lake-{lakes}"
    sys.stdout.write(f"{KILLS} kills in {lakes} lakes, {partly} of them with a part of the bars published\n")
    assert partly >= 3
    assert driver.run(home, arguments)[0] == 0
    check_same(home, whole)
