"""The robustness battery: each check is a stage that measures one candidate and yields evidence of its own.

A profile demands a check by giving its stage criteria. Checks that need the same expensive work stand in one block, so
that one process does it once and several processes can share the battery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np

from include.backtesting.bootstrap import daily_intervals
from include.backtesting.daily_moves import DailyMoves, daily_moves
from include.backtesting.sweep import Trial
from include.domain.bars import FloatArray
from include.domain.enums import Stage
from include.domain.errors import AirlockError
from include.domain.times import DAYS_PER_YEAR, iso
from include.ports import MarketData, Progress, no_progress
from include.qualification.candidate import Candidate
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.qualification.profile import Profile
from include.validators.benchmark import compare_with_holding
from include.validators.capacity import study_capacity
from include.validators.costs import study_costs
from include.validators.cscv import Overfitting, TrialReturns
from include.validators.distributions import share
from include.validators.execution_noise import disturb_execution
from include.validators.future_bars import refuse_future_bars
from include.validators.monte_carlo import bootstrap_days, reshuffle_trades
from include.validators.overfitting import assess_overfitting
from include.validators.regimes import study_regimes
from include.validators.samples import Unanswered, collect
from include.validators.sensitivity import heat_map, kept_cells, measure_sensitivity
from include.validators.sharpe_inference import summarise_trials
from include.validators.stress import stress
from include.validators.study import Study
from include.validators.walk_forward import Scheme, walk_forward

BLOCKS: tuple[tuple[Stage, ...], ...] = (
    (Stage.WALK_FORWARD, Stage.SENSITIVITY, Stage.OVERFITTING),  # share the sweep of the neighbourhood
    (Stage.MONTE_CARLO, Stage.REGIMES, Stage.COSTS, Stage.STRESS, Stage.BENCHMARK, Stage.CAPACITY),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check measured: metrics by name, and plain JSON for evidence and report."""

    metrics: Mapping[str, Measurement]
    details: Mapping[str, Any]


def blocks_of(stages: Iterable[Stage]) -> tuple[tuple[Stage, ...], ...]:
    """The wanted checks grouped by shared work; empty groups left out."""
    wanted = set(stages)
    grouped = (tuple(stage for stage in block if stage in wanted) for block in BLOCKS)
    return tuple(block for block in grouped if block)


def run_battery(
    stages: Sequence[Stage],
    candidate: Candidate,
    profile: Profile,
    start: datetime,
    end: datetime,
    market_data: MarketData,
    *,
    now: datetime,
    logged_sharpes: Sequence[float | None] = (),
    progress: Progress = no_progress,
) -> tuple[Evidence, ...]:
    """Measure a candidate by each check on [start, end); one that breaks is ERROR, and the others go on.

    Args:
        stages: members of `domain.enums.BATTERY`; those of one block share their work.
        logged_sharpes: annualised Sharpe ratios of earlier trials of the strategy's family; None counts as a trial.
    """
    window = {"from": iso(start), "to": iso(end), "venue": candidate.venue, "symbols": list(candidate.symbols)}
    synthetic = market_data.is_synthetic(candidate.venue)
    study = Study(candidate, start, end, market_data, Decimal(repr(profile.initial_capital)), logged_sharpes)
    evidence: list[Evidence] = []
    for number, stage in enumerate(stages):

        def report(done: float, what: str, number: int = number, stage: Stage = stage) -> None:
            progress((number + done) / len(stages), f"{stage.value.lower().replace('_', ' ')}: {what}")

        study.progress = report
        fingerprint, findings, error = "", Findings({}, {}), ""
        try:
            refuse_future_bars(market_data, candidate, end, now)
            fingerprint = market_data.fingerprint(candidate.venue, candidate.symbols, candidate.timeframe, start, end)
            findings = CHECKS[stage](study, profile)
        except AirlockError as broken:
            error = str(broken)
        evidence.append(
            build_evidence(
                candidate=candidate,
                stage=stage,
                profile=profile,
                fingerprint=fingerprint,
                measured_at=now,
                metrics=findings.metrics,
                synthetic=synthetic,
                details={"window": window, **findings.details},
                error=error,
            )
        )
        report(1.0, "done")
    return tuple(evidence)


def _walk_forward(study: Study, _: Profile) -> Findings:
    sweep = study.neighbourhood.sweep
    rolling, anchored = (
        walk_forward(
            study.candidate.strategy, sweep, study.market, study.capital, purge_days=study.purge_days, scheme=scheme,
            progress=study.progress,
        )
        for scheme in (Scheme.ROLLING, Scheme.ANCHORED)
    )  # fmt: skip
    interval = daily_intervals(DailyMoves.of_returns(rolling.returns), study.seed).sharpe
    low, high = interval or (None, None)
    days = len(rolling.returns)
    metrics = {
        "walk_forward_folds": Measurement(float(rolling.completed), samples=len(rolling.folds)),
        "out_of_sample_sharpe": Measurement(rolling.sharpe, low, high, days),
        "out_of_sample_sharpe_anchored": Measurement(anchored.sharpe, samples=len(anchored.returns)),
        "walk_forward_profitable_folds": share(rolling.profitable, len(rolling.folds), len(rolling.folds)),
        "walk_forward_efficiency": Measurement(rolling.efficiency, samples=len(rolling.folds)),
    }
    return Findings(
        metrics,
        {"purge_days": study.purge_days, "points": len(sweep.trials), "rolling": rolling.document(),
         "anchored": anchored.document()},
    )  # fmt: skip


def _sensitivity(study: Study, _: Profile) -> Findings:
    points, sweep, names = study.neighbourhood.points, study.neighbourhood.sweep, study.neighbourhood.plane
    trials = {trial.index: trial for trial in sweep.trials}
    found = measure_sensitivity(points, trials)
    table = [
        {"multiples": dict(points[i].multiples), "sharpe": trial.sharpe, "net_profit": trial.net_profit,
         "trades": trial.trades}
        for i, trial in trials.items()
    ]  # fmt: skip
    return Findings(
        found.measurements(),
        {**found.document(), "points": table, "refused": list(sweep.refused), "heat_map": list(names),
         "cells": heat_map(points, trials, names), "kept": kept_cells(points, trials, names)},
    )  # fmt: skip


def _overfitting(study: Study, _: Profile) -> Findings:
    sweep = study.neighbourhood.sweep
    tried = [*(trial.sharpe for trial in sweep.trials), *study.logged_sharpes]
    trials = summarise_trials(tried, periods_per_year=DAYS_PER_YEAR)
    usable = tuple(trial for trial in sweep.trials if trial.sharpe is not None)
    table = TrialReturns(sweep.day_ms, tuple(str(t.index) for t in usable), _table(usable, len(sweep.day_ms)))
    results = assess_overfitting(study.own.returns, trials, table)
    metrics, unanswered = collect(results)
    counts = {"neighbourhood": len(sweep.trials), "logged": len(study.logged_sharpes)}
    found = {
        name: result.document(DAYS_PER_YEAR) if isinstance(result, Overfitting) else _plain(result)
        for name, result in results.items()
        if not isinstance(result, Unanswered)
    }
    return Findings(metrics, {**found, "trials": counts, "unanswered": unanswered})


def _monte_carlo(study: Study, profile: Profile) -> Findings:
    limit = profile.risk.max_drawdown_fraction
    own = study.own
    results = {
        "trades": reshuffle_trades(own.trades.pnl, own.capital, ruin_fraction=0.5, seed=study.seed),
        "days": bootstrap_days(daily_moves(own.curve, own.capital), drawdown_limit=limit, seed=study.seed),
        "execution": disturb_execution(
            study.strategy, study.market, study.capital, seed=study.seed, progress=study.progress
        ),
    }
    metrics, unanswered = collect(results)
    found = {name: _plain(r) for name, r in results.items() if not isinstance(r, Unanswered)}
    return Findings(metrics, {**found, "drawdown_limit": limit, "unanswered": unanswered})


def _regimes(study: Study, _: Profile) -> Findings:
    found = study_regimes(study.market, study.own)
    return Findings(found.measurements(), found.document())


def _costs(study: Study, _: Profile) -> Findings:
    found = study_costs(study.strategy, study.market, study.capital, study.own, study.progress)
    return Findings(found.measurements(), found.document())


def _stress(study: Study, _: Profile) -> Findings:
    found = stress(study.strategy, study.market, study.capital, seed=study.seed, progress=study.progress)
    return Findings(found.measurements(), found.document())


def _benchmark(study: Study, _: Profile) -> Findings:
    found = compare_with_holding(study.market, study.capital, study.own)
    return Findings(found.measurements(), found.document())


def _capacity(study: Study, profile: Profile) -> Findings:
    rungs = sorted({*profile.promotion.capital_steps, 2.0, 5.0, 10.0, 50.0, 100.0})
    found = study_capacity(study.market, study.own, rungs)
    return Findings(found.measurements(), found.document())


CHECKS: Mapping[Stage, Callable[[Study, Profile], Findings]] = MappingProxyType(
    {
        Stage.WALK_FORWARD: _walk_forward,
        Stage.SENSITIVITY: _sensitivity,
        Stage.MONTE_CARLO: _monte_carlo,
        Stage.REGIMES: _regimes,
        Stage.COSTS: _costs,
        Stage.OVERFITTING: _overfitting,
        Stage.STRESS: _stress,
        Stage.BENCHMARK: _benchmark,
        Stage.CAPACITY: _capacity,
    }
)
"""How each member of `BATTERY` is measured."""


def _table(trials: Sequence[Trial], days: int) -> FloatArray:
    """Daily returns, shape (days, trials)."""
    return np.column_stack([trial.returns for trial in trials]) if trials else np.empty((days, 0))


def _plain(value: Any) -> Any:
    """Plain JSON of a result: dataclasses and mappings as objects, arrays as lists of six digits."""
    if isinstance(value, np.ndarray):
        return np.round(value, 6).tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 9) if isinstance(value, float) else value
