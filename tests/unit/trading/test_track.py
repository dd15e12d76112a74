"""What limits look back on: equity of a day, closes, cancels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from include.domain.bars import Bar
from include.domain.deployments import EquityPoint
from include.domain.times import Timeframe
from include.trading.bar_window import BarWindow
from include.trading.track import CancelTrack, CloseTrack, EquityTrack
from tests.adapters.questions import NOW, SYMBOL

D = Decimal
CAPITAL = D(100)


def point(hours_ago: float, equity: int) -> EquityPoint:
    return EquityPoint(NOW - timedelta(hours=hours_ago), D(equity), D(equity), D(0))


@pytest.mark.parametrize(
    ("points", "before"),
    [
        ([], 100),
        ([point(23, 90)], 100),
        ([point(24, 90), point(1, 80)], 90),
        ([point(30, 95), point(25, 90), point(23, 80)], 90),
        ([point(90, 95)], 95),
    ],
    ids=["young", "not a day old", "to the minute", "the last before", "silent for days"],
)
def test_equity_24_hours_ago_is_the_last_one_known_then(points: Sequence[EquityPoint], before: int) -> None:
    assert EquityTrack(CAPITAL, points).day_ago(NOW) == before


def test_equity_moves_on_with_time_and_a_repeat_changes_nothing() -> None:
    track = EquityTrack(CAPITAL, [point(24, 90)])
    track.add(NOW, D(70))
    track.add(NOW, D(60))
    track.add(NOW - timedelta(hours=2), D(50))
    assert track.day_ago(NOW) == 90
    assert track.day_ago(NOW + timedelta(hours=24)) == 70


def bar(minute: int, close: str) -> Bar:
    price = D(close)
    return Bar(SYMBOL, NOW + timedelta(minutes=minute), price, price, price, price, D(1))


def test_closes_are_those_of_the_window_at_first_and_then_one_a_bar() -> None:
    window, track = BarWindow(SYMBOL, Timeframe(60), 10), CloseTrack(3)
    track.look([window])
    assert track.of(SYMBOL) == ()
    for minute, close in enumerate(("1.1", "2.2", "3.3", "4.4")):
        window.append(bar(minute, close))
    for _ in range(2):
        track.look([window])
        assert track.of(SYMBOL) == (D("2.2"), D("3.3"), D("4.4"))
    window.append(bar(4, "5.5"))
    track.look([window])
    assert track.of(SYMBOL) == (D("3.3"), D("4.4"), D("5.5"))


def test_closes_are_not_kept_where_no_limit_asks() -> None:
    window, track = BarWindow(SYMBOL, Timeframe(60), 10), CloseTrack(0)
    window.append(bar(0, "1"))
    track.look([window])
    assert track.of(SYMBOL) == ()


def test_cancels_count_for_a_minute_from_when_they_are_seen() -> None:
    track = CancelTrack(5)
    assert track.look(5, NOW) == 0
    assert track.look(7, NOW) == 2
    assert track.look(8, NOW + timedelta(seconds=59)) == 3
    assert track.look(8, NOW + timedelta(seconds=60)) == 1
    assert track.look(8, NOW + timedelta(seconds=119)) == 0
