"""Rate limits of the sandbox exchange: what is counted, what is refused, and for how long."""

from __future__ import annotations

import pytest

from include.venues.sandbox.errors import ApiError
from include.venues.sandbox.limits import FIRST_BAN_MS, LONGEST_BAN_MS, VIOLATIONS_BEFORE_BAN, Limiter
from include.venues.sandbox.weights import LIMITS, LimitType, Segment, listed, weight
from tests.adapters.gateways import ALICE, IP, WALL_MS, make_desk

MINUTE_MS = 60_000
NOW = WALL_MS - WALL_MS % 300_000


@pytest.mark.parametrize(
    ("route", "params", "expected"),
    [
        ("GET /fapi/v1/ping", {}, 1),
        ("GET /fapi/v1/klines", {"symbol": "BTCUSDT"}, 5),
        ("GET /fapi/v1/klines", {"symbol": "BTCUSDT", "limit": "99"}, 1),
        ("GET /fapi/v1/klines", {"symbol": "BTCUSDT", "limit": "100"}, 2),
        ("GET /fapi/v1/klines", {"symbol": "BTCUSDT", "limit": "1500"}, 10),
        ("GET /fapi/v1/klines", {"symbol": "BTCUSDT", "limit": "not a number"}, 5),
        ("GET /fapi/v1/openOrders", {}, 40),
        ("GET /fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
        ("GET /fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "1000"}, 20),
        ("POST /fapi/v1/order", {"symbol": "BTCUSDT"}, 0),
        ("GET /api/v3/depth", {"symbol": "BTCUSDT"}, 5),
        ("GET /api/v3/ticker/24hr", {}, 80),
        ("GET /somewhere/else", {}, 1),
    ],
)
def test_a_request_weighs_what_the_exchange_documents(route: str, params: dict[str, str], expected: int) -> None:
    method, _, path = route.partition(" ")
    assert weight(method, path).of(params) == expected


@pytest.mark.parametrize("segment", list(Segment))
def test_limits_are_listed_as_they_are_enforced(segment: Segment) -> None:
    assert [row["limit"] for row in listed(segment)] == [limit.limit for limit in LIMITS[segment]]


def test_weight_is_refused_beyond_the_limit_and_free_again_in_the_next_window() -> None:
    limiter = Limiter(enforced=True)
    limiter.charge(Segment.USDM, IP, 2_400, NOW + 10_000)
    with pytest.raises(ApiError) as refused:
        limiter.charge(Segment.USDM, IP, 1, NOW + 15_000)
    assert (refused.value.denial.status, refused.value.denial.code) == (429, -1003)
    assert refused.value.retry_after_secs == 45
    assert IP in refused.value.denial.msg
    limiter.charge(Segment.USDM, "10.0.0.9", 1, NOW + 15_000)
    limiter.charge(Segment.SPOT, IP, 1, NOW + 15_000)
    limiter.charge(Segment.USDM, IP, 1, NOW + MINUTE_MS)


def test_going_on_after_429_is_a_ban_that_doubles_up_to_three_days() -> None:
    limiter, lengths, now = Limiter(enforced=True), [], NOW
    for _ in range(14):
        limiter.charge(Segment.USDM, IP, 2_400, now)
        statuses = []
        for _ in range(VIOLATIONS_BEFORE_BAN + 1):
            with pytest.raises(ApiError) as refused:
                limiter.charge(Segment.USDM, IP, 1, now)
            statuses.append(refused.value.denial.status)
        assert statuses == [429] * VIOLATIONS_BEFORE_BAN + [418]
        assert refused.value.retry_after_secs is not None
        lengths.append(refused.value.retry_after_secs * 1_000)
        now += lengths[-1]
        now += MINUTE_MS - now % MINUTE_MS
    assert lengths[:4] == [FIRST_BAN_MS, 2 * FIRST_BAN_MS, 4 * FIRST_BAN_MS, 8 * FIRST_BAN_MS]
    assert lengths[-1] == LONGEST_BAN_MS


def test_a_banned_address_gets_418_until_the_ban_is_over() -> None:
    limiter = Limiter(enforced=True)
    limiter.ban(IP, NOW, 30_000)
    with pytest.raises(ApiError) as refused:
        limiter.check_ban(IP, NOW + 29_999)
    assert refused.value.denial.status == 418
    assert str(NOW + 30_000) in refused.value.denial.msg
    limiter.check_ban(IP, NOW + 30_000)


@pytest.mark.parametrize("segment", list(Segment))
def test_orders_are_counted_by_account_and_refused_with_their_own_code(segment: Segment) -> None:
    limiter = Limiter(enforced=True)
    most = min(limit.limit for limit in LIMITS[segment] if limit.type is LimitType.ORDERS)
    for _ in range(most):
        limiter.charge_orders(segment, "alice", 1, NOW)
    with pytest.raises(ApiError) as refused:
        limiter.charge_orders(segment, "alice", 1, NOW)
    assert (refused.value.denial.code, refused.value.denial.status, refused.value.retry_after_secs) == (
        -1015,
        429,
        None,
    )
    limiter.charge_orders(segment, "bob", 1, NOW)
    limiter.charge_orders(segment, "alice", 1, NOW + 10_000)


def test_what_is_only_told_is_never_refused() -> None:
    limiter = Limiter(enforced=False)
    for _ in range(100):
        limiter.charge(Segment.USDM, IP, 240, NOW)
        limiter.charge_orders(Segment.USDM, "alice", 50, NOW)
    headers = limiter.headers(Segment.USDM, IP, "alice")
    assert headers == {
        "X-MBX-USED-WEIGHT-1M": "24000", "X-MBX-ORDER-COUNT-1M": "5000", "X-MBX-ORDER-COUNT-10S": "5000",
    }  # fmt: skip


def test_use_and_bans_survive_a_restart() -> None:
    before, after = Limiter(enforced=True), Limiter(enforced=True)
    before.charge(Segment.USDM, IP, 2_399, NOW)
    before.charge_orders(Segment.USDM, "alice", 7, NOW)
    before.ban("10.0.0.9", NOW)
    after.restore(before.document())
    assert after.headers(Segment.USDM, IP, "alice") == before.headers(Segment.USDM, IP, "alice")
    with pytest.raises(ApiError, match="-1003"):
        after.charge(Segment.USDM, IP, 2, NOW)
    with pytest.raises(ApiError, match="banned"):
        after.check_ban("10.0.0.9", NOW + 1)


@pytest.mark.parametrize(("speed", "asked", "enforced"), [
    ("60", None, True), ("step", None, False), ("max", None, False), ("60", False, False), ("step", True, True),
])  # fmt: skip
def test_limits_are_enforced_where_the_wall_clock_moves_the_market(
    speed: str, asked: bool | None, enforced: bool
) -> None:
    desk = make_desk(speed=speed, rate_limits=asked)
    statuses = {desk.ask("GET /fapi/v1/openOrders", ALICE).status for _ in range(61)}
    assert statuses == ({200, 429} if enforced else {200})


def test_in_lockstep_the_headers_tell_what_the_client_would_use_in_a_minute_of_market_time() -> None:
    desk = make_desk(speed="step")
    for _ in range(3):
        used = [desk.ask("GET /fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] for _ in range(2)]
        assert used == ["1", "2"]
        desk.play()


def test_where_the_market_is_faster_than_life_so_are_the_windows() -> None:
    limiter = Limiter(enforced=True, pace=60)
    limiter.charge(Segment.USDM, IP, 2_400, NOW)
    with pytest.raises(ApiError) as refused:
        limiter.charge(Segment.USDM, IP, 1, NOW + 400)
    assert refused.value.retry_after_secs == 1
    limiter.charge(Segment.USDM, IP, 2_400, NOW + 1_000)


def test_a_refused_request_carries_retry_after_and_order_answers_carry_order_counts() -> None:
    desk = make_desk(speed="1")
    desk.play()
    told = desk.order("a")
    assert told.headers["X-MBX-ORDER-COUNT-10S"] == told.headers["X-MBX-ORDER-COUNT-1M"] == "1"
    assert "X-MBX-ORDER-COUNT-1M" not in desk.ask("GET /fapi/v1/ping").headers
    desk.gateway.limiter.charge(Segment.USDM, IP, 2_300, WALL_MS)
    refused = [desk.ask("GET /fapi/v1/openOrders", ALICE) for _ in range(4)][-1]
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) == 60 - WALL_MS % 60_000 // 1_000


def test_an_account_may_ask_what_it_has_used_of_its_order_limits() -> None:
    desk = make_desk(speed="1")
    desk.play()
    desk.order("a")
    spot = desk.ask("GET /api/v3/rateLimit/order", ALICE).document
    assert [(row["limit"], row["count"]) for row in spot] == [(100, 0), (200_000, 0)]
    usdm = desk.ask("GET /fapi/v1/rateLimit/order", ALICE).document
    assert usdm == [row for row in listed(Segment.USDM) if row["rateLimitType"] == "ORDERS"]
    desk.gateway.limiter.charge_orders(Segment.SPOT, "alice", 3, WALL_MS)
    assert [row["count"] for row in desk.ask("GET /api/v3/rateLimit/order", ALICE).document] == [3, 3]
    assert desk.ask("GET /fapi/v1/rateLimit/order").status == 401


@pytest.mark.parametrize(
    ("limiter", "usdm", "spot"),
    [
        (Limiter(enforced=True), 10, 5),
        (Limiter(enforced=True, pace=60), 600, 300),
        (Limiter(enforced=False), 1_000, 1_000),
    ],
    ids=["as in life", "a faster market", "not enforced"],
)
def test_a_connection_takes_as_many_messages_as_the_exchange_allows(limiter: Limiter, usdm: int, spot: int) -> None:
    assert (limiter.messages_a_sec(Segment.USDM), limiter.messages_a_sec(Segment.SPOT)) == (usdm, spot)
