"""The fill rule in numbers: one table of candle cases that every executor must reproduce.

Engine-neutral: a case knows its bars, signals and expected fills and nothing of who executes them. An executor's
test takes `CASES`, plays `case.bars()` and `case.signals()` (or the exact `case.rows()`) with `case.instrument` and
`case.allocation`, and compares with `case.fills` and `case.funding`. How a row reads stands in `fill_rule_case.py`.
"""

from __future__ import annotations

from tests.unit.fill_rule_account import ACCOUNT
from tests.unit.fill_rule_basics import BASICS
from tests.unit.fill_rule_case import COIN, MINUTE, ODD_STEPS, PENNY, START, ExpectedFill, FillCase, Row, fill_case
from tests.unit.fill_rule_life import LIFE
from tests.unit.fill_rule_volume import VOLUME

__all__ = [
    "CASES", "COIN", "MINUTE", "ODD_STEPS", "PENNY", "START", "ExpectedFill", "FillCase", "Row", "fill_case",
]  # fmt: skip

CASES: tuple[FillCase, ...] = (*BASICS, *LIFE, *ACCOUNT, *VOLUME)
