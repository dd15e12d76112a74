"""What stands around the evidence of a check: a panel may show it beside what the check measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.backtesting.equity import DailyEquity
from include.qualification.criterion import Measurement


@dataclass(frozen=True, slots=True)
class Scene:
    """The candidate and its backtest.

    Attributes:
        capital_steps: fractions of the capital with which a promoted candidate starts (the capital ladder).
        daily: of the backtest; None when the page is made without it.
        trading: metrics of the backtest's evidence; empty without it.
    """

    params: Mapping[str, Any]
    capital: float
    capital_steps: Sequence[float]
    daily: DailyEquity | None
    trading: Mapping[str, Measurement]
