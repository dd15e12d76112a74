"""How fast five years of five symbols of minutes (13.1 M rows) are made, stored, read, judged, and brought in and out.

    python -m benchmarks.bench_data [--days N] [--keep FOLDER]

Each step runs in a process of its own, so times are cold (imports and compilation included) and memory is that step's
peak. `naive` judges the same bars the obvious way, pandas frames concatenated and one Great Expectations suite over
all; `ratio` is what the gate needs of its time and memory. Exit 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import json
import os
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
AT_MOST = {
    ("import", "secs"): 60.0, ("gate", "secs"): 20.0, ("gate", "peak_gb"): 3.0, ("import-parquet", "secs"): 30.0,
    ("ratio", "secs"): 1.0, ("ratio", "peak_gb"): 1.0,
}  # fmt: skip
AT_LEAST = {("read", "warm_million_rows_per_sec"): 20.0, ("gate", "passed"): 1.0}


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

    profile = find_profile("five-year")
    result = gate_data(VENUE, SYMBOLS, TIMEFRAME, *_window(days), profile, _lake(folder), now=NOW)
    return {"passed": float(result.verdict.value == "PASS"), "processor_secs": time.process_time()}


def export(folder: Path, days: int) -> dict[str, float]:
    """Everything as one Parquet file a symbol: what the import from Parquet and the naive way start from."""
    from include.market_data.exporting import ExportRequest, FileFormat, export_bars
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE

    start, end = _window(days)
    ask = ExportRequest(VENUE, SYMBOLS, TIMEFRAME, FileFormat.PARQUET, folder / "files", start, end)
    written = export_bars(_lake(folder), ask, force=True)
    return {"megabytes": sum(one.path.stat().st_size for one in written) / 1e6}


def import_parquet(folder: Path, days: int) -> dict[str, float]:
    """`airlock data import` of those files into an empty lake; the same bars must come out of it."""
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE

    with tempfile.TemporaryDirectory(dir=folder) as home:
        symbols = [argument for symbol in SYMBOLS for argument in ("--symbol", symbol)]
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "include.cli", "data", "import", "--source", "parquet", "--path",
             str(folder / "files"), "--venue", VENUE, *symbols, "--timeframe", str(TIMEFRAME), "--json"],
            check=True, stdout=subprocess.DEVNULL, env={**os.environ, "AIRLOCK_HOME": home, "AIRLOCK_LAKE": ""},
        )  # fmt: skip
        secs = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        window = (VENUE, SYMBOLS, TIMEFRAME, *_window(days))
        if _lake(Path(home)).fingerprint(*window) != _lake(folder).fingerprint(*window):
            raise SystemExit("import-parquet: the bars that came in are not those that went out")
    return {"import_secs": secs, "peak_gb": peak}


def naive(folder: Path, days: int) -> dict[str, float]:
    """All files into one pandas frame, gaps and jumps by group, and one suite over all of it."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    begun = time.perf_counter()
    paths = sorted((folder / "files").glob("*.parquet"))
    bars = pd.concat([pd.read_parquet(path).assign(symbol=path.name.partition("-")[0]) for path in paths])
    bars = bars.reset_index(drop=True)
    groups = bars.groupby("symbol")
    bars["gap_minutes"] = groups["open_time"].diff().dt.total_seconds() / 60 - 1
    bars["jump"] = groups["close"].pct_change()
    loading = time.perf_counter() - begun
    columns = ("open_time", "open", "high", "low", "close", "volume")
    above = (("high", "open"), ("high", "close"), ("high", "low"), ("open", "low"), ("close", "low"))
    suite = gx.ExpectationSuite(
        name="bars",
        expectations=[
            *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in columns),
            *(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, strict_min=True) for name in columns[1:5]),
            gxe.ExpectColumnValuesToBeBetween(column="volume", min_value=0),
            *(gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A=a, column_B=b, or_equal=True) for a, b in above),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["symbol", "open_time"]),
            gxe.ExpectColumnValuesToBeBetween(column="gap_minutes", min_value=0, max_value=5),
            gxe.ExpectColumnValuesToBeBetween(column="jump", min_value=-0.1, max_value=0.1),
        ],
    )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("bars").add_dataframe_asset("bars").add_batch_definition_whole_dataframe("all")
    ).get_batch({"dataframe": bars})
    result = batch.validate(suite, result_format="SUMMARY")
    return {"loading_secs": loading, "passed": float(bool(result.success))}


STEPS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "generate": generate, "import": import_market, "read": read, "fingerprint": fingerprint, "gate": gate,
    "export": export, "import-parquet": import_parquet, "naive": naive,
}  # fmt: skip


def _in_own_process(step: str, folder: Path, days: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_data", "--step", step, "--keep", str(folder)]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--days", str(days)], check=True, stdout=subprocess.PIPE, text=True)
    secs = time.perf_counter() - begun
    figures: dict[str, float] = json.loads(done.stdout)
    return {"secs": round(figures.pop("import_secs", secs), 2), **{k: round(v, 3) for k, v in figures.items()}}


def run(days: int, folder: Path) -> dict[str, dict[str, float]]:
    """All steps in order; the import fills the lake that the later ones use."""
    measured: dict[str, dict[str, float]] = {}
    for step in STEPS:
        print(f"{step} ...", file=sys.stderr, flush=True)
        measured[step] = _in_own_process(step, folder, days)
    gated, simple = measured["gate"], measured["naive"]
    measured["ratio"] = {name: round(gated[name] / simple[name], 3) for name in ("secs", "peak_gb")}
    return measured


def missed(measured: dict[str, dict[str, float]]) -> list[str]:
    """Budgets that were not kept, in words."""
    over = [f"{s} {n}: {measured[s][n]} > {b}" for (s, n), b in AT_MOST.items() if measured[s][n] > b]
    return over + [f"{s} {n}: {measured[s][n]} < {b}" for (s, n), b in AT_LEAST.items() if measured[s][n] < b]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=1_826)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the lake; a temporary one by default")
    parser.add_argument("--step", choices=sorted(STEPS), default=None, help="one step only, in this process")
    options = parser.parse_args()
    if options.step:
        figures = STEPS[options.step](options.keep, options.days)
        peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"peak_gb": peak_kilobytes / 1e6, **figures}))
        return 0
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as temporary:
        measured = run(options.days, options.keep or Path(temporary))
    print(json.dumps(measured, indent=2))
    failed = missed(measured)
    print("\n".join(f"budget missed: {line}" for line in failed) or "all budgets kept", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
