"""Breakers: confirmed by several closes on price, at once on facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import Side
from include.domain.reason_codes import RiskCode
from include.domain.round_trips import RoundTrip
from include.risk.breakers import UNTOUCHED, Mark, is_armed, watch_breakers
from tests.adapters.questions import LIMITS, NOW, account

C = RiskCode
ARMED = replace(LIMITS, breaker_marks=3)
LOSS = RoundTrip("BTC/USDT", Side.BUY, Decimal(1), Decimal(2), Decimal(1), Decimal(-1), NOW)


def look(equities: Sequence[int | None], **limits: Any) -> list[set[RiskCode]]:
    """Codes tripped by each close; 100,000 is the high-water mark and the day's start."""
    watch, tripped = UNTOUCHED, []
    for equity in equities:
        view = account(equity=None if equity is None else Decimal(equity))
        watch = watch_breakers(Mark(view, replace(ARMED, **limits), (), NOW), watch)
        tripped.append({reason.code for reason in watch.tripped})
    return tripped


CASES: list[tuple[str, Sequence[int | None], list[set[RiskCode]]]] = [
    ("one bad price", [100_000, 50_000, 100_000], [set(), set(), set()]),
    ("two bad prices and two more", [98_000, 98_000, 98_001, 98_000, 98_000], [set()] * 5),
    ("the third in a row", [98_000, 97_999, 97_000], [set(), set(), {C.LOSS_DAILY}]),
    ("once a breach", [98_000] * 5, [set(), set(), {C.LOSS_DAILY}, set(), set()]),
    ("anew after it was over", [98_000] * 3 + [99_000] + [98_000] * 3,
     [set(), set(), {C.LOSS_DAILY}, set(), set(), set(), {C.LOSS_DAILY}]),
    ("an unknown equity neither confirms nor clears", [98_000, 98_000, None, 98_000],
     [set(), set(), set(), {C.LOSS_DAILY}]),
    ("drawdown and loss", [90_000] * 3, [set(), set(), {C.DRAWDOWN_LIMIT, C.LOSS_DAILY}]),
]  # fmt: skip


@pytest.mark.parametrize(("equities", "tripped"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_a_breaker_on_price_wants_its_closes_in_a_row(
    equities: Sequence[int | None], tripped: list[set[RiskCode]]
) -> None:
    assert look(equities) == tripped


def test_the_loss_of_24_hours_has_a_breaker_of_its_own() -> None:
    both = look([98_000] * 3, max_rolling_loss_fraction=Decimal("0.02"))
    assert both[-1] == {C.LOSS_DAILY, C.LOSS_ROLLING}


def test_only_the_drawdown_closes_positions_and_for_as_long_as_it_lasts() -> None:
    watch, leaves = UNTOUCHED, []
    for equity in (90_000, 90_000, 90_000, 89_000, 91_000):
        watch = watch_breakers(Mark(account(equity=Decimal(equity)), ARMED, (), NOW), watch)
        leaves.append(watch.leaves)
    assert leaves == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_consecutive_losses": 3}, C.LOSSES_CONSECUTIVE),
        ({"max_repeated_trades": 3}, C.REPEATED_EXECUTION),
    ],
)
def test_round_trips_trip_at_once(limits: dict[str, Any], code: RiskCode) -> None:
    rules = replace(LIMITS, **limits)
    assert watch_breakers(Mark(account(), rules, (LOSS,) * 2, NOW), UNTOUCHED).tripped == ()
    assert [r.code for r in watch_breakers(Mark(account(), rules, (LOSS,) * 3, NOW), UNTOUCHED).tripped] == [code]


def test_without_limits_for_it_nothing_is_armed_and_nothing_trips() -> None:
    assert not is_armed(LIMITS)
    assert is_armed(ARMED)
    view = account(equity=Decimal(1))
    assert watch_breakers(Mark(view, LIMITS, (LOSS,) * 9, NOW), UNTOUCHED).tripped == ()
