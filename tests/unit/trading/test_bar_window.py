"""The rolling window a strategy sees."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from include.domain.bars import Bar
from include.domain.times import Timeframe
from include.trading.bar_window import BarWindow
from tests.adapters.questions import BAR, SYMBOL


def bar(minute: int, symbol: str = SYMBOL) -> Bar:
    price = Decimal(100 + minute)
    return Bar(symbol, BAR + timedelta(minutes=minute), price, price + 1, price - 1, price, Decimal(minute + 1))


@pytest.mark.parametrize("count", [1, 4, 5, 19, 20, 21, 77])
def test_the_window_always_holds_the_last_bars_in_order(count: int) -> None:
    window = BarWindow(SYMBOL, Timeframe(60), 5)
    for minute in range(count):
        window.append(bar(minute))
    shown = window.bars()
    assert shown.close.tolist() == [100.0 + m for m in range(max(0, count - 5), count)]
    assert np.all(np.diff(shown.open_time) == 60_000)
    assert window.is_warm() is (count >= 5)
    assert len(window) == len(shown) == min(count, 5)


def test_a_strategy_cannot_change_what_it_is_shown() -> None:
    window = BarWindow(SYMBOL, Timeframe(60), 2)
    window.append(bar(0))
    with pytest.raises(ValueError, match="read-only"):
        window.bars().close[0] = 1.0


@pytest.mark.parametrize("late", [bar(3), bar(2), bar(9, "ETH/USDT")], ids=["repeated", "older", "another symbol"])
def test_a_bar_that_does_not_follow_is_refused(late: Bar) -> None:
    window = BarWindow(SYMBOL, Timeframe(60), 5)
    window.append(bar(3))
    with pytest.raises(ValueError, match="does not follow"):
        window.append(late)


def test_filling_a_hole_takes_only_what_is_missing() -> None:
    window = BarWindow(SYMBOL, Timeframe(60), 10)
    window.append(bar(0))
    assert window.missing(bar(4)) == 3
    assert window.fill([bar(m) for m in range(6)], before=bar(4).open_time) == 3
    assert window.missing(bar(4)) == 0
    assert window.missing(bar(90)) == window.size
