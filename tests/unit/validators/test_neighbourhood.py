"""Parameter points follow from the candidate's own parameters by rule."""

from __future__ import annotations

from include.validators.neighbourhood import MULTIPLES, axes, plane, varied


def test_the_chosen_point_comes_first_and_every_axis_has_the_other_multiples() -> None:
    points = axes({"window": 100, "sigma": 2.0})
    assert points[0].params == {"window": 100, "sigma": 2.0} and points[0].multiples == {}
    assert [p.params["sigma"] for p in points if "sigma" in p.multiples] == [1.0, 1.5, 2.5, 3.0]
    assert [p.params["window"] for p in points if "window" in p.multiples] == [50, 75, 125, 150]
    assert len(points) == 1 + 2 * (len(MULTIPLES) - 1)


def test_only_numbers_other_than_zero_are_varied() -> None:
    assert varied({"b": 1, "a": 0.5, "zero": 0, "flag": True, "name": "x", "none": None}) == ("a", "b")


def test_points_that_rounding_makes_equal_appear_once_and_counts_stay_at_least_one() -> None:
    assert [p.params["window"] for p in axes({"window": 1})] == [1, 2]
    assert [p.params["shift"] for p in axes({"shift": -4})] == [-4, -2, -3, -5, -6]


def test_near_means_every_parameter_within_a_quarter() -> None:
    near = {tuple(sorted(p.multiples.items())) for p in plane({"a": 4.0, "b": 8.0}, ("a", "b")) if p.is_near}
    assert (("a", 0.75), ("b", 1.25)) in near
    assert all(abs(m - 1) <= 0.25 for point in near for _, m in point)
    assert len(near) == 9


def test_a_plane_holds_every_combination_with_the_chosen_point_among_them() -> None:
    points = plane({"a": 4.0, "b": 8.0, "c": 1.0}, ("a", "b"))
    assert len(points) == len(MULTIPLES) ** 2
    assert {"a": 4.0, "b": 8.0, "c": 1.0} in [dict(p.params) for p in points]
    assert {p.params["c"] for p in points} == {1.0}
