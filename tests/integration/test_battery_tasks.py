"""The battery as Airflow's tasks call it: real lake, real ledger, every check recorded before anything is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from include.config.files import CONFIG, VENUES_FILE, find_candidate, find_profile
from include.config.venues import load_venues
from include.domain.enums import Stage
from include.domain.errors import ConfigurationError, RejectedError
from include.ledger.unit_of_work import PostgresLedger
from include.market_data.importing import import_synthetic
from include.market_data.lake import ParquetLake
from include.market_data.synthetic import DEFAULT_START
from include.operations.tasks import battery_blocks, measure_battery
from include.qualification.verdict import Verdict
from tests.market import NOW

DAYS = 12
WINDOW = (DEFAULT_START.date().isoformat(), (DEFAULT_START + timedelta(days=DAYS)).date().isoformat())


@pytest.fixture(scope="module")
def lake_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("battery")
    lake = ParquetLake(home / "lake", load_venues(VENUES_FILE))
    import_synthetic(lake, ["BTC/USDT"], DEFAULT_START, DEFAULT_START + timedelta(days=DAYS), seed=1, now=NOW)
    return home


@pytest.fixture
def files(lake_home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str]:
    """Candidate and profile; the profile demands one check that passes and one that cannot."""
    monkeypatch.setenv("AIRLOCK_HOME", str(lake_home))
    monkeypatch.setenv("AIRLOCK_DATABASE_URL", database_url)
    candidate = yaml.safe_load((CONFIG / "candidates" / "mean-reversion-scalper.yaml").read_text())
    profile = yaml.safe_load((CONFIG / "profiles" / "five-year.yaml").read_text())
    profile["criteria"]["BENCHMARK"] = [{"metric": "benchmark_correlation", "op": "<", "threshold": 0.9}]
    profile["criteria"]["STRESS"] = [{"metric": "stress_drawdown", "op": "<", "threshold": 0.0}]
    paths = []
    for name, document in (("candidate", {**candidate, "symbols": ["BTC/USDT"]}), ("profile", profile)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        paths.append(str(path))
    return paths[0], paths[1]


def register(ledger: PostgresLedger, file: str) -> str:
    candidate = find_candidate(file)
    with ledger.begin() as work:
        work.candidates.register(candidate)
        work.trials.record(candidate.strategy, candidate.id, "f1", 2.0)
        work.commit()
    return candidate.id


def test_the_checks_that_a_profile_demands_come_in_groups(files: tuple[str, str]) -> None:
    assert battery_blocks(files[1]) == [["STRESS", "BENCHMARK"]]
    assert battery_blocks("five-year") == []


def test_every_check_of_a_group_is_recorded_before_one_refuses(ledger: PostgresLedger, files: tuple[str, str]) -> None:
    candidate_id = register(ledger, files[0])
    with pytest.raises(RejectedError, match="STRESS FAIL") as refused:
        measure_battery(candidate_id, *files, *WINDOW, ["STRESS", "BENCHMARK"])
    assert "BENCHMARK" not in str(refused.value)
    profile = find_profile(files[1])
    with ledger.begin() as work:
        latest = {s: work.evidence.latest(candidate_id, s, profile.hash) for s in (Stage.STRESS, Stage.BENCHMARK)}
    assert {s: e.verdict if e else None for s, e in latest.items()} == {
        Stage.STRESS: Verdict.FAIL,
        Stage.BENCHMARK: Verdict.PASS,
    }


def test_a_group_that_passes_returns_the_candidate_and_counts_logged_trials(
    ledger: PostgresLedger, files: tuple[str, str]
) -> None:
    candidate_id = register(ledger, files[0])
    assert measure_battery(candidate_id, *files, *WINDOW, ["BENCHMARK"]) == candidate_id
    with pytest.raises(RejectedError, match="OVERFITTING INCONCLUSIVE"):
        measure_battery(candidate_id, *files, *WINDOW, ["OVERFITTING"])
    with ledger.begin() as work:
        found = work.evidence.latest(candidate_id, Stage.OVERFITTING, find_profile(files[1]).hash)
    assert found is not None and found.document["details"]["trials"]["logged"] == 1


def test_a_candidate_that_changed_or_was_never_measured_is_refused(
    ledger: PostgresLedger, files: tuple[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match="not in the ledger"):
        measure_battery("0" * 64, *files, *WINDOW, ["BENCHMARK"])
    candidate_id = register(ledger, files[0])
    document = yaml.safe_load(Path(files[0]).read_text())
    document["params"]["window"] = 61
    Path(files[0]).write_text(yaml.safe_dump(document))
    with pytest.raises(RejectedError, match="CANDIDATE_CHANGED"):
        measure_battery(candidate_id, *files, *WINDOW, ["BENCHMARK"])
