"""Accounting laws: the portfolio against an independent recomputation from the very same fills."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from include.domain.enums import Liquidity, Side
from include.domain.orders import Fill, FundingPayment
from include.trading.portfolio import apply_fill, replay_fills
from include.trading.standing import Fact, History

CAPITAL = Decimal(100_000)
AT = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("BTC/USDT", "ETH/USDT")


@st.composite
def fills(draw: st.DrawFn) -> list[Fill]:
    count = draw(st.integers(0, 40))
    return [
        Fill(
            str(i), f"al-{i}", draw(st.sampled_from(SYMBOLS)), draw(st.sampled_from(list(Side))),
            draw(st.decimals("0.001", "3", places=3)), draw(st.decimals("1", "70000", places=1)),
            draw(st.decimals("-1", "9", places=4)), Liquidity.TAKER, AT + timedelta(minutes=draw(st.integers(0, 90))),
        )
        for i in range(count)
    ]  # fmt: skip


@st.composite
def payments(draw: st.DrawFn) -> list[FundingPayment]:
    amounts = draw(st.lists(st.decimals("-5", "5", places=9), max_size=6))
    return [
        FundingPayment(str(i), draw(st.sampled_from(SYMBOLS)), amount, AT + timedelta(minutes=draw(st.integers(0, 90))))
        for i, amount in enumerate(amounts)
    ]


marks = st.fixed_dictionaries({symbol: st.decimals("1", "70000", places=1) for symbol in SYMBOLS})


@given(fills(), payments(), marks)
def test_equity_is_capital_plus_cash_flow_and_funding_plus_value_of_what_is_held(
    given_fills: list[Fill], funding: list[FundingPayment], given_marks: dict[str, Decimal]
) -> None:
    portfolio = replay_fills(CAPITAL, given_fills, funding)
    cash = CAPITAL - sum((f.side.sign * f.quantity * f.price + f.fee for f in given_fills), Decimal(0))
    cash += sum((paid.amount for paid in funding), Decimal(0))
    held = {s: sum((f.side.sign * f.quantity for f in given_fills if f.symbol == s), Decimal(0)) for s in SYMBOLS}
    value = sum((held[s] * given_marks[s] for s in SYMBOLS), Decimal(0))
    assert portfolio.equity(given_marks) == cash + value
    assert portfolio.quantities() == {s: q for s, q in held.items() if q}


@given(fills())
def test_a_flat_account_holds_its_capital_plus_profit_less_fees_in_cash(given_fills: list[Fill]) -> None:
    portfolio = replay_fills(CAPITAL, given_fills)
    for symbol, quantity in portfolio.quantities().items():
        side = Side.SELL if quantity > 0 else Side.BUY
        closing = Fill("x" + symbol, "c", symbol, side, abs(quantity), Decimal(500), Decimal(0), Liquidity.TAKER, AT)
        portfolio = apply_fill(portfolio, closing)
    assert portfolio.holdings == {}
    assert portfolio.equity({}) == portfolio.wallet == CAPITAL + portfolio.realised - portfolio.fees


@given(fills(), st.integers(0, 40))
def test_a_portfolio_replayed_from_any_point_ends_the_same(given_fills: list[Fill], cut: int) -> None:
    portfolio = replay_fills(CAPITAL, given_fills[:cut])
    for fill in given_fills[cut:]:
        portfolio = apply_fill(portfolio, fill)
    assert portfolio == replay_fills(CAPITAL, given_fills)


def history_of(facts: Iterable[Fact]) -> History:
    history = History()
    for fact in facts:
        history.add(fact)
    return history


@given(fills(), payments(), marks, st.randoms(use_true_random=False))
def test_the_symbols_equities_add_up_to_the_accounts_whatever_the_order_of_arrival(
    given_fills: list[Fill], funding: list[FundingPayment], given_marks: dict[str, Decimal], random: Random
) -> None:
    facts: list[Fact] = [*given_fills, *funding]
    random.shuffle(facts)
    equities = []
    for symbol in SYMBOLS:
        standing = history_of(fact for fact in facts if fact.symbol == symbol).before(AT + timedelta(days=1))
        assert standing.quantity == replay_fills(CAPITAL, given_fills).quantity(symbol)
        equities.append(standing.equity(CAPITAL / 2, given_marks[symbol]))
    assert sum(equities, Decimal(0)) == replay_fills(CAPITAL, given_fills, funding).equity(given_marks)


@given(fills(), payments(), st.integers(0, 90), st.integers(0, 90))
def test_summing_up_what_is_over_changes_no_later_answer(
    given_fills: list[Fill], funding: list[FundingPayment], one: int, other: int
) -> None:
    facts = [fact for fact in (*given_fills, *funding) if fact.symbol == SYMBOLS[0]]
    earlier, later = (AT + timedelta(minutes=minutes) for minutes in sorted((one, other)))
    kept, settled = history_of(facts), history_of(facts)
    settled.settle(earlier)
    assert settled.before(later) == kept.before(later)
    assert settled.filled_since(later) == kept.filled_since(later)
