"""Laws of the data gate's rules: the order of symbols does not matter, a defect never helps, a shift is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.reason_codes import DataRule
from include.domain.times import Timeframe
from include.validators.data_quality import SymbolQuality, combine
from include.validators.violations import shared_once, worst_first
from tests.gate_samples import judge, market
from tests.market import MINUTE, Columns, bars, take

COUNT = 600
PRICES = ("open", "high", "low", "close")
SCORES = ("completeness", "quality", "compatibility", "history_days")
Change = Callable[[Columns, int, int], Columns]


def _put(name: str, value: float) -> Change:
    def change(c: Columns, first: int, last: int) -> Columns:
        values = c[name].copy()
        values[first:last] = value
        return {**c, name: values}

    return change


def _scaled(factor: float) -> Change:
    def change(c: Columns, first: int, last: int) -> Columns:
        return {
            n: np.concatenate([v[:first], v[first:last] * factor, v[last:]]) if n in PRICES else v for n, v in c.items()
        }

    return change


DEFECTS: dict[str, Change] = {
    "NaN": _put("close", np.nan), "negative price": _put("low", -1.0), "negative volume": _put("volume", -1.0),
    "no volume": _put("volume", 0.0), "a low above the close": _put("low", 1e6), "a high far out": _put("high", 1e5),
    "another price": _scaled(1.5), "another unit": _scaled(1_000.0), "a decimal slipped": _scaled(0.01),
    "missing": lambda c, first, last: take(c, np.r_[0:first, last : len(c["close"])]),
    "repeated": lambda c, first, last: take(c, np.r_[0:last, first : len(c["close"])]),
    "reversed": lambda c, first, last: take(c, np.r_[0:first, last - 1 : first - 1 : -1, last : len(c["close"])]),
}  # fmt: skip


def one(columns: Columns) -> SymbolQuality:
    return judge({"BTC/USDT": columns}, MINUTE, COUNT)["BTC/USDT"]


def scores(quality: SymbolQuality) -> dict[str, float]:
    measured = quality.measurements()
    return {name: measured[name].value or 0.0 for name in SCORES}


def spans_in(begin: int, end: int) -> st.SearchStrategy[tuple[int, int]]:
    """First and last (exclusive) row of a stretch of up to forty."""
    return st.tuples(st.integers(begin, end - 1), st.integers(1, 40)).map(lambda s: (s[0], min(end, s[0] + s[1])))


spans = spans_in(1, COUNT - 1)
defects = st.lists(st.tuples(st.sampled_from(sorted(DEFECTS)), spans), min_size=1, max_size=3)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(DEFECTS)), spans_in(1, 280), st.sampled_from(sorted(DEFECTS)), spans_in(300, COUNT - 20))
def test_a_defect_never_raises_a_score(
    first: str, where: tuple[int, int], second: str, elsewhere: tuple[int, int]
) -> None:
    # The later stretch first, so that the earlier one does not move it.
    before = DEFECTS[second](bars(COUNT), *elsewhere)
    after = scores(one(DEFECTS[first](before, *where)))
    # Quality is a share of the rows there are: taking good ones away lowers it, completeness pays for the bad ones.
    compared = [score for score in SCORES if score != "quality" or first != "missing"]
    assert all(after[score] <= scores(one(before))[score] for score in compared)


@settings(max_examples=60, deadline=None)
@given(defects)
def test_scores_are_shares_and_counts_agree_with_what_is_listed(chosen: list[tuple[str, tuple[int, int]]]) -> None:
    columns = bars(COUNT)
    for name, (first, last) in chosen:
        if last < len(columns["close"]):
            columns = DEFECTS[name](columns, first, last)
    quality = one(columns)
    assert all(0.0 <= value <= 1.0 for name, value in scores(quality).items() if name != "history_days")
    assert quality.compatibility == min(quality.completeness, quality.quality)
    for rule, count in quality.counts.items():
        listed = [v for v in quality.violations if v.rule is rule]
        assert (len(listed), sum(v.count for v in listed)) == (count.events, count.bars)
    assert bool(quality.counts) or quality.compatibility == 1.0


@settings(max_examples=15, deadline=None)
@given(st.permutations(["BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT"]), st.integers(-20, 20), st.integers(0, 900))
def test_the_order_of_symbols_changes_nothing(order: list[str], lag: int, hole: int) -> None:
    columns = market(("BTC/USDT", "ETH/USDT", "SOL/USDT", "AVAX/USDT"))
    shifted = columns["SOL/USDT"]
    columns["SOL/USDT"] = {**shifted, "open_time": shifted["open_time"] + lag * Timeframe.parse("30m").ms}
    columns = {s: take(c, np.r_[0:hole, hole + 12 : len(c["close"])]) for s, c in columns.items()}
    first = judge(columns)
    again = judge({symbol: columns[symbol] for symbol in order})
    for symbol, quality in first.items():
        assert set(again[symbol].violations) == set(quality.violations)
        assert scores(again[symbol]) == scores(quality)
    assert combine(again.values()) == combine(first.values())
    listed = [worst_first(shared_once(v for q in found.values() for v in q.violations)) for found in (first, again)]
    assert [replace(v, sample=()) for v in listed[0]] == [replace(v, sample=()) for v in listed[1]]


@settings(max_examples=20, deadline=None)
@given(st.integers(-28, 28).filter(bool), st.sampled_from(["BTC/USDT", "ETH/USDT", "SOL/USDT"]))
def test_the_symbol_that_is_off_is_found_at_its_lag(lag: int, symbol: str) -> None:
    columns = market()
    late = columns[symbol]
    columns[symbol] = {**late, "open_time": late["open_time"] + lag * Timeframe.parse("30m").ms}
    named = [v for q in judge(columns).values() for v in q.violations if v.rule is DataRule.WRONG_ZONE]
    assert {v.symbol for v in named} == {symbol}
    wanted = f"{abs(lag) / 2:g} h {'later' if lag > 0 else 'earlier'} than "
    assert all(str(v.sample[0]).startswith(wanted) for v in named)
