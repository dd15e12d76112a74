"""Limits are slowed down for before they are reached, bans are kept, and cancels wait for bans alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.venues.dialect import Limits
from include.venues.dialects import DIALECTS
from include.venues.rate_limits import HARD_SHARE, SOFT_SHARE, RateGovernor

USED = Limits({"x-used-1m": (1_000, 60)})
LEFT = Limits(remaining=("x-left", "x-limit", "x-reset"))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_040.0  # twenty seconds into a minute

    def __call__(self) -> float:
        return self.now


def governor(limits: Limits = USED, *, obeys: bool = True) -> tuple[RateGovernor, Clock]:
    clock = Clock()
    return RateGovernor(limits, obeys=obeys, now=clock), clock


@pytest.mark.parametrize(
    ("used", "wait"),
    [("0", 0), ("699", 0), ("700", 0), ("825", 1.0), ("950", 40.0), ("1200", 40.0)],
    ids=["nothing", "below the soft share", "at it", "half way", "at the hard share", "beyond the limit"],
)
def test_waits_grow_with_what_is_used(used: str, wait: float) -> None:
    limiter, _ = governor()
    limiter.note(200, {"X-Used-1M": used})
    assert limiter.delay() == pytest.approx(wait)
    assert limiter.delay(urgent=True) == 0


def test_a_new_window_begins_with_nothing_used() -> None:
    limiter, clock = governor()
    limiter.note(200, {"x-used-1m": "1000"})
    assert limiter.used == {"x-used-1m": 1.0}
    clock.now += 41
    assert limiter.delay() == 0
    assert limiter.used == {}


@pytest.mark.parametrize(
    ("status", "headers", "secs"),
    [(429, {"Retry-After": "7"}, 7), (429, {}, 5), (418, {}, 120), (418, {"Retry-After": "99999"}, 3_600),
     (429, {"Retry-After": "soon"}, 5), (200, {"Retry-After": "7"}, 0)],
)  # fmt: skip
def test_a_ban_is_kept_by_everything(status: int, headers: dict[str, str], secs: float) -> None:
    for obeys in (True, False):
        limiter, clock = governor(obeys=obeys)
        limiter.note(status, headers)
        assert limiter.delay() == limiter.delay(urgent=True) == limiter.banned_secs == secs
        clock.now += secs
        assert limiter.delay() == 0


def test_a_later_answer_never_shortens_a_ban() -> None:
    limiter, _ = governor()
    limiter.note(418, {"Retry-After": "60"})
    limiter.note(429, {"Retry-After": "1"})
    assert limiter.delay() == 60


def test_what_is_left_counts_where_an_exchange_tells_that() -> None:
    limiter, clock = governor(LEFT)
    limiter.note(200, {"X-Left": "0", "X-Limit": "10", "X-Reset": str((clock.now + 3) * 1_000)})
    assert limiter.used == {"remaining": 1.0}
    assert limiter.delay() == pytest.approx(3)
    limiter.note(200, {"X-Left": "9", "X-Limit": "10", "X-Reset": "1"})
    assert limiter.delay() == 0


@pytest.mark.parametrize("headers", [None, {}, {"x-used-1m": "many"}, {"X-Left": "1"}])
def test_headers_that_say_nothing_change_nothing(headers: dict[str, str] | None) -> None:
    limiter, _ = governor()
    limiter.note(200, headers)
    assert (limiter.delay(), limiter.used) == (0, {})


def test_a_replay_is_not_slowed_down() -> None:
    limiter, _ = governor(obeys=False)
    limiter.note(200, {"x-used-1m": "1000"})
    assert limiter.delay() == 0


@given(st.lists(st.tuples(st.integers(0, 2_000), st.floats(0, 30)), min_size=1, max_size=20))
def test_more_used_never_waits_less_and_never_beyond_the_window(steps: list[tuple[int, float]]) -> None:
    for used, passed in steps:
        limiter, clock = governor()
        clock.now += passed
        waits = []
        for count in sorted((used, used + 50, used + 100)):
            limiter.note(200, {"x-used-1m": str(count)})
            waits.append(limiter.delay())
        assert waits == sorted(waits)
        assert 0 <= waits[-1] <= 60
    assert SOFT_SHARE < HARD_SHARE < 1


async def test_time_held_back_is_counted() -> None:
    limiter, _ = governor()
    limiter.note(429, {"Retry-After": "0.01"})
    await limiter.admit(urgent=True)
    assert limiter.waited_secs == pytest.approx(0.01)


def test_every_exchange_says_how_it_tells_its_limits() -> None:
    assert all(dialect.limits.used or dialect.limits.remaining for dialect in DIALECTS.values())


def test_what_the_exchange_states_of_its_limits_replaces_the_tables_figures() -> None:
    limiter, _ = governor(DIALECTS["binance-usdm"].limits)
    rows = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1_000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": "50"},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
    ]
    limiter.note_stated({"rateLimits": rows})
    assert limiter.limits == {
        "x-mbx-used-weight-1m": (1_000, 60), "x-mbx-order-count-10s": (50, 10), "x-mbx-order-count-1m": (1_200, 60),
    }  # fmt: skip
    limiter.note(200, {"X-MBX-USED-WEIGHT-1M": "950"})
    assert limiter.delay() > 0


@pytest.mark.parametrize("answer", [{}, None, {"rateLimits": [{"rateLimitType": "ORDERS"}]}, {"rateLimits": 3}])
def test_limits_that_cannot_be_read_leave_the_table_as_it_is(answer: object) -> None:
    limiter, _ = governor(DIALECTS["binance-spot"].limits)
    limiter.note_stated(answer)
    assert limiter.limits == DIALECTS["binance-spot"].limits.used
