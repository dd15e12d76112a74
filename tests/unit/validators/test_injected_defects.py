"""Each injected defect is caught by the rule made for it, and by no rule that has nothing to do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from include.domain.aggregation import aggregate
from include.domain.bars import Bars
from include.domain.reason_codes import DataRule as R
from include.domain.times import Timeframe
from include.validators.bar_rules import in_time_order
from tests.gate_samples import HALF_HOURS, broken, judge, market
from tests.market import MINUTE, START, Columns, bars, minutes, take

COUNT = 1_440
HOUR = Timeframe.parse("1h")
PRICES = ("open", "high", "low", "close")
Change = Callable[[Columns], Columns]


def scale(names: tuple[str, ...], factor: float, first: int, last: int | None = None) -> Change:
    def change(c: Columns) -> Columns:
        return {n: np.concatenate([v[:first], v[first:last] * factor, v[last:] if last else v[:0]]) if n in names else v
                for n, v in c.items()}  # fmt: skip

    return change


def put(column: str, value: float, first: int = 700, last: int | None = None) -> Change:
    def change(c: Columns) -> Columns:
        values = c[column].copy()
        values[first : last or first + 1] = value
        return {**c, column: values}

    return change


def rows(keep: object) -> Change:
    return lambda c: take(c, keep)


def swap(a: str, b: str) -> Change:
    return lambda c: {**c, a: c[b], b: c[a]}


def shift(ms: int) -> Change:
    return lambda c: {**c, "open_time": c["open_time"] + ms}


def frozen(c: Columns) -> Columns:
    return {n: np.concatenate([v[:700], np.full(40, v[700]), v[740:]]) if n in PRICES else v for n, v in c.items()}


def bitfinex(c: Columns) -> Columns:
    return {**c, "high": c["close"], "low": c["high"], "close": c["low"]}


def off_grid(c: Columns) -> Columns:
    times = c["open_time"].copy()
    times[700] += 30_000
    return {**c, "open_time": times}


ONE_SERIES: dict[str, tuple[Change, set[R]]] = {
    "a duplicate": (rows(np.r_[0:700, 699, 700:COUNT]), {R.DUPLICATE_TIME}),
    "two rows in the wrong order": (rows(np.r_[0:700, 701, 700, 702:COUNT]), {R.OUT_OF_ORDER}),
    "shuffled rows": (rows(np.random.default_rng(0).permutation(COUNT)), {R.OUT_OF_ORDER}),
    "a hole of ten minutes": (rows(np.r_[0:700, 710:COUNT]), {R.GAP, R.COMPLETENESS}),
    "a single minute missing": (rows(np.r_[0:700, 701:COUNT]), {R.COMPLETENESS}),
    "the end missing": (rows(np.r_[0:1_200]), {R.COMPLETENESS, R.STALE_END}),
    "the begin missing": (rows(np.r_[200:COUNT]), {R.COMPLETENESS}),
    "nothing at all": (rows(np.r_[0:0]), {R.EMPTY}),
    "a NaN": (put("close", np.nan), {R.NON_FINITE}),
    "an infinity": (put("high", np.inf), {R.NON_FINITE}),
    "a NaN volume": (put("volume", np.nan), {R.NON_FINITE}),
    "a negative volume": (put("volume", -1.0), {R.NEGATIVE_VOLUME}),
    "a negative price": (put("low", -3.0), {R.NON_POSITIVE_PRICE}),
    "a price of zero": (put("low", 0.0), {R.NON_POSITIVE_PRICE}),
    "a single inconsistent bar": (put("high", 1.0), {R.OHLC_INCONSISTENT}),
    "high and low swapped": (swap("high", "low"), {R.OHLC_INCONSISTENT, R.COLUMNS_SWAPPED}),
    "Bitfinex's order read as open, high, low, close": (bitfinex, {R.OHLC_INCONSISTENT, R.COLUMNS_SWAPPED}),
    "open and close swapped": (swap("open", "close"), {R.COLUMNS_SWAPPED}),
    "one price times a thousand": (scale(PRICES, 1_000, 700, 701), {R.BAD_TICK}),
    "a high far out": (scale(("high",), 1.5, 700, 701), {R.BAD_TICK}),
    "a fall of a fifth that stays": (scale(PRICES, 0.8, 700), {R.JUMP}),
    "prices times a thousand from a bar on": (scale(PRICES, 1_000, 700), {R.UNIT_CHANGE}),
    "prices times a thousand in a stretch": (scale(PRICES, 1_000, 700, 800), {R.UNIT_CHANGE}),
    "volumes times a thousand from a bar on": (scale(("volume",), 1_000, 700), {R.UNIT_CHANGE}),
    "prices that stand still while volume flows": (frozen, {R.STALE_PRICE}),
    "a halt": (put("volume", 0.0, 700, 720), {R.ZERO_VOLUME_HALT}),
    "a time between minutes": (off_grid, {R.OFF_GRID, R.COMPLETENESS}),
    "all times half a minute off": (shift(30_000), {R.OFF_GRID, R.COMPLETENESS}),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_SERIES)
def test_a_defect_of_one_series_breaks_exactly_its_rules(name: str) -> None:
    inject, wanted = ONE_SERIES[name]
    quality = judge({"BTC/USDT": inject(bars(COUNT))}, MINUTE, COUNT)["BTC/USDT"]
    assert broken(quality) == wanted
    assert quality.compatibility < 1.0
    assert {v.rule for v in quality.violations} == wanted
    assert all(v.first <= v.last for v in quality.violations)


OF_SEVERAL: dict[str, tuple[Change, set[R]]] = {
    "times an hour late": (shift(3_600_000), {R.WRONG_ZONE}),
    "times five and a half hours late": (shift(19_800_000), {R.WRONG_ZONE}),
    "times eight hours late": (shift(28_800_000), {R.WRONG_ZONE}),
    "times five hours early": (shift(-18_000_000), {R.WRONG_ZONE}),
    "an end before the others'": (rows(np.r_[0 : HALF_HOURS - 40]), {R.UNEVEN_END, R.STALE_END, R.COMPLETENESS}),
    "a begin after the others'": (rows(np.r_[40:HALF_HOURS]), {R.UNEVEN_END, R.COMPLETENESS}),
}


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_a_defect_of_one_of_three_symbols_is_named_for_that_symbol_alone(name: str) -> None:
    inject, wanted = OF_SEVERAL[name]
    sound = market()
    judged = judge({**sound, "ETH/USDT": inject(sound["ETH/USDT"])})
    # Times in another zone also leave the window's edge empty, which shifts ends; that is the same defect.
    edges = {R.COMPLETENESS, R.STALE_END, R.UNEVEN_END, R.UNFINISHED_BAR} if R.WRONG_ZONE in wanted else set()
    assert wanted <= broken(judged["ETH/USDT"]) <= wanted | edges
    assert judged["ETH/USDT"].compatibility < 1.0
    for other in ("BTC/USDT", "SOL/USDT"):
        assert broken(judged[other]) <= edges & {R.UNEVEN_END}


def test_sound_series_break_no_rule() -> None:
    assert {rule for q in judge(market()).values() for rule in q.counts} == set()
    assert broken(judge({"BTC/USDT": bars(COUNT)}, MINUTE, COUNT)["BTC/USDT"]) == set()


def test_an_unfinished_last_bar_is_named() -> None:
    now = START + minutes(COUNT) - timedelta(seconds=30)
    quality = judge({"BTC/USDT": bars(COUNT)}, MINUTE, COUNT, now=now)["BTC/USDT"]
    assert broken(quality) == {R.UNFINISHED_BAR}
    assert quality.violations[0].first == START + minutes(COUNT - 1)


def stored_hours(change: Change = lambda c: c) -> dict[Timeframe, Columns]:
    """The hours that the minutes of `bars` add up to, with one defect."""
    r = in_time_order(bars(COUNT))
    hours = aggregate(Bars("BTC/USDT", MINUTE, r.open_time, r.open, r.high, r.low, r.close, r.volume), HOUR).bars
    return {HOUR: change({n: getattr(hours, n).copy() for n in ("open_time", *PRICES, "volume")})}


MISMATCHES: dict[str, tuple[Change, int, int]] = {
    "no defect": (lambda c: c, 0, 0),
    "another close in one hour": (scale(("close",), 1.0001, 5, 6), 1, 0),
    "another volume in three hours": (scale(("volume",), 1.01, 5, 8), 0, 3),
    "prices in another unit": (scale(PRICES, 1_000, 0), 24, 0),
    "hours of another zone": (shift(3 * 3_600_000), 21, 0),
    "no volume at all": (scale(("volume",), 0.0, 0), 0, 0),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_minutes_that_do_not_add_up_to_the_stored_hours_are_named(name: str) -> None:
    change, prices, volumes = MISMATCHES[name]
    quality = judge({"BTC/USDT": bars(COUNT)}, MINUTE, COUNT, coarser=stored_hours(change))["BTC/USDT"]
    (check,) = quality.cross_checks
    assert (check.differing, check.volume_differing) == (prices, volumes)
    assert broken(quality) == ({R.TIMEFRAME_MISMATCH} if prices + volumes else set())
    assert quality.quality == pytest.approx(1 - 60 * (prices + volumes) / COUNT)


def test_hours_that_lack_minutes_are_counted_and_not_compared() -> None:
    columns = take(bars(COUNT), np.r_[0:700, 701:COUNT])
    quality = judge({"BTC/USDT": columns}, MINUTE, COUNT, coarser=stored_hours(scale(PRICES, 2.0, 11, 12)))["BTC/USDT"]
    (check,) = quality.cross_checks
    assert (check.bars, check.incomplete, check.differing) == (23, 1, 0)
