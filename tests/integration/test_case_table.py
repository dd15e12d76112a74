"""The engine's own rules on a paper account give the fills of the fill rule's table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from include.domain.enums import OrderPurpose
from include.domain.orders import Fill
from include.domain.times import to_ms
from tests.adapters.rules_on_paper import DEPOSIT, Paper
from tests.unit.fill_rule_cases import CASES, ExpectedFill, FillCase


def merged(fills: Iterable[ExpectedFill]) -> list[ExpectedFill]:
    """Fills of one purpose at one price of one bar count as one: how orders cover a position is the engine's."""
    told: list[ExpectedFill] = []
    for fill in fills:
        if told and replace(told[-1], quantity=fill.quantity) == fill:
            told[-1] = replace(fill, quantity=told[-1].quantity + fill.quantity)
        else:
            told.append(fill)
    return told


def as_expected(case: FillCase, fills: Sequence[tuple[OrderPurpose, Fill]]) -> list[ExpectedFill]:
    opens = [to_ms(bar.open_time) for bar in case.decimal_bars()]
    rows = [max(i for i, o in enumerate(opens) if o <= to_ms(fill.filled_at)) for _, fill in fills]
    return merged(
        ExpectedFill(row, fill.side, fill.quantity, fill.price, purpose)
        for row, (purpose, fill) in zip(rows, fills, strict=True)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_engines_rules_on_a_paper_account_give_the_fills_of_the_table(case: FillCase) -> None:
    paper = Paper(case.instrument, case.allocation, case.timeframe)
    bars = case.bars()
    paper.play(case.decimal_bars(), case.signals(), bars.extras.get("funding_rate"))

    assert as_expected(case, paper.fills) == merged(case.fills)
    opens = [to_ms(bar.open_time) for bar in case.decimal_bars()]
    assert [(opens.index(to_ms(paid.paid_at)), -paid.amount) for paid in paper.funding] == list(case.funding)
    assert paper.book.portfolio.wallet == paper.account.balances()[0].wallet - DEPOSIT
    assert all(fill.fee >= Decimal(0) for _, fill in paper.fills)
