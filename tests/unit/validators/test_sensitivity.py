"""Plateau or spike, on trials made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from include.backtesting.sweep import Trial
from include.validators.neighbourhood import axes, plane
from include.validators.sensitivity import heat_map, kept_cells, measure_sensitivity, most_influential

PARAMS = {"a": 4.0, "b": 8.0}
POINTS = axes(PARAMS)


def trial(index: int, mean: float, profit: float | None = None) -> Trial:
    noise = np.where(np.arange(100) % 2, 0.01, -0.01)
    return Trial(
        index, POINTS[index].params if index < len(POINTS) else {}, noise + mean, 10, mean if profit is None else profit
    )


NEAR = [i for i, p in enumerate(POINTS) if i and p.is_near]


@pytest.mark.parametrize(
    ("means", "plateau"),
    [
        pytest.param({0: 0.01, **dict.fromkeys(NEAR, 0.009)}, 1.0, id="all neighbours nearly as good"),
        pytest.param({0: 0.01, **dict.fromkeys(NEAR, 0.001)}, 0.0, id="a spike"),
        pytest.param({0: 0.01, NEAR[0]: 0.009, NEAR[1]: 0.009, NEAR[2]: 0.001, NEAR[3]: -0.01}, 0.5, id="half"),
        pytest.param({0: -0.01, **dict.fromkeys(NEAR, 0.01)}, 0.0, id="a chosen point that loses has no plateau"),
        pytest.param(dict.fromkeys(NEAR, 0.01), 0.0, id="a chosen point that was refused has no plateau"),
        pytest.param({0: 0.01, NEAR[0]: 0.01}, None, id="too few neighbours to say"),
    ],
)
def test_the_plateau_is_the_share_of_near_neighbours_that_keep_their_profit(
    means: dict[int, float], plateau: float | None
) -> None:
    assert measure_sensitivity(POINTS, {i: trial(i, mean) for i, mean in means.items()}).plateau == plateau


def test_far_points_do_not_count() -> None:
    far = [i for i, p in enumerate(POINTS) if not p.is_near]
    trials = {i: trial(i, 0.01) for i in (0, *NEAR)} | {i: trial(i, -0.5) for i in far}
    found = measure_sensitivity(POINTS, trials)
    assert (found.plateau, found.near) == (1.0, len(NEAR))


def test_a_profit_of_a_neighbour_that_ends_in_a_loss_is_not_kept() -> None:
    trials = {i: trial(i, 0.01) for i in (0, *NEAR)} | {NEAR[0]: trial(NEAR[0], 0.01, profit=-1.0)}
    assert measure_sensitivity(POINTS, trials).plateau == pytest.approx(0.75)


def test_the_worst_neighbour_and_the_most_influential_parameter_are_named() -> None:
    means = {i: 0.01 for i in range(len(POINTS))}
    bad = next(i for i in NEAR if "b" in POINTS[i].multiples)
    found = measure_sensitivity(POINTS, {i: trial(i, m) for i, m in (means | {bad: 0.001}).items()})
    assert found.worst == POINTS[bad]
    assert most_influential(found.influence, 1) == ("b",)


def test_the_heat_map_shows_none_where_nothing_was_measured() -> None:
    points = plane(PARAMS, ("a", "b"))
    centre = next(i for i, p in enumerate(points) if not p.multiples)
    cells = heat_map(points, {centre: trial(centre, 0.01)}, ("a", "b"))
    assert cells[2][2] is not None
    assert sum(cell is not None for row in cells for cell in row) == 1


def test_cells_that_keep_their_profit_are_marked_on_the_same_map() -> None:
    points = plane(PARAMS, ("a", "b"))
    centre = next(i for i, p in enumerate(points) if not p.multiples)
    good, bad = (next(i for i, p in enumerate(points) if p.multiples == {"a": m}) for m in (0.75, 1.25))
    trials = {centre: trial(centre, 0.01), good: trial(good, 0.009), bad: trial(bad, 0.001)}
    kept = kept_cells(points, trials, ("a", "b"), chosen=centre)
    assert (kept[2][2], kept[1][2], kept[3][2]) == (True, True, False)
    assert sum(cell for row in kept for cell in row) == 2
