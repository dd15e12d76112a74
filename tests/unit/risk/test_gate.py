"""Every reason code of the risk gate, from one spoilt question each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.enums import OrderPurpose, OrderType, Side, TradingState
from include.domain.reason_codes import RiskCode
from include.risk.checks import CHECKS
from include.risk.gate import Approval, Rejection, evaluate_intent
from include.risk.question import Question
from tests.adapters.questions import BAR, NOW, SYMBOL, account, intent, order, question

C = RiskCode
LONG = {SYMBOL: Decimal("0.1")}
LEAVE: dict[str, Any] = {"purpose": OrderPurpose.EXIT, "side": Side.SELL, "reduce_only": True}


def limit(price: str) -> dict[str, Any]:
    return {"intent": intent(type=OrderType.LIMIT, price=Decimal(price))}


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
]


def test_a_question_with_everything_in_order_is_approved() -> None:
    assert isinstance(evaluate_intent(question()), Approval)


@pytest.mark.parametrize(("changes", "codes"), [row[1:] for row in DENIALS], ids=[row[0] for row in DENIALS])
def test_one_thing_out_of_order_denies_with_its_code(changes: dict[str, Any], codes: tuple[RiskCode, ...]) -> None:
    decision = evaluate_intent(question(**changes))
    assert isinstance(decision, Rejection)
    assert decision.codes == codes
    assert all(str(reason).startswith(reason.code.value) for reason in decision.reasons)


def test_every_code_has_a_row_and_every_check_a_code() -> None:
    assert {code for row in DENIALS for code in row[2]} == set(RiskCode)
    assert len(CHECKS) == len(RiskCode)


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
]


@pytest.mark.parametrize("changes", [row[1] for row in WAYS_OUT], ids=[row[0] for row in WAYS_OUT])
def test_nothing_that_limits_exposure_keeps_anybody_from_getting_out(changes: dict[str, Any]) -> None:
    leaving = question(**{"account": account(positions=LONG), "intent": intent(**LEAVE), **changes})
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
