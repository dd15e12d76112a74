"""Candidates that look good and are not, each stopped by the gate that was built for its kind, and by name."""

from __future__ import annotations

from dataclasses import replace
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
DEAD_START, DEATH, DEAD_END = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2021, 2025))


def criterion(metric: str, op: Comparison, threshold: float) -> CriterionDocument:
    return CriterionDocument(metric=metric, op=op, threshold=threshold)


PROFILE: Profile = find_profile("two-year").model_copy(
    update={
        "criteria": {
            **find_profile("two-year").criteria,
            Stage.OVERFITTING: [criterion("deflated_sharpe", Comparison.GE, 0.95)],
            Stage.STRESS: [criterion("stress_drawdown", Comparison.LE, 0.20)],
            Stage.COSTS: [criterion("break_even_slippage_bps", Comparison.GE, 1.0)],
            Stage.WALK_FORWARD: [
                *find_profile("two-year").criteria[Stage.WALK_FORWARD],
                criterion("walk_forward_profitable_folds", Comparison.GE, 0.6),
            ],
            Stage.REGIMES: [
                criterion("regimes_covered", Comparison.GE, 3.0),
                criterion("worst_regime_sharpe", Comparison.GE, 0.0),
            ],
            Stage.MONTE_CARLO: [
                criterion("monte_carlo_drawdown", Comparison.LT, 0.20),
                criterion("execution_profitable_share", Comparison.GE, 0.95),
            ],
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


def stopped_by(evidence: Evidence, metric: str) -> bool:
    """Whether it fails, and by the criterion that was made for it."""
    failed = [r for r in evidence.results if r.verdict is Verdict.FAIL and r.criterion.metric == metric]
    return evidence.verdict is Verdict.FAIL and len(failed) == 1 and failed[0].reason.startswith(f"{metric} ")


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
    assert stopped_by(evidence, metric)
    count = evidence.metrics[metric].value
    assert count is not None and count > 0


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
    alone = found.metrics["probabilistic_sharpe"].value
    assert alone is not None and alone > 0.95, "on its own the pick looks like skill"
    assert stopped_by(found, "deflated_sharpe")


def test_a_spike_in_parameter_space_is_no_plateau() -> None:
    hour = np.arange(HOURS) % 16
    bars = walk(drift=np.where(hour == 8, 0.01, np.where(hour == 9, -0.01, 0.0)))
    base = to_ms(START) // HOUR.ms % 16
    pick = candidate(adversaries.HourOfDay, phase=int((base + 7) % 16), length=1, cycle=16)
    found = check(Stage.SENSITIVITY, pick, lake(bars))
    own = found.details["points"][0]
    assert own["sharpe"] > 2, "the pick itself looks excellent"
    assert stopped_by(found, "parameter_plateau")


def test_one_lucky_day_covers_no_regime_and_does_not_walk_forward() -> None:
    lucky = 200
    drift = np.zeros(HOURS)
    drift[lucky * 24 + 3] = 0.5
    pick = candidate(adversaries.OneDay, day_ms=float(to_ms(START + timedelta(days=lucky))))
    market = lake(walk(drift=drift))
    profit = run_backtest(pick, PROFILE, START, END, market, now=NOW).evidence.metrics["total_return"].value
    assert profit is not None and profit > 0.4, "the year of its life"
    assert stopped_by(check(Stage.REGIMES, pick, market), "regimes_covered")
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
    assert stopped_by(found, "stress_drawdown")


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
    assert stopped_by(found, "break_even_slippage_bps")


def test_a_scalper_whose_edge_is_thinner_than_the_noise_of_execution_is_stopped_by_the_monte_carlo_check() -> None:
    bars = reverting(np.full(HOURS, 0.05))
    pick = candidate(adversaries.Reverter, window=4)
    free = check(Stage.COSTS, pick, lake(bars, costs=Decimal(0)))
    fee = Decimal(str(free.details["break_even_fee_bps"])) - Decimal("0.5")
    declared = replace(scaled(instrument(), Decimal(0)), taker_fee_rate=fee / 10_000)  # no spread, no slippage: a dream
    market = MemoryMarket({bars.symbol: bars}, {bars.symbol: declared})
    traded = run_backtest(pick, PROFILE, START, END, market, now=NOW).evidence.metrics["net_profit"].value
    assert traded is not None and traded > 0, "as long as every order is filled at once and at the touch it earns"
    assert stopped_by(check(Stage.MONTE_CARLO, pick, market), "execution_profitable_share")


@pytest.fixture(scope="module")
def dead_after_2020() -> tuple[Candidate, MemoryMarket]:
    """Five years: the market reverts and is calm until the end of 2020, and neither afterwards."""
    hours = (DEAD_END - DEAD_START).days * 24
    alive = np.arange(hours) < (DEATH - DEAD_START).days * 24
    random = np.random.default_rng(11)
    slow, gap = np.cumsum(0.001 * random.standard_normal(hours)), np.zeros(hours)
    for hour in range(1, hours):
        kept, noise = (0.5, 0.004) if alive[hour] else (1.0, 0.007)
        gap[hour] = kept * gap[hour - 1] + noise * random.standard_normal()
    bars = bars_of(100 * np.exp(slow + gap), start=DEAD_START)
    return candidate(adversaries.Reverter, window=6, weight=0.05), lake(bars, Decimal("0.5"))


def test_while_it_lived_the_edge_that_died_looked_excellent(dead_after_2020: tuple[Candidate, MemoryMarket]) -> None:
    pick, market = dead_after_2020
    early = run_backtest(pick, PROFILE, DEAD_START, DEATH, market, now=NOW).evidence.metrics["sharpe"].value
    assert early is not None and early > 2


@pytest.mark.parametrize(
    ("stage", "metric"),
    [(Stage.WALK_FORWARD, "out_of_sample_sharpe"), (Stage.WALK_FORWARD, "walk_forward_profitable_folds"),
     (Stage.REGIMES, "worst_regime_sharpe")],
)  # fmt: skip
def test_an_edge_that_died_after_2020_does_not_walk_forward_and_loses_in_the_regimes_since(
    dead_after_2020: tuple[Candidate, MemoryMarket], stage: Stage, metric: str
) -> None:
    pick, market = dead_after_2020
    (found,) = run_battery((stage,), pick, PROFILE, DEAD_START, DEAD_END, market, now=NOW)
    assert "error" not in found.details and stopped_by(found, metric)


def test_an_honest_edge_on_the_same_market_passes_the_same_checks() -> None:
    """The control: what the tricks only pretend to, the battery does let through."""
    market = lake(reverting(np.full(HOURS, 0.6)), costs=Decimal("0.2"))
    pick = candidate(adversaries.Reverter, window=6, weight=0.2)
    stages = tuple(PROFILE.battery)
    assert set(stages) == {Stage.WALK_FORWARD, Stage.SENSITIVITY, Stage.MONTE_CARLO, Stage.REGIMES, Stage.COSTS,
                           Stage.OVERFITTING, Stage.STRESS}  # fmt: skip
    found = run_battery(stages, pick, PROFILE, START, END, market, now=NOW)
    assert {item.stage: item.verdict for item in found} == dict.fromkeys(stages, Verdict.PASS)
