"""Laws of the matching core: money and quantity are conserved, no fill leaves its bar or its share of the volume, ids
and times only grow, what is refused changes nothing, a replay repeats itself, and so does an account read back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain import fill_rule
from include.domain.enums import MarginType, OrderType, PositionSide, Side, TimeInForce
from include.domain.holding import Holding
from include.domain.instruments import Instrument
from include.venues.matching import (
    Account,
    Event,
    Execution,
    ExecutionType,
    IncomeType,
    Prices,
    RefusedError,
    Request,
    Trade,
    build_brackets,
)
from include.venues.matching.orders import FINAL, PRICED, TRIGGERED
from include.venues.matching.state import document, from_document
from tests.unit.fill_rule_case import COIN, ODD_STEPS, PENNY

RISKY = {"maintenance_margin_rate": Decimal("0.01"), "liquidation_fee_rate": Decimal("0.0125")}
MARKETS: dict[str, Instrument] = {
    instrument.symbol: instrument
    for instrument in (
        replace(COIN, **RISKY, participation=Decimal("0.1"), funding_rate=Decimal("0.0003")),
        replace(PENNY, **RISKY, participation=Decimal("0.37")),
        replace(ODD_STEPS, maintenance_margin_rate=Decimal("0.02")),
    )
}
BRACKETS = {
    ODD_STEPS.symbol: build_brackets([(Decimal(9_000), 40, Decimal("0.02")), (Decimal(10**6), 10, Decimal("0.08"))])
}
STEP_MS = 4 * 3_600_000
RATES = (None, Decimal(0), Decimal("0.00012345"), Decimal("-0.0005"))


@dataclass(frozen=True, slots=True)
class Action:
    """Something a client does between two phases of a bar."""

    at_open: bool
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    lots: int
    ticks_away: int
    limit_ticks_away: int
    reduce_only: bool
    then: str
    """What follows: nothing, a cancel, a modification, a change of leverage, a transfer, added margin, a countdown."""


@dataclass(frozen=True, slots=True)
class TickBar:
    """A bar in ticks and lots."""

    open: int
    high: int
    low: int
    close: int
    lots: int
    rate: Decimal | None

    def prices(self, instrument: Instrument) -> Prices:
        ticks = (self.open, self.high, self.low, self.close)
        return Prices(*(t * instrument.tick_size for t in ticks), self.lots * instrument.lot_size, self.rate)


@dataclass(frozen=True, slots=True)
class Script:
    """Bars, what the client does during each, and how the account is set."""

    bars: list[dict[str, TickBar]]
    actions: list[list[Action]]
    wallet: int
    hedged: bool
    leverage: int
    isolated: frozenset[str]


FOLLOWING = ("", "", "", "cancel", "modify", "leverage", "transfer", "margin", "countdown")
SYMBOLS = sorted(MARKETS)


def random_bar(draw: Random) -> TickBar:
    low = draw.randint(850, 1_100)
    high = low + draw.randint(0, 90)
    lots = draw.choice((0, draw.randint(0, 4_000), draw.randint(0, 40_000)))
    return TickBar(draw.randint(low, high), high, low, draw.randint(low, high), lots, draw.choice(RATES))


def random_action(draw: Random) -> Action:
    return Action(
        at_open=draw.random() < 0.5, symbol=draw.choice(SYMBOLS), side=draw.choice(list(Side)),
        type=draw.choice((OrderType.MARKET, *OrderType)), time_in_force=draw.choice(list(TimeInForce)),
        position_side=draw.choice((PositionSide.LONG, PositionSide.SHORT)),
        lots=draw.choice((draw.randint(1, 20), draw.randint(1, 400))),
        ticks_away=draw.randint(-80, 80), limit_ticks_away=draw.randint(-20, 20), reduce_only=draw.random() < 0.3,
        then=draw.choice(FOLLOWING),
    )  # fmt: skip


def random_script(seed: int) -> Script:
    """Small seeds are short scripts; everything is as likely in a small one as in a large one."""
    draw = Random(seed)
    count = 1 + min(seed, draw.randint(1, 9))
    return Script(
        [{symbol: random_bar(draw) for symbol in SYMBOLS} for _ in range(count)],
        [[random_action(draw) for _ in range(draw.randint(0, 4))] for _ in range(count)],
        draw.choice((60, 400, 50_000)), draw.random() < 0.4, draw.choice((1, 3, 20)),
        frozenset(symbol for symbol in SYMBOLS if draw.random() < 0.5),
    )  # fmt: skip


# Scripts are drawn from a seed: Hypothesis by itself prefers few orders on still markets, where nothing is liquidated.
SCRIPTS = st.integers(0, 10**9).map(random_script)


@dataclass(slots=True)
class Run:
    """A played script: the account, and its events with the number of their bar."""

    script: Script
    account: Account
    log: list[tuple[int, Event]] = field(default_factory=list)
    refusals_that_changed: list[str] = field(default_factory=list)
    keeps_state: bool = False
    """Write the account down and go on with the one that was read after every phase."""

    def play(self) -> Run:
        for index, bar in enumerate(self.script.bars):
            at, quarter = index * STEP_MS, STEP_MS // 4
            played = {symbol: ticks.prices(MARKETS[symbol]) for symbol, ticks in bar.items()}
            self._note(index, self.account.open_phase(played, at))
            self._act(index, at, at_open=True)
            self._note(index, self.account.path_phase(played, [at + quarter * leg for leg in (1, 2, 3)]))
            self._act(index, at + STEP_MS - 1, at_open=False)
        return self

    def _note(self, index: int, events: list[Event]) -> None:
        self.log += [(index, event) for event in events]
        if self.keeps_state:
            raw = orjson.loads(orjson.dumps(document(self.account)))
            self.account = from_document(MARKETS, raw)

    def _act(self, index: int, at: int, *, at_open: bool) -> None:
        for number, action in enumerate(self.script.actions[index]):
            if action.at_open is at_open:
                self._try(index, lambda a=action, n=number: self.account.submit(self._wish(index, n, a), at))
                if action.then:
                    self._try(index, lambda a=action, n=number: self._follow(f"{index}-{n}", a, at))

    def _try(self, index: int, command: object) -> None:
        before = document(self.account) if self.keeps_state else None
        try:
            self._note(index, command())  # type: ignore[operator]
        except RefusedError as error:
            if before is not None and document(self.account) != before:
                self.refusals_that_changed.append(error.refusal)

    def _wish(self, index: int, number: int, action: Action) -> Request:
        instrument, close = MARKETS[action.symbol], self.script.bars[index][action.symbol].close
        trigger = max(1, close + action.ticks_away) * instrument.tick_size
        limit = max(1, close + action.ticks_away + action.limit_ticks_away) * instrument.tick_size
        closes = action.type in {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET} and action.lots % 5 == 0
        trails, hedged = action.type is OrderType.TRAILING_STOP_MARKET, self.script.hedged
        return Request(
            f"{index}-{number}", action.symbol, action.side, action.type,
            Decimal(0) if closes else action.lots * instrument.lot_size,
            limit if action.type in PRICED else None, trigger if action.type in TRIGGERED else None,
            action.reduce_only and not hedged, action.time_in_force if action.type in PRICED else TimeInForce.GTC,
            action.position_side if hedged else PositionSide.BOTH, closes,
            Decimal(1 + action.lots % 90) / 1_000 if trails else None,
            trigger if trails and action.lots % 2 else None,
            (index + 2) * STEP_MS if action.lots % 7 == 0 else None,
        )  # fmt: skip

    def _follow(self, name: str, action: Action, at: int) -> list[Event]:
        account, order, tick = self.account, self.account.order(name), MARKETS[action.symbol].tick_size
        if action.then == "transfer":
            return account.transfer(Decimal(action.ticks_away or 1), at)
        if action.then == "margin":
            return account.add_margin(action.symbol, account.margin.sides[0], Decimal(action.ticks_away), at)
        if action.then == "leverage":
            return account.set_leverage(action.symbol, 1 + action.lots % 30, at)
        if action.then == "countdown":
            account.set_countdown(action.symbol, at + STEP_MS)
        elif order is not None and action.then == "cancel":
            return account.cancel(order, at)
        elif order is not None and order.request.price is not None:
            quantity = order.request.quantity + MARKETS[action.symbol].lot_size * (action.lots % 3)
            return account.modify(order, quantity, order.request.price + tick, at)
        return []


def run(script: Script, *, keeps_state: bool = False) -> Run:
    account = Account(MARKETS, Decimal(script.wallet), BRACKETS)
    for symbol in SYMBOLS:
        account.set_leverage(symbol, script.leverage, 0)
        if symbol in script.isolated:
            account.set_margin_type(symbol, MarginType.ISOLATED, 0)
    if script.hedged:
        account.set_hedged(True)
    return Run(script, account, keeps_state=keeps_state).play()


def executions(played: Run) -> Iterator[tuple[int, Execution]]:
    return ((index, event) for index, event in played.log if isinstance(event, Execution))


def traded(played: Run) -> Iterator[tuple[int, Execution, Trade]]:
    return ((index, e, e.trade) for index, e in executions(played) if e.trade is not None)


LAW = settings(max_examples=50, deadline=None)


@LAW
@given(SCRIPTS)
def test_the_wallet_is_the_deposits_plus_realised_profit_less_fees_and_funding(script: Script) -> None:
    account = run(script).account
    moved = {kind: Decimal(0) for kind in IncomeType}
    for flow in account.flows:
        moved[flow.type] += flow.amount
    realised = sum((trade.realised for trade in account.trades), Decimal(0))
    fees = sum((trade.fee for trade in account.trades), Decimal(0))
    deposits = script.wallet + moved[IncomeType.TRANSFER]
    assert account.wallet == deposits + realised - fees + moved[IncomeType.FUNDING_FEE]
    assert account.wallet == script.wallet + sum((income.amount for income in account.incomes()), Decimal(0))


@LAW
@given(SCRIPTS)
def test_positions_and_profits_follow_from_the_trades_alone_to_the_last_digit(script: Script) -> None:
    account = run(script).account
    again: dict[tuple[str, PositionSide], Holding] = defaultdict(Holding)
    for trade in account.trades:
        key = trade.symbol, trade.position_side
        again[key], realised = again[key].after(trade.side, trade.quantity, trade.price)
        assert realised == trade.realised
    held = {key: position.holding for key, position in account.margin.positions.items()}
    assert held == {key: holding for key, holding in again.items() if holding.quantity}


@LAW
@given(SCRIPTS)
def test_equity_is_what_the_fills_moved_valued_at_the_mark(script: Script) -> None:
    account = run(script).account
    cash = sum((-t.side.sign * t.quantity * t.price - t.fee for t in account.trades), Decimal(0))
    flows = sum((flow.amount for flow in account.flows), Decimal(0))
    positions = account.margin.positions.items()
    stock = sum((p.holding.quantity * (account.mark(symbol) or 0) for (symbol, _), p in positions), Decimal(0))
    assert account.equity == script.wallet + cash + flows + stock


@LAW
@given(SCRIPTS)
def test_no_fill_but_a_liquidation_lies_outside_the_range_of_its_bar_and_none_off_the_grid(script: Script) -> None:
    for index, execution, trade in traded(run(script)):
        instrument = MARKETS[trade.symbol]
        bar = script.bars[index][trade.symbol].prices(instrument)
        assert bar.low <= trade.price <= bar.high or execution.type is ExecutionType.CALCULATED
        assert trade.price % instrument.tick_size == 0
        assert trade.quantity % instrument.lot_size == 0
        limit = execution.order.request.price
        assert limit is None or (trade.price - limit) * trade.side.sign <= 0


@LAW
@given(SCRIPTS)
def test_the_fills_of_a_bar_take_no_more_than_their_share_of_its_volume(script: Script) -> None:
    taken: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for index, execution, trade in traded(run(script)):
        if execution.type is ExecutionType.TRADE:
            taken[index, trade.symbol] += trade.quantity
    for (index, symbol), quantity in taken.items():
        instrument = MARKETS[symbol]
        volume = script.bars[index][symbol].lots * instrument.lot_size
        capacity = fill_rule.bar_capacity(instrument, volume)
        assert capacity is None or quantity <= capacity


@LAW
@given(SCRIPTS)
def test_ids_and_times_never_go_back(script: Script) -> None:
    played = run(script)
    assert [trade.id for trade in played.account.trades] == list(range(1, len(played.account.trades) + 1))
    times = [event.at for _, event in played.log]
    assert times == sorted(times)
    born = [e.order.id for _, e in executions(played) if e.type in {ExecutionType.NEW, ExecutionType.CALCULATED}]
    assert born == sorted(set(born))


@LAW
@given(SCRIPTS)
def test_what_reduces_never_enlarges_or_turns_a_position(script: Script) -> None:
    held: dict[tuple[str, PositionSide], Decimal] = defaultdict(Decimal)
    for _, execution, trade in traded(run(script)):
        key = trade.symbol, trade.position_side
        before, held[key] = held[key], held[key] + trade.side.sign * trade.quantity
        if execution.order.request.reduces:
            assert abs(held[key]) < abs(before)
            assert held[key] * before >= 0


@LAW
@given(SCRIPTS)
def test_no_working_order_is_left_that_can_only_reduce_and_has_nothing_to(script: Script) -> None:
    account = run(script).account
    for order in account.open_orders():
        assert not order.request.reduces or account.room(order) > 0


@LAW
@given(SCRIPTS)
def test_a_finished_order_never_moves_again_and_never_fills_beyond_its_quantity(script: Script) -> None:
    finished: set[int] = set()
    for _, execution in executions(run(script)):
        order = execution.order
        assert order.id not in finished or execution.type is ExecutionType.FINISHED
        assert order.filled <= order.request.quantity or order.is_waiting
        if order.status in FINAL:
            finished.add(order.id)


@LAW
@given(SCRIPTS)
def test_what_is_bound_is_the_sum_over_working_orders(script: Script) -> None:
    account = run(script).account
    for symbol in SYMBOLS:
        working = [account.reservations.bound.get(order.id) for order in account.open_orders(symbol)]
        bound = sum((b.notional for b in working if b is not None), Decimal(0))
        assert account.margin.order_notional.get(symbol, Decimal(0)) == bound
    left = {order.id: order.remaining for order in account.open_orders()}
    assert all(bound.quantity <= left[number] for number, bound in account.reservations.bound.items())


@settings(max_examples=30, deadline=None)
@given(SCRIPTS)
def test_the_same_script_gives_the_same_events_byte_for_byte(script: Script) -> None:
    assert repr(run(script).log).encode() == repr(run(script).log).encode()


@settings(max_examples=30, deadline=None)
@given(SCRIPTS)
def test_a_refusal_changes_nothing_and_a_restored_account_goes_on_as_the_first_would(script: Script) -> None:
    through, kept = run(script), run(script, keeps_state=True)
    assert kept.refusals_that_changed == []
    assert repr(kept.log) == repr(through.log)
    assert document(kept.account) == document(through.account)


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
