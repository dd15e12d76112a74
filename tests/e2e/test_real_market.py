"""The ladder on real minutes of BTC and ETH, 2022 and 2023, through command line, trader and sandbox exchange.

The verdict is whatever the data say. Asserted are facts of the data and bookkeeping: every identity holds to the
cent, and no trade lies outside the data.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from include import bootstrap
from include.config.files import find_candidate, find_profile
from include.config.settings import Settings
from include.domain.bars import Bars, IntArray
from include.domain.conversion import to_decimal
from include.domain.enums import DeploymentStatus, Stage
from include.domain.errors import RejectedError
from include.domain.times import Timeframe
from include.ledger.embedded import stop_server
from include.ports import Ledger
from include.stages.data_gate import run_data_gate
from include.stages.simulation import measure_simulation, start_simulation
from tests.waiting import wait_for

pytestmark = pytest.mark.shared_data

VENUE = "binance-usdm"
SYMBOLS = ("BTC/USDT", "ETH/USDT")
MINUTE = Timeframe.parse("1m")
BEGIN, SEEN, END = "2022-01-01", "2023-12-01", "2024-01-01"
MINUTES_OF_TWO_YEARS = 1_051_200
REPLAYED, DAYS = datetime(2023, 12, 1, tzinfo=UTC), 10
CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Not below pytest's own folder: another pytest run closes that to the user the database runs as.
    with tempfile.TemporaryDirectory(prefix="airlock-real-") as folder:
        path = Path(folder) / "home"
        yield path
        stop_server(path)


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="module")
def ledger(settings: Settings) -> Ledger:
    return bootstrap.open_ledger(settings)


@pytest.fixture(scope="module")
def candidate_file(home: Path) -> Path:
    """An honest crossover, not fitted to anything: what it earns is not the point."""
    document = {
        "name": "real-crossover",
        "strategy": "include.strategies.trend:MovingAverageTrend",
        "params": {"fast": 60, "slow": 240, "weight": 0.05},
        "symbols": list(SYMBOLS),
        "timeframe": "1m",
        "venue": VENUE,
        "owner": "research",
    }
    home.mkdir(parents=True, exist_ok=True)
    path = home / "real-crossover.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def bookkeeping(home: Path) -> Path:
    """A profile that asks only that everything was measured, so that the machinery can be followed to the end."""
    document = find_profile("five-year").model_dump(mode="json")
    document |= {"name": "bookkeeping", "description": "Measured at all; for following the books, not for promoting."}
    document["data"] |= {"min_history_days": 1}
    document["criteria"] = {
        "DATA_GATE": [{"metric": "completeness", "op": ">=", "threshold": 1.0}],
        "BACKTEST": [{"metric": "trades", "op": ">=", "threshold": 1.0}],
        "SIMULATION": [
            {"metric": "trades", "op": ">=", "threshold": 1.0},
            {"metric": "trade_parity", "op": ">=", "threshold": 1.0},
        ],
        "QUALIFICATION": [{"metric": "stages_passed", "op": ">=", "threshold": 1.0}],
    }
    path = home / "bookkeeping.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def airlock(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command as a user would; exit status and the JSON document it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", *arguments, "--json"],
        env={**os.environ, "AIRLOCK_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


@pytest.fixture(scope="module")
def imported(home: Path, shared_data: Path) -> Path:
    for symbol in SYMBOLS:
        folder = shared_data / "usdm-1m" / symbol.replace("/", "")
        code, _ = airlock(home, "data", "import", "--source", "parquet", "--path", str(folder), "--venue", VENUE,
                          "--symbol", symbol, "--timeframe", "1m")  # fmt: skip
        assert code == 0
    return home


def test_the_gate_says_what_is_true_of_the_data(imported: Path) -> None:
    code, gate = airlock(imported, "data", "gate", "--venue", VENUE, "--symbol", SYMBOLS[0], "--symbol", SYMBOLS[1],
                         "--timeframe", "1m", "--from", BEGIN, "--to", END, "--profile", "five-year")  # fmt: skip
    assert code == 1
    assert gate["verdict"] == "FAIL"
    assert [c["metric"] for c in gate["criteria"] if c["verdict"] != "PASS"] == ["history_days"], "two years, not five"
    assert gate["completeness"] == 1.0
    assert {s["rows"] for s in gate["symbols"].values()} == {MINUTES_OF_TWO_YEARS}
    halts = {v["first"][:16] for v in gate["violations"] if v["rule"] == "ZERO_VOLUME_HALT"}
    assert {"2022-05-01T22:26", "2022-05-28T16:40", "2023-09-12T08:34", "2023-11-14T11:39"} <= halts
    assert not [v for v in gate["violations"] if v["rule"] == "GAP"]


def test_a_repeated_import_changes_nothing(imported: Path, settings: Settings, shared_data: Path) -> None:
    lake = bootstrap.open_lake(settings)
    window = (VENUE, SYMBOLS, MINUTE, datetime(2022, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
    before = lake.fingerprint(*window)
    code, _ = airlock(imported, "data", "import", "--source", "parquet", "--path",
                      str(shared_data / "usdm-1m" / "BTCUSDT"), "--venue", VENUE, "--symbol", SYMBOLS[0],
                      "--timeframe", "1m")  # fmt: skip
    assert code == 0
    assert bootstrap.open_lake(settings).fingerprint(*window) == before


def test_stage_one_is_refused_for_reasons_and_its_books_balance(
    imported: Path, candidate_file: Path, settings: Settings
) -> None:
    code, verdict = airlock(imported, "qualify", str(candidate_file), "--profile", "five-year", "--venue", VENUE,
                            "--from", BEGIN, "--to", SEEN)  # fmt: skip
    assert code == 1
    assert verdict["verdict"] == "FAIL"
    reasons = {c["metric"] for stage in verdict["stages"].values() for c in stage["criteria"] if c["verdict"] != "PASS"}
    assert "history_days" in reasons

    trades_file = imported / "trades.parquet"
    airlock(imported, "backtest", str(candidate_file), "--profile", "five-year", "--venue", VENUE, "--from", BEGIN,
            "--to", SEEN, "--trades", str(trades_file))  # fmt: skip
    trades = pq.read_table(trades_file).to_pandas()
    metrics = verdict["metrics"]
    assert len(trades) == metrics["trades"] > 0
    assert metrics["win_rate"] == pytest.approx((trades["pnl"] > 0).mean())
    signs = np.where(trades["side"] == "long", 1.0, -1.0)
    gross = signs * trades["quantity"] * (trades["exit_price"] - trades["entry_price"])
    assert np.allclose(gross - trades["fees"] - trades["funding"], trades["pnl"], atol=0.005)
    lake = bootstrap.open_lake(settings)
    for symbol in SYMBOLS:
        bars = lake.bars(VENUE, symbol, MINUTE, datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
        own = trades[trades["symbol"] == symbol]
        entered, left = (_rows(bars, own[f"{side}_time"]) for side in ("entry", "exit"))
        # What a bar's volume does not carry fills in the next ones, so a price may be an average over several bars.
        low, high = (
            np.array([choose(column[a : b + 1]) for a, b in zip(entered, left, strict=True)])
            for choose, column in ((np.min, bars.low), (np.max, bars.high))
        )
        for side in ("entry", "exit"):
            price = own[f"{side}_price"].to_numpy()
            assert ((low <= price) & (price <= high)).all(), "a trade outside its bars"


def _rows(bars: Bars, times: Any) -> IntArray:
    """Rows of the bars at these open times."""
    milliseconds = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]").astype("int64")
    rows: IntArray = np.searchsorted(bars.open_time, milliseconds)
    assert (bars.open_time[rows] == milliseconds).all(), "a trade at a minute that is not in the data"
    return rows


def test_a_refused_candidate_does_not_reach_the_simulation(
    imported: Path, settings: Settings, ledger: Ledger, candidate_file: Path
) -> None:
    candidate, profile, lake = (
        find_candidate(str(candidate_file)),
        find_profile("five-year"),
        bootstrap.open_lake(settings),
    )
    gate = run_data_gate(
        candidate, profile, datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC), lake,
        now=datetime.now(UTC),
    )  # fmt: skip
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.evidence.record(gate)
        work.commit()
    with pytest.raises(RejectedError, match=r"EVIDENCE_NOT_PASS stage=DATA_GATE.*EVIDENCE_MISSING stage=BACKTEST"):
        start_simulation(
            ledger, candidate, profile, lake, start=datetime(2023, 12, 1, tzinfo=UTC), days=1, session_key="no",
            by="test", now=datetime.now(UTC),
        )  # fmt: skip


def test_ten_days_of_december_2023_through_engine_and_exchange_reconciles_to_the_cent(
    imported: Path, settings: Settings, ledger: Ledger, candidate_file: Path, bookkeeping: Path
) -> None:
    from include.stages.backtest import run_backtest

    candidate, profile, lake = (
        find_candidate(str(candidate_file)),
        find_profile(str(bookkeeping)),
        bootstrap.open_lake(settings),
    )
    window = (datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))
    gate = run_data_gate(candidate, profile, *window, lake, now=datetime.now(UTC))
    backtest = run_backtest(candidate, profile, *window, lake, now=datetime.now(UTC)).evidence
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.evidence.record(gate)
        work.evidence.record(backtest)
        work.commit()
    deployment = start_simulation(
        ledger, candidate, profile, lake, start=REPLAYED, days=DAYS, session_key="december",
        by="test", now=datetime.now(UTC),
    )  # fmt: skip

    trader = subprocess.Popen(
        [sys.executable, "-m", "include.cli", "trader"],
        env={**os.environ, "AIRLOCK_HOME": str(imported)}, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(lambda: status_of(ledger, deployment.id) not in {"PENDING", "RUNNING"}, secs=480)
    finally:
        trader.send_signal(signal.SIGTERM)
        trader.wait(30)
    assert status_of(ledger, deployment.id) == DeploymentStatus.COMPLETED.value

    evidence = measure_simulation(ledger, deployment.id, candidate, profile, lake, now=datetime.now(UTC))
    with ledger.begin() as work:
        fills, funding = work.orders.fills(deployment.id), work.orders.funding(deployment.id)
        points = work.orders.equity(deployment.id)
    cash = deployment.capital + sum((payment.amount for payment in funding), Decimal(0))
    held = dict.fromkeys(SYMBOLS, Decimal(0))
    for fill in fills:
        cash -= fill.side.sign * fill.quantity * fill.price + fill.fee
        held[fill.symbol] += fill.side.sign * fill.quantity
    end = REPLAYED + timedelta(days=DAYS)
    last = {symbol: lake.bars(VENUE, symbol, MINUTE, end - timedelta(days=1), end).close[-1] for symbol in SYMBOLS}
    worth = sum((held[s] * to_decimal(last[s], lake.instrument(VENUE, s).tick_size) for s in SYMBOLS), Decimal(0))
    assert fills and funding
    assert abs(cash + worth - points[-1].equity) < CENT, "cash, positions, fees and funding do not explain the equity"
    assert len(points) == DAYS * 24 * 60
    assert evidence.stage is Stage.SIMULATION
    assert "error" not in evidence.details, evidence.details.get("error")
    assert evidence.metrics["trade_parity"].value == 1.0, "the engine traded otherwise than the backtest on these bars"
    assert all(REPLAYED <= fill.filled_at < end for fill in fills)


def status_of(ledger: Ledger, deployment_id: str) -> str:
    with ledger.begin() as work:
        deployment = work.deployments.get(deployment_id)
    assert deployment is not None
    return deployment.status.value
