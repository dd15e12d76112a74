"""Repairs of stored series: the base stays, the result is a series of its own that the gate knows as repaired."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from include.cli import app
from include.config.files import find_profile
from include.domain.errors import ConfigurationError, DataError
from include.domain.times import to_ms
from include.market_data.lake import ParquetLake
from include.market_data.repairing import RepairReport, RepairRequest, repair_series
from include.ports import REPAIRS
from include.stages.data_gate import gate_data, run_data_gate
from include.validators.repair_policies import parse_policies
from tests.market import MINUTE, NOW, START, Columns, bars, lake_at, minutes, table, take
from tests.samples import sample_candidate

COUNT = 3_000
"""Crosses a month."""
HOLES = (range(100, 103), range(500, 540))
BROKEN = 700
POLICIES = ("quarantine", "drop-duplicates", "sort", "forward-fill:5")
WINDOW = (START, START + minutes(COUNT))


def messy() -> Columns:
    """A hole of three bars, one of forty, a row without a price, and repeats out of order."""
    kept = [i for i in range(COUNT) if not any(i in hole for hole in HOLES)]
    columns = take(bars(COUNT), np.array([*kept[:50], kept[60], *kept[50:]]))
    columns["close"][columns["open_time"] == to_ms(START + minutes(BROKEN))] = np.nan
    return columns


def filled_lake(root: Path, *symbols: str) -> ParquetLake:
    lake = lake_at(root)
    for symbol in symbols or ("BTC/USDT",):
        lake.ingest("synthetic", symbol, MINUTE, table(messy()), source="test", now=NOW)
    return lake


def request(*policies: str, **changes: Any) -> RepairRequest:
    made = RepairRequest("synthetic", ("BTC/USDT",), MINUTE, parse_policies(policies or POLICIES))
    return replace(made, **changes)


def repair(lake: ParquetLake, root: Path, wanted: RepairRequest | None = None, **options: Any) -> RepairReport:
    return repair_series(lake, wanted or request(), folder=root / "repairs", now=NOW, **options)[0]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_base_stays_and_the_result_is_a_series_of_its_own(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    base = lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, *WINDOW)
    report = repair(lake, tmp_path)
    assert lake.fingerprint("synthetic", ["BTC/USDT"], MINUTE, *WINDOW) == base == report.base_fingerprint
    assert lake.fingerprint("synthetic~repaired", ["BTC/USDT"], MINUTE, *WINDOW) != base
    assert [(c.policy.partition(":")[0], c.count) for c in report.changes] == [
        ("quarantine", 1), ("sort", 11), ("drop-duplicates", 1), ("forward-fill", 4),
    ]  # fmt: skip
    fixed = lake.bars("synthetic~repaired", "BTC/USDT", MINUTE, *WINDOW)
    assert len(fixed) == report.rows_after == COUNT - 40
    assert fixed.extras["filled"].sum() == report.filled == 4
    (source,) = lake.summary(report.derived).sources
    assert source == f"repair:synthetic@{base}:{';'.join(report.policies)}"
    assert lake.is_synthetic("synthetic~repaired")
    assert lake.instrument("synthetic~repaired", "BTC/USDT") == lake.instrument("synthetic", "BTC/USDT")


def test_what_was_taken_out_is_kept_beside_the_report(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    report = repair(lake, tmp_path)
    folder = tmp_path / "repairs" / "synthetic~repaired"
    taken = pq.read_table(folder / report.quarantine_file).to_pylist()
    (row,) = taken
    assert (row["open_time"], row["rules"]) == (START + minutes(BROKEN), "NON_FINITE")
    assert np.isnan(row["close"]) and row["high"] > 0
    written = json.loads(next(folder.glob("*.json")).read_text())
    assert written == report.document()
    assert written["changes"][3]["detail"] == {"holes_filled": 2, "holes_left": 1, "bars_left": 40}


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    first = repair(lake, tmp_path)
    before = files(tmp_path)
    second = repair(lake, tmp_path)
    assert (first.rows_added, second.rows_added) == (first.rows_after, 0)
    assert files(tmp_path) == before


def test_a_repair_that_was_interrupted_between_two_months_is_completed(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    whole = repair(lake, tmp_path)
    fingerprint = lake.fingerprint("synthetic~repaired", ["BTC/USDT"], MINUTE, *WINDOW)
    (tmp_path / "lake" / whole.derived.folder / "2024-02.parquet").unlink()
    assert 0 < repair(lake, tmp_path).rows_added < whole.rows_after
    assert lake.fingerprint("synthetic~repaired", ["BTC/USDT"], MINUTE, *WINDOW) == fingerprint


@pytest.mark.parametrize(
    "changes",
    [{"policies": parse_policies(("quarantine", "drop-duplicates", "sort", "forward-fill:4"))},
     {"end": START + minutes(2_000)}],
    ids=["other policies", "another window"],
)  # fmt: skip
def test_one_name_is_one_repair(tmp_path: Path, changes: dict[str, Any]) -> None:
    lake = filled_lake(tmp_path)
    repair(lake, tmp_path)
    before = files(tmp_path)
    with pytest.raises(DataError, match=r"was made by repair:synthetic@.*--as"):
        repair(lake, tmp_path, request(**changes))
    assert files(tmp_path) == before
    assert repair(lake, tmp_path, request(name="other", **changes)).derived.venue == "synthetic~other"


def test_a_base_that_changed_is_a_conflict_and_nothing_is_overwritten(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    repair(lake, tmp_path)
    late = take(bars(COUNT), np.array([510]))
    lake.ingest("synthetic", "BTC/USDT", MINUTE, table(late), source="late", now=NOW)
    before = files(tmp_path)
    with pytest.raises(DataError, match="base, window or policies differ"):
        repair(lake, tmp_path)
    assert files(tmp_path) == before


def test_all_symbols_are_repaired_or_none(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path, "BTC/USDT")
    clash = take(bars(10), np.array([0, 0]))
    clash["volume"][1] += 1
    lake.ingest("synthetic", "ETH/USDT", MINUTE, table(clash), source="test", now=NOW)
    with pytest.raises(DataError, match="ETHUSDT 1m: 1 open times have rows that contradict"):
        repair(lake, tmp_path, request("drop-duplicates", symbols=("BTC/USDT", "ETH/USDT")))
    assert [str(s.series) for s in lake.summaries()] == ["synthetic BTCUSDT 1m", "synthetic ETHUSDT 1m"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    before = files(tmp_path)
    report = repair(lake, tmp_path, dry_run=True)
    assert (report.rows_before, report.rows_after, report.rows_added) == (COUNT - 42, COUNT - 40, 0)
    assert files(tmp_path) == before


def test_repaired_data_is_not_repaired_again(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    repair(lake, tmp_path)
    with pytest.raises(ConfigurationError, match="repaired already"):
        repair(lake, tmp_path, request(venue="synthetic~repaired"))


def test_filled_bars_raise_no_score_and_the_gate_says_what_was_repaired(tmp_path: Path) -> None:
    lake, profile = filled_lake(tmp_path), find_profile("five-year")
    plain = repair(lake, tmp_path, request("quarantine", "drop-duplicates", "sort", name="plain"))
    filled = repair(lake, tmp_path)
    one = gate_data(plain.derived.venue, ["BTC/USDT"], MINUTE, *WINDOW, profile, lake, now=NOW)
    candidate = replace(sample_candidate(), venue=filled.derived.venue)
    evidence = run_data_gate(candidate, profile, *WINDOW, lake, now=NOW)
    before, after = one.document()["symbols"]["BTC/USDT"], evidence.details["symbols"]["BTC/USDT"]
    for name in ("completeness", "quality", "compatibility", "rows", "missing", "max_gap_minutes", "violation_counts"):
        assert before[name] == after[name], name
    assert after["completeness"] == (COUNT - 44) / COUNT
    assert (after["filled"], after["completeness_with_filled"]) == (4, (COUNT - 40) / COUNT)
    assert one.document()["repairs"] == {"BTC/USDT": list(plain.policies)}
    assert evidence.details["repairs"] == {"BTC/USDT": list(filled.policies)}
    assert evidence.synthetic


def test_data_as_it_came_carries_no_repairs_and_none_is_imported_beside_a_repair(tmp_path: Path) -> None:
    lake = filled_lake(tmp_path)
    rows = lake.rows("synthetic", "BTC/USDT", MINUTE, *WINDOW)
    assert json.loads(rows.schema.metadata[REPAIRS]) == []
    with pytest.raises(DataError, match="airlock data repair"):
        lake.ingest("synthetic~repaired", "BTC/USDT", MINUTE, table(bars(5)), source="test", now=NOW)


def test_the_command_says_what_it_did_and_does_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRLOCK_HOME", str(tmp_path))
    lake = filled_lake(tmp_path)
    words = ["data", "repair", "--venue", "synthetic", "--symbol", "BTC/USDT", "--json"]
    words += [word for policy in POLICIES for word in ("--policy", policy)]
    runner = CliRunner()
    tried, done, again = (
        json.loads(runner.invoke(app, [*words, *more], catch_exceptions=False).stdout)
        for more in (["--dry-run"], [], [])
    )
    assert tried["repaired"][0]["fingerprint"] is None
    assert [d["repaired"][0]["rows_added"] for d in (tried, done, again)] == [0, COUNT - 40, 0]
    found = lake.fingerprint("synthetic~repaired", ["BTC/USDT"], MINUTE, *WINDOW)
    assert done["repaired"][0]["fingerprint"] == again["repaired"][0]["fingerprint"] == found
    table_text = runner.invoke(app, [w for w in words if w != "--json"], catch_exceptions=False).stdout
    assert "synthetic~repaired" in table_text and "holes_left=1" in table_text
    wrong = runner.invoke(app, [*words, "--policy", "magic"])
    assert wrong.exit_code != 0


@pytest.mark.shared_data
def test_a_year_of_real_minutes_keeps_every_real_bar_and_its_score(shared_data: Path, tmp_path: Path) -> None:
    stored = pq.read_table(shared_data / "bitfinex-1m" / "BTCUSD" / "2016.parquet")
    lake = lake_at(tmp_path)
    lake.ingest("bitfinex", "BTC/USD", MINUTE, stored, source="test", now=NOW)
    policies = parse_policies(["quarantine", "sort", "drop-duplicates", "forward-fill:5"])
    wanted = RepairRequest("bitfinex", ("BTC/USD",), MINUTE, policies)
    report = repair(lake, tmp_path, wanted)
    first, end = report.start, report.end
    fixed = lake.bars("bitfinex~repaired", "BTC/USD", MINUTE, first, end)
    real = fixed.extras["filled"] == 0
    assert report.rows_before == len(stored) == real.sum() + sum(c.count for c in report.changes[:3:2])
    assert report.filled == (~real).sum() > 10_000
    holes = np.diff(fixed.open_time) // MINUTE.ms - 1
    assert holes[holes > 0].min() > 5
    assert repair(lake, tmp_path, wanted).rows_added == 0
