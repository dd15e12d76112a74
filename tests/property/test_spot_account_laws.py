"""Laws of a spot account: no currency appears or vanishes, nothing is spent twice, fills stay inside their bars."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.enums import OrderType, Side, TimeInForce
from include.domain.instruments import Instrument
from include.venues.matching.book import Prices
from include.venues.matching.orders import CONDITIONAL, PRICED, TRIGGERED, ExecutionType, RefusedError, Request
from include.venues.matching.spot import SpotAccount, SpotExecution, base_asset, commission_asset
from include.venues.matching.spot_state import document, from_document

BITCOIN = Instrument(
    "BTC/USDT", Decimal("0.1"), Decimal("0.001"), Decimal(5), Decimal("0.0007"), Decimal("0.001"), Decimal("0.5"),
    Decimal("1.5"),
)  # fmt: skip
THIN = Instrument(
    "ETH/USDT", Decimal("0.05"), Decimal("0.003"), Decimal(5), Decimal("0.0002"), Decimal("0.00075"), Decimal(3),
    Decimal(0), participation=Decimal("0.3"),
)  # fmt: skip
MARKETS = {instrument.symbol: instrument for instrument in (BITCOIN, THIN)}
DEPOSITS = {"USDT": Decimal(3_000), "BTC": Decimal("0.7"), "ETH": Decimal(2)}
STEP_MS = 60_000
TYPES = [kind for kind in OrderType if kind is not OrderType.TRAILING_STOP_MARKET]


@dataclass(frozen=True, slots=True)
class Action:
    """Something a client does before the open of a bar or while the market stands at it."""

    at_open: bool
    symbol: str
    side: Side
    type: OrderType
    lots: int
    ticks_away: int
    limit_away: int
    time_in_force: TimeInForce
    by_amount: bool
    cancels: bool


Bar = tuple[int, int, int, int, int]


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low = draw(st.integers(900, 1_100))
    high = low + draw(st.integers(0, 60))
    return draw(st.integers(low, high)), high, low, draw(st.integers(low, high)), draw(st.integers(0, 4_000))


ACTIONS = st.builds(
    Action, at_open=st.booleans(), symbol=st.sampled_from(sorted(MARKETS)), side=st.sampled_from(Side),
    type=st.sampled_from(TYPES), lots=st.integers(1, 2_000), ticks_away=st.integers(-60, 60),
    limit_away=st.integers(-20, 20), time_in_force=st.sampled_from(TimeInForce), by_amount=st.booleans(),
    cancels=st.booleans(),
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.fixed_dictionaries(dict.fromkeys(MARKETS, bars())), st.lists(ACTIONS, max_size=4)), max_size=8
)


def prices_of(symbol: str, bar: Bar) -> Prices:
    tick, lot = MARKETS[symbol].tick_size, MARKETS[symbol].lot_size
    return Prices(*(ticks * tick for ticks in bar[:4]), volume=bar[4] * lot)


def act(account: SpotAccount, action: Action, number: int, at: int) -> list[SpotExecution]:
    """Do what the action says; refusals change nothing."""
    before = account.balances()
    try:
        if action.cancels and account.orders:
            return account.cancel(1 + action.lots % len(account.orders), at)
        instrument, mark = MARKETS[action.symbol], account.mark(action.symbol)
        assert mark is not None
        level = mark + action.ticks_away * instrument.tick_size
        stop = level if action.type in TRIGGERED else None
        limit = (
            (level + action.limit_away * instrument.tick_size * (stop is not None)) if action.type in PRICED else None
        )
        quantity, amount = action.lots * instrument.lot_size, None
        if action.by_amount and action.type is OrderType.MARKET:
            amount = Decimal(action.lots)
            quantity = account.sized(action.symbol, action.side, amount)
        force = TimeInForce.GTC if action.type in CONDITIONAL or limit is None else action.time_in_force
        if not quantity:
            return []
        request = Request(
            f"c{number}", action.symbol, action.side, action.type, quantity, limit, stop, time_in_force=force
        )
        return account.submit(request, at, amount)
    except RefusedError:
        assert account.balances() == before
        return []


def play(
    steps: list[tuple[dict[str, Bar], list[Action]]], *, restarts: bool = False
) -> tuple[SpotAccount, list[tuple[SpotExecution, Prices | None]]]:
    """Everything that happens, with the bar in which it does (None between bars)."""
    account = SpotAccount(MARKETS, DEPOSITS)
    for symbol, instrument in MARKETS.items():
        account.set_mark(symbol, 1_000 * instrument.tick_size)
    told: list[tuple[SpotExecution, Prices | None]] = []
    number = 0
    for step, (bar, actions) in enumerate(steps):
        at = step * STEP_MS
        if restarts:
            account = from_document(MARKETS, document(account))
        played = {symbol: prices_of(symbol, ticks) for symbol, ticks in bar.items()}
        for at_open in (False, True):
            if at_open:
                told += [(e, played[e.execution.order.request.symbol]) for e in account.open_phase(played, at)]
            for action in actions:
                if action.at_open is at_open:
                    number += 1
                    happened = act(account, action, number, at + at_open)
                    told += [(e, played[e.execution.order.request.symbol] if at_open else None) for e in happened]
        legs = [at + k * STEP_MS // 4 for k in (1, 2, 3)]
        told += [(e, played[e.execution.order.request.symbol]) for e in account.path_phase(played, legs)]
    return account, told


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_currencies_are_conserved_to_the_last_digit_and_never_spent_twice(
    steps: list[tuple[dict[str, Bar], list[Action]]],
) -> None:
    account, told = play(steps)
    expected = defaultdict(Decimal, DEPOSITS)
    for trade in account.trades:
        instrument = MARKETS[trade.symbol]
        expected[base_asset(instrument)] += trade.side.sign * trade.quantity
        expected[instrument.quote] -= trade.side.sign * trade.quantity * trade.price
        expected[commission_asset(instrument, trade.side)] -= trade.fee
    assert {asset: balance.total for asset, balance in account.balances().items()} == expected
    for execution, _ in told:
        for balance in execution.balances.values():
            assert balance.free >= 0
            assert balance.locked >= 0
    locked = {asset for order in account.open_orders() for asset in (account._paid_in(order.request),)}
    for asset, balance in account.balances().items():
        assert balance.locked >= 0
        assert asset in locked or not balance.locked


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_fills_stay_inside_their_bar_their_limit_and_their_order(
    steps: list[tuple[dict[str, Bar], list[Action]]],
) -> None:
    account, told = play(steps)
    for execution, bar in told:
        trade, request = execution.execution.trade, execution.execution.order.request
        if trade is None:
            continue
        assert bar is not None
        assert bar.low <= trade.price <= bar.high
        assert not trade.price % MARKETS[trade.symbol].tick_size
        assert not trade.quantity % MARKETS[trade.symbol].lot_size
        if request.price is not None:
            assert trade.side.sign * (request.price - trade.price) >= 0
    for order in account.orders.values():
        mine = [trade for trade in account.trades if trade.order_id == order.id]
        assert sum((trade.quantity for trade in mine), Decimal(0)) == order.filled <= order.request.quantity
        amount = account.quote_quantities.get(order.id)
        if amount is not None and order.request.side is Side.BUY:
            assert order.cost <= amount


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_an_account_that_was_written_down_and_read_back_goes_on_as_if_nothing_had_happened(
    steps: list[tuple[dict[str, Bar], list[Action]]],
) -> None:
    first, told = play(steps)
    again, told_again = play(steps, restarts=True)
    assert told == told_again
    assert (first.balances(), first.orders, first.trades) == (again.balances(), again.orders, again.trades)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_the_same_calls_give_the_same_executions(steps: list[tuple[dict[str, Bar], list[Action]]]) -> None:
    first, told = play(steps)
    again, told_again = play(steps)
    assert told == told_again
    assert first.balances() == again.balances()
    ids = [e.execution.order.id for e, _ in told if e.execution.type is ExecutionType.NEW]
    assert ids == sorted(ids)
    assert [trade.id for trade in first.trades] == list(range(1, len(first.trades) + 1))
