"""Parameter sensitivity: is the chosen point on a plateau or on a spike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.backtesting.sweep import Trial
from include.qualification.criterion import Measurement
from include.validators.neighbourhood import MULTIPLES, Point, varied

KEEPS = 0.5
"""A neighbour keeps its profit when it earns money and its Sharpe ratio is at least this share of the chosen one's."""
MIN_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much depends on the exact parameters.

    Attributes:
        plateau: share of the near neighbours that keep their profit; None with fewer than `MIN_NEIGHBOURS`; 0 when the
            chosen point itself earns nothing.
        near: neighbours within a quarter of every chosen value that the strategy accepted.
        worst: the near neighbour with the lowest Sharpe ratio.
        influence: for each parameter, the range of Sharpe ratios along its own axis.
    """

    plateau: float | None
    near: int
    worst: Point | None
    influence: Mapping[str, float]

    def measurements(self) -> dict[str, Measurement]:
        """Metrics by the names of `qualification.metrics`."""
        return {"parameter_plateau": Measurement(self.plateau, samples=self.near)}

    def document(self) -> dict[str, Any]:
        """Plain JSON for evidence and report."""
        return {
            "plateau": self.plateau, "near": self.near, "influence": dict(self.influence),
            "worst": None if self.worst is None else dict(self.worst.multiples),
        }  # fmt: skip


def measure_sensitivity(points: Sequence[Point], trials: Mapping[int, Trial], chosen: int = 0) -> Sensitivity:
    """Judge the points of a sweep around the chosen one.

    Args:
        points: all points of the neighbourhood.
        trials: the outcome by index into `points`; absent where the strategy refused the parameters.
        chosen: index of the candidate's own point.
    """
    own = trials.get(chosen)
    near = [i for i in trials if i != chosen and points[i].is_near]
    worst = min(near, key=lambda i: _sharpe(trials[i]), default=None)
    plateau: float | None = None
    if len(near) >= MIN_NEIGHBOURS:
        plateau = sum(_keeps(trials[i], own) for i in near) / len(near)
    return Sensitivity(
        plateau, len(near), None if worst is None else points[worst], _influence(points, trials, chosen)
    )  # fmt: skip


def most_influential(influence: Mapping[str, float], count: int = 2) -> tuple[str, ...]:
    """Names of the parameters that move the Sharpe ratio most, at most `count`; alphabetical at ties."""
    return tuple(sorted(influence, key=lambda name: (-influence[name], name))[:count])


def heat_map(points: Sequence[Point], trials: Mapping[int, Trial], names: Sequence[str]) -> list[list[float | None]]:
    """Sharpe ratios over two parameters' multiples, rows by the first name; None where nothing was measured."""
    found = _on_plane(points, trials, names)
    return [
        [found[cell].sharpe if (cell := (row, column)) in found else None for column in MULTIPLES] for row in MULTIPLES
    ]


def kept_cells(
    points: Sequence[Point], trials: Mapping[int, Trial], names: Sequence[str], chosen: int = 0
) -> list[list[bool]]:
    """For the cells of `heat_map` whether the point keeps its profit, as the plateau counts it."""
    found, own = _on_plane(points, trials, names), trials.get(chosen)
    return [
        [(cell := (row, column)) in found and _keeps(found[cell], own) for column in MULTIPLES] for row in MULTIPLES
    ]


def _on_plane(
    points: Sequence[Point], trials: Mapping[int, Trial], names: Sequence[str]
) -> Mapping[tuple[float, ...], Trial]:
    return {
        tuple(point.multiples.get(name, 1.0) for name in names): trials[i]
        for i, point in enumerate(points)
        if i in trials and set(point.multiples) <= set(names)
    }


def _keeps(trial: Trial, own: Trial | None) -> bool:
    if own is None or own.sharpe is None or own.sharpe <= 0:
        return False
    return trial.net_profit > 0 and trial.sharpe is not None and trial.sharpe >= KEEPS * own.sharpe


def _influence(points: Sequence[Point], trials: Mapping[int, Trial], chosen: int) -> Mapping[str, float]:
    ranges: dict[str, float] = {}
    for name in varied(points[chosen].params):
        along = [_sharpe(trials[i]) for i, p in enumerate(points) if i in trials and set(p.multiples) <= {name}]
        ranges[name] = max(along) - min(along) if len(along) > 1 else 0.0
    return ranges


def _sharpe(trial: Trial) -> float:
    """For ordering only: what has no Sharpe ratio is neither good nor bad."""
    return trial.sharpe or 0.0
