"""Margin of the matching core: isolated and crossed, brackets, hedge mode, funding, liquidation, income."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest

from include.domain.enums import MarginType, OrderType, PositionSide, Side
from include.venues.matching import (
    Account,
    Bracket,
    ChangeReason,
    ExecutionType,
    IncomeType,
    Prices,
    Refusal,
    RefusedError,
    Request,
    build_brackets,
)
from include.venues.matching.state import document, from_document
from tests.adapters.matching_player import FLAT_BAR, MINUTE_MS, Player, changes, executions, fills, kinds
from tests.unit.fill_rule_case import COIN

BUY, SELL = Side.BUY, Side.SELL
SYMBOL = COIN.symbol
HOUR_MS = 3_600_000
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH
RISKY = {"maintenance_margin_rate": Decimal("0.01"), "liquidation_fee_rate": Decimal("0.0125")}


def refusal_of(command: Any) -> Refusal:
    with pytest.raises(RefusedError) as refused:
        command()
    return refused.value.refusal


def holding(
    quantity: str = "10",
    side: Side = BUY,
    margin_type: MarginType = MarginType.ISOLATED,
    leverage: int = 10,
    **more: Any,
) -> Player:
    """A position, the bar that opened it over."""
    player = Player(**{**RISKY, **more})
    player.account.set_leverage(SYMBOL, leverage, 0)
    if margin_type is MarginType.ISOLATED:
        player.account.set_margin_type(SYMBOL, margin_type, 0)
    player.bar(*FLAT_BAR)
    player.send("entry", side, quantity)
    player.bar(*FLAT_BAR)
    return player


# --- what is bound -------------------------------------------------------------------------------------------


def test_margin_bound_by_positions_and_orders_is_not_available_twice() -> None:
    player = Player(wallet="100")
    player.bar(*FLAT_BAR)
    player.account.set_leverage(SYMBOL, 1, 0)
    player.send("entry", BUY, "0.5")
    player.bar(*FLAT_BAR)
    player.send("limit", BUY, "0.4", OrderType.LIMIT, "90")
    assert player.account.margin.position_margin(SYMBOL) == 50
    assert player.account.margin.order_margin(SYMBOL) == 36
    more = lambda: player.send("more", BUY, "0.2", OrderType.LIMIT, "90")  # noqa: E731
    assert refusal_of(more) is Refusal.MARGIN_INSUFFICIENT
    player.account.cancel(player.order("limit"), player.now)
    assert player.account.margin.order_margin(SYMBOL) == 0
    more()


def test_an_order_that_closes_binds_nothing_and_one_that_turns_binds_what_it_opens() -> None:
    player = holding("2", margin_type=MarginType.CROSSED)
    player.send("exit", SELL, "2", reduce_only=True)
    player.send("turn", SELL, "3")
    assert player.account.margin.order_margin(SYMBOL) == 10


def test_an_isolated_position_binds_what_it_cost_whatever_it_is_worth() -> None:
    player = holding("10")
    before = player.account.margin.available
    player.bar("100", "120", "100", "120")
    assert player.account.margin.available == before == player.account.wallet - Decimal("100.1")
    assert player.account.equity == player.account.wallet + 199


# --- settings ------------------------------------------------------------------------------------------------


def test_leverage_keeps_to_the_brackets_and_cannot_be_lowered_under_an_isolated_position() -> None:
    player = holding(leverage=10)
    account = player.account
    assert refusal_of(lambda: account.set_leverage(SYMBOL, 100, 0)) is Refusal.LEVERAGE
    assert refusal_of(lambda: account.set_leverage(SYMBOL, 0, 0)) is Refusal.LEVERAGE
    assert refusal_of(lambda: account.set_leverage(SYMBOL, 9, 0)) is Refusal.LEVERAGE_REDUCTION
    (change,) = changes(account.set_leverage(SYMBOL, 20, 7))
    assert (change.reason, change.symbol, change.leverage, change.at) == (ChangeReason.LEVERAGE, SYMBOL, 20, 7)
    assert account.set_leverage(SYMBOL, 20, 8) == []


def test_margin_type_and_position_mode_change_only_without_positions_and_orders() -> None:
    player = Player()
    player.bar(*FLAT_BAR)
    account = player.account
    assert refusal_of(lambda: account.set_margin_type(SYMBOL, MarginType.CROSSED, 0)) is Refusal.MARGIN_TYPE_UNCHANGED
    assert refusal_of(lambda: account.set_hedged(False)) is Refusal.POSITION_SIDE_UNCHANGED
    player.send("a", BUY, "1")
    assert refusal_of(lambda: account.set_margin_type(SYMBOL, MarginType.ISOLATED, 0)) is Refusal.MARGIN_TYPE_ORDERS
    assert refusal_of(lambda: account.set_hedged(True)) is Refusal.POSITION_SIDE_ORDERS
    player.bar(*FLAT_BAR)
    assert refusal_of(lambda: account.set_margin_type(SYMBOL, MarginType.ISOLATED, 0)) is Refusal.MARGIN_TYPE_BUSY
    assert refusal_of(lambda: account.set_hedged(True)) is Refusal.POSITION_SIDE_BUSY
    player.send("b", SELL, "1")
    player.bar(*FLAT_BAR)
    account.set_margin_type(SYMBOL, MarginType.ISOLATED, 0)
    account.set_hedged(True)
    assert (account.margin.is_isolated(SYMBOL), account.margin.sides) == (True, (LONG, SHORT))


TABLE = build_brackets([(Decimal(5_000), 50, Decimal("0.01")), (Decimal(20_000), 10, Decimal("0.05"))])


def test_brackets_add_up_where_they_meet() -> None:
    first, second = TABLE
    assert 5_000 * first.rate - first.amount == 5_000 * second.rate - second.amount == 50
    assert (second.floor, second.amount) == (5_000, 200)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(Decimal(5), 50, Decimal("0.02"))],
        [(Decimal(5), 10, Decimal("0.01")), (Decimal(5), 9, Decimal("0.02"))],
        [(Decimal(5), 10, Decimal("0.01")), (Decimal(6), 11, Decimal("0.02"))],
        [(Decimal(5), 10, Decimal("0.02")), (Decimal(6), 9, Decimal("0.01"))],
    ],
    ids=["empty", "under water at once", "caps do not rise", "leverage rises", "rates fall"],
)
def test_a_table_of_brackets_that_does_not_follow_is_refused(rows: list[tuple[Decimal, int, Decimal]]) -> None:
    with pytest.raises(ValueError, match="bracket"):
        build_brackets(rows)


def test_a_larger_position_has_less_leverage_and_more_maintenance_margin() -> None:
    player = Player("100000", brackets=TABLE)
    player.bar(*FLAT_BAR)
    account = player.account
    account.set_leverage(SYMBOL, 50, 0)
    assert refusal_of(lambda: player.send("a", BUY, "51")) is Refusal.LEVERAGE_NOTIONAL
    account.set_leverage(SYMBOL, 10, 0)
    player.send("a", BUY, "100")
    player.bar(*FLAT_BAR)
    assert account.margin.maintenance(SYMBOL, BOTH) == 10_000 * Decimal("0.05") - 200
    assert refusal_of(lambda: account.set_leverage(SYMBOL, 50, 0)) is Refusal.LEVERAGE_NOTIONAL
    assert refusal_of(lambda: player.send("b", BUY, "101")) is Refusal.LEVERAGE_NOTIONAL


def test_an_isolated_level_of_liquidation_counts_the_bracket_of_the_position() -> None:
    """100 at 100.1 with leverage 10: 100 (90.09 - 2) / (1 - 0.05) = 92.726 -> 92.8 (the amount of 200 counts)."""
    player = Player("100000", brackets=TABLE)
    player.account.set_margin_type(SYMBOL, MarginType.ISOLATED, 0)
    player.account.set_leverage(SYMBOL, 10, 0)
    player.bar(*FLAT_BAR)
    player.send("a", BUY, "100")
    player.bar(*FLAT_BAR)
    assert player.account.margin.liquidation_price(SYMBOL, BOTH) == Decimal("92.8")


# --- isolated positions --------------------------------------------------------------------------------------


def test_added_margin_moves_the_level_of_liquidation_and_can_be_taken_back() -> None:
    player = holding()
    margin = player.account.margin
    assert margin.liquidation_price(SYMBOL, BOTH) == Decimal("91.0")
    available = margin.available
    (change,) = changes(player.account.add_margin(SYMBOL, BOTH, Decimal(50), player.now))
    assert change.held[0].margin == Decimal("150.1")
    assert (margin.liquidation_price(SYMBOL, BOTH), margin.available) == (Decimal("86.0"), available - 50)
    add = lambda amount: refusal_of(lambda: player.account.add_margin(SYMBOL, BOTH, Decimal(amount), 0))  # noqa: E731
    assert add("1000000") is Refusal.CROSSED_WALLET
    assert add("-51") is Refusal.ISOLATED_MARGIN
    player.account.add_margin(SYMBOL, BOTH, Decimal(-50), player.now)
    assert margin.liquidation_price(SYMBOL, BOTH) == Decimal("91.0")
    assert [move.amount for move in player.account.margin_moves] == [50, -50]


def test_margin_can_be_added_to_isolated_positions_only() -> None:
    crossed = holding(margin_type=MarginType.CROSSED).account
    assert refusal_of(lambda: crossed.add_margin(SYMBOL, BOTH, Decimal(1), 0)) is Refusal.NO_ISOLATED_MARGIN
    flat = Player().account
    flat.set_margin_type(SYMBOL, MarginType.ISOLATED, 0)
    assert refusal_of(lambda: flat.add_margin(SYMBOL, BOTH, Decimal(1), 0)) is Refusal.NO_ISOLATED_POSITION


def test_a_liquidation_takes_the_whole_position_before_its_stop_and_ends_the_symbols_orders() -> None:
    player = holding()
    player.send("stop", SELL, "10", OrderType.STOP_MARKET, "91", reduce_only=True)
    player.send("deep", BUY, "1", OrderType.LIMIT, "50")
    events = player.bar("100", "100", "90", "95")
    name = player.account.trades[-1].client_order_id
    assert kinds(events) == [("EXPIRED", "stop"), ("EXPIRED", "deep"), ("CALCULATED", name)]
    assert name.startswith("autoclose-")
    assert fills(events) == [(name, "10", "90.9")]
    trade = player.account.trades[-1]
    # Taker and liquidation fee would be 909 x 1.3 %; what is left of the margin is 10 x (90.9 - 90.1).
    assert trade.fee == Decimal("8.0")
    assert trade.clearance == trade.fee - 909 * Decimal("0.0005")
    assert (player.quantity, player.account.open_orders()) == (0, [])


def test_a_liquidation_is_never_worse_than_bankruptcy_even_outside_the_bar() -> None:
    player = holding()
    events = player.bar("80", "81", "79", "80")
    assert [quantity_and_price for _, *quantity_and_price in fills(events)] == [["10", "90.1"]]
    assert player.account.trades[-1].realised == -100  # the margin of 100.1 less the rounding of the tick
    assert player.account.trades[-1].fee == 0  # nothing is left to take


# --- crossed positions ---------------------------------------------------------------------------------------


def test_a_crossed_position_is_liquidated_when_equity_falls_to_the_maintenance_margin() -> None:
    """10 long at 100.1 with a wallet of W: W + 10 P - 1001 = 0.01 x 10 P, so P = (1001 - W) / 9.9, rounded up."""
    player = holding(margin_type=MarginType.CROSSED, wallet="200")
    level = player.account.margin.liquidation_price(SYMBOL, BOTH)
    assert level == ((1001 - player.account.wallet) / Decimal("9.9")).quantize(Decimal("0.1"), "ROUND_UP")
    assert fills(player.bar("100", "100", str(level + Decimal("0.1")), "95")) == []
    (told,) = fills(player.bar("95", "96", "70", "90"))
    assert told[1:] == ("10", str((level * Decimal("0.999")).quantize(Decimal("0.1"), "ROUND_DOWN")))


def test_the_profit_of_one_crossed_position_keeps_another_alive_until_it_is_gone() -> None:
    coin = replace(COIN, maintenance_margin_rate=Decimal("0.01"))
    other = replace(coin, symbol="OTHER/USDT")
    account = Account({SYMBOL: coin, other.symbol: other}, Decimal(200))
    flat = Prices(*(Decimal(p) for p in FLAT_BAR))

    def play(at: int, **bars: tuple[str, ...]) -> list[str]:
        told = {SYMBOL: bars["coin"], other.symbol: bars["other"]}
        played = {symbol: Prices(*(Decimal(p) for p in texts)) for symbol, texts in told.items()}
        events = account.open_phase(played, at) + account.path_phase(played, [at + 1, at + 2, at + 3])
        return [e.order.request.symbol for e in executions(events) if e.type is ExecutionType.CALCULATED]

    account.open_phase({SYMBOL: flat, other.symbol: flat}, 0)
    for symbol, side in ((SYMBOL, BUY), (other.symbol, SELL)):
        account.submit(Request(symbol, symbol, side, OrderType.MARKET, Decimal(10)), 0)
    account.path_phase({SYMBOL: flat, other.symbol: flat}, [1, 2, 3])
    # Both fall by 30: what the long loses the short has won.
    assert play(10, coin=("70", "70", "70", "70"), other=("70", "70", "70", "70")) == []
    # The short's profit melts away: it is the one whose price gets there.
    assert play(20, coin=("70", "70", "70", "70"), other=("70", "90", "70", "90")) == [other.symbol]
    assert account.equity > account.margin.maintenance(SYMBOL, BOTH)


def test_a_margin_call_is_told_once_for_each_time_that_the_danger_comes() -> None:
    player = holding(margin_type=MarginType.CROSSED, wallet="200")
    calls = []
    for close in ("84", "81.1", "81.1", "99", "81.1"):
        events = changes(player.bar(close, close, close, close))
        calls.append([change.reason for change in events])
    assert calls == [[], [ChangeReason.MARGIN_CALL], [], [], [ChangeReason.MARGIN_CALL]]


# --- hedge mode ----------------------------------------------------------------------------------------------


def hedged() -> Player:
    player = Player(**RISKY)
    player.account.set_hedged(True)
    player.bar(*FLAT_BAR)
    player.send("long", BUY, "3", position_side=LONG)
    player.send("short", SELL, "2", position_side=SHORT)
    player.bar(*FLAT_BAR)
    return player


def test_in_hedge_mode_a_long_and_a_short_live_side_by_side() -> None:
    player = hedged()
    account = player.account
    assert (account.holding(SYMBOL, LONG).quantity, account.holding(SYMBOL, SHORT).quantity) == (3, -2)
    assert refusal_of(lambda: player.send("a", BUY, "1")) is Refusal.POSITION_SIDE
    player.send("less", BUY, "5", position_side=SHORT)
    assert kinds(player.open(*FLAT_BAR)) == [("TRADE", "less"), ("EXPIRED", "less")]
    assert (account.holding(SYMBOL, LONG).quantity, account.holding(SYMBOL, SHORT).quantity) == (3, 0)
    assert [trade.position_side for trade in account.trades] == [LONG, SHORT, SHORT]


def test_in_hedge_mode_an_order_against_a_position_only_reduces_it() -> None:
    player = hedged()
    player.send("out", SELL, "3", position_side=LONG)
    player.bar(*FLAT_BAR)
    assert refusal_of(lambda: player.send("again", SELL, "1", position_side=LONG)) is Refusal.NOTHING_TO_REDUCE


# --- funding and income --------------------------------------------------------------------------------------


def test_funding_is_paid_by_the_long_at_every_funding_time_between_two_bars() -> None:
    player = holding(funding_rate=Decimal("0.0001"))
    player.now = 17 * HOUR_MS
    wallet = player.account.wallet
    (change,) = changes(player.open("110", "111", "109", "110"))
    assert (change.reason, change.amount, change.at) == (ChangeReason.FUNDING_FEE, Decimal("-0.22"), 17 * HOUR_MS)
    assert [held.symbol for held in change.held] == [SYMBOL]
    assert player.account.wallet == wallet - Decimal("0.22")


def test_the_datas_own_rate_goes_before_the_instruments() -> None:
    player = holding(side=SELL, funding_rate=Decimal("0.0001"))
    player.now = 8 * HOUR_MS
    assert [c.amount for c in changes(player.open(*FLAT_BAR, funding="0.002"))] == [2]
    player.now = 16 * HOUR_MS
    assert changes(player.open(*FLAT_BAR, funding="0")) == []


def test_incomes_add_up_to_the_wallet() -> None:
    player = holding(funding_rate=Decimal("0.0001"))
    player.now = 8 * HOUR_MS
    player.bar("100", "101", "90", "95")
    player.account.transfer(Decimal("12.5"), player.now)
    incomes = player.account.incomes()
    assert {income.type for income in incomes} == set(IncomeType)
    assert player.account.initial_wallet + sum(income.amount for income in incomes) == player.account.wallet
    assert [income.at for income in incomes] == sorted(income.at for income in incomes)


def test_no_more_can_be_taken_out_than_is_available() -> None:
    player = holding()
    take = lambda: player.account.transfer(-player.account.margin.available - 1, 0)  # noqa: E731
    assert refusal_of(take) is Refusal.MARGIN_INSUFFICIENT


# --- state ---------------------------------------------------------------------------------------------------


def test_an_account_is_written_as_json_with_exact_decimals_and_read_back() -> None:
    player = holding(wallet="1234.56789012345678")
    player.send("trail", SELL, "5", OrderType.TRAILING_STOP_MARKET, callback=Decimal("0.05"), reduce_only=True)
    player.send("limit", BUY, "1", OrderType.LIMIT, "90", good_till=MINUTE_MS * 50)
    raw = orjson.loads(orjson.dumps(document(player.account)))
    again = from_document(player.account.instruments, raw)
    assert document(again) == raw
    assert (again.wallet, again.equity, again.margin.available) == (
        player.account.wallet, player.account.equity, player.account.margin.available,
    )  # fmt: skip
    assert again.dated == player.account.dated


@pytest.mark.parametrize("broken", [{}, {"format": 2}, {"surprise": 1}, {"wallet": "NaN"}, {"books": {}}])
def test_what_is_not_an_accounts_state_is_refused(broken: dict[str, Any]) -> None:
    account = Player().account
    raw = {**document(account), **broken} if broken else {}
    with pytest.raises(ValueError):
        from_document(account.instruments, raw)


def test_a_bracket_is_a_value() -> None:
    assert TABLE[0] == Bracket(1, Decimal(0), Decimal(5_000), 50, Decimal("0.01"), Decimal(0))
