"""The panel of each robustness check: pure functions from its evidence to figures and tables as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from include.domain.enums import Stage
from include.qualification.evidence import Evidence
from include.reporting import (
    panels_money,
    panels_monte_carlo,
    panels_overfitting,
    panels_sensitivity,
    panels_walk_forward,
    panels_weather,
)
from include.reporting.figures import Panel, series
from include.reporting.scene import Scene

PANELS: Mapping[Stage, Callable[[Evidence, Scene], Panel]] = MappingProxyType(
    {
        **panels_walk_forward.PANELS,
        **panels_sensitivity.PANELS,
        **panels_overfitting.PANELS,
        **panels_monte_carlo.PANELS,
        **panels_weather.PANELS,
        **panels_money.PANELS,
    }
)
MALFORMED = (LookupError, TypeError, ValueError, AttributeError)
UNREADABLE = "The details of this evidence are not in the form that this version draws; its metrics are above."


def build_panel(item: Evidence, scene: Scene) -> Panel:
    """What a check's evidence has to show; empty where it measured nothing or where no check stands behind it.

    Evidence outlives the version that made it: details in another form cost their pictures, never the page.
    """
    draw = PANELS.get(item.stage)
    if draw is None or "error" in item.details:
        return Panel()
    try:
        return draw(item, scene)
    except MALFORMED:
        return Panel(notes=(UNREADABLE,))


def held_equity(evidence: Sequence[Evidence]) -> Mapping[str, Any] | None:
    """Days and values of buy and hold from BENCHMARK evidence; None where there is none that can be read."""
    for item in evidence:
        if item.stage is Stage.BENCHMARK:
            try:
                days, _ = series(item.details["equity"])
            except MALFORMED:
                return None
            return item.details["equity"] if days else None
    return None
