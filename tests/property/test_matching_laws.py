"""Laws of the matching core: money is conserved, no fill leaves its bar, ids only grow, a replay repeats itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.enums import OrderStatus, OrderType, Side
from include.domain.holding import Holding
from include.domain.instruments import Instrument
from include.venues.matching import Account, Execution, Prices, RefusedError, Request
from tests.unit.fill_rule_cases import COIN, ODD_STEPS, PENNY

MARKETS = {instrument.symbol: instrument for instrument in (COIN, PENNY, ODD_STEPS)}
WALLET = Decimal(50_000)
STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class Action:
    """Something a client does between two phases of a bar."""

    at_open: bool
    symbol: str
    side: Side
    type: OrderType
    lots: int
    ticks_away: int
    reduce_only: bool
    cancels: bool


@dataclass(frozen=True, slots=True)
class Script:
    """Bars in ticks per symbol and what the client does during each."""

    bars: list[dict[str, tuple[int, int, int, int]]]
    actions: list[list[Action]]


@st.composite
def bars_of(draw: st.DrawFn) -> tuple[int, int, int, int]:
    low = draw(st.integers(900, 1_100))
    high = low + draw(st.integers(0, 60))
    return draw(st.integers(low, high)), high, low, draw(st.integers(low, high))


ACTIONS = st.builds(
    Action,
    at_open=st.booleans(),
    symbol=st.sampled_from(sorted(MARKETS)),
    side=st.sampled_from(Side),
    type=st.sampled_from(OrderType),
    lots=st.integers(1, 400),
    ticks_away=st.integers(-80, 80),
    reduce_only=st.booleans(),
    cancels=st.booleans(),
)
SCRIPTS = st.integers(1, 8).flatmap(
    lambda n: st.builds(
        Script,
        st.lists(st.fixed_dictionaries({s: bars_of() for s in sorted(MARKETS)}), min_size=n, max_size=n),
        st.lists(st.lists(ACTIONS, max_size=5), min_size=n, max_size=n),
    )
)


def prices(instrument: Instrument, ticks: tuple[int, int, int, int]) -> Prices:
    return Prices(*(tick * instrument.tick_size for tick in ticks))


def run(script: Script) -> tuple[Account, list[tuple[int, Execution]]]:
    """Play a script; executions come with the number of their bar."""
    account = Account(MARKETS, WALLET)
    log: list[tuple[int, Execution]] = []
    for index, bar in enumerate(script.bars):
        at = index * STEP_MS
        played = {symbol: prices(MARKETS[symbol], ticks) for symbol, ticks in bar.items()}
        log += [(index, e) for e in account.open_phase(played, at)]
        log += [(index, e) for e in act(account, script, index, at, at_open=True)]
        log += [(index, e) for e in account.path_phase(played, (at + 15_000, at + 30_000, at + 45_000))]
        log += [(index, e) for e in act(account, script, index, at + STEP_MS - 1, at_open=False)]
    return account, log


def act(account: Account, script: Script, index: int, at: int, *, at_open: bool) -> Iterator[Execution]:
    for number, action in enumerate(script.actions[index]):
        if action.at_open is not at_open:
            continue
        instrument = MARKETS[action.symbol]
        level = max(1, script.bars[index][action.symbol][3] + action.ticks_away) * instrument.tick_size
        wish = Request(
            f"{index}-{number}", action.symbol, action.side, action.type, action.lots * instrument.lot_size,
            None if action.type is OrderType.MARKET else level, action.reduce_only,
        )  # fmt: skip
        try:
            yield from account.submit(wish, at)
            if action.cancels:
                yield from account.cancel(wish.client_order_id, at)
        except RefusedError:
            continue


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_the_wallet_is_the_deposit_plus_realised_profit_less_fees(script: Script) -> None:
    account, _ = run(script)
    realised = sum((trade.realised for trade in account.trades), Decimal(0))
    fees = sum((trade.fee for trade in account.trades), Decimal(0))
    assert account.wallet == WALLET + realised - fees


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_equity_is_the_deposit_plus_what_the_fills_moved_valued_at_the_mark(script: Script) -> None:
    account, _ = run(script)
    cash = sum((-t.side.sign * t.quantity * t.price - t.fee for t in account.trades), Decimal(0))
    stock = sum((account.holding(s).quantity * (account.mark(s) or 0) for s in MARKETS), Decimal(0))
    assert account.equity == WALLET + cash + stock


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_the_position_is_the_sum_of_its_fills(script: Script) -> None:
    account, _ = run(script)
    for symbol in MARKETS:
        signed = sum((t.side.sign * t.quantity for t in account.trades if t.symbol == symbol), Decimal(0))
        assert account.holding(symbol).quantity == signed


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_no_fill_lies_outside_the_range_of_its_bar_or_off_the_grid(script: Script) -> None:
    _, log = run(script)
    for index, execution in log:
        if (trade := execution.trade) is None:
            continue
        instrument = MARKETS[trade.symbol]
        bar = prices(instrument, script.bars[index][trade.symbol])
        assert bar.low <= trade.price <= bar.high
        assert trade.price % instrument.tick_size == 0
        assert trade.quantity % instrument.lot_size == 0


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_trade_ids_and_event_times_never_go_back(script: Script) -> None:
    account, log = run(script)
    assert [trade.id for trade in account.trades] == list(range(1, len(account.trades) + 1))
    times = [execution.at for _, execution in log]
    assert times == sorted(times)
    ids = [order.id for order in account.orders.values()]
    assert ids == sorted(set(ids))


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_a_reduce_only_order_never_opens_or_enlarges_a_position(script: Script) -> None:
    account, log = run(script)
    held = dict.fromkeys(MARKETS, Decimal(0))
    for _, execution in log:
        if (trade := execution.trade) is None:
            continue
        before, after = held[trade.symbol], execution.holding.quantity
        if account.orders[trade.client_order_id].request.reduce_only:
            assert abs(after) < abs(before)
            assert after * before >= 0
        held[trade.symbol] = after


@settings(max_examples=50, deadline=None)
@given(SCRIPTS)
def test_no_working_reduce_only_order_is_left_without_a_position_to_reduce(script: Script) -> None:
    account, _ = run(script)
    for order in account.open_orders():
        if order.request.reduce_only:
            assert account.holding(order.request.symbol).closable(order.request.side) > 0


@settings(max_examples=40, deadline=None)
@given(SCRIPTS)
def test_the_same_script_gives_the_same_executions_byte_for_byte(script: Script) -> None:
    assert repr(run(script)[1]).encode() == repr(run(script)[1]).encode()


@settings(max_examples=40, deadline=None)
@given(SCRIPTS)
def test_a_finished_order_never_moves_again(script: Script) -> None:
    _, log = run(script)
    finished: set[str] = set()
    for _, execution in log:
        name = execution.order.request.client_order_id
        assert name not in finished
        if execution.order.status in {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}:
            finished.add(name)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 9_999), st.integers(1, 99_999)), max_size=30))
def test_profit_realised_from_flat_to_flat_is_the_cash_that_moved(fills: list[tuple[Side, int, int]]) -> None:
    holding, realised, cash = Holding(), Decimal(0), Decimal(0)
    for side, lots, ticks in fills:
        quantity, price = lots * Decimal("0.001"), ticks * Decimal("0.01")
        holding, gained = holding.after(side, quantity, price)
        realised += gained
        cash -= side.sign * quantity * price
    assert realised == cash + holding.cost
    if not holding.quantity:
        assert realised == cash
