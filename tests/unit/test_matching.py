"""The matching core: the fill rule's table, and what the table cannot say (accounts, refusals, events)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from include.domain import fill_rule
from include.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from include.domain.times import to_ms
from include.venues.matching import (
    Account,
    Change,
    ChangeReason,
    Event,
    ExecutionType,
    Prices,
    Refusal,
    RefusedError,
    Request,
)
from include.venues.matching.state import document
from tests.adapters.case_trader import Action, CaseTrader, Withdrawal
from tests.adapters.matching_player import FLAT_BAR, MINUTE_MS, Player, executions, fills, kinds
from tests.unit.fill_rule_cases import CASES, FillCase


class CasePlayer:
    """The whole of a case through the core alone."""

    def __init__(self, case: FillCase) -> None:
        self.case, self.symbol, self.trader = case, case.instrument.symbol, CaseTrader(case)
        self.account = Account({self.symbol: case.instrument}, Decimal(1_000_000))
        self.account.set_margin_type(self.symbol, MarginType.ISOLATED, 0)
        self.account.set_leverage(self.symbol, case.instrument.leverage, 0)
        self.funding: list[tuple[int, Decimal]] = []

    def play(self) -> CasePlayer:
        rows = self.case.rows()
        tells_funding = any(row.funding is not None for row in rows)
        for index, row in enumerate(rows):
            bar, at, quarter = row.bar, to_ms(row.bar.open_time), self.case.timeframe.ms // 4
            rate = (row.funding or Decimal(0)).quantize(fill_rule.RATE_STEP) if tells_funding else None
            played = {self.symbol: Prices(bar.open, bar.high, bar.low, bar.close, bar.volume, rate)}
            self.handle(self.account.open_phase(played, at), index)
            self.handle(self.account.path_phase(played, [at + quarter * leg for leg in (1, 2, 3)]), index)
            self.send(self.trader.on_close(index), at + self.case.timeframe.ms - 1, index)
        return self

    def handle(self, events: Sequence[Event], index: int) -> None:
        for event in events:
            if isinstance(event, Change):
                if event.reason is ChangeReason.FUNDING_FEE:
                    self.funding.append((index, -event.amount))
                    self.trader.on_funding(event.amount)
            elif event.type is ExecutionType.TRIGGERED:
                self.send(self.trader.on_trigger(event.order.request.client_order_id), event.at, index)
            elif (trade := event.trade) is not None:
                name = trade.client_order_id
                told = self.trader.on_fill(name, trade.at, trade.side, trade.quantity, trade.price, trade.fee)
                self.send(told, trade.at, index)

    def send(self, actions: Sequence[Action], at: int, index: int) -> None:
        for action in actions:
            if isinstance(action, Withdrawal):
                order = self.account.order(action.name)
                assert order is not None
                if order.is_open:
                    self.handle(self.account.cancel(order, at), index)
                continue
            is_limit = action.type is OrderType.LIMIT
            wish = Request(
                action.name, self.symbol, action.side, action.type, action.quantity,
                action.level if is_limit else None, None if is_limit else action.level, action.reduce_only,
                callback=action.callback,
            )  # fmt: skip
            try:
                self.handle(self.account.submit(wish, at), index)
            except RefusedError as error:
                # Its sibling has just closed the position.
                assert error.refusal is Refusal.NOTHING_TO_REDUCE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_matching_core_obeys_the_fill_rule(case: FillCase) -> None:
    played = CasePlayer(case).play()
    assert tuple(played.trader.fills) == case.fills
    assert tuple(played.funding) == case.funding


def test_a_market_order_between_bars_waits_for_the_next_open() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    assert kinds(player.send("a", Side.BUY, "1")) == [("NEW", "a")]
    filled = [e.trade for e in executions(player.open("102", "103", "101", "102")) if e.trade]
    assert [(trade.price, trade.at) for trade in filled] == [(Decimal("102.2"), MINUTE_MS)]


def test_a_market_order_while_the_market_stands_at_the_open_fills_there_at_once() -> None:
    player = Player()
    player.open(*FLAT_BAR)
    events = player.send("a", Side.SELL, "1")
    assert kinds(events) == [("NEW", "a"), ("TRADE", "a")]
    assert fills(events) == [("a", "1", "99.9")]


def test_orders_that_reduce_go_before_orders_that_enter_at_the_same_open() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "2")
    player.bar(*FLAT_BAR)
    player.send("reverse", Side.SELL, "3")
    player.send("exit", Side.SELL, "2", reduce_only=True)
    assert [name for name, *_ in fills(player.open(*FLAT_BAR))] == ["exit", "reverse"]
    assert player.quantity == -3


def test_a_reduce_only_order_is_cut_to_the_position_and_its_rest_expires() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.open(*FLAT_BAR)
    events = player.send("exit", Side.SELL, "5", reduce_only=True)
    assert kinds(events) == [("NEW", "exit"), ("TRADE", "exit"), ("EXPIRED", "exit")]
    assert (player.order("exit").status, player.order("exit").filled) == (OrderStatus.EXPIRED, Decimal(1))
    assert player.quantity == 0


def test_protective_orders_expire_with_the_position_they_protect() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.open(*FLAT_BAR)
    player.send("stop", Side.SELL, "1", OrderType.STOP_MARKET, "90", reduce_only=True)
    player.send("take", Side.SELL, "1", OrderType.LIMIT, "101", reduce_only=True)
    assert kinds(player.finish()) == [("TRADE", "take"), ("EXPIRED", "stop")]
    assert player.account.open_orders() == []


def test_the_id_of_a_working_order_is_refused_and_that_of_one_that_has_ended_is_free() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("a", Side.BUY, "1")
    with pytest.raises(RefusedError) as refused:
        player.send("a", Side.BUY, "1")
    assert refused.value.refusal is Refusal.DUPLICATE_ID
    player.bar(*FLAT_BAR)
    player.send("a", Side.BUY, "2", OrderType.LIMIT, "90")
    assert player.order("a").id == 2
    assert [order.request.client_order_id for order in player.account.orders.values()] == ["a", "a"]


@pytest.mark.parametrize(
    ("refusal", "arguments", "more"),
    [
        (Refusal.NOTHING_TO_REDUCE, ("a", Side.BUY, "1"), {"reduce_only": True}),
        (Refusal.MARGIN_INSUFFICIENT, ("a", Side.BUY, "100000"), {}),
        (Refusal.POSITION_SIDE, ("a", Side.BUY, "1"), {"position_side": PositionSide.LONG}),
        (Refusal.WOULD_TAKE, ("a", Side.BUY, "1", OrderType.LIMIT, "100"), {"time_in_force": TimeInForce.GTX}),
    ],
)
def test_a_refused_order_changes_nothing(refusal: Refusal, arguments: tuple[Any, ...], more: dict[str, Any]) -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.bar(*FLAT_BAR)
    before = document(player.account)
    with pytest.raises(RefusedError) as refused:
        player.send(*arguments, **more)
    assert refused.value.refusal is refusal
    assert document(player.account) == before


def test_an_order_without_any_price_to_measure_it_by_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        Player().send("a", Side.BUY, "1")
    assert refused.value.refusal is Refusal.NO_PRICE


def test_a_cancelled_order_never_fills_and_cannot_be_cancelled_twice() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("limit", Side.BUY, "1", OrderType.LIMIT, "99")
    assert kinds(player.account.cancel(player.order("limit"), player.now)) == [("CANCELED", "limit")]
    assert player.bar("100", "101", "95", "96") == []
    with pytest.raises(RefusedError) as refused:
        player.account.cancel(player.order("limit"), player.now)
    assert refused.value.refusal is Refusal.UNKNOWN_ORDER


def test_wallet_and_position_of_a_worked_example() -> None:
    """Buy 2 at 100.1, sell 1 at 99.9, sell 1 at the limit 101: fees 5 and 2 basis points of what was exchanged."""
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "2")
    player.open(*FLAT_BAR)
    player.send("half", Side.SELL, "1")
    player.send("take", Side.SELL, "1", OrderType.LIMIT, "101", reduce_only=True)
    player.finish()
    fees = Decimal("200.2") * Decimal("0.0005") + Decimal("99.9") * Decimal("0.0005") + 101 * Decimal("0.0002")
    assert player.account.wallet == 10_000 + (Decimal("-0.2") + Decimal("0.9")) - fees
    assert [trade.realised for trade in player.account.trades] == [0, Decimal("-0.2"), Decimal("0.9")]
