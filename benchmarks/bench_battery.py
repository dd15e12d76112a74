"""How fast parameter sweeps and the robustness battery are on five years of minutes.

    python -m benchmarks.bench_battery [--days N] [--keep FOLDER] [--points N]

`sweep` and `sweep-trend` trade 1,000 parameter points of the scalper and of the trend follower on one symbol (2.63 M
bars) and keep daily returns and trades of each. `loop` is the plain way to the same figures: `run_portfolio` for one
point after the other, on a few points of both grids. `vectorbt` is its way for the trend follower: its own averages and
`from_signals` broadcast over four columns at a time (more would not fit the budget of memory), then daily returns and
trades. It knows neither tick nor lot and trades the same crossings at the next open with the same fee. `battery` runs
all nine checks on the scalper and five symbols (13.1 M rows), twice.

Every job runs in a process of its own. Cold times include imports and loading, warm ones do not. `cpu_secs` is
processor time over all threads: unlike the others it hardly depends on what else the machine does, which the load
average beside it tells. Ratios compare processor time for each point. Exit 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.bench_backtest import NOW, _fill_lake, _lake, _window

CAPITAL = Decimal(800_000)
BUDGETS = {
    ("sweep", "cold_secs"): 60.0, ("sweep-trend", "cold_secs"): 60.0, ("battery", "cold_secs"): 180.0,
    ("sweep", "peak_gb"): 3.0, ("sweep-trend", "peak_gb"): 3.0, ("battery", "peak_gb"): 3.0,
}  # fmt: skip
LOOPED = 8
"""Points that the plain ways trade; the rest would take as long again each."""


def _scalper_grid() -> list[dict[str, Any]]:
    from include.config.files import find_candidate

    params = find_candidate("mean-reversion-scalper").params
    axes = itertools.product(range(30, 130, 10), range(10), range(10))
    return [
        {**params, "window": window, "entry_sigma": 1.5 + 0.15 * sigma, "min_deviation_bps": 20.0 + 3.0 * bps}
        for window, sigma, bps in axes
    ]


def _trend_grid() -> list[dict[str, Any]]:
    return [
        {"fast": fast, "slow": slow, "weight": 0.05} for fast in range(60, 560, 20) for slow in range(600, 2_600, 50)
    ]


GRIDS = {"mean-reversion-scalper": _scalper_grid, "trend-follower": _trend_grid}


def _points(candidate: str, count: int) -> list[dict[str, Any]]:
    """`count` points spread evenly over the grid."""
    grid = GRIDS[candidate]()
    return [grid[i * len(grid) // count] for i in range(count)]


def _market(folder: Path, days: int, candidate: str) -> Any:
    from dataclasses import replace

    from include.backtesting.portfolio import load_market
    from include.config.files import find_candidate

    found = find_candidate(candidate)
    return load_market(_lake(folder), replace(found, symbols=found.symbols[:1]), *_window(days), warmup=0)


def _sweep(folder: Path, days: int, count: int, candidate: str) -> dict[str, float]:
    from include.backtesting.sweep import run_sweep
    from include.config.files import find_candidate

    points, strategy = _points(candidate, count), find_candidate(candidate).strategy
    market = _market(folder, days, candidate)
    cpu, began = time.process_time(), time.perf_counter()
    swept = run_sweep(strategy, points, market, CAPITAL)
    warm, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(swept.trials) == len(points)
    return {"warm_secs": warm, "cpu_secs": cpu, "cpu_ms_per_point": 1e3 * cpu / len(points)}


def sweep(folder: Path, days: int, count: int) -> dict[str, float]:
    """The scalper's grid."""
    return _sweep(folder, days, count, "mean-reversion-scalper")


def sweep_trend(folder: Path, days: int, count: int) -> dict[str, float]:
    """The trend follower's grid."""
    return _sweep(folder, days, count, "trend-follower")


def loop(folder: Path, days: int, count: int) -> dict[str, float]:
    """Every point alone, with all its trades and its equity at every bar."""
    from include.backtesting.portfolio import run_portfolio
    from include.config.files import find_candidate
    from include.strategies.protocol import load_strategy

    found = {}
    for candidate, short in (("mean-reversion-scalper", "scalper"), ("trend-follower", "trend")):
        name, market = find_candidate(candidate).strategy, _market(folder, days, candidate)
        points = _points(candidate, min(count, LOOPED))
        _ = run_portfolio(load_strategy(name, points[0]), market, CAPITAL)  # compiled code is loaded here
        began = time.process_time()
        for point in points:
            run = run_portfolio(load_strategy(name, point), market, CAPITAL)
            _ = run.returns, len(run.trades)
        found[f"{short}_cpu_ms_per_point"] = 1e3 * (time.process_time() - began) / len(points)
    return found


def vectorbt(folder: Path, days: int, count: int) -> dict[str, float]:
    """Stock vectorbt, its own averages and broadcasting; the first, compiling round is not counted."""
    import numpy as np
    import pandas as pd
    import vectorbt as vbt

    bars = _market(folder, days, "trend-follower").histories[0]
    index = pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]"))
    close, opened = pd.Series(bars.close, index=index), pd.Series(bars.open, index=index)

    def trade(rows: int, points: list[dict[str, Any]]) -> None:
        fast = vbt.MA.run(close[:rows], [p["fast"] for p in points]).ma.to_numpy()
        slow = vbt.MA.run(close[:rows], [p["slow"] for p in points]).ma.to_numpy()
        up = np.vstack([np.zeros((1, len(points)), dtype=bool), (fast > slow)[:-1]])
        down = np.vstack([np.zeros((1, len(points)), dtype=bool), (fast < slow)[:-1]])
        del fast, slow
        portfolio = vbt.Portfolio.from_signals(
            close[:rows], entries=up, short_entries=down, price=opened[:rows], size=8_000.0, size_type="value",
            fees=0.0004, slippage=0.0001, init_cash=1e9, accumulate=False, freq="1min",
        )  # fmt: skip
        portfolio.value().resample("1D").last().vbt.returns(freq="1D", year_freq="365 days").sharpe_ratio()
        portfolio.trades.count()

    trade(10_000, _points("trend-follower", 2))
    points = _points("trend-follower", min(count, LOOPED))
    began = time.process_time()
    for first in range(0, len(points), 4):
        trade(len(close), points[first : first + 4])
    return {"trend_cpu_ms_per_point": 1e3 * (time.process_time() - began) / len(points)}


def battery(folder: Path, days: int, count: int) -> dict[str, float]:
    """All nine checks, in the blocks in which the ladder runs them."""
    from include.config.files import find_candidate, find_profile
    from include.domain.enums import BATTERY
    from include.stages.robustness import blocks_of, run_battery

    lake, candidate, profile = _lake(folder), find_candidate("mean-reversion-scalper"), find_profile("five-year")

    def run() -> dict[str, float]:
        cpu, began = time.process_time(), time.perf_counter()
        checks = 0
        for block in blocks_of(BATTERY):
            evidence = run_battery(block, candidate, profile, *_window(days), lake, now=NOW)
            checks += sum(bool(found.metrics) for found in evidence)
        return {"checks": checks, "secs": time.perf_counter() - began, "cpu_secs": time.process_time() - cpu}

    first = run()
    peak = _peak_gb()
    second = run()
    return {**first, "warm_secs": second["secs"], "warm_cpu_secs": second["cpu_secs"], "first_peak_gb": peak}


JOBS: dict[str, Callable[[Path, int, int], dict[str, float]]] = {
    "sweep": sweep, "sweep-trend": sweep_trend, "loop": loop, "vectorbt": vectorbt, "battery": battery,
}  # fmt: skip


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1_826)
    parser.add_argument("--points", type=int, default=1_000, help="of each sweep")
    parser.add_argument("--keep", type=Path, help="folder to make the lake in, or one made by an earlier run")
    parser.add_argument("--job", choices=sorted(JOBS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps({**JOBS[given.job](given.keep, given.days, given.points), "peak_gb": _peak_gb()}))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        if not (folder / "lake").exists():
            _fill_lake(folder, given.days)
        found = {name: _run(name, folder, given.days, given.points) for name in JOBS}
    scalper, trend = (found[name]["cpu_ms_per_point"] for name in ("sweep", "sweep-trend"))
    print(f"plain loop / sweep, scalper: {found['loop']['scalper_cpu_ms_per_point'] / scalper:.1f}x")
    print(f"plain loop / sweep, trend: {found['loop']['trend_cpu_ms_per_point'] / trend:.1f}x")
    print(f"vectorbt / sweep, trend: {found['vectorbt']['trend_cpu_ms_per_point'] / trend:.1f}x")
    missed = [f"{job} {key}" for (job, key), limit in BUDGETS.items() if found[job][key] > limit]
    print("budgets: " + (", ".join(missed) + " missed" if missed else "all met"))
    return 1 if missed else 0


def _run(name: str, folder: Path, days: int, points: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_battery", "--job", name, "--keep", str(folder)]
    began = time.perf_counter()
    run = subprocess.run(
        [*command, "--days", str(days), "--points", str(points)], check=True, capture_output=True, text=True
    )
    whole = time.perf_counter() - began
    found: dict[str, float] = json.loads(run.stdout.strip().splitlines()[-1])
    # A job that repeats itself says how long its first round took; what came before it is imports.
    found["cold_secs"] = whole - found.get("warm_secs", 0.0) if "secs" in found else whole
    figures = "  ".join(f"{key} {value:,.2f}" for key, value in found.items())
    print(f"{name:12} {figures}  load {os.getloadavg()[0]:.1f}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
