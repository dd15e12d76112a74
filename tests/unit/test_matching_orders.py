"""Order types, times in force, triggers, queues and partial fills of the matching core."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import Liquidity, OrderStatus, OrderType, Side, TimeInForce
from include.venues.matching import Expiry, Refusal, RefusedError, Request
from tests.adapters.matching_player import FLAT_BAR, MINUTE_MS, Player, executions, fills, kinds

BUY, SELL = Side.BUY, Side.SELL
TENTH = {"participation": Decimal("0.1")}


def long(quantity: str = "10", **instrument: Any) -> Player:
    """A long position, and the market standing at the open that filled it."""
    player = Player(**instrument)
    player.bar(*FLAT_BAR, volume="1000")
    player.send("entry", BUY, quantity)
    player.open(*FLAT_BAR, volume="1000")
    return player


# --- times in force ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time_in_force", "limit", "volume", "expected", "status"),
    [
        (TimeInForce.IOC, "103", "1000", [("a", "5", "102.2")], OrderStatus.FILLED),
        (TimeInForce.IOC, "102.1", "1000", [("a", "5", "102.1")], OrderStatus.FILLED),
        (TimeInForce.IOC, "101", "1000", [], OrderStatus.EXPIRED),
        (TimeInForce.IOC, "103", "20", [("a", "2", "102.2")], OrderStatus.EXPIRED),
        (TimeInForce.FOK, "103", "50", [("a", "5", "102.2")], OrderStatus.FILLED),
        (TimeInForce.FOK, "103", "49.9", [], OrderStatus.EXPIRED),
        (TimeInForce.FOK, "101", "1000", [], OrderStatus.EXPIRED),
    ],
)
def test_what_takes_at_once_waits_for_the_next_open_and_ends_there(
    time_in_force: TimeInForce, limit: str, volume: str, expected: list[Any], status: OrderStatus
) -> None:
    player = Player(**TENTH)
    player.bar(*FLAT_BAR, volume="1000")
    assert kinds(player.send("a", BUY, "5", OrderType.LIMIT, limit, time_in_force=time_in_force)) == [("NEW", "a")]
    events = player.open("102", "103", "100", "101", volume=volume)
    assert fills(events) == expected
    assert player.order("a").status is status
    assert all(e.trade.liquidity is Liquidity.TAKER for e in executions(events) if e.trade)
    assert player.finish() == []


def test_at_an_open_a_fill_or_kill_order_that_cannot_fill_is_refused_at_once() -> None:
    player = Player(**TENTH)
    player.open(*FLAT_BAR, volume="40")
    for quantity, limit in (("5", "101"), ("4", "99")):
        with pytest.raises(RefusedError) as refused:
            player.send("a", BUY, quantity, OrderType.LIMIT, limit, time_in_force=TimeInForce.FOK)
        assert refused.value.refusal is Refusal.CANNOT_FILL_ALL
    events = player.send("a", BUY, "4", OrderType.LIMIT, "101", time_in_force=TimeInForce.FOK)
    assert fills(events) == [("a", "4", "100.1")]


def test_a_post_only_order_rests_and_pays_the_maker_fee() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("a", BUY, "1", OrderType.LIMIT, "99.5", time_in_force=TimeInForce.GTX)
    events = player.bar(*FLAT_BAR)
    assert fills(events) == [("a", "1", "99.5")]
    assert [e.trade.liquidity for e in executions(events) if e.trade] == [Liquidity.MAKER]


def test_an_order_with_a_date_expires_at_the_first_moment_after_it() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("a", BUY, "1", OrderType.LIMIT, "50", good_till=2 * MINUTE_MS)
    assert player.bar(*FLAT_BAR) == []
    assert player.open(*FLAT_BAR) == []
    assert kinds(player.finish()) == [("EXPIRED", "a")]
    assert player.order("a").expiry is Expiry.GOOD_TILL


def test_a_countdown_that_nobody_renews_cancels_the_symbols_orders_in_market_time() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("a", BUY, "1", OrderType.LIMIT, "50")
    player.account.set_countdown(player.coin.symbol, player.now + MINUTE_MS)
    player.account.set_countdown(player.coin.symbol, player.now + 2 * MINUTE_MS)
    assert player.bar(*FLAT_BAR) + player.bar(*FLAT_BAR) == []
    assert kinds(player.open(*FLAT_BAR)) == [("CANCELED", "a")]
    player.send("b", BUY, "1", OrderType.LIMIT, "50")
    player.account.set_countdown(player.coin.symbol, None)
    assert player.finish() + player.bar(*FLAT_BAR) == []


# --- conditional orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "level", "limit", "bar", "expected"),
    [
        (OrderType.STOP_MARKET, "97", "", ("100", "101", "95", "96"), [("a", "10", "96.9")]),
        (OrderType.TAKE_PROFIT_MARKET, "102", "", ("100", "103", "99", "101"), [("a", "10", "101.8")]),
        # The limit is worse than the trigger: the order takes at once, not beyond its limit.
        (OrderType.STOP_LIMIT, "97", "96", ("100", "101", "95", "96"), [("a", "10", "96.9")]),
        (OrderType.STOP_LIMIT, "97", "97", ("100", "101", "95", "96"), [("a", "10", "97")]),
        # The limit is better than the trigger: it rests, and the rest of the path may come back to it.
        (OrderType.STOP_LIMIT, "97", "98", ("100", "101", "95", "99"), [("a", "10", "98")]),
        (OrderType.STOP_LIMIT, "97", "98", ("100", "101", "95", "97.9"), []),
        (OrderType.TAKE_PROFIT_LIMIT, "102", "101", ("100", "103", "99", "101"), [("a", "10", "101.8")]),
        (OrderType.TAKE_PROFIT_LIMIT, "102", "102.5", ("100", "103", "99", "101"), [("a", "10", "102.5")]),
        (OrderType.TAKE_PROFIT_LIMIT, "102", "104", ("100", "103", "99", "101"), []),
    ],
)
def test_a_conditional_order_waits_for_its_trigger_and_then_takes_or_rests(
    kind: OrderType, level: str, limit: str, bar: tuple[str, ...], expected: list[Any]
) -> None:
    player = long()
    player.finish()
    more = {"limit": limit} if limit else {}
    player.send("a", SELL, "10", kind, level, reduce_only=True, **more)
    assert fills(player.bar(*bar)) == expected
    assert (player.order("a").triggered_id is not None) is True


def test_a_triggered_order_is_told_as_triggered_traded_and_finished_under_a_second_id() -> None:
    player = long()
    player.send("stop", SELL, "10", OrderType.STOP_MARKET, "99.5", reduce_only=True)
    events = player.finish()
    assert kinds(events) == [("TRIGGERED", "stop"), ("TRADE", "stop"), ("FINISHED", "stop")]
    order = player.order("stop")
    assert (order.id, order.triggered_id, player.account.children) == (2, 3, {3: 2})
    assert [trade.order_id for trade in player.account.trades] == [1, 3]


def test_a_close_position_order_takes_whatever_there_is_when_it_triggers() -> None:
    player = long("4")
    player.send("close", SELL, "0", OrderType.STOP_MARKET, "98", close_position=True)
    player.finish()
    player.send("more", BUY, "3")
    events = player.bar("100", "101", "97", "98")
    assert fills(events) == [("more", "3", "100.1"), ("close", "7", "97.9")]
    assert player.order("close").request.quantity == 7


def test_a_trailing_stop_follows_only_from_its_activation_price_on() -> None:
    player = long()
    player.send(
        "trail", SELL, "10", OrderType.TRAILING_STOP_MARKET, callback=Decimal("0.02"), activation=Decimal(103),
        reduce_only=True,
    )  # fmt: skip
    assert player.finish() == []
    assert player.bar("100", "102.9", "95", "100") == []
    # High first: it is activated at 103, follows to 104 and is met at 101.9 (104 x 0.98) on the way down.
    assert fills(player.bar("100", "104", "99", "99.5")) == [("trail", "10", "101.7")]


def test_a_trailing_stop_starts_again_when_its_position_is_enlarged() -> None:
    player = long("5")
    player.send("trail", SELL, "5", OrderType.TRAILING_STOP_MARKET, callback=Decimal("0.05"), reduce_only=True)
    player.finish()
    player.bar("100", "110", "100", "108")
    player.send("more", BUY, "5")
    assert fills(player.bar("104", "105", "100", "104")) == [("more", "5", "104.2")]
    assert player.order("trail").is_open


@pytest.mark.parametrize(
    "wish",
    [
        {"type": OrderType.LIMIT},
        {"type": OrderType.MARKET, "price": Decimal(1)},
        {"type": OrderType.STOP_MARKET},
        {"type": OrderType.TRAILING_STOP_MARKET},
        {"type": OrderType.MARKET, "quantity": Decimal(0)},
        {"type": OrderType.MARKET, "quantity": Decimal(-1)},
    ],
)
def test_a_request_that_contradicts_itself_cannot_be_made(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Request(**{"client_order_id": "a", "symbol": "X", "side": BUY, "quantity": Decimal(1), **wish})


# --- queue ---------------------------------------------------------------------------------------------------


def test_the_better_price_goes_first_and_at_one_price_the_older_order() -> None:
    player = Player(**TENTH)
    player.bar(*FLAT_BAR, volume="1000")
    for name, level in (("low", "98"), ("old", "99"), ("new", "99")):
        player.send(name, BUY, "5", OrderType.LIMIT, level)
    assert fills(player.bar("97", "98", "96", "97", volume="120")) == [
        ("old", "5", "97"),
        ("new", "5", "97"),
        ("low", "2", "97"),
    ]
    assert fills(player.bar("99", "99", "97", "98", volume="1000")) == [("low", "3", "98")]


def test_a_modified_order_keeps_its_id_and_goes_to_the_end_of_the_queue() -> None:
    player = Player(**TENTH)
    player.bar(*FLAT_BAR, volume="1000")
    player.send("a", BUY, "5", OrderType.LIMIT, "98")
    player.send("b", BUY, "5", OrderType.LIMIT, "98.5")
    events = player.account.modify(player.order("a"), Decimal(6), Decimal("98.5"), player.now)
    assert kinds(events) == [("AMENDMENT", "a")]
    assert player.order("a").id == 1
    assert fills(player.bar(*FLAT_BAR, volume="1000")) == []
    assert fills(player.bar("98", "99", "97", "98", volume="80")) == [("b", "5", "98"), ("a", "3", "98")]
    assert kinds(player.account.modify(player.order("a"), Decimal(3), Decimal(98), player.now)) == [("CANCELED", "a")]


@pytest.mark.parametrize(
    ("refusal", "name", "quantity", "price"),
    [
        (Refusal.NOTHING_TO_MODIFY, "limit", "1", "90"),
        (Refusal.MARGIN_INSUFFICIENT, "limit", "100000", "90"),
        (Refusal.NOT_MODIFIABLE, "stop", "1", "90"),
        (Refusal.UNKNOWN_ORDER, "entry", "1", "90"),
    ],
)
def test_a_modification_that_cannot_be_is_refused(refusal: Refusal, name: str, quantity: str, price: str) -> None:
    player = long()
    player.send("limit", BUY, "1", OrderType.LIMIT, "90")
    player.send("stop", SELL, "1", OrderType.STOP_MARKET, "90", reduce_only=True)
    with pytest.raises(RefusedError) as refused:
        player.account.modify(player.order(name), Decimal(quantity), Decimal(price), player.now)
    assert refused.value.refusal is refusal


def test_a_modified_order_that_the_standing_market_reaches_fills_at_once() -> None:
    player = Player()
    player.open(*FLAT_BAR)
    player.send("a", BUY, "1", OrderType.LIMIT, "90")
    events = player.account.modify(player.order("a"), Decimal(1), Decimal(101), player.now)
    assert fills(events) == [("a", "1", "100")]


# --- volume --------------------------------------------------------------------------------------------------


def test_an_open_and_the_orders_that_arrive_at_it_share_one_volume() -> None:
    player = Player(**TENTH)
    player.bar(*FLAT_BAR, volume="1000")
    player.send("a", BUY, "3")
    assert fills(player.open(*FLAT_BAR, volume="50")) == [("a", "3", "100.1")]
    assert fills(player.send("b", BUY, "3")) == [("b", "2", "100.1")]
    assert player.finish() == []
    assert fills(player.open("101", "102", "100", "101", volume="1000")) == [("b", "1", "101.2")]
    assert player.order("b").average_price == (2 * Decimal("100.1") + Decimal("101.2")) / 3


def test_a_bar_without_a_volume_is_no_bar_where_participation_is_limited() -> None:
    with pytest.raises(ValueError, match="no volume"):
        Player(**TENTH).open(*FLAT_BAR)


def test_a_fault_can_fill_a_part_of_a_resting_order_at_its_own_price() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("a", BUY, "4", OrderType.LIMIT, "90")
    assert fills(player.account.fill_part(player.order("a"), Decimal(1), player.now)) == [("a", "1", "90")]
    assert player.order("a").status is OrderStatus.PARTIALLY_FILLED
    assert kinds(player.account.cancel(player.order("a"), player.now)) == [("CANCELED", "a")]
