"""Parameter points around a chosen one: what sensitivity, walk-forward and the probability of overfitting look at.

The points follow from the candidate's own parameters by rule, so nobody can choose a neighbourhood that flatters.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MULTIPLES = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Each numeric parameter is tried at these multiples of its value; whole numbers are rounded and stay at least 1."""


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of parameters.

    Attributes:
        params: all constructor arguments of the strategy.
        multiples: for each varied parameter, which multiple of the chosen value it has; empty at the chosen point.
    """

    params: Mapping[str, Any]
    multiples: Mapping[str, float]

    @property
    def is_near(self) -> bool:
        """Every varied parameter within a quarter of its chosen value."""
        return all(abs(multiple - 1.0) <= 0.25 for multiple in self.multiples.values())


def varied(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the parameters that can be scaled: numbers other than zero, in alphabetical order."""
    numbers = (name for name, value in params.items() if isinstance(value, int | float) and type(value) is not bool)
    return tuple(sorted(name for name in numbers if params[name] != 0))


def axes(params: Mapping[str, Any]) -> tuple[Point, ...]:
    """The chosen point first, then each parameter varied alone; points that rounding makes equal appear once."""
    points = [Point(params, {})]
    points += [_point(params, {name: m}) for name in varied(params) for m in MULTIPLES if m != 1.0]
    return _distinct(points)


def plane(params: Mapping[str, Any], names: Sequence[str]) -> tuple[Point, ...]:
    """All combinations of the multiples of two parameters (the heat map); the chosen point is among them."""
    grid = itertools.product(MULTIPLES, repeat=len(names))
    return _distinct([_point(params, dict(zip(names, multiples, strict=True))) for multiples in grid])


def _point(params: Mapping[str, Any], multiples: Mapping[str, float]) -> Point:
    changed = {name: multiple for name, multiple in multiples.items() if multiple != 1.0}
    return Point({**params, **{name: _scaled(params[name], m) for name, m in changed.items()}}, changed)


def _scaled(value: float, multiple: float) -> float | int:
    if isinstance(value, int):
        return (1 if value > 0 else -1) * max(1, round(abs(value) * multiple))
    return value * multiple


def _distinct(points: Sequence[Point]) -> tuple[Point, ...]:
    found: dict[tuple[tuple[str, Any], ...], Point] = {}
    for point in points:
        found.setdefault(tuple(sorted(point.params.items())), point)
    return tuple(found.values())
