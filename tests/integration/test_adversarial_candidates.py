"""Candidates that look good and are not, each stopped by the gate that was built for its kind, and by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from include.backtesting.portfolio import Market
from include.backtesting.sweep import run_sweep
from include.config.files import find_profile
from include.domain.bars import Bars, FloatArray
from include.domain.enums import Stage
from include.domain.times import to_ms
from include.qualification.candidate import Candidate
from include.qualification.criterion import Comparison
from include.qualification.evidence import Evidence
from include.qualification.profile import CriterionDocument, Profile
from include.qualification.verdict import Verdict
from include.stages.backtest import run_backtest
from include.stages.robustness import run_battery
from include.validators.costs import scaled
from tests.adapters import adversaries
from tests.adapters.memory_market import MemoryMarket
from tests.hourly_market import HOUR, START, bars_of, instrument

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 400
END = START + timedelta(days=DAYS)
HOURS = DAYS * 24


def criterion(metric: str, op: Comparison, threshold: float) -> CriterionDocument:
    return CriterionDocument(metric=metric, op=op, threshold=threshold)


PROFILE: Profile = find_profile("two-year").model_copy(
    update={
        "criteria": {
            **find_profile("two-year").criteria,
            Stage.OVERFITTING: [criterion("deflated_sharpe", Comparison.GE, 0.95)],
            Stage.STRESS: [criterion("stress_drawdown", Comparison.LE, 0.20)],
            Stage.COSTS: [criterion("break_even_slippage_bps", Comparison.GE, 1.0)],
        }
    }
)
"""What a user who knows these tricks would ask for on top of the shipped two-year profile."""


def candidate(strategy: type, **params: Any) -> Candidate:
    name = f"{strategy.__module__}:{strategy.__name__}"
    return Candidate("trick", name, MappingProxyType(params), ("BTC/USDT",), HOUR, "test", "eve", "ab" * 32)


def lake(bars: Bars, costs: Decimal = Decimal(1)) -> MemoryMarket:
    return MemoryMarket({bars.symbol: bars}, {bars.symbol: scaled(instrument(), costs)})


def walk(seed: int = 7, deviation: float = 0.004, drift: FloatArray | float = 0.0) -> Bars:
    moves = deviation * np.random.default_rng(seed).standard_normal(HOURS) + drift
    return bars_of(100 * np.exp(np.cumsum(moves)))


def check(stage: Stage, of: Candidate, market: MemoryMarket, **more: Any) -> Evidence:
    (found,) = run_battery((stage,), of, PROFILE, START, END, market, now=NOW, **more)
    assert "error" not in found.details
    return found


@pytest.mark.parametrize(
    ("strategy", "metric"),
    [
        (adversaries.CentredWindow, "lookahead_rows"),
        (adversaries.NextClose, "lookahead_rows"),
        (adversaries.WholeSampleScore, "lookahead_rows"),
        (adversaries.WarmupLiar, "warmup_mismatches"),
    ],
)
def test_who_looks_ahead_or_lies_about_his_memory_is_named(strategy: type, metric: str) -> None:
    evidence = run_backtest(candidate(strategy), PROFILE, START, END, lake(walk()), now=NOW).evidence
    assert evidence.verdict is Verdict.FAIL
    (result,) = [r for r in evidence.results if r.criterion.metric == metric]
    assert result.verdict is Verdict.FAIL and metric in result.reason


def test_the_best_of_five_hundred_coin_tosses_is_no_skill() -> None:
    bars = walk()
    seeds = [{"seed": seed} for seed in range(1, 501)]
    name = f"{adversaries.__name__}:Noise"
    cheap = Decimal("0.2")
    market = Market((bars,), (scaled(instrument(), cheap),), START)
    trials = run_sweep(name, seeds, market, Decimal(800_000)).trials
    sharpes = [trial.sharpe or 0.0 for trial in trials]
    best = int(np.argmax(sharpes))
    pick = candidate(adversaries.Noise, **trials[best].params)
    found = check(Stage.OVERFITTING, pick, lake(bars, cheap), logged_sharpes=sharpes)
    alone, deflated = (found.metrics[name].value for name in ("probabilistic_sharpe", "deflated_sharpe"))
    assert alone is not None and alone > 0.95, "on its own the pick looks like skill"
    assert deflated is not None and deflated < 0.95
    assert found.verdict is Verdict.FAIL


def test_a_spike_in_parameter_space_is_no_plateau() -> None:
    hour = np.arange(HOURS) % 16
    bars = walk(drift=np.where(hour == 8, 0.01, np.where(hour == 9, -0.01, 0.0)))
    base = to_ms(START) // HOUR.ms % 16
    pick = candidate(adversaries.HourOfDay, phase=int((base + 7) % 16), length=1, cycle=16)
    found = check(Stage.SENSITIVITY, pick, lake(bars))
    own = found.details["points"][0]
    assert own["sharpe"] > 2, "the pick itself looks excellent"
    assert found.verdict is Verdict.FAIL and "parameter_plateau" in found.results[0].reason


def test_one_lucky_day_covers_no_regime_and_does_not_walk_forward() -> None:
    lucky = 200
    drift = np.zeros(HOURS)
    drift[lucky * 24 + 3] = 0.5
    pick = candidate(adversaries.OneDay, day_ms=float(to_ms(START + timedelta(days=lucky))))
    market = lake(walk(drift=drift))
    assert check(Stage.REGIMES, pick, market).verdict is Verdict.FAIL
    assert check(Stage.WALK_FORWARD, pick, market).verdict is not Verdict.PASS
    assert check(Stage.MONTE_CARLO, pick, market).verdict is not Verdict.PASS


def test_small_wins_with_a_hidden_tail_fail_the_stress_test() -> None:
    calm = np.random.default_rng(3)
    level = np.zeros(HOURS)
    for hour in range(1, HOURS):  # a market that always came back so far
        level[hour] = 0.9 * level[hour - 1] + 0.003 * calm.standard_normal()
    market = lake(bars_of(100 * np.exp(level)))
    pick = candidate(adversaries.DipBuyer, window=24, dip=0.002, profit=0.004)
    traded = run_backtest(pick, PROFILE, START, END, market, now=NOW).evidence
    rate = traded.metrics["win_rate"].value
    assert rate is not None and rate > 0.99, "hardly a losing trade in its life"
    found = check(Stage.STRESS, pick, market)
    assert found.verdict is Verdict.FAIL and "stress_drawdown" in found.results[0].reason


def reverting(strength: FloatArray) -> Bars:
    """Prices around a slow walk that pull back to it by `strength` each hour."""
    random = np.random.default_rng(11)
    slow, gap = np.cumsum(0.001 * random.standard_normal(HOURS)), np.zeros(HOURS)
    for hour in range(1, HOURS):
        gap[hour] = (1 - strength[hour]) * gap[hour - 1] + 0.004 * random.standard_normal()
    return bars_of(100 * np.exp(slow + gap))


def test_a_scalper_that_lives_on_costs_nobody_gets_is_stopped_by_the_cost_check() -> None:
    bars = reverting(np.full(HOURS, 0.05))
    pick = candidate(adversaries.Reverter, window=4)
    free = check(Stage.COSTS, pick, lake(bars, costs=Decimal(0)))
    multiple = Decimal(str(free.details["break_even_fee_bps"] or 0.0)) / Decimal(6)  # to within a basis point
    found = check(Stage.COSTS, pick, lake(bars, costs=multiple))
    assert (free.metrics["break_even_slippage_bps"].value or 0.0) > 1.0, "without costs it earns"
    assert found.verdict is not Verdict.PASS


def test_an_edge_that_died_does_not_walk_forward() -> None:
    strength = np.where(np.arange(HOURS) < 0.35 * HOURS, 0.5, 0.0)
    pick = candidate(adversaries.Reverter, window=6)
    market = lake(reverting(strength))
    traded = run_backtest(pick, PROFILE, START, START + timedelta(days=int(0.35 * DAYS)), market, now=NOW).evidence
    early = traded.metrics["sharpe"].value
    assert early is not None and early > 2, "while the edge lived it looked excellent"
    found = check(Stage.WALK_FORWARD, pick, market)
    assert found.verdict is Verdict.FAIL and any("out_of_sample_sharpe" in r.reason for r in found.results)


def test_an_honest_edge_on_the_same_market_passes_the_same_checks() -> None:
    """The control: what the tricks only pretend to, the battery does let through."""
    market = lake(reverting(np.full(HOURS, 0.6)), costs=Decimal("0.2"))
    pick = candidate(adversaries.Reverter, window=6, weight=0.2)
    stages = (Stage.WALK_FORWARD, Stage.SENSITIVITY, Stage.OVERFITTING, Stage.REGIMES, Stage.COSTS, Stage.STRESS)
    found = run_battery(stages, pick, PROFILE, START, END, market, now=NOW)
    assert {item.stage: item.verdict for item in found} == dict.fromkeys(stages, Verdict.PASS)
