"""Longer bars from shorter ones: whole ones only, nothing from the future."""

from __future__ import annotations

import numpy as np
import pytest

from include.domain.aggregation import aggregate
from include.domain.bars import Bars
from include.domain.errors import ConfigurationError
from include.domain.times import Timeframe, from_ms, iso
from tests.market import MINUTE, START, Columns, bars, minutes, take

HOUR = Timeframe.parse("1h")


def as_bars(c: Columns, timeframe: Timeframe = MINUTE) -> Bars:
    return Bars("BTC/USDT", timeframe, c["open_time"], c["open"], c["high"], c["low"], c["close"], c["volume"])


def test_an_hour_is_its_first_open_highest_high_lowest_low_last_close_and_whole_volume() -> None:
    shorter = as_bars(bars(180))
    found = aggregate(shorter, HOUR)
    assert (len(found.bars), found.incomplete, found.bars.timeframe) == (3, 0, HOUR)
    for i in range(3):
        part = shorter.window(60 * i, 60 * (i + 1))
        assert found.bars.open_time[i] == part.open_time[0]
        assert (found.bars.open[i], found.bars.close[i]) == (part.open[0], part.close[-1])
        assert (found.bars.high[i], found.bars.low[i]) == (part.high.max(), part.low.min())
        assert found.bars.volume[i] == pytest.approx(part.volume.sum())


def test_hours_that_lack_a_minute_are_counted_and_not_made() -> None:
    columns = take(bars(300, START + minutes(30)), np.r_[0:100, 101:300])
    found = aggregate(as_bars(columns), HOUR)
    # 22:30 and the last half hour are cut, 00:10 is missing.
    assert found.incomplete == 3
    assert [iso(from_ms(int(t)))[11:16] for t in found.bars.open_time] == ["23:00", "01:00", "02:00"]


def test_later_bars_never_change_an_earlier_hour() -> None:
    whole = bars(600)
    for count in range(0, 600, 37):
        found = aggregate(as_bars(take(whole, np.r_[0:count])), HOUR).bars
        assert len(found) == count // 60
        assert np.array_equal(found.close, aggregate(as_bars(whole), HOUR).bars.close[: len(found)])


def test_weeks_begin_on_mondays() -> None:
    found = aggregate(as_bars(bars(30, timeframe=Timeframe.parse("1d")), Timeframe.parse("1d")), Timeframe.parse("1w"))
    assert {from_ms(int(t)).weekday() for t in found.bars.open_time} == {0}
    assert found.incomplete == 2


def test_nothing_adds_up_to_nothing() -> None:
    found = aggregate(as_bars(take(bars(5), slice(0))), HOUR)
    assert (len(found.bars), found.incomplete) == (0, 0)


@pytest.mark.parametrize("target", ["1m", "90s", "30s"])
def test_a_timeframe_that_is_no_multiple_is_refused(target: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be added up"):
        aggregate(as_bars(bars(10)), Timeframe.parse(target))
