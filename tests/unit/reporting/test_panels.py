"""Panels: evidence of a check in, figures as plain data out; what cannot be drawn is said, never invented."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from include.backtesting.equity import DailyEquity
from include.backtesting.trades import Trades
from include.config.files import find_profile
from include.domain.enums import BATTERY, Stage
from include.domain.times import DAY_MS, to_ms
from include.qualification.criterion import Measurement
from include.qualification.evidence import Evidence, build_evidence
from include.reporting.battery_panels import PANELS, UNREADABLE, build_panel, held_equity
from include.reporting.figures import POINTS, Figure, Panel, thinned
from include.reporting.panels_money import zero_crossing
from include.reporting.panels_performance import (
    equity_figure,
    honesty_table,
    longest_run,
    trades_figure,
    trades_table,
)
from include.reporting.scene import Scene
from tests.samples import sample_candidate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = to_ms(datetime(2024, 1, 1, tzinfo=UTC))
PROFILE = find_profile("two-year")
CANDIDATE = sample_candidate("panels", fast=10, slow=2.0)
HOSTILE = "<img src=x onerror=alert(1)>"
QUANTILES = {"0.01": 0.01, "0.05": 0.02, "0.25": 0.03, "0.5": 0.04, "0.75": 0.05, "0.95": 0.08, "0.99": 0.1}
DAILY = DailyEquity(START + np.arange(90, dtype=np.int64) * DAY_MS, np.linspace(1e3, 2e3, 90), np.full(90, 0.01))
SCENE = Scene({"fast": 10, "slow": 2.0}, 1_000.0, (0.1, 0.5, 1.0), DAILY, {"sharpe": Measurement(2.0)})


def evidence(stage: Stage, details: dict[str, Any], error: str = "", **metrics: float | None) -> Evidence:
    measured = {name: Measurement(value) for name, value in metrics.items()}
    return build_evidence(
        candidate=CANDIDATE, stage=stage, profile=PROFILE, fingerprint="d" * 64, measured_at=NOW, metrics=measured,
        synthetic=True, details=details, error=error,
    )  # fmt: skip


def panel(stage: Stage, details: dict[str, Any], scene: Scene = SCENE, **metrics: float | None) -> Panel:
    found = build_panel(evidence(stage, details, **metrics), scene)
    assert UNREADABLE not in found.notes
    for figure in found.figures:
        json.dumps([figure.data, figure.layout], allow_nan=False)
        assert figure.label and figure.caption and figure.layout["height"] >= 100
    return found


def named(figure: Figure, name: str) -> dict[str, Any]:
    return next(trace for trace in figure.data if trace.get("name") == name)


def fold(month: int, train: float | None, test: float | None, params: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "train": ["2024-01-01T00:00:00Z", f"2024-{month:02d}-01T00:00:00Z"],
        "test": [f"2024-{month:02d}-02T00:00:00Z", f"2024-{month:02d}-28T00:00:00Z"], "params": params,
        "train_sharpe": train, "test_sharpe": test, "trades": 3, "net_profit": 12.5,
    }  # fmt: skip


def walk_forward(folds: list[dict[str, Any]]) -> dict[str, Any]:
    scheme = {"folds": folds, "sharpe": 1.0, "equity": {"day": ["2024-05-02", "2024-05-03"], "value": [1.0, 1.1]}}
    return {"purge_days": 1, "points": 9, "rolling": scheme, "anchored": scheme}


def test_every_check_of_the_battery_has_a_panel() -> None:
    assert set(PANELS) == set(BATTERY)


def test_walk_forward_shows_each_fold_in_and_out_of_sample_with_what_was_chosen() -> None:
    folds = [fold(5, 2.0, -1.0, {"fast": 15, "slow": 2.0}), fold(6, 1.5, None, {"fast": 10, "slow": 2.0}),
             fold(7, None, None, None)]  # fmt: skip
    found = panel(Stage.WALK_FORWARD, walk_forward(folds))
    (figure,) = found.figures
    assert named(figure, "Sharpe in sample")["y"] == [2.0, 1.5, None]
    assert named(figure, "Sharpe out of sample")["y"] == [-1.0, None, None]
    assert named(figure, "Sharpe out of sample")["marker"]["color"][0] == "--fail"
    assert {"equity, rolling", "equity, anchored"} <= {trace["name"] for trace in figure.data}
    assert [row[2] for row in found.tables[0].rows] == ["fast=15", "the candidate's own", "nothing could be chosen"]


@pytest.mark.parametrize(("end", "kind"), [(1.1, "linear"), (50.0, "log"), (0.0, "linear")])
def test_stitched_equity_that_spans_decades_has_a_log_axis(end: float, kind: str) -> None:
    details = walk_forward([fold(5, 2.0, 1.0, {"fast": 10})])
    details["rolling"]["equity"]["value"] = [1.0, end]
    (figure,) = panel(Stage.WALK_FORWARD, details).figures
    assert figure.layout["yaxis3"]["type"] == kind


def test_a_walk_forward_without_a_fold_says_so() -> None:
    found = panel(Stage.WALK_FORWARD, walk_forward([]))
    assert not found.figures and "too short" in found.notes[0]


def sensitivity(names: list[str], refused: list[str]) -> dict[str, Any]:
    points = [{"multiples": {}, "sharpe": 2.0, "net_profit": 10.0, "trades": 5}]
    points += [{"multiples": {"fast": m}, "sharpe": m, "net_profit": m, "trades": 4} for m in (0.5, 1.5)]
    return {
        "plateau": 0.5, "near": 4, "influence": {"slow": 0.5, "fast": 1.0}, "worst": {"fast": 0.75}, "points": points,
        "refused": refused, "heat_map": names, "cells": [[1.0, None, 2.0, 3.0, -4.0]] * 5,
    }  # fmt: skip


def test_sensitivity_shows_heat_map_profile_and_what_was_refused() -> None:
    found = panel(Stage.SENSITIVITY, sensitivity(["fast", "slow"], ["fast must be below slow"]))
    heat, profile = found.figures
    assert heat.data[0]["z"][0] == [1.0, None, 2.0, 3.0, -4.0] and heat.data[0]["zmax"] == -heat.data[0]["zmin"] == 4.0
    assert heat.layout["yaxis"]["ticktext"][0] == "5<br>×0.5" and heat.layout["xaxis"]["ticktext"][-1] == "3<br>×1.5"
    assert named(profile, "fast")["x"] == [0.5, 1.0, 1.5] and named(profile, "fast")["y"] == [0.5, 2.0, 1.5]
    assert [row[0] for row in found.tables[0].rows] == ["fast", "slow"]
    assert "fast must be below slow" in found.notes[-1]


def test_the_heat_map_frames_the_cells_that_keep_their_profit_and_says_the_plateau() -> None:
    kept = [[False] * 5, [False, True, False, False, False], *[[False] * 5] * 3]
    heat = panel(Stage.SENSITIVITY, {**sensitivity(["fast", "slow"], []), "kept": kept}).figures[0]
    cell, near, own = heat.layout["shapes"]
    assert (cell["x0"], cell["x1"], cell["y0"], cell["y1"]) == pytest.approx((0.58, 1.42, 0.58, 1.42))
    assert (near["x0"], near["x1"]) == (0.5, 3.5) and (own["x0"], own["x1"]) == (1.5, 2.5)
    assert "Plateau: 50 %" in heat.caption


def test_a_candidate_with_one_parameter_has_no_heat_map() -> None:
    assert len(panel(Stage.SENSITIVITY, sensitivity(["fast"], [])).figures) == 1


def monte_carlo(**more: Any) -> dict[str, Any]:
    spread = {"quantiles": QUANTILES, "realised": 0.04, "realised_percentile": 0.5}
    fan = {"steps": [0, 1, 2], "levels": [[1, 0.9, 0.8], [1, 0.95, 0.9], [1, 1, 1], [1, 1.1, 1.2], [1, 1.2, 1.4]],
           "realised": [1, 1.05, 1.1]}  # fmt: skip
    return {
        "trades": {"trades": 60, "paths": 100, "ruin_fraction": 0.5, "drawdown": spread, "fan": fan},
        "days": {"days": 90, "paths": 100, "block": 2.5, "drawdown": spread, "wealth": spread, "fan": fan},
        "drawdown_limit": 0.2, "unanswered": {}, **more,
    }  # fmt: skip


def test_monte_carlo_shows_fans_and_drawdowns_with_what_happened() -> None:
    found = panel(Stage.MONTE_CARLO, monte_carlo())
    trades, days, drawdown = found.figures
    assert named(trades, "what happened")["y"] == named(days, "what happened")["y"] == [1, 1.05, 1.1]
    assert named(drawdown, "happened")["x"] == [0.04, 0.04]
    assert drawdown.layout["shapes"][0]["x0"] == 0.2
    assert len(found.tables[0].rows) == 3


def test_a_drawdown_limit_far_beyond_the_paths_is_said_instead_of_drawn() -> None:
    drawdown = panel(Stage.MONTE_CARLO, monte_carlo(drawdown_limit=0.9)).figures[-1]
    assert drawdown.layout["shapes"] == [] and "90.0 %, is far to the right" in drawdown.caption


def with_noise(realised: float) -> dict[str, Any]:
    """Details of this version: histograms and execution noise."""
    counted = {"histogram": {"edges": [100.0, 150.0, 200.0], "counts": [30, 10]}}
    details = monte_carlo()
    for key in ("trades", "days"):
        details[key] = {**details[key], "drawdown": {**details[key]["drawdown"], **counted}}
    details["days"]["wealth"] = {**details["days"]["wealth"], **counted}
    spread = {"quantiles": dict.fromkeys(QUANTILES, 150.0), **counted, "realised": realised, "realised_percentile": 1.0}
    return {
        **details,
        "execution": {
            "runs": 40, "trades": 60, "slippage_bps": {"A": 1.5, HOSTILE: 2.0}, "fan": details["days"]["fan"],
            "noise": {"slippage": 1.0, "missed": 0.05, "late": 0.1, "most_bars": 3}, "net_profit": spread,
            "sharpe": None, "drawdown": {**spread, "quantiles": QUANTILES},
            "alone": [{"name": HOSTILE, "net_profit": 170.0, "profitable": 20}],
        },
    }  # fmt: skip


def test_monte_carlo_shows_how_often_which_drawdown_and_result_came_and_what_noise_costs() -> None:
    found = panel(Stage.MONTE_CARLO, with_noise(220.0))
    *_, drawdowns, wealth, noise = found.figures
    assert [trace["y"] for trace in drawdowns.data] == [[30, 10], [30, 10]] and len(wealth.data) == 1
    assert drawdowns.data[0]["x"] == [125.0, 175.0] and drawdowns.data[1]["yaxis"] == "y2"
    bars = noise.data[1]
    assert bars["x"] == [220.0, 170.0, 150.0] and "<img" not in json.dumps([noise.data, noise.layout])
    assert noise.layout["shapes"][0]["x0"] == 220.0
    assert (
        "slips 1.5 to 2.0 basis points more" in found.notes[-1] and "5 % of the entries are missed" in found.notes[-1]
    )
    assert len(found.tables[0].rows) == 5


def test_an_undisturbed_run_far_from_all_noisy_ones_is_said_instead_of_drawn() -> None:
    noise = panel(Stage.MONTE_CARLO, with_noise(9_000.0)).figures[-1]
    assert noise.layout["shapes"] == [] and "far off" in noise.caption


def test_what_monte_carlo_could_not_answer_is_named_with_its_reason() -> None:
    details = {"drawdown_limit": 0.2, "unanswered": {"days": "OBSERVATIONS_TOO_FEW days=3 needed=30"}}
    found = panel(Stage.MONTE_CARLO, details)
    assert not found.figures
    assert "OBSERVATIONS_TOO_FEW days=3 needed=30" in found.notes[0]


def regimes(runs: list[dict[str, str]]) -> dict[str, Any]:
    row = {"regime": "CALM_UP", "days": 30, "trades": 40, "win_rate": None, "profit_factor": None, "net_profit": 1.0,
           "sharpe": None, "covered": True}  # fmt: skip
    return {"regimes": [row], "runs": runs, "window": {"to": "2024-03-31T00:00:00Z"}}


@pytest.mark.parametrize("daily", [DAILY, None], ids=["with equity", "without"])
def test_regimes_are_strips_from_each_run_to_the_next(daily: DailyEquity | None) -> None:
    runs = [{"from": "2024-03-01", "regime": "CALM_UP"}, {"from": "2024-03-10", "regime": "VOLATILE_DOWN"},
            {"from": "2024-03-20", "regime": "CALM_UP"}]  # fmt: skip
    (figure,) = panel(Stage.REGIMES, regimes(runs), replace(SCENE, daily=daily)).figures
    assert named(figure, "calm, up")["x"] == ["2024-03-01", "2024-03-10", None, "2024-03-20", "2024-03-31", None]
    assert ("equity" in {trace["name"] for trace in figure.data}) is (daily is not None)


def test_a_history_too_short_for_regimes_says_so() -> None:
    found = panel(Stage.REGIMES, regimes([]))
    assert not found.figures and "too short" in found.notes[0]


def costs(profits: tuple[float, ...], slippage: float | None) -> dict[str, Any]:
    curve = [{"multiple": float(m), "net_profit": p, "trades": 4} for m, p in enumerate(profits)]
    return {"curve": curve, "break_even_slippage_bps": slippage, "break_even_fee_bps": slippage}


@pytest.mark.parametrize(
    ("profits", "where"), [((10.0, 5.0, -5.0), 1.5), ((10.0, 0.0), 1.0), ((-1.0, -2.0), None), ((3.0, 2.0), None)]
)
def test_costs_cross_zero_where_the_profit_is_gone(profits: tuple[float, ...], where: float | None) -> None:
    details = costs(profits, None)
    assert zero_crossing(details["curve"]) == where
    marks = [trace for trace in panel(Stage.COSTS, details).figures[0].data if trace["mode"] == "markers+text"]
    assert [mark["x"] for mark in marks] == ([] if where is None else [[where]])


def test_break_even_is_shown_where_there_is_one_and_its_bound_is_named() -> None:
    _, marks = panel(Stage.COSTS, costs((10.0, 5.0), 64.0)).figures
    assert marks.data[0]["text"] == ["64 bps or more"] * 2
    losing, notes = (found := panel(Stage.COSTS, costs((-1.0, -2.0), -1.5))).figures[1], found.notes
    assert losing.layout["xaxis"]["range"][0] < -1.5 and "no profit at the declared costs" in notes[0]
    assert "no profit at the declared costs" in panel(Stage.COSTS, costs((-1.0, -2.0), None)).notes[0]


def test_overfitting_shows_probabilities_trials_and_what_has_no_answer() -> None:
    details = {"trials": {"neighbourhood": 45, "logged": 3}, "unanswered": {"cross_validation": "TRIALS_TOO_FEW"}}
    found = panel(Stage.OVERFITTING, details, probabilistic_sharpe=0.97, deflated_sharpe=None)
    assert found.figures[0].data[0]["x"] == [0.97]
    assert "45 of the neighbourhood and 3" in found.notes[0]
    assert found.notes[1] == "No answer for the probability of overfitting: TRIALS_TOO_FEW."


def test_cross_validation_is_drawn_as_logits_degradation_and_ranks() -> None:
    estimate = {"sharpe": 0.1, "observations": 90}
    details = {
        "trials": {"neighbourhood": 3, "logged": 0}, "unanswered": {},
        "probabilistic_sharpe": {"value": 0.97, "estimate": estimate, "convention": "2012/2014"},
        "cross_validation": {
            "halves": 70, "blocks": 8, "trials": 3, "logits": {"edges": [-1.0, 0.0, 1.0], "counts": [20, 50]},
            "cells": [[1.0, -0.5, 20], [2.0, 1.5, 50]], "by_rank": [[1, 1.2], [2, 0.4], [3, -0.1]],
        },
    }  # fmt: skip
    found = panel(Stage.OVERFITTING, details, probabilistic_sharpe=0.97)
    _, logits, degradation, ranks = found.figures
    assert logits.data[0]["marker"]["color"] == ["--fail", "--pass"]
    assert degradation.data[0]["customdata"] == [20, 50] and "28.6 % of the halves below zero" in degradation.label
    assert ranks.data[0]["y"] == [1.2, 0.4, -0.1]
    rows = dict(found.tables[0].rows)
    assert rows["probabilistic Sharpe ratio: convention"] == "2012/2014"
    assert rows["probabilistic Sharpe ratio: estimate sharpe"] == "0.1000"


def scenario(name: str, drawdown: float) -> dict[str, Any]:
    return {"name": name, "description": "-20 %", "worst_drawdown": drawdown, "mean_result": -0.01,
            "worst_result": -0.02, "worst_start": "2024-02-01T03:04:00Z"}  # fmt: skip


def test_stress_shows_every_scenario_with_its_worst_start() -> None:
    found = panel(Stage.STRESS, {"scenarios": [scenario("crash", 0.3), scenario("squeeze", 0.1)]})
    assert named(found.figures[0], "worst drawdown")["x"] == [-0.3, -0.1]
    assert "30.0 % in crash" in found.figures[0].label
    assert found.tables[0].rows[0][2] == "2024-02-01 03:04"
    assert "shorter" in panel(Stage.STRESS, {"scenarios": []}).notes[0]


def benchmark() -> dict[str, Any]:
    return {
        "total_return": 0.5, "sharpe": None, "max_drawdown": 0.3, "beta": 0.1, "alpha_annual": 0.2,
        "correlation": None, "excess_sharpe": 1.0, "equity": {"day": ["2024-01-01", "2024-01-02"], "value": [1.0, 1.5]},
    }  # fmt: skip


def test_the_benchmark_stands_beside_the_candidate() -> None:
    found = panel(Stage.BENCHMARK, benchmark())
    assert {trace["name"] for trace in found.figures[0].data} == {"buy and hold", "candidate"}
    assert found.tables[0].rows[1] == ("Sharpe ratio", "2.00", "–")


@pytest.mark.parametrize(
    ("capacity", "profit"), [(2_500.0, 50.0), (None, -50.0)], ids=["with profit", "without profit"]
)
def test_capacity_marks_the_rungs_of_the_ladder_and_itself(capacity: float | None, profit: float) -> None:
    points = [{"capital": c, "net_profit": profit * c, "impact_bps": 1.0, "participation": 0.01} for c in (100.0, 1e4)]
    figure = panel(Stage.CAPACITY, {"points": points, "capacity": capacity}).figures[0]
    marked = [shape["x0"] for shape in figure.layout["shapes"][1:]]
    assert marked == [100.0, 500.0, 1_000.0, *([capacity] if capacity else [])]
    assert figure.layout["xaxis"]["type"] == "log"


@pytest.mark.parametrize("stage", BATTERY)
@pytest.mark.parametrize("details", [{}, {"rolling": None, "curve": "x", "points": [1], "scenarios": [{}]}])
def test_details_in_another_form_cost_the_pictures_and_not_the_page(stage: Stage, details: dict[str, Any]) -> None:
    found = build_panel(evidence(stage, details), SCENE)
    assert found == Panel(notes=(UNREADABLE,))


@pytest.mark.parametrize("stage", BATTERY)
def test_a_check_that_broke_has_nothing_to_draw(stage: Stage) -> None:
    assert build_panel(evidence(stage, {}, error="no bars"), SCENE) == Panel()


def test_hostile_names_do_not_become_markup_in_a_figure() -> None:
    details = sensitivity([HOSTILE, "slow"], [])
    details["influence"] = {HOSTILE: 1.0}
    details["points"].append({"multiples": {HOSTILE: 0.5}, "sharpe": 1.0, "net_profit": 1.0, "trades": 1})
    folds = [fold(5, 2.0, -1.0, {HOSTILE: 1}), fold(6, 2.0, -1.0, {"fast": HOSTILE})]
    panels = (
        panel(Stage.SENSITIVITY, details, replace(SCENE, params=MappingProxyType({HOSTILE: 3}))),
        panel(Stage.WALK_FORWARD, walk_forward(folds)), panel(Stage.STRESS, {"scenarios": [scenario(HOSTILE, 0.2)]}),
        panel(Stage.REGIMES, regimes([{"from": "2024-03-01", "regime": HOSTILE}])),
    )  # fmt: skip
    for found in panels:
        for figure in found.figures:
            assert "<img" not in json.dumps([figure.data, figure.layout])


def test_a_long_curve_is_thinned_without_losing_its_extremes() -> None:
    values = np.zeros(50_000)
    values[12_345], values[40_000] = 9.0, -4.0
    x, y = thinned(range(50_000), values)
    assert len(x) == len(y) < POINTS * 1.1
    assert (max(y), min(y)) == (9.0, -4.0) and (x[0], x[-1]) == (0, 49_999)


def test_equity_is_shown_beside_buy_and_hold_where_that_was_measured() -> None:
    item = evidence(Stage.BENCHMARK, benchmark())
    assert held_equity([item]) is not None
    figure = equity_figure(DAILY, 1_000.0, held_equity([item]))
    assert named(figure, "buy and hold")["y"] == [1_000.0, 1_500.0]
    assert named(figure, "drawdown")["y"][0] == -0.01
    assert held_equity([evidence(Stage.BENCHMARK, {"equity": {"day": ["2024-01-01"], "value": []}})]) is None
    assert "buy and hold" not in {trace["name"] for trace in equity_figure(DAILY, 1_000.0).data}


def trades(pnl: np.ndarray[Any, np.dtype[np.float64]]) -> Trades:
    n = len(pnl)
    zeros, ones = np.zeros(n, dtype=np.int64), np.ones(n)
    return Trades(("X/USDT",), zeros, zeros, zeros + 90 * 60_000, ones.astype(np.int8), ones, ones, ones, ones, pnl, 0)


@pytest.mark.parametrize("pnl", [[0.01], [0.0, 0.0], [-0.02, 0.01, 5.0], list(np.linspace(-0.01, 0.02, 1_000))])
def test_the_distribution_counts_every_trade_and_no_bar_holds_losses_and_wins(pnl: list[float]) -> None:
    bars = trades_figure(trades(np.array(pnl))).data[0]
    assert sum(bars["y"]) == len(pnl)
    left = np.array(bars["x"]) - np.array(bars["width"]) / 2
    assert all(a >= -1e-9 or a + width <= 1e-9 for a, width in zip(left, bars["width"], strict=True))


def test_trades_are_summed_up_in_words() -> None:
    table = trades_table(trades(np.array([0.02, -0.01, -0.03, 0.01])))
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Longest run of losing trades in order of exit"] == "2"
    assert rows["Holding time, median"] == "90 minutes"
    assert rows["Mean return of a winning trade"] == "1.500 %"
    assert longest_run(np.array([], dtype=bool)) == 0


def test_what_a_strategy_knew_too_early_is_shown_with_the_first_difference() -> None:
    seen = {"compared": 1_000, "differing": 3, "examples": ["X 2024: target 1 became 0"]}
    honest = {"compared": 32, "differing": 0, "examples": []}
    found = honesty_table({"X": {"lookahead": seen, "warmup": honest}})
    assert found is not None and not found.folded
    assert found.rows[0] == ("X", "later bars taken away", "X 2024: target 1 became 0", "1,000", "3")
    quiet = honesty_table({"X": {"lookahead": honest, "warmup": honest}})
    assert quiet is not None and quiet.folded, "nothing to see opens with a click"
    assert honesty_table({"X": {"trades": 3}}) is None
