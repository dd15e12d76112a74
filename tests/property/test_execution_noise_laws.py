"""Laws of disturbed execution over random markets and signals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from include.backtesting.kernel import Fills, simulate
from include.backtesting.rerun import Rerun
from include.backtesting.trades import trades_of
from include.domain.bars import Bars, Signals
from include.validators.changed_entries import MISSED, change_entries, entries_of
from tests.hourly_market import bars_of, instrument

ALLOCATION = Decimal(1_000_000)
"""So much that no loss on these few bars makes a later entry smaller."""


def drawn(seed: int, length: int) -> tuple[Bars, Signals]:
    """Runs of targets with near stops and take-profits, often left and entered on the same bar."""
    random = np.random.default_rng(seed)
    bars = bars_of(100 * np.exp(np.cumsum(random.normal(0, 0.01, length))))
    target = np.repeat(random.choice([1.0, -1.0, 0.0, np.nan], length), random.integers(1, 6, length))[:length]
    side = np.where(np.isnan(target) | (target == 0), 1.0, target)
    distance = random.choice([0.002, 0.02, np.nan], length)
    return bars, Signals(target, np.full(length, 0.05), bars.close * (1 - side * distance),
                         bars.close * (1 + side * distance))  # fmt: skip


def traded(bars: Bars, wanted: Signals) -> Fills:
    return simulate(bars, wanted, instrument(), ALLOCATION)


def rows(fills: Fills) -> list[tuple[int, int, int, float, float]]:
    found = trades_of(fills)
    return list(
        zip(found.entry_ms.tolist(), found.exit_ms.tolist(), found.side.tolist(), found.quantity.tolist(),
            found.pnl.tolist(), strict=True)
    )  # fmt: skip


markets = st.builds(drawn, st.integers(0, 10**6), st.integers(3, 120))


@settings(max_examples=80, deadline=None)
@given(markets)
def test_entries_on_time_change_nothing(market: tuple[Bars, Signals]) -> None:
    bars, wanted = market
    fills = traded(bars, wanted)
    entries = entries_of(fills, len(bars))
    again = traded(bars, change_entries(wanted, entries, np.zeros(len(entries), dtype=np.int64)))
    assert again.price.tolist() == fills.price.tolist() and again.bar_index.tolist() == fills.bar_index.tolist()


@settings(max_examples=80, deadline=None)
@given(markets)
def test_entries_name_every_position_with_its_decision(market: tuple[Bars, Signals]) -> None:
    bars, wanted = market
    fills = traded(bars, wanted)
    entries, trades = entries_of(fills, len(bars)), trades_of(fills)
    assert len(entries) == len(trades) + trades.open_trades
    assert (wanted.target[entries.decided] == entries.side).all()
    assert (entries.decided < entries.until).all() and (np.diff(entries.decided) > 0).all()


@settings(max_examples=80, deadline=None)
@given(markets, st.integers(0, 10**6))
def test_missing_entries_takes_their_trades_away_and_leaves_the_others_as_they_were(
    market: tuple[Bars, Signals], seed: int
) -> None:
    bars, wanted = market
    fills = traded(bars, wanted)
    entries = entries_of(fills, len(bars))
    missed = np.random.default_rng(seed).random(len(entries)) < 0.5
    left = traded(bars, change_entries(wanted, entries, np.where(missed, MISSED, 0)))
    entered = set(bars.open_time[entries.decided[~missed] + 1].tolist())
    assert rows(left) == [row for row in rows(fills) if row[0] in entered]


@settings(max_examples=80, deadline=None)
@given(markets, st.integers(0, 10**6))
def test_no_late_entry_is_made_before_its_time_and_no_signal_of_the_strategy_is_written_to(
    market: tuple[Bars, Signals], seed: int
) -> None:
    bars, wanted = market
    before = wanted.target.copy()
    entries = entries_of(traded(bars, wanted), len(bars))
    delays = np.random.default_rng(seed).integers(0, 4, len(entries))
    changed = change_entries(wanted, entries, delays)
    assert np.array_equal(wanted.target, before, equal_nan=True)
    following = [*entries.decided[1:].tolist(), len(bars)][: len(entries)]
    for row, delay, side, after in zip(entries.decided, delays, entries.side, following, strict=True):
        asked = wanted.target[row : min(row + delay, after)]
        # Once the strategy has changed its mind the late entry is off, and asking for that side again is a new wish.
        others = np.flatnonzero(~np.isnan(asked) & (asked != side))
        waiting = others[0] if len(others) else len(asked)
        assert not (changed.target[row : row + waiting] == side).any()


@settings(max_examples=150, deadline=None)
@given(
    markets, st.lists(st.sampled_from([0, 0, 0, MISSED, 1, 2, 3]), min_size=120, max_size=120),
    st.sampled_from([(0.05, 1), (1.0, 1), (0.3, 5), (1.0, 20)]), st.sampled_from(["0", "0.001"]), st.booleans(),
)  # fmt: skip
def test_trading_changed_decisions_again_gives_what_trading_everything_gives(
    market: tuple[Bars, Signals], drawn_delays: list[int], size: tuple[float, int], funding: str, timed: bool
) -> None:
    bars, wanted = market
    wanted = replace(wanted, weight=np.full(len(bars), size[0]), hold=np.full(len(bars), 3.0) if timed else None)
    # With all of the money at stake, positions are liquidated and later entries are smaller: everything is played then.
    one = replace(
        instrument(), leverage=size[1], funding_rate=Decimal(funding), maintenance_margin_rate=Decimal("0.01")
    )
    rerun = Rerun(bars, wanted, one, Decimal(10_000))
    assert_same(rerun.fills, simulate(bars, wanted, one, Decimal(10_000)))
    entries = entries_of(rerun.fills, len(bars))
    for delays in (np.array(drawn_delays[: len(entries)], dtype=np.int64), np.zeros(len(entries), dtype=np.int64)):
        changed = change_entries(wanted, entries, delays)
        again = rerun.again(changed, entries.decided[delays != 0])
        assert_same(again, simulate(bars, changed, one, Decimal(10_000)))


def assert_same(found: Fills, expected: Fills) -> None:
    for name in ("bar_index", "side", "lots", "price", "quantity", "fee", "purpose", "funding_index", "funding_paid"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
