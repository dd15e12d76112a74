"""Clock offset, back-off, a value that expires, the sequence of bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.bars import Bar
from include.domain.errors import FatalError, RetryableError
from include.domain.times import Timeframe, from_ms
from include.venues.backoff import CAP_SECS, FLOOR_SECS, Backoff
from include.venues.clock_offset import ClockOffset, ClockSample, estimate_offset, measure_offset
from include.venues.expiring import Expiring
from include.venues.feeds.sequence import BarSequence, Judgement, is_crossed

MS = timedelta(milliseconds=1)


@given(
    offset=st.integers(-5_000, 5_000),
    trips=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=5),
)
def test_the_true_offset_lies_within_the_uncertainty(offset: int, trips: list[tuple[int, int]]) -> None:
    samples = [ClockSample(1_000, 1_000 + out + offset, 1_000 + out + back) for out, back in trips]
    found = estimate_offset(samples)
    assert abs(found.offset - offset * MS) <= found.uncertainty
    assert found.uncertainty == min(out + back for out, back in trips) * MS / 2


async def test_the_shortest_round_trip_counts() -> None:
    times = iter([0, 400, 1_000, 1_010, 2_000, 2_900])
    answers = iter([9_999_999, 1_305, 0])

    async def ask() -> datetime:
        return from_ms(next(answers))

    found = await measure_offset(ask, wall_ms=lambda: next(times))
    assert found == ClockOffset(300 * MS, 5 * MS)


@pytest.mark.parametrize(
    ("offset", "uncertainty", "error"),
    [(0, 10, None), (900, 50, None), (-900, 50, None), (1_500, 100, FatalError), (-1_500, 100, FatalError),
     (900, 400, RetryableError), (0, 1_500, RetryableError)],
)  # fmt: skip
def test_a_clock_that_is_off_is_refused_and_one_that_cannot_be_told_is_asked_again(
    offset: int, uncertainty: int, error: type[Exception] | None
) -> None:
    found = ClockOffset(offset * MS, uncertainty * MS)
    if error is None:
        found.require("x")
    else:
        with pytest.raises(error, match="x: "):
            found.require("x")


@given(st.integers(0, 2**32), st.integers(1, 100))
def test_waits_stay_between_floor_and_cap_and_follow_from_the_seed(seed: int, attempts: int) -> None:
    one, other = Backoff(random=Random(seed)), Backoff(random=Random(seed))
    waits = [one.next() for _ in range(attempts)]
    assert waits == [other.next() for _ in range(attempts)]
    assert all(FLOOR_SECS <= wait <= min(CAP_SECS, 0.2 * 2**n) for n, wait in enumerate(waits))
    one.reset()
    assert one.next() <= 0.2


async def test_a_value_is_asked_for_again_once_it_is_old_and_a_failure_leaves_none() -> None:
    now, asked = [0.0], []

    async def ask() -> int:
        asked.append(now[0])
        if now[0] == 20:
            raise RetryableError("no")
        return len(asked)

    kept: Expiring[int] = Expiring(timedelta(seconds=10), clock=lambda: now[0])
    assert [await kept.get(ask), await kept.get(ask)] == [1, 1]
    now[0] = 10
    assert await kept.get(ask) == 2
    now[0] = 20
    with pytest.raises(RetryableError):
        await kept.get(ask)
    now[0] = 21
    assert await kept.get(ask) == 4
    kept.forget()
    assert await kept.get(ask) == 5


def bar_at(minute: float, price: str = "100", *, high: str | None = None, low: str | None = None) -> Bar:
    at, last = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=minute), Decimal(price)
    return Bar("X/Y", at, last, Decimal(high or price), Decimal(low or price), last, Decimal(1))


@pytest.mark.parametrize(
    ("bar", "judgement"),
    [
        (bar_at(1), Judgement.NEXT),
        (bar_at(0), Judgement.REPEAT),
        (bar_at(-3), Judgement.REPEAT),
        (bar_at(2), Judgement.HOLE),
        (bar_at(1.5), Judgement.OFF_GRID),
        (bar_at(1, "120"), Judgement.NEXT),
        (bar_at(1, "120.1"), Judgement.JUMP),
        (bar_at(1, "79.9"), Judgement.JUMP),
        (bar_at(1, high="9999"), Judgement.JUMP),
        (bar_at(1, low="0.01"), Judgement.JUMP),
    ],
    ids=["next", "same", "older", "one missing", "off the grid", "20 % up", "more", "down", "a high", "a low"],
)
def test_a_bar_follows_the_last_one_or_is_called_what_it_is(bar: Bar, judgement: Judgement) -> None:
    assert BarSequence(Timeframe(60), bar_at(0)).judge(bar) is judgement


def test_any_bar_on_the_grid_may_be_the_first_and_missing_ones_are_counted() -> None:
    assert BarSequence(Timeframe(60)).judge(bar_at(7)) is Judgement.NEXT
    assert BarSequence(Timeframe(60)).judge(bar_at(7.5)) is Judgement.OFF_GRID
    assert [BarSequence(Timeframe(60), bar_at(0)).missing(bar_at(m)) for m in (-1, 0, 1, 2, 5)] == [0, 0, 0, 1, 4]


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"), [("1", "2", False), ("2", "2", True), ("3", "2", True), ("0", "1", True)]
)
def test_a_book_whose_sides_meet_is_crossed(bid: str, ask: str, crossed: bool) -> None:
    assert is_crossed(Decimal(bid), Decimal(ask)) is crossed
