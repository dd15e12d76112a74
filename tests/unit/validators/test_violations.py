"""Which violations are named first, and which are named once for all symbols."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from include.domain.reason_codes import DataRule
from include.validators.violations import EVERY_SYMBOL, Scope, Violation, count_of, shared_once, worst_first
from tests.gate_samples import HALF_HOURS, judge, market
from tests.market import START, take


def violation(rule: DataRule, count: int = 1, at: int = 0, symbol: str = "BTC/USDT",
              sample: tuple[float | str, ...] = (), scope: Scope = Scope.SYMBOL) -> Violation:  # fmt: skip
    return Violation(rule, symbol, scope, START + timedelta(hours=at), START + timedelta(hours=at + 1), count, sample)


def test_what_concerns_the_whole_window_comes_first_and_then_the_largest_event() -> None:
    ordered = [
        violation(DataRule.HISTORY_LENGTH, 10), violation(DataRule.COMPLETENESS, 5),
        violation(DataRule.GAP, 87_840, at=3), violation(DataRule.STALE_PRICE, 40), violation(DataRule.GAP, 7),
        violation(DataRule.JUMP, 1, sample=(100.0, 1.0, -0.99)),
        violation(DataRule.BAD_TICK, 1, sample=(1.0, 1.5, 0.5)),
        violation(DataRule.JUMP, 1, sample=(100.0, 80.0, -0.2)),
        violation(DataRule.JUMP, 1, at=2, sample=(1.0, 0.8, -0.2)),
    ]  # fmt: skip
    assert list(worst_first(reversed(ordered))) == ordered


def test_an_outage_of_the_exchange_is_named_once_and_belongs_to_nobody() -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    gaps = [violation(DataRule.GAP, 20, symbol=s, sample=(20.0,), scope=Scope.EXCHANGE) for s in symbols]
    halts = [violation(DataRule.ZERO_VOLUME_HALT, 9, symbol=s, sample=(p, p, p, p, 0.0), scope=Scope.EXCHANGE)
             for s, p in zip(symbols, (1.0, 2.0), strict=True)]  # fmt: skip
    own = [violation(DataRule.GAP, 20, symbol=s, sample=(20.0,)) for s in symbols]
    merged = shared_once([*gaps, *halts, *own])
    assert [(v.rule, v.symbol) for v in merged] == [
        (DataRule.GAP, EVERY_SYMBOL), (DataRule.ZERO_VOLUME_HALT, EVERY_SYMBOL),
        (DataRule.GAP, "BTC/USDT"), (DataRule.GAP, "ETH/USDT"),
    ]  # fmt: skip
    assert merged[0].sample == (20.0,)
    assert merged[1].sample == ("BTC/USDT", 1.0, "ETH/USDT", 2.0)
    assert (count_of(merged)[DataRule.GAP].events, count_of(merged)[DataRule.GAP].bars) == (3, 60)


def test_a_hole_is_the_exchange_s_when_all_symbols_lack_each_of_its_bars() -> None:
    sound = market()
    shared = np.r_[0:100, 120:HALF_HOURS]
    own = np.r_[0:100, 120:800, 815:HALF_HOURS]
    judged = judge({s: take(c, own if s == "ETH/USDT" else shared) for s, c in sound.items()})
    scopes = {s: [(v.count, v.scope) for v in q.violations if v.rule is DataRule.GAP] for s, q in judged.items()}
    assert scopes["BTC/USDT"] == scopes["SOL/USDT"] == [(20, Scope.EXCHANGE)]
    assert scopes["ETH/USDT"] == [(20, Scope.EXCHANGE), (15, Scope.SYMBOL)]


def test_a_hole_that_is_longer_in_one_symbol_is_that_symbol_s() -> None:
    sound = market()
    keep = {
        "BTC/USDT": np.r_[0:100, 120:HALF_HOURS],
        "ETH/USDT": np.r_[0:95, 130:HALF_HOURS],
        "SOL/USDT": np.r_[0:100, 120:HALF_HOURS],
    }
    judged = judge({s: take(c, keep[s]) for s, c in sound.items()})
    scopes = {s: [(v.count, v.scope) for v in q.violations if v.rule is DataRule.GAP] for s, q in judged.items()}
    assert scopes == {
        "BTC/USDT": [(20, Scope.EXCHANGE)],
        "ETH/USDT": [(35, Scope.SYMBOL)],
        "SOL/USDT": [(20, Scope.EXCHANGE)],
    }


def test_the_last_bar_of_every_symbol_is_named_when_they_differ() -> None:
    sound = market()
    lasts = {"BTC/USDT": HALF_HOURS - 3, "ETH/USDT": HALF_HOURS, "SOL/USDT": HALF_HOURS - 1}
    judged = judge({s: take(c, np.r_[0 : lasts[s]]) for s, c in sound.items()})
    named = {s: [v for v in q.violations if v.rule is DataRule.UNEVEN_END] for s, q in judged.items()}
    assert {s: [v.count for v in vs] for s, vs in named.items()} == {"BTC/USDT": [3], "ETH/USDT": [], "SOL/USDT": [1]}
    assert "ETH/USDT ends" in str(named["BTC/USDT"][0].sample[0])
