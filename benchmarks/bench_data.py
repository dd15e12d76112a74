"""How fast five years of five symbols of minutes (13.1 M rows) are made, stored, read, fingerprinted and judged.

    python -m benchmarks.bench_data [--days N] [--keep FOLDER]

Each step runs in a process of its own, so times are cold (imports and compilation included) and memory is that step's
peak. Budgets: generation 60 s, gate 20 s and 3 GB; reading aims at 20 M rows/s warm. Exit 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGETS = {("import", "secs"): 60.0, ("gate", "secs"): 20.0, ("gate", "peak_gb"): 3.0}


def _window(days: int) -> tuple[datetime, datetime]:
    from include.market_data.synthetic import DEFAULT_START

    return DEFAULT_START, DEFAULT_START + timedelta(days=days)


def _lake(folder: Path) -> Any:
    from include.config.files import VENUES_FILE
    from include.config.venues import load_venues
    from include.market_data.lake import ParquetLake

    return ParquetLake(folder / "lake", load_venues(VENUES_FILE))


def generate(folder: Path, days: int) -> dict[str, float]:
    """The market in memory, nothing stored."""
    from include.market_data.synthetic import SYMBOLS, generate

    return {"rows": float(sum(len(generate(symbol, *_window(days))) for symbol in SYMBOLS))}


def import_market(folder: Path, days: int) -> dict[str, float]:
    """Generation, staging, publication."""
    from include.market_data.importing import import_synthetic
    from include.market_data.synthetic import DEFAULT_SEED, SYMBOLS

    import_synthetic(_lake(folder), SYMBOLS, *_window(days), seed=DEFAULT_SEED, now=NOW)
    size = sum(path.stat().st_size for path in (folder / "lake").rglob("*.parquet"))
    return {"megabytes": size / 1e6}


def read(folder: Path, days: int) -> dict[str, float]:
    """All bars of all symbols, one symbol in memory at a time; best of five passes after the first."""
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE

    lake, rates = _lake(folder), []
    for _ in range(6):
        begun, rows = time.perf_counter(), 0
        for symbol in SYMBOLS:
            rows += len(lake.bars(VENUE, symbol, TIMEFRAME, *_window(days)))
        rates.append(rows / (time.perf_counter() - begun) / 1e6)
    return {"cold_million_rows_per_sec": rates[0], "warm_million_rows_per_sec": max(rates[1:])}


def fingerprint(folder: Path, days: int) -> dict[str, float]:
    """Content hash of everything, then again from the digests in memory."""
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE

    lake, times = _lake(folder), []
    for _ in range(2):
        begun = time.perf_counter()
        lake.fingerprint(VENUE, SYMBOLS, TIMEFRAME, *_window(days))
        times.append(time.perf_counter() - begun)
    return {"first_secs": times[0], "again_secs": times[1]}


def gate(folder: Path, days: int) -> dict[str, float]:
    """The whole data gate, Great Expectations' import included."""
    from include.config.files import find_profile
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE
    from include.stages.data_gate import gate_data

    marks: list[float] = []
    result = gate_data(
        VENUE, SYMBOLS, TIMEFRAME, *_window(days), find_profile("five-year"), _lake(folder), now=NOW,
        progress=lambda done, message: marks.append(time.perf_counter()),
    )  # fmt: skip
    return {"passed": float(result.verdict.value == "PASS"), "loading_expectations_secs": marks[1] - marks[0]}


STEPS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "generate": generate, "import": import_market, "read": read, "fingerprint": fingerprint, "gate": gate,
}  # fmt: skip


def _in_own_process(step: str, folder: Path, days: int) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_data",
        "--step",
        step,
        "--keep",
        str(folder),
        "--days",
        str(days),
    ]
    begun = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return {"secs": round(time.perf_counter() - begun, 2), **{k: round(v, 3) for k, v in figures.items()}}


def run(days: int, folder: Path) -> dict[str, dict[str, float]]:
    """All steps in order; the import fills the lake that the later ones use."""
    return {step: _in_own_process(step, folder, days) for step in STEPS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=1_826)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the lake; a temporary one by default")
    parser.add_argument("--step", choices=sorted(STEPS), default=None, help="one step only, in this process")
    options = parser.parse_args()
    if options.step:
        figures = STEPS[options.step](options.keep, options.days)
        peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**figures, "peak_gb": peak_kilobytes / 1e6}))
        return 0
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as temporary:
        measured = run(options.days, options.keep or Path(temporary))
    print(json.dumps(measured, indent=2))
    return int(any(measured[step][name] > budget for (step, name), budget in BUDGETS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
