"""Monotonic caution: whatever the gate is asked, a worse input never allows more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.domain.deployments import CAUTION
from include.domain.enums import OrderPurpose, Side
from include.domain.reason_codes import RiskCode
from include.domain.round_trips import RoundTrip
from include.risk.checks import CHECKS, SizeRule
from include.risk.gate import Approval, Rejection, evaluate_intent
from include.risk.question import Question
from tests.adapters.questions import ALL_LIMITS, BTC, NOW, SYMBOL, account, intent, order, question

money = st.decimals(1_000, 300_000, places=2)
quantity = st.decimals("0.001", "0.5", places=3)
held = st.decimals("-0.3", "0.3", places=3)
price = st.decimals(20_000, 80_000, places=1)
SIZE_CODES = frozenset(rule.code for rule in CHECKS if isinstance(rule, SizeRule))


@st.composite
def questions(draw: st.DrawFn) -> Question:
    side = draw(st.sampled_from(list(Side)))
    reduce_only = draw(st.booleans())
    equity = draw(money)
    return question(
        intent=intent(
            side=side, quantity=draw(quantity), reduce_only=reduce_only,
            purpose=OrderPurpose.EXIT if reduce_only else OrderPurpose.ENTRY,
        ),
        state=draw(st.sampled_from(CAUTION)),
        reconciled=draw(st.booleans()),
        account=account(
            equity=equity, high_water=draw(money), day_start_equity=draw(money), positions={SYMBOL: draw(held)}
        ),
        recent_order_times=(NOW,) * draw(st.integers(0, 4)),
        now=NOW + timedelta(seconds=draw(st.integers(0, 150))),
    )  # fmt: skip


def _codes(asked: Question) -> set[Any]:
    decision = evaluate_intent(asked)
    return set(decision.codes) if isinstance(decision, Rejection) else set()


def worse(asked: Question, what: str, amount: Decimal) -> Question:  # noqa: PLR0911 (one return a case)
    """The same question with one input worse."""
    view, limits = asked.account, asked.limits
    assert view.high_water is not None
    assert view.day_start_equity is not None
    match what:
        case "state":
            rank = CAUTION.index(asked.state) if asked.state else 2
            return replace(asked, state=CAUTION[min(rank + 1, 2)])
        case "state unknown":
            return replace(asked, state=None)
        case "reconciled":
            return replace(asked, reconciled=False)
        case "high water":
            return replace(asked, account=replace(view, high_water=view.high_water + amount))
        case "day start":
            return replace(asked, account=replace(view, day_start_equity=view.day_start_equity + amount))
        case "equity unknown":
            return replace(asked, account=replace(view, equity=None))
        case "later":
            return replace(asked, now=asked.now + timedelta(seconds=int(amount) % 90))
        case "more orders":
            return replace(asked, recent_order_times=(*asked.recent_order_times, asked.now))
        case "tighter limits":
            return replace(
                asked,
                limits=replace(
                    limits, max_position_fraction=limits.max_position_fraction / 2,
                    max_leverage=limits.max_leverage / 2,
                    max_daily_loss_fraction=limits.max_daily_loss_fraction / 2, max_orders_per_minute=1,
                ),
            )  # fmt: skip
        case "unresolved":
            return replace(asked, unresolved_symbols=frozenset({SYMBOL}))
    raise AssertionError(what)


WORSE = (
    "state", "state unknown", "reconciled", "high water", "day start", "equity unknown", "later", "more orders",
    "tighter limits", "unresolved",
)  # fmt: skip


@given(questions(), st.sampled_from(WORSE), st.decimals(1, 50_000, places=2))
def test_a_worse_input_never_allows_more(asked: Question, what: str, amount: Decimal) -> None:
    before, after = evaluate_intent(asked), evaluate_intent(worse(asked, what, amount))
    if isinstance(before, Rejection):
        assert isinstance(after, Rejection)


@given(questions(), st.decimals("0.001", "0.5", places=3))
def test_a_larger_order_is_never_easier_to_place(asked: Question, more: Decimal) -> None:
    larger = replace(asked, intent=replace(asked.intent, quantity=asked.intent.quantity + more))
    size_only = _codes(asked) - {c for c in _codes(asked) if c.value == "NOTIONAL_MINIMUM"}
    assert size_only <= _codes(larger)


@given(questions())
def test_the_same_question_has_the_same_answer(asked: Question) -> None:
    assert evaluate_intent(asked) == evaluate_intent(asked)


@given(questions())
def test_halted_approves_nothing(asked: Question) -> None:
    halted = replace(asked, state=CAUTION[-1])
    assert not isinstance(evaluate_intent(halted), Approval)


LOSS = RoundTrip(SYMBOL, Side.BUY, Decimal(1), Decimal(2), Decimal(1), Decimal(-1), NOW)


@st.composite
def full_questions(draw: st.DrawFn) -> Question:
    """Under every limit, with anything working and held anywhere."""
    symbols = (SYMBOL, "BTC/USDC", "ETH/USDT")
    working = tuple(
        order(
            name=f"al-{number}", symbol=draw(st.sampled_from(symbols)), side=draw(st.sampled_from(list(Side))),
            quantity=draw(quantity), reduce_only=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 3)))
    )  # fmt: skip
    asked = draw(questions())
    positions = {SYMBOL: draw(held), draw(st.sampled_from(symbols[1:])): draw(held)}
    view = replace(
        asked.account, positions=positions, working=working, marks={symbol: draw(price) for symbol in symbols},
        entry_prices={symbol: draw(price) for symbol in positions}, equity_24h_ago=draw(money), wallet=draw(money),
    )  # fmt: skip
    return replace(
        asked, account=view, limits=ALL_LIMITS, round_trips=(LOSS,) * draw(st.integers(0, 6)),
        instrument=replace(BTC, leverage=draw(st.integers(1, 5)), maintenance_margin_rate=Decimal("0.004")),
        recent_cancels=draw(st.integers(0, 30)), trades_today=draw(st.integers(0, 30)),
    )  # fmt: skip


@given(full_questions(), st.decimals("0.001", "0.5", places=3))
def test_what_a_size_rule_denies_it_denies_to_every_larger_order(asked: Question, more: Decimal) -> None:
    larger = replace(asked, intent=replace(asked.intent, quantity=asked.intent.quantity + more))
    # As another order would be: whether it may shrink a position does not depend on its size.
    assert _codes(asked) & SIZE_CODES <= _codes(larger)


@given(full_questions())
def test_what_can_only_shrink_a_position_is_never_held_back_by_size_price_loss_or_rate(asked: Question) -> None:
    position = asked.account.positions[SYMBOL]
    side = Side.SELL if position > 0 else Side.BUY
    shrinking = replace(asked, intent=replace(asked.intent, side=side, reduce_only=True))
    always = {RiskCode.STATE_HALTED, RiskCode.RECONCILIATION_PENDING}
    if position:
        assert _codes(shrinking) <= always


MISSING = (
    ("account", "equity"), ("account", "high_water"), ("account", "day_start_equity"), ("account", "equity_24h_ago"),
    ("account", "wallet"), ("account", "marks"), ("account", "entry_prices"), ("", "instrument"), ("", "state"),
    ("", "last_bar_time"), ("", "recent_closes"),
)  # fmt: skip


@given(full_questions(), st.sampled_from(MISSING))
def test_whatever_is_missing_denies(asked: Question, missing: tuple[str, str]) -> None:
    where, name = missing
    nothing: Any = {} if name in ("marks", "entry_prices") else () if name == "recent_closes" else None
    side = Side.BUY if asked.account.positions[SYMBOL] >= 0 else Side.SELL
    enlarging = replace(asked, intent=replace(asked.intent, side=side, reduce_only=False))
    if where:
        spoilt = replace(enlarging, account=replace(enlarging.account, **{name: nothing}))
    else:
        spoilt = replace(enlarging, **{name: nothing})
    if name != "entry_prices" or asked.account.positions[SYMBOL]:
        assert isinstance(evaluate_intent(spoilt), Rejection)
