"""The robustness battery as stages: every check yields evidence of its own, judged by the profile alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from include.config.files import find_profile
from include.domain.bars import Bars, Signals
from include.domain.enums import BATTERY, Stage
from include.qualification.candidate import Candidate
from include.qualification.criterion import Comparison
from include.qualification.evidence import Evidence, rebuild_evidence
from include.qualification.profile import CriterionDocument, Profile
from include.qualification.verdict import Verdict
from include.stages.robustness import BLOCKS, CHECKS, blocks_of, run_battery
from include.strategies.trend import MovingAverageTrend
from tests.adapters.memory_market import MemoryMarket
from tests.hourly_market import DAYS, HOUR, PARAMS, START, TREND, market

NOW = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=DAYS)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
PROFILE: Profile = find_profile("two-year")


class Brittle(MovingAverageTrend):
    """Works at one value of a parameter and breaks at any other."""

    def __init__(self, *, fast: int, slow: int, weight: float) -> None:
        super().__init__(fast=fast, slow=slow, weight=weight)
        self._broken = weight != PARAMS["weight"]

    def signals(self, bars: Bars) -> Signals:
        if self._broken:
            raise RuntimeError("division by zero")
        return super().signals(bars)


def candidate(strategy: str = TREND, params: dict[str, Any] = PARAMS) -> Candidate:
    return Candidate("test", strategy, MappingProxyType(params), SYMBOLS, HOUR, "test", "ada", "ab" * 32)


def lake() -> MemoryMarket:
    found = market(symbols=SYMBOLS)
    return MemoryMarket({bars.symbol: bars for bars in found.histories}, {i.symbol: i for i in found.instruments})


def measure(
    *stages: Stage, of: Candidate | None = None, profile: Profile = PROFILE, **more: Any
) -> dict[Stage, Evidence]:
    found = run_battery(stages, of or candidate(), profile, START, END, lake(), now=NOW, **more)
    return {item.stage: item for item in found}


@pytest.fixture(scope="module")
def battery() -> dict[Stage, Evidence]:
    return measure(*BATTERY)


def test_every_check_has_a_stage_and_every_stage_of_the_battery_a_check_and_a_block() -> None:
    assert set(CHECKS) == set(BATTERY) == {stage for block in BLOCKS for stage in block}
    assert sum(len(block) for block in BLOCKS) == len(BATTERY)


@pytest.mark.parametrize("stage", BATTERY)
def test_a_check_yields_evidence_that_survives_storage(battery: dict[Stage, Evidence], stage: Stage) -> None:
    found = battery[stage]
    assert "error" not in found.details and found.metrics
    stored = json.loads(json.dumps(found.document(), allow_nan=False))
    assert rebuild_evidence(stored).digest == found.digest
    assert len(json.dumps(stored)) < 200_000


@pytest.mark.parametrize("stage", BATTERY)
def test_only_what_the_profile_asks_for_is_judged(battery: dict[Stage, Evidence], stage: Stage) -> None:
    asked = stage in PROFILE.battery
    assert bool(battery[stage].results) == asked
    if not asked:
        assert battery[stage].verdict is Verdict.INCONCLUSIVE


def test_a_random_walk_has_no_edge_that_the_battery_would_believe(battery: dict[Stage, Evidence]) -> None:
    assert battery[Stage.WALK_FORWARD].verdict is Verdict.FAIL
    deflated = battery[Stage.OVERFITTING].metrics["deflated_sharpe"].value
    assert deflated is not None and deflated < 0.95


def test_the_same_candidate_gives_the_same_evidence_again_alone_or_with_others(battery: dict[Stage, Evidence]) -> None:
    for stage in (Stage.SENSITIVITY, Stage.MONTE_CARLO, Stage.STRESS):
        assert measure(stage)[stage].digest == battery[stage].digest


def test_earlier_trials_lower_the_deflated_sharpe() -> None:
    alone = measure(Stage.OVERFITTING)[Stage.OVERFITTING].metrics["deflated_sharpe"].value
    after = measure(Stage.OVERFITTING, logged_sharpes=list(np.linspace(-3, 3, 500)))
    with_trials = after[Stage.OVERFITTING].metrics["deflated_sharpe"].value
    assert alone is not None and with_trials is not None and with_trials < alone
    assert after[Stage.OVERFITTING].details["trials"]["logged"] == 500


def test_a_check_that_breaks_is_an_error_and_the_others_go_on() -> None:
    broken = candidate(f"{__name__}:Brittle")
    found = measure(Stage.SENSITIVITY, Stage.REGIMES, of=broken)
    assert found[Stage.SENSITIVITY].verdict is Verdict.ERROR
    assert "division by zero" in found[Stage.SENSITIVITY].details["error"]
    assert "error" not in found[Stage.REGIMES].details


def test_a_candidate_without_trades_passes_nothing() -> None:
    idle = candidate("tests.adapters.strategies:Idle", {"warmup": 5})
    found = measure(*BATTERY, of=idle)
    judged = [item for stage, item in found.items() if stage in PROFILE.battery]
    assert judged and all(item.verdict is not Verdict.PASS for item in judged)


def test_a_market_that_is_too_short_is_inconclusive_not_passed() -> None:
    stages, end = (Stage.WALK_FORWARD, Stage.REGIMES, Stage.STRESS), START + timedelta(days=6)
    short = run_battery(stages, candidate(), PROFILE, START, end, lake(), now=NOW)
    assert all(item.verdict is not Verdict.PASS for item in short)
    assert short[2].metrics["stress_drawdown"].value is None


def test_progress_grows_to_one_and_names_the_check() -> None:
    seen: list[tuple[float, str]] = []
    measure(Stage.REGIMES, Stage.COSTS, progress=lambda done, what: seen.append((done, what)))
    shares = [done for done, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert {what.split(":")[0] for _, what in seen} == {"regimes", "costs"}


def test_blocks_group_the_wanted_checks_by_shared_work() -> None:
    assert blocks_of(()) == ()
    assert blocks_of(PROFILE.battery) == (
        (Stage.WALK_FORWARD, Stage.SENSITIVITY),
        (Stage.MONTE_CARLO, Stage.REGIMES),
    )


def test_a_profile_with_other_thresholds_judges_the_same_metrics_otherwise(battery: dict[Stage, Evidence]) -> None:
    criteria = dict(PROFILE.criteria)
    (only,) = criteria[Stage.REGIMES]
    strict = PROFILE.model_copy(
        update={"criteria": {**criteria, Stage.REGIMES: [only.model_copy(update={"threshold": 99.0})]}}
    )
    found = measure(Stage.REGIMES, profile=strict)[Stage.REGIMES]
    assert found.verdict is Verdict.FAIL and found.metrics == battery[Stage.REGIMES].metrics
    assert replace(found, verdict=Verdict.PASS).digest != found.digest


def test_evidence_keeps_distributions_and_not_only_quantiles(battery: dict[Stage, Evidence]) -> None:
    drawn = battery[Stage.MONTE_CARLO].details
    for kept, paths in (
        (drawn["trades"]["drawdown"], drawn["trades"]["paths"]), (drawn["days"]["wealth"], drawn["days"]["paths"]),
        (drawn["execution"]["net_profit"], drawn["execution"]["runs"]),
    ):  # fmt: skip
        assert sum(kept["histogram"]["counts"]) == paths
    found = battery[Stage.OVERFITTING].details
    assert sum(n for *_, n in found["cross_validation"]["cells"]) == found["cross_validation"]["halves"]
    assert "2012/2014" in found["deflated_sharpe"]["convention"], "the convention is stored with the number"


def test_execution_noise_is_a_criterion_like_any_other(battery: dict[Stage, Evidence]) -> None:
    wanted = CriterionDocument(metric="execution_profitable_share", op=Comparison.GE, threshold=0.95)
    strict = PROFILE.model_copy(update={"criteria": {**PROFILE.criteria, Stage.MONTE_CARLO: [wanted]}})
    found = measure(Stage.MONTE_CARLO, profile=strict)[Stage.MONTE_CARLO]
    assert found.verdict is Verdict.FAIL
    assert found.results[0].reason.startswith("execution_profitable_share >= 95 %: measured 0.00 %")
