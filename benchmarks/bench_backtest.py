"""How fast a candidate is backtested on five years of five symbols of minutes (13.1 M bars), against stock vectorbt.

    python -m benchmarks.bench_backtest [--days N] [--keep FOLDER]

Every job runs in a process of its own: the cold time includes imports, the warm one is the best of three in the same
process. The peer is the best script a vectorbt user would write: the same bars from the same lake, signals by numpy,
`from_signals` with next-open prices and fees, the usual metrics, on a naive index (a zone costs it twenty-five times as
much). Both trade the same crossover of moving averages. Exit 1 when a budget is missed.
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
from decimal import Decimal
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGETS = {("stage", "cold_secs"): 20.0, ("stage", "warm_secs"): 4.0, ("stage", "peak_gb"): 3.0}
FAST, SLOW, WEIGHT = 30, 120, 0.02
"""Small enough that the losses of five years end no symbol, since vectorbt is given endless cash."""
REPEATS = 3


def _lake(folder: Path) -> Any:
    from include.config.files import VENUES_FILE
    from include.config.venues import load_venues
    from include.market_data.lake import ParquetLake

    return ParquetLake(folder / "lake", load_venues(VENUES_FILE))


def _window(days: int) -> tuple[datetime, datetime]:
    from include.market_data.synthetic import DEFAULT_START

    return DEFAULT_START, DEFAULT_START + timedelta(days=days)


def _fill_lake(folder: Path, days: int) -> None:
    from include.market_data.importing import import_synthetic
    from include.market_data.synthetic import DEFAULT_SEED, SYMBOLS

    import_synthetic(_lake(folder), SYMBOLS, *_window(days), seed=DEFAULT_SEED, now=NOW)


def stage(folder: Path, days: int) -> None:
    """The whole stage: load, fingerprint, signals, kernel, causality and warm-up checks, metrics, vectorbt's books."""
    from include.config.files import find_candidate, find_profile
    from include.stages.backtest import run_backtest

    run_backtest(
        find_candidate("mean-reversion-scalper"), find_profile("five-year"), *_window(days), _lake(folder), now=NOW
    )


def ours(folder: Path, days: int) -> None:
    """What the peer does and no more: load, signals, simulation, metrics. The next symbol is loaded meanwhile."""
    from concurrent.futures import ThreadPoolExecutor

    from include.backtesting.equity import profit_curve, total_profit
    from include.backtesting.kernel import simulate
    from include.backtesting.metrics import Account, measure_trading
    from include.backtesting.trades import merge_trades, trades_of
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE
    from include.strategies.trend import MovingAverageTrend

    lake, total, parts, fees, notional, rows = _lake(folder), None, [], 0.0, 0.0, 0
    strategy = MovingAverageTrend(fast=FAST, slow=SLOW, weight=WEIGHT)
    with ThreadPoolExecutor(1) as loader:
        jobs = (loader.submit(lake.bars, VENUE, symbol, TIMEFRAME, *_window(days)) for symbol in SYMBOLS)
        following = next(jobs)
        for symbol in SYMBOLS:
            bars, following = following.result(), next(jobs, following)
            fills = simulate(bars, strategy.signals(bars), lake.instrument(VENUE, symbol), Decimal(160_000))
            parts.append(trades_of(fills))
            total = total_profit(total, profit_curve(bars, fills))
            fees, notional = fees + fills.fee.sum(), notional + fills.notional
            rows += len(bars)
    assert total is not None
    measure_trading(Account(800_000.0, TIMEFRAME, merge_trades(parts), total, rows, float(notional), float(fees)))


def peer(folder: Path, days: int) -> None:
    """Stock vectorbt, one symbol after the other, so that memory is not what decides."""
    import numpy as np
    import pandas as pd
    import vectorbt as vbt

    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE

    lake = _lake(folder)
    for symbol in SYMBOLS:
        bars = lake.bars(VENUE, symbol, TIMEFRAME, *_window(days))
        close = pd.Series(bars.close, index=pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]")))
        sums = np.concatenate(([0.0], np.cumsum(bars.close)))
        averages = []
        for width in (FAST, SLOW):
            averages.append(np.full(len(close), np.nan))
            averages[-1][width - 1 :] = (sums[width:] - sums[:-width]) / width
        above = averages[0] > averages[1]
        below = averages[0] < averages[1]
        up, down = np.append(False, above[:-1]), np.append(False, below[:-1])
        portfolio = vbt.Portfolio.from_signals(
            close, entries=up, short_entries=down, price=bars.open, size=160_000.0 * WEIGHT, size_type="value",
            fees=0.0004, slippage=0.0001, init_cash=1e9, accumulate=False, freq="1min",
        )  # fmt: skip
        trades = portfolio.trades
        daily = portfolio.value().resample("1D").last().vbt.returns(freq="1D", year_freq="365 days")
        _ = (
            trades.count(), trades.win_rate(), trades.profit_factor(), portfolio.total_profit(),
            portfolio.max_drawdown(), daily.sharpe_ratio(), daily.sortino_ratio(), portfolio.orders.fees.sum(),
        )  # fmt: skip


def kernel(folder: Path, days: int) -> dict[str, float]:
    """The fill-rule kernel alone, warm, on one symbol: bars a second and fills a second."""
    from include.backtesting.kernel import simulate
    from include.config.files import find_candidate
    from include.market_data.synthetic import SYMBOLS, TIMEFRAME, VENUE
    from include.strategies.protocol import load_strategy
    from include.strategies.trend import MovingAverageTrend

    lake = _lake(folder)
    bars, instrument = lake.bars(VENUE, SYMBOLS[0], TIMEFRAME, *_window(days)), lake.instrument(VENUE, SYMBOLS[0])
    scalper = find_candidate("mean-reversion-scalper")
    found = {}
    for name, strategy in (
        ("trend", MovingAverageTrend(fast=360, slow=1440, weight=0.1)),
        ("scalper", load_strategy(scalper.strategy, scalper.params)),
    ):
        signals = strategy.signals(bars)
        times = []
        for _ in range(1 + 2 * REPEATS):
            began = time.perf_counter()
            fills = simulate(bars, signals, instrument, Decimal(160_000))
            times.append(time.perf_counter() - began)
        found[f"{name}_million_bars_per_sec"] = len(bars) / min(times) / 1e6
        found[f"{name}_fills"] = float(len(fills))
    return found


JOBS: dict[str, Callable[[Path, int], Any]] = {"stage": stage, "ours": ours, "peer": peer, "kernel": kernel}


def _measure(name: str, folder: Path, days: int) -> dict[str, float]:
    """Run one job in this fresh process; `began` of the parent makes the cold time include the interpreter's start."""
    job = JOBS[name]
    if name == "kernel":
        return dict(job(folder, days))
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        job(folder, days)
        times.append(time.perf_counter() - began)
        if len(times) == 1:
            cold_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"cold_secs": times[0] + _started, "warm_secs": min(times[1:]), "peak_gb": cold_peak}


_started = time.process_time()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=1_826)
    parser.add_argument("--keep", type=Path, help="folder to make the lake in, or one made by an earlier run")
    parser.add_argument("--job", choices=sorted(JOBS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(_measure(given.job, given.keep, given.days)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        if not (folder / "lake").exists():
            _fill_lake(folder, given.days)
        found: dict[str, dict[str, float]] = {}
        for name in JOBS:
            command = [sys.executable, "-m", "benchmarks.bench_backtest", "--job", name, "--keep", str(folder)]
            run = subprocess.run([*command, "--days", str(given.days)], check=True, capture_output=True, text=True)
            found[name] = json.loads(run.stdout.strip().splitlines()[-1])
            print(f"{name:8}", "  ".join(f"{key} {value:,.2f}" for key, value in found[name].items()))
    for key in ("cold_secs", "warm_secs"):
        print(f"stock vectorbt / ours, {key}: {found['peer'][key] / found['ours'][key]:.1f}x")
    missed = [f"{job} {key}" for (job, key), limit in BUDGETS.items() if found[job][key] > limit]
    print("budgets: " + (", ".join(missed) + " missed" if missed else "all met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
