"""Every reason code of the risk gate, from one spoilt question each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import OrderPurpose, OrderType, Side, TradingState
from include.domain.reason_codes import RiskCode
from include.domain.round_trips import RoundTrip
from include.risk.checks import CHECKS, Rule
from include.risk.gate import Approval, Rejection, evaluate_intent
from include.risk.question import AccountView, Question
from tests.adapters.questions import ALL_LIMITS, BAR, BTC, LIMITS, NOW, SYMBOL, account, intent, order, question

C = RiskCode
LONG = {SYMBOL: Decimal("0.1")}
LEAVE: dict[str, Any] = {"purpose": OrderPurpose.EXIT, "side": Side.SELL, "reduce_only": True}


GEARED = replace(BTC, leverage=3, maintenance_margin_rate=Decimal("0.004"))


def limit(price: str) -> dict[str, Any]:
    return {"intent": intent(type=OrderType.LIMIT, price=Decimal(price))}


def under(**limits: Any) -> dict[str, Any]:
    return {"limits": replace(LIMITS, **limits)}


def holding(symbol: str, quantity: str, price: str, entry: str | None = None) -> AccountView:
    return account(
        positions={symbol: Decimal(quantity)}, marks={SYMBOL: Decimal(50_000), symbol: Decimal(price)},
        entry_prices={symbol: Decimal(entry or price)},
    )  # fmt: skip


def trip(profit: str, minutes_ago: int = 0, **changes: Any) -> RoundTrip:
    values = {
        "symbol": SYMBOL, "side": Side.BUY, "quantity": Decimal(1), "bought_for": Decimal(50_000 + minutes_ago),
        "sold_for": Decimal(50_000), "profit": Decimal(profit), "closed_at": NOW - timedelta(minutes=minutes_ago),
    }  # fmt: skip
    return RoundTrip(**{**values, **changes})


DENIALS: list[tuple[str, dict[str, Any], tuple[RiskCode, ...]]] = [
    ("halted", {"state": TradingState.HALTED}, (C.STATE_HALTED,)),
    ("reduce only and flat", {"state": TradingState.REDUCE_ONLY}, (C.STATE_REDUCE_ONLY,)),
    ("state unknown", {"state": None}, (C.STATE_UNKNOWN,)),
    ("not reconciled", {"reconciled": False}, (C.RECONCILIATION_PENDING,)),
    ("symbol not on the allow-list", {"instrument": None}, (C.INSTRUMENT_NOT_ALLOWED,)),
    ("no mark for the symbol", {"account": account(marks={})}, (C.PRICE_MISSING,)),
    (
        "no mark for another position",
        {"account": account(positions={"ETH/USDT": Decimal(1)})},
        (C.PRICE_MISSING,),
    ),
    ("no bar seen", {"last_bar_time": None}, (C.PRICE_STALE,)),
    ("bar two bars old", {"now": NOW + timedelta(minutes=2)}, (C.PRICE_STALE,)),
    ("bar from the future", {"now": NOW - timedelta(seconds=1)}, (C.PRICE_STALE,)),
    ("limit far above", limit("52600"), (C.PRICE_COLLAR,)),
    ("limit far below", limit("47400"), (C.PRICE_COLLAR,)),
    (
        "decided far from the present mark",
        {"account": account(marks={SYMBOL: Decimal(60_000)})},
        (C.PRICE_COLLAR,),
    ),
    ("part of a lot", {"intent": intent(quantity=Decimal("0.1005"))}, (C.QUANTITY_STEP,)),
    ("too small", {"intent": intent(quantity=Decimal("0.001"))}, (C.NOTIONAL_MINIMUM,)),
    ("too large", {"intent": intent(quantity=Decimal("0.201"))}, (C.POSITION_SIZE,)),
    ("too large with the position", {"account": account(positions={SYMBOL: Decimal("0.15")})}, (C.POSITION_SIZE,)),
    (
        "too large with a working order",
        {"account": account(working=(order(quantity=Decimal("0.15")),))},
        (C.POSITION_SIZE,),
    ),
    (
        "leverage used up elsewhere",
        {
            "account": account(
                positions={"ETH/USDT": Decimal(-100)}, marks={SYMBOL: Decimal(50_000), "ETH/USDT": Decimal(2_960)}
            )
        },
        (C.EXPOSURE_GROSS,),
    ),
    ("high-water mark unknown", {"account": account(high_water=None)}, (C.EQUITY_UNKNOWN, C.DRAWDOWN_LIMIT)),
    ("day start unknown", {"account": account(day_start_equity=None)}, (C.EQUITY_UNKNOWN, C.LOSS_DAILY)),
    ("daily loss reached", {"account": account(equity=Decimal(98_000))}, (C.LOSS_DAILY,)),
    (
        "drawdown reached",
        {"account": account(high_water=Decimal(100_000), day_start_equity=Decimal(90_000), equity=Decimal(90_000))},
        (C.DRAWDOWN_LIMIT,),
    ),
    ("too many orders", {"recent_order_times": (NOW,) * 3}, (C.RATE_ORDERS,)),
    ("same id again", {"known_order_ids": frozenset({"al-new"})}, (C.DUPLICATE_ORDER,)),
    ("an order of unknown outcome", {"unresolved_symbols": frozenset({SYMBOL})}, (C.ORDER_UNRESOLVED,)),
    (
        "equity unknown",
        {"account": account(equity=None)},
        (C.POSITION_SIZE, C.EXPOSURE_GROSS, C.EQUITY_UNKNOWN, C.LOSS_DAILY, C.DRAWDOWN_LIMIT),
    ),
    ("equity infinite", {"account": account(equity=Decimal("Infinity"))}, (C.EQUITY_UNKNOWN,)),
    ("a model differs", {**under(check_models=True), "models_match": False}, (C.MODEL_CHECKSUM,)),
    (
        "price ran away",
        {**under(max_price_move_fraction=Decimal("0.05")), "recent_closes": (Decimal(47_000), *[Decimal(50_000)] * 5)},
        (C.PRICE_MOVE,),
    ),
    (
        "closes unknown",
        {**under(max_price_move_fraction=Decimal("0.05")), "recent_closes": (Decimal(50_000),) * 5},
        (C.PRICE_MOVE,),
    ),
    ("order worth too much", under(max_order_notional=Decimal(4_999)), (C.ORDER_VALUE,)),
    ("order too large a share", under(max_order_fraction=Decimal("0.049")), (C.ORDER_VALUE,)),
    ("set to too much leverage", {**under(max_set_leverage=2), "instrument": GEARED}, (C.LEVERAGE_SET,)),
    (
        "one position too many",
        {**under(max_open_positions=1), "account": holding("ETH/USDT", "1", "3000")},
        (C.POSITIONS_OPEN,),
    ),
    (
        "a working entry is a position too",
        {
            **under(max_open_positions=1),
            "account": account(
                marks={SYMBOL: Decimal(50_000), "ETH/USDT": Decimal(3_000)}, working=(order(symbol="ETH/USDT"),)
            ),
        },
        (C.POSITIONS_OPEN,),
    ),
    (
        "the asset against another quote",
        {**under(max_asset_fraction=Decimal("0.1")), "account": holding("BTC/USDC", "0.11", "50000")},
        (C.EXPOSURE_ASSET,),
    ),
    (
        "the sector in another asset",
        {
            **under(max_sector_fraction=Decimal("0.1"), sectors={"BTC": "one", "ETH": "one"}),
            "account": holding("ETH/USDT", "2", "3000"),
        },
        (C.EXPOSURE_SECTOR,),
    ),
    (
        "an asset without a sector",
        {
            **under(max_sector_fraction=Decimal("0.1"), sectors={"BTC": "one"}),
            "account": holding("ETH/USDT", "0.1", "3000"),
        },
        (C.EXPOSURE_SECTOR,),
    ),
    (
        "all on one side",
        {**under(max_net_fraction=Decimal("0.1")), "account": holding("ETH/USDT", "2", "3000")},
        (C.EXPOSURE_NET,),
    ),
    ("margin used up", {**under(max_margin_fraction=Decimal("0.016")), "instrument": GEARED}, (C.MARGIN_USED,)),
    ("wallet too small", {**under(check_balance=True), "account": account(wallet=Decimal(5_001))}, (C.BALANCE,)),
    ("wallet unknown", {**under(check_balance=True), "account": account(wallet=None)}, (C.BALANCE,)),
    (
        "liquidation too near",
        {**under(min_liquidation_distance_fraction=Decimal("0.34")), "instrument": GEARED},
        (C.LIQUIDATION_DISTANCE,),
    ),
    (
        "bought dear before",
        {
            **under(min_liquidation_distance_fraction=Decimal("0.15")),
            "instrument": GEARED,
            "account": holding(SYMBOL, "0.01", "50000", "65000"),
        },
        (C.LIQUIDATION_DISTANCE,),
    ),
    (
        "bought at nobody knows what",
        {
            **under(min_liquidation_distance_fraction=Decimal("0.15")),
            "instrument": GEARED,
            "account": account(positions={SYMBOL: Decimal("0.01")}),
        },
        (C.LIQUIDATION_DISTANCE,),
    ),
    (
        "stop behind the liquidation",
        {
            **under(stop_before_liquidation=True),
            "instrument": GEARED,
            "intent": intent(protective_stop=Decimal(33_000)),
        },
        (C.STOP_BEYOND_LIQUIDATION,),
    ),
    ("no stop at all", {**under(stop_before_liquidation=True), "instrument": GEARED}, (C.STOP_BEYOND_LIQUIDATION,)),
    (
        "loss of 24 hours",
        {**under(max_rolling_loss_fraction=Decimal("0.02")), "account": account(equity_24h_ago=Decimal(102_050))},
        (C.LOSS_ROLLING,),
    ),
    (
        "equity a day ago unknown",
        {**under(max_rolling_loss_fraction=Decimal("0.02")), "account": account(equity_24h_ago=None)},
        (C.LOSS_ROLLING,),
    ),
    (
        "three losses in a row",
        {**under(max_consecutive_losses=3), "round_trips": (trip("9", 9), trip("-1", 3), trip("0", 2), trip("-2", 1))},
        (C.LOSSES_CONSECUTIVE,),
    ),
    ("trades of the day used up", {**under(max_trades_per_day=20), "trades_today": 20}, (C.TRADES_DAILY,)),
    (
        "losing again and again",
        {**under(max_repeated_trades=3), "round_trips": (trip("-1", 59), trip("-1", 9), trip("5", 5), trip("-2", 1))},
        (C.REPEATED_EXECUTION,),
    ),
    (
        "the same again and again",
        {**under(max_repeated_trades=3), "round_trips": (trip("1", bought_for=Decimal(9)),) * 3},
        (C.REPEATED_EXECUTION,),
    ),
    (
        "too many messages",
        {**under(max_messages_per_minute=4), "recent_order_times": (NOW,) * 2, "recent_cancels": 2},
        (C.RATE_MESSAGES,),
    ),
    (
        "one like it is working",
        {**under(duplicate_window_secs=60, max_position_fraction=Decimal(1)), "account": account(working=(order(),))},
        (C.ORDER_REPEATED,),
    ),
]
ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("exactly the order's most", under(max_order_notional=Decimal(5_000), max_order_fraction=Decimal("0.05"))),
    ("the sector of another asset", {
        **under(max_sector_fraction=Decimal("0.1"), sectors={"BTC": "one", "ETH": "two"}),
        "account": holding("ETH/USDT", "2", "3000"),
    }),
    ("a hedge counts in the net", {
        **under(max_net_fraction=Decimal("0.05")), "account": holding("ETH/USDT", "-1", "5000"),
    }),
    ("what cannot be liquidated needs no stop", under(stop_before_liquidation=True)),
    ("a trailing stop is a stop", {
        **under(stop_before_liquidation=True), "instrument": GEARED,
        "intent": intent(protective_trailing=Decimal("0.05")),
    }),
    ("a win ends the losses", {
        **under(max_consecutive_losses=2), "round_trips": (trip("-1", 3), trip("-1", 2), trip("1", 1)),
    }),
    ("losses of an hour ago", {
        **under(max_repeated_trades=2), "round_trips": (trip("-1", 61), trip("-2", 60), trip("-3", 1)),
    }),
    ("an addition is no new trade", {
        **under(max_trades_per_day=1), "trades_today": 1, "intent": intent(purpose=OrderPurpose.SCALE_IN),
    }),
    ("no models", under(check_models=True)),
    ("models as measured", {**under(check_models=True), "models_match": True}),
    ("one like it, long ago", {
        **under(duplicate_window_secs=60), "now": NOW + timedelta(seconds=60),
        "limits": replace(LIMITS, duplicate_window_secs=60, max_position_fraction=Decimal(1)),
        "account": account(working=(order(),)),
    }),
]  # fmt: skip


def test_a_question_with_everything_in_order_is_approved() -> None:
    assert isinstance(evaluate_intent(question()), Approval)


def test_a_question_with_everything_in_order_is_approved_under_every_limit() -> None:
    assert isinstance(evaluate_intent(question(limits=ALL_LIMITS)), Approval)


@pytest.mark.parametrize("changes", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_only_looks_like_a_breach_is_approved(changes: dict[str, Any]) -> None:
    decision = evaluate_intent(question(**changes))
    assert isinstance(decision, Approval), str(decision)


def test_a_hedge_whose_exit_is_in_work_is_no_hedge() -> None:
    hedged = holding("ETH/USDT", "-1", "5000")
    leaving = order(symbol="ETH/USDT", side=Side.BUY, purpose=OrderPurpose.EXIT, reduce_only=True, quantity=Decimal(1))
    wish = intent(quantity=Decimal("0.15"))
    limits = under(max_net_fraction=Decimal("0.05"))
    assert isinstance(evaluate_intent(question(**limits, account=hedged, intent=wish)), Approval)
    unhedged = evaluate_intent(question(**limits, account=replace(hedged, working=(leaving,)), intent=wish))
    assert isinstance(unhedged, Rejection)
    assert unhedged.codes == (C.EXPOSURE_NET,)


NOT_A_NUMBER = Decimal("NaN")


@pytest.mark.parametrize(
    "spoilt",
    [
        account(marks={SYMBOL: NOT_A_NUMBER}), account(positions={SYMBOL: NOT_A_NUMBER}),
        account(equity=NOT_A_NUMBER), account(high_water=NOT_A_NUMBER), account(equity_24h_ago=NOT_A_NUMBER),
        account(wallet=NOT_A_NUMBER), account(entry_prices={SYMBOL: NOT_A_NUMBER}, positions={SYMBOL: Decimal(1)}),
    ],
    ids=["mark", "position", "equity", "high water", "equity a day ago", "wallet", "entry price"],
)  # fmt: skip
def test_a_number_that_is_none_denies_and_breaks_nothing(spoilt: AccountView) -> None:
    decision = evaluate_intent(question(limits=ALL_LIMITS, account=spoilt))
    assert isinstance(decision, Rejection)
    assert len(set(decision.codes)) == len(decision.codes)


@pytest.mark.parametrize(("changes", "codes"), [row[1:] for row in DENIALS], ids=[row[0] for row in DENIALS])
def test_one_thing_out_of_order_denies_with_its_code(changes: dict[str, Any], codes: tuple[RiskCode, ...]) -> None:
    decision = evaluate_intent(question(**changes))
    assert isinstance(decision, Rejection)
    assert decision.codes == codes
    assert all(str(reason).startswith(reason.code.value) for reason in decision.reasons)


def test_every_code_has_a_row_and_every_check_a_code() -> None:
    assert {code for row in DENIALS for code in row[2]} == set(RiskCode)
    assert [rule.code for rule in CHECKS] == list(RiskCode)
    assert all(not isinstance(rule, Rule) or rule.check.__name__ == rule.code.lower() for rule in CHECKS)


def test_all_reasons_are_listed_in_the_order_of_the_codes() -> None:
    worst = question(
        state=TradingState.HALTED, reconciled=False, last_bar_time=None, recent_order_times=(NOW,) * 9,
        account=account(equity=Decimal(50_000)),
    )  # fmt: skip
    decision = evaluate_intent(worst)
    assert isinstance(decision, Rejection)
    order_of_codes = list(RiskCode)
    assert list(decision.codes) == sorted(decision.codes, key=order_of_codes.index)
    assert len(decision.codes) == 6


WAYS_OUT: list[tuple[str, dict[str, Any]]] = [
    ("reduce-only state", {"state": TradingState.REDUCE_ONLY}),
    ("daily loss", {"account": account(positions=LONG, equity=Decimal(90_000), high_water=Decimal(90_000))}),
    ("drawdown", {"account": account(positions=LONG, equity=Decimal(80_000), day_start_equity=Decimal(80_000))}),
    ("equity unknown", {"account": account(positions=LONG, equity=None, high_water=None, day_start_equity=None)}),
    ("position beyond its limit", {"account": account(positions={SYMBOL: Decimal(3)})}),
    ("order rate", {"recent_order_times": (NOW,) * 9}),
    ("stale price", {"last_bar_time": BAR - timedelta(minutes=9)}),
    ("no price", {"account": account(positions=LONG, marks={})}),
    ("an unresolved order", {"unresolved_symbols": frozenset({SYMBOL})}),
    ("a model that differs", {"models_match": False}),
    ("losses in a row", {"round_trips": (trip("-1"),) * 9}),
    ("trades of the day", {"trades_today": 99}),
    ("messages", {"recent_cancels": 99}),
    ("a wallet that is gone", {"account": account(positions=LONG, wallet=None, equity_24h_ago=None)}),
    ("a mark that is no number", {"account": account(positions=LONG, marks={SYMBOL: Decimal("NaN")})}),
]


@pytest.mark.parametrize("changes", [row[1] for row in WAYS_OUT], ids=[row[0] for row in WAYS_OUT])
def test_nothing_that_limits_exposure_keeps_anybody_from_getting_out(changes: dict[str, Any]) -> None:
    leaving = question(
        **{"account": account(positions=LONG), "intent": intent(**LEAVE), "limits": ALL_LIMITS, **changes}
    )
    assert isinstance(evaluate_intent(leaving), Approval)


NO_WAY_OUT: list[tuple[str, dict[str, Any], RiskCode]] = [
    ("halted", {"state": TradingState.HALTED}, C.STATE_HALTED),
    ("state unknown", {"state": None}, C.STATE_UNKNOWN),
    ("not reconciled", {"reconciled": False}, C.RECONCILIATION_PENDING),
    ("symbol not allowed", {"instrument": None}, C.INSTRUMENT_NOT_ALLOWED),
    ("sent before", {"known_order_ids": frozenset({"al-new"})}, C.DUPLICATE_ORDER),
    ("part of a lot", {"intent": intent(**LEAVE, quantity=Decimal("0.0005"))}, C.QUANTITY_STEP),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in NO_WAY_OUT], ids=[row[0] for row in NO_WAY_OUT])
def test_an_engine_that_is_halted_or_in_doubt_sends_nothing_at_all(changes: dict[str, Any], code: RiskCode) -> None:
    leaving = question(**{"account": account(positions=LONG), "intent": intent(**LEAVE), **changes})
    decision = evaluate_intent(leaving)
    assert isinstance(decision, Rejection)
    assert decision.codes == (code,)


@pytest.mark.parametrize("held", [Decimal(0), Decimal("-0.1")], ids=["flat", "short"])
def test_a_reduce_only_flag_without_a_position_to_reduce_buys_no_exemption(held: Decimal) -> None:
    pretending = question(
        state=TradingState.REDUCE_ONLY, intent=intent(**LEAVE), account=account(positions={SYMBOL: held})
    )
    decision = evaluate_intent(pretending)
    assert isinstance(decision, Rejection)
    assert C.STATE_REDUCE_ONLY in decision.codes


def test_a_reversal_is_measured_as_if_its_exit_had_filled_or_had_not() -> None:
    exit_order = order(purpose=OrderPurpose.EXIT, side=Side.SELL, reduce_only=True)
    reversal = question(intent=intent(side=Side.SELL), account=account(positions=LONG, working=(exit_order,)))
    assert isinstance(evaluate_intent(reversal), Approval)
    larger: Question = replace(reversal, intent=intent(side=Side.SELL, quantity=Decimal("0.25")))
    assert isinstance(evaluate_intent(larger), Rejection)
