"""The matching core: the fill rule's table, and what the table cannot say (accounts, refusals, events)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.domain.enums import OrderStatus, OrderType, Side, TimeInForce
from include.domain.times import to_ms
from include.venues.matching import Account, Execution, ExecutionType, Prices, Refusal, RefusedError, Request
from tests.adapters.case_trader import CaseTrader, Wish
from tests.unit.fill_rule_cases import CASES, COIN, FillCase

MINUTE_MS = 60_000
FLAT_BAR = ("100", "101", "99", "100")


def prices(*texts: str) -> Prices:
    return Prices(*(Decimal(text) for text in texts))


def request(
    name: str, side: Side, quantity: str, kind: OrderType = OrderType.MARKET, level: str = "", **more: bool
) -> Request:
    return Request(name, COIN.symbol, side, kind, Decimal(quantity), Decimal(level) if level else None, **more)


class Player:
    """Plays bars one after another on one account."""

    def __init__(self, wallet: str = "10000") -> None:
        self.account = Account({COIN.symbol: COIN}, Decimal(wallet))
        self.now = 0

    def open(self, *texts: str) -> list[Execution]:
        self._bar = {COIN.symbol: prices(*texts)}
        return self.account.open_phase(self._bar, self.now)

    def finish(self) -> list[Execution]:
        quarter = MINUTE_MS // 4
        executions = self.account.path_phase(self._bar, [self.now + quarter * leg for leg in (1, 2, 3)])
        self.now += MINUTE_MS
        return executions

    def bar(self, *texts: str) -> list[Execution]:
        return self.open(*texts) + self.finish()

    def send(self, *arguments: object, **more: bool) -> list[Execution]:
        return self.account.submit(request(*arguments, **more), self.now)  # type: ignore[arg-type]


def play(case: FillCase) -> CaseTrader:
    """The whole case through the core alone."""
    trader = CaseTrader(case)
    account = Account({case.instrument.symbol: case.instrument}, Decimal(1_000_000))

    def send(wishes: list[Wish], at: int) -> None:
        for wish in wishes:
            try:
                executions = account.submit(
                    Request(
                        wish.name, case.instrument.symbol, wish.side, wish.type, wish.quantity, wish.level,
                        wish.reduce_only,
                    ),
                    at,
                )  # fmt: skip
            except RefusedError as error:
                # Its sibling has just closed the position.
                assert error.refusal is Refusal.NOTHING_TO_REDUCE
                continue
            handle(executions)

    def handle(executions: list[Execution]) -> None:
        for trade in [e.trade for e in executions if e.trade is not None]:
            send(trader.on_fill(trade.client_order_id, trade.at, trade.side, trade.quantity, trade.price), trade.at)

    for index, bar in enumerate(case.decimal_bars()):
        played = {case.instrument.symbol: Prices(bar.open, bar.high, bar.low, bar.close)}
        at = to_ms(bar.open_time)
        handle(account.open_phase(played, at))
        handle(account.path_phase(played, (at + 15_000, at + 30_000, at + 45_000)))
        send(trader.on_close(index), at + MINUTE_MS - 1)
    return trader


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_matching_core_obeys_the_fill_rule(case: FillCase) -> None:
    assert tuple(play(case).fills) == case.fills


def test_a_market_order_between_bars_waits_for_the_next_open() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    assert [e.type for e in player.send("a", Side.BUY, "1")] == [ExecutionType.NEW]
    fills = player.open("102", "103", "101", "102")
    assert [(e.trade.price, e.trade.at) for e in fills if e.trade] == [(Decimal("102.2"), MINUTE_MS)]


def test_a_market_order_while_the_market_stands_at_the_open_fills_there_at_once() -> None:
    player = Player()
    player.open(*FLAT_BAR)
    executions = player.send("a", Side.SELL, "1")
    assert [e.type for e in executions] == [ExecutionType.NEW, ExecutionType.TRADE]
    assert executions[-1].trade is not None
    assert executions[-1].trade.price == Decimal("99.9")


def test_orders_that_reduce_go_before_orders_that_enter_at_the_same_open() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "2")
    player.bar(*FLAT_BAR)
    player.send("reverse", Side.SELL, "3")
    player.send("exit", Side.SELL, "2", reduce_only=True)
    fills = [e.trade.client_order_id for e in player.open(*FLAT_BAR) if e.trade]
    assert fills == ["exit", "reverse"]
    assert player.account.holding(COIN.symbol).quantity == -3


def test_a_reduce_only_order_is_cut_to_the_position_and_its_rest_expires() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.open(*FLAT_BAR)
    executions = player.send("exit", Side.SELL, "5", reduce_only=True)
    assert [e.type for e in executions] == [ExecutionType.NEW, ExecutionType.TRADE, ExecutionType.EXPIRED]
    final = player.account.orders["exit"]
    assert (final.status, final.filled) == (OrderStatus.EXPIRED, Decimal(1))
    assert player.account.holding(COIN.symbol).quantity == 0


def test_protective_orders_expire_with_the_position_they_protect() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.open(*FLAT_BAR)
    player.send("stop", Side.SELL, "1", OrderType.STOP_MARKET, "90", reduce_only=True)
    player.send("take", Side.SELL, "1", OrderType.LIMIT, "101", reduce_only=True)
    kinds = [(e.type, e.order.request.client_order_id) for e in player.finish()]
    assert kinds == [(ExecutionType.TRADE, "take"), (ExecutionType.EXPIRED, "stop")]
    assert player.account.open_orders() == []


@pytest.mark.parametrize(
    ("refusal", "name", "side", "quantity", "more"),
    [
        (Refusal.DUPLICATE_ID, "entry", Side.BUY, "1", {}),
        (Refusal.NOTHING_TO_REDUCE, "a", Side.BUY, "1", {"reduce_only": True}),
        (Refusal.MARGIN_INSUFFICIENT, "a", Side.BUY, "100000", {}),
    ],
)
def test_refusals_change_nothing(refusal: Refusal, name: str, side: Side, quantity: str, more: dict[str, bool]) -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("entry", Side.BUY, "1")
    player.bar(*FLAT_BAR)
    before = (player.account.wallet, dict(player.account.orders), player.account.holding(COIN.symbol))
    with pytest.raises(RefusedError) as refused:
        player.send(name, side, quantity, **more)
    assert refused.value.refusal is refusal
    assert before == (player.account.wallet, player.account.orders, player.account.holding(COIN.symbol))


@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_orders_that_do_not_rest_are_refused(time_in_force: TimeInForce) -> None:
    account = Account({COIN.symbol: COIN}, Decimal(1000))
    with pytest.raises(RefusedError) as refused:
        account.submit(
            Request("a", COIN.symbol, Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(90), False, time_in_force), 0
        )
    assert refused.value.refusal is Refusal.TIME_IN_FORCE


def test_an_order_without_any_price_to_measure_it_by_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        Player().send("a", Side.BUY, "1")
    assert refused.value.refusal is Refusal.NO_PRICE


def test_a_cancelled_order_never_fills_and_cannot_be_cancelled_twice() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    player.send("limit", Side.BUY, "1", OrderType.LIMIT, "99")
    assert player.account.cancel("limit", player.now)[0].order.status is OrderStatus.CANCELED
    assert player.bar("100", "101", "95", "96") == []
    with pytest.raises(RefusedError) as refused:
        player.account.cancel("limit", player.now)
    assert refused.value.refusal is Refusal.UNKNOWN_ORDER


def test_margin_bound_by_positions_and_orders_is_not_available_twice() -> None:
    player = Player(wallet="100")
    player.bar(*FLAT_BAR)
    player.account.leverage[COIN.symbol] = 1
    player.send("entry", Side.BUY, "0.5")
    player.bar(*FLAT_BAR)
    player.send("limit", Side.BUY, "0.4", OrderType.LIMIT, "90")
    assert player.account.position_margin(COIN.symbol) == 50
    assert player.account.order_margin(COIN.symbol) == 36
    with pytest.raises(RefusedError):
        player.send("more", Side.BUY, "0.2", OrderType.LIMIT, "90")


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
