"""Laws of what the sandbox makes up from bars: trades, book and longer bars never contradict the bar they come from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.bars import Bars
from include.domain.instruments import Instrument
from include.domain.times import DAY_MS, to_ms
from include.venues.sandbox.depth import LEVELS, Depth, Levels, changes
from include.venues.sandbox.klines import INTERVALS, Klines, Seen
from include.venues.sandbox.prints import MOMENTS, Prints, path_ticks
from include.venues.sandbox.tape import Tape
from tests.adapters.memory_market import MINUTE, make_instrument, random_bars

START = datetime(2024, 2, 27, tzinfo=UTC)
TICKS = st.integers(1, 4_000)
INSTRUMENTS = (
    make_instrument("BTC/USDT"),
    Instrument("XRP/USDT", Decimal("0.00005"), Decimal(1), Decimal(5), Decimal(0), Decimal(0), Decimal(0), Decimal(0)),
    Instrument(
        "ODD/USDT", Decimal("0.25"), Decimal("0.003"), Decimal(5), Decimal(0), Decimal(0), Decimal(80), Decimal(0)
    ),
)


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    """A few bars on the tick grid, with much, little and no volume."""
    instrument = draw(st.sampled_from(INSTRUMENTS))
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    rows = draw(
        st.lists(
            st.tuples(TICKS, TICKS, TICKS, TICKS, st.integers(0, 20) | st.integers(0, 10**7)), min_size=1, max_size=6
        )
    )
    opens, closes = ([row[i] * tick for row in rows] for i in (0, 3))
    highs, lows = ([pick(row[:4]) * tick for row in rows] for pick in (max, min))
    times = to_ms(START) + np.arange(len(rows), dtype=np.int64) * MINUTE.ms
    columns = (np.array(column) for column in (opens, highs, lows, closes, [row[4] * lot for row in rows]))
    return Tape(instrument, Bars(instrument.symbol, MINUTE, times, *columns), 0)


def exactly(tape: Tape, row: int) -> Decimal:
    return int(tape.lots[row]) * tape.instrument.lot_size


@settings(max_examples=60)
@given(tapes())
def test_the_trades_of_a_bar_begin_at_its_open_end_at_its_close_touch_its_extremes_and_add_up(tape: Tape) -> None:
    prints = Prints(tape)
    number = 0
    for row in range(len(tape.bars)):
        trades, prices = prints.of(row), tape.prices(row)
        assert sum((trade.quantity for trade in trades), Decimal(0)) == exactly(tape, row)
        assert bool(trades) == bool(tape.lots[row])
        if trades:
            assert (trades[0].price, trades[-1].price) == (prices.open, prices.close)
            assert {prices.high, prices.low} <= {trade.price for trade in trades}
        for trade in trades:
            number += 1
            assert trade.id == number
            assert prices.low <= trade.price <= prices.high
            assert trade.quantity > 0
            assert not trade.price % tape.instrument.tick_size
        times = [trade.at for trade in trades]
        opened = int(tape.bars.open_time[row])
        assert times == sorted(times)
        assert all(opened <= at < opened + tape.interval_ms for at in times)
    assert [prints.row_of(n) for n in range(1, number + 1)] == [
        row for row in range(len(tape.bars)) for _ in prints.of(row)
    ]


@settings(max_examples=30)
@given(tapes())
def test_trades_are_parts_of_a_lot_only_where_a_bar_has_fewer_lots_than_corners(tape: Tape) -> None:
    for row in range(len(tape.bars)):
        for trade in Prints(tape).of(row):
            if tape.lots[row] >= 4:
                assert not trade.quantity % tape.instrument.lot_size


@settings(max_examples=30)
@given(tapes())
def test_the_book_brackets_the_path_and_never_crosses(tape: Tape) -> None:
    depth = Depth(tape)
    for row in range(len(tape.bars)):
        for price, book in zip(path_ticks(tape, row), depth.through(row), strict=True):
            bids, asks = [p for p, _ in book.bids], [p for p, _ in book.asks]
            assert bids == sorted(set(bids), reverse=True)
            assert asks == sorted(set(asks))
            assert asks[0] >= price
            assert not bids or bids[0] <= price < asks[0] + 1
            assert not bids or bids[0] < asks[0]
            assert len(asks) == LEVELS
            assert all(size > 0 for _, size in (*book.bids, *book.asks))


def applied(side: dict[int, int], update: Levels) -> dict[int, int]:
    merged = {**side, **dict(update)}
    return {price: size for price, size in merged.items() if size}


@settings(max_examples=30)
@given(tapes())
def test_a_snapshot_and_the_diffs_after_it_give_every_later_book(tape: Tape) -> None:
    books = [book for row in range(len(tape.bars)) for book in Depth(tape).through(row)]
    bids, asks, last = dict(books[0].bids), dict(books[0].asks), books[0].snapshot_id
    for before, book in pairwise(books):
        assert book.first_id == before.last_id + 1
        assert book.first_id <= last <= book.last_id or before is not books[0]
        bids, asks = (
            applied(bids, changes(before.bids, book.bids)),
            applied(asks, changes(before.asks, book.asks)),
        )
        assert sorted(bids.items(), reverse=True) == book.bids
        assert sorted(asks.items()) == book.asks


@settings(max_examples=15)
@given(tapes())
def test_the_same_bar_is_always_told_alike(tape: Tape) -> None:
    again = Tape(tape.instrument, tape.bars, 0)
    for row in range(len(tape.bars)):
        assert Prints(tape).of(row) == Prints(again).of(row)
        assert Depth(tape).through(row) == Depth(again).through(row)


def test_a_rewritten_bar_renumbers_only_the_trades_after_it() -> None:
    tape = Tape(INSTRUMENTS[0], random_bars("BTC/USDT", START, 6, seed=1), 0)
    prints = Prints(tape)
    before = prints.before.copy()
    tape.bars.volume[3] = 0.0
    tape.bar_changed(3)
    assert prints.of(3) == []
    assert list(prints.before[:4]) == list(before[:4])
    assert list(prints.before[4:]) == list(before[4:] - MOMENTS)


# --- longer bars -------------------------------------------------------------------------------------------

HISTORY = 3 * 1_440
LONG = Tape(INSTRUMENTS[0], random_bars("BTC/USDT", START, HISTORY, seed=7), 0)


def with_holes(tape: Tape, gone: set[int]) -> Tape:
    kept = np.array([row for row in range(len(tape.bars)) if row not in gone])
    bars = tape.bars
    columns = (column[kept] for column in (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume))
    return Tape(tape.instrument, Bars(bars.symbol, MINUTE, *columns), 0)


@settings(max_examples=25, deadline=None)
@given(
    interval=st.sampled_from([text for text in INTERVALS if text != "1s"]),
    known=st.integers(1, HISTORY - 100),
    stands_at_open=st.booleans(),
    gone=st.sets(st.integers(0, HISTORY - 1), max_size=90),
)
def test_every_longer_bar_is_the_sum_of_what_its_minutes_have_shown(
    interval: str, known: int, stands_at_open: bool, gone: set[int]
) -> None:
    tape = with_holes(LONG, gone)
    times = tape.bars.open_time
    now = int(times[known]) if stands_at_open else int(times[known - 1]) + MINUTE.ms - 1
    candles = Klines(tape, Prints(tape)).page(
        interval, Seen(known, known if stands_at_open else None, now), limit=9_999
    )
    covered = 0
    for candle in candles:
        rows = np.flatnonzero((times >= candle.open_time) & (times <= candle.close_time))
        rows = rows[rows < known]
        shown = [tape.prices(row) for row in rows]
        opened = [tape.prices(known).open] if stands_at_open and candle.open_time <= now <= candle.close_time else []
        assert candle.open == (shown[0].open if shown else opened[0])
        assert candle.close == (opened or [shown[-1].close])[0]
        assert candle.high == max([*(bar.high for bar in shown), *opened])
        assert candle.low == min([*(bar.low for bar in shown), *opened])
        assert candle.volume == sum((exactly(tape, row) for row in rows), Decimal(0))
        assert candle.trades == sum(len(Prints(tape).of(row)) for row in rows[:0]) + MOMENTS * len(rows)
        assert candle.finished == (now >= candle.close_time)
        covered += len(rows)
    assert covered == known
    assert [c.open_time for c in candles] == sorted({c.open_time for c in candles})


@pytest.mark.parametrize(
    ("interval", "opens"),
    [
        ("1M", ["2024-02-01", "2024-03-01"]),
        ("1w", ["2024-02-26"]),
        ("3d", ["2024-02-26", "2024-02-29"]),
        ("1d", ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"]),
    ],
)
def test_long_bars_open_where_the_exchange_opens_them(interval: str, opens: list[str]) -> None:
    tape = Tape(INSTRUMENTS[0], random_bars("BTC/USDT", START, 3 * 1_440 + 1, seed=2), 0)
    count = len(tape.bars)
    view = Seen(count, None, int(tape.bars.open_time[-1]) + MINUTE.ms - 1)
    candles = Klines(tape, Prints(tape)).page(interval, view)
    assert [c.open_time for c in candles] == [to_ms(datetime.fromisoformat(day).replace(tzinfo=UTC)) for day in opens]
    assert not candles[-1].finished


def test_paging_gives_the_first_from_a_start_and_the_last_without_one() -> None:
    klines, view = Klines(LONG, Prints(LONG)), Seen(600, None, to_ms(START) + 600 * MINUTE.ms - 1)
    start = to_ms(START)
    hour = 60 * MINUTE.ms
    times = {
        "last": [c.open_time for c in klines.page("1h", view, limit=3)],
        "from": [c.open_time for c in klines.page("1h", view, start + 1, None, 3)],
        "span": [c.open_time for c in klines.page("1h", view, start + hour, start + 2 * hour, 9)],
        "until": [c.open_time for c in klines.page("1h", view, None, start + 2 * hour, 2)],
        "none": [c.open_time for c in klines.page("1h", view, start + DAY_MS)],
    }
    assert times == {
        "last": [start + k * hour for k in (7, 8, 9)],
        "from": [start + k * hour for k in (1, 2, 3)],
        "span": [start + k * hour for k in (1, 2)],
        "until": [start + k * hour for k in (1, 2)],
        "none": [],
    }


def test_a_hole_at_the_end_of_a_longer_bar_leaves_it_open_until_the_next_one_begins() -> None:
    tape = with_holes(LONG, {3, 4, 5})  # the five-minute bar ends in a hole, the next begins one minute late
    klines = Klines(tape, Prints(tape))
    assert klines.left_open("5m", 3)
    assert not klines.left_open("5m", 2)
    assert not klines.left_open("1m", 3)
    assert not klines.at("5m", 2, Seen(3, None, int(tape.bars.open_time[2]) + MINUTE.ms - 1)).finished
    assert klines.at("5m", 2, Seen(3, 3, int(tape.bars.open_time[3]))).finished


def test_a_timeframe_that_is_no_multiple_of_the_replayed_one_is_refused() -> None:
    from include.domain.times import Timeframe
    from include.venues.sandbox.errors import ApiError

    bars = random_bars("BTC/USDT", START, 4, seed=1)
    slow = Bars(bars.symbol, Timeframe(300), bars.open_time[0] + np.arange(4) * 300_000, *(
        getattr(bars, name) for name in ("open", "high", "low", "close", "volume")
    ))  # fmt: skip
    klines = Klines(tape := Tape(INSTRUMENTS[0], slow, 0), Prints(tape))
    assert klines.intervals() == tuple(t for t in INTERVALS if t not in {"1s", "1m", "3m"})
    for interval in ("1m", "3m", "7m", ""):
        with pytest.raises(ApiError, match="-1120"):
            klines.grid(interval)
    assert timedelta(minutes=5) == slow.timeframe.delta
