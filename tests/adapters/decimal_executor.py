"""The fill rule played in Decimal from `domain.fill_rule` alone: slow, plain, and the yardstick of the kernel.

Numbers in brackets are those of `docs/fill-rule.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

import numpy as np

from include.domain import fill_rule
from include.domain.bars import Bar, FloatArray, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import Liquidity, OrderPurpose, OrderType, Side
from include.domain.instruments import Instrument
from include.domain.times import Timeframe, to_ms
from tests.unit.fill_rule_case import MINUTE, ExpectedFill

ZERO = Decimal(0)
STOP, LIMIT = OrderType.STOP_MARKET, OrderType.LIMIT
Purpose = OrderPurpose


@dataclass(frozen=True)
class Played:
    """Fills in order, funding paid by (bar, amount), and the symbol's profit at every close."""

    fills: tuple[ExpectedFill, ...]
    funding: tuple[tuple[int, Decimal], ...]
    profit: tuple[Decimal, ...]


@dataclass
class _Plan:
    """What an entry was decided with (4); prices on the grid."""

    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    hold: int | None = None


@dataclass
class _Entry:
    """An entry or a scale-in in work."""

    purpose: OrderPurpose
    side: Side
    left: Decimal
    plan: _Plan


@dataclass
class _Position:
    side: Side
    plan: _Plan
    since_ms: int
    quantity: Decimal = ZERO
    entered: Decimal = ZERO
    value: Decimal = ZERO
    best: Decimal = ZERO
    shrunk: bool = False


@dataclass
class _Executor:
    bars: Sequence[Bar]
    signals: Signals
    instrument: Instrument
    allocation: Decimal
    timeframe: Timeframe
    rates: FloatArray | None
    fills: list[ExpectedFill] = field(default_factory=list)
    funding: list[tuple[int, Decimal]] = field(default_factory=list)
    profit: list[Decimal] = field(default_factory=list)
    cash: Decimal = ZERO
    held: _Position | None = None
    entry: _Entry | None = None
    leaving: OrderPurpose | None = None
    """Purpose of the exit, or of the stop that has triggered, that is in work; it is for the whole position."""
    capacity: Decimal | None = None
    liquidated: bool = False

    def play(self) -> Played:
        for t, bar in enumerate(self.bars):
            self.capacity = fill_rule.bar_capacity(self.instrument, bar.volume)
            if t:
                self._pay_funding(t)
                self._meet_liquidation_at_open(t)
                self._fill_market_orders(t)
            self._meet_at_open(t)
            self._meet_on_path(t)
            self.profit.append(self.cash + self._signed() * bar.close)
            if t + 1 < len(self.bars) and not self.liquidated:
                self._decide(t)
        return Played(tuple(self.fills), tuple(self.funding), tuple(self.profit))

    # --- cost (16, 17) ----------------------------------------------------------------------------------------

    def _pay_funding(self, t: int) -> None:
        if self.held is None:
            return
        if self.rates is not None:
            due = not np.isnan(self.rates[t])
            rate = to_decimal(float(self.rates[t]), fill_rule.RATE_STEP) if due else ZERO
        else:
            times = fill_rule.funding_due(to_ms(self.bars[t - 1].open_time), to_ms(self.bars[t].open_time))
            rate = times * self.instrument.funding_rate
        if rate:
            paid = self._signed() * self.bars[t].open * rate
            self.cash -= paid
            self.funding.append((t, paid))

    def _signed(self) -> Decimal:
        return self.held.side.sign * self.held.quantity if self.held else ZERO

    def _book(self, t: int, side: Side, quantity: Decimal, price: Decimal, purpose: OrderPurpose) -> None:
        liquidity = Liquidity.MAKER if purpose is Purpose.TAKE_PROFIT else Liquidity.TAKER
        fee = self.instrument.fee(quantity, price, liquidity)
        if purpose is Purpose.LIQUIDATION:
            fee = fill_rule.liquidation_fee(self.instrument, quantity, price, self._bankruptcy())
        self.cash -= side.sign * quantity * price + fee
        self.fills.append(ExpectedFill(t, side, quantity, price, purpose))

    # --- orders -----------------------------------------------------------------------------------------------

    def _take(self, wanted: Decimal) -> Decimal:
        """What is left of the bar's capacity for an order (15)."""
        if self.capacity is None:
            return wanted
        taken = min(wanted, self.capacity)
        self.capacity -= taken
        return taken

    def _reduce(self, t: int, quantity: Decimal, price: Decimal, purpose: OrderPurpose) -> None:
        assert self.held is not None
        if not quantity:
            return
        self._book(t, self.held.side.opposite, quantity, price, purpose)
        self.held.quantity -= quantity
        self.held.shrunk = True
        if self.entry is not None and self.entry.side is self.held.side:
            self.entry = None  # (7)
        if not self.held.quantity:
            self.held = self.leaving = None

    def _market(self, bar: Bar, side: Side) -> Decimal:
        return fill_rule.market_price(self.instrument, bar.open, side, bar.low, bar.high)

    def _fill_market_orders(self, t: int) -> None:
        bar = self.bars[t]
        if self.held and self.leaving:
            price = self._market(bar, self.held.side.opposite)
            self._reduce(t, self._take(self.held.quantity), price, self.leaving)
        if self.entry and (self.held is None or self.held.side is self.entry.side):
            self._fill_entry(t, bar, self.entry)

    def _fill_entry(self, t: int, bar: Bar, entry: _Entry) -> None:
        quantity = self._take(entry.left)
        if not quantity:
            return
        price = self._market(bar, entry.side)
        self._book(t, entry.side, quantity, price, entry.purpose)
        if self.held is None:
            self.held = _Position(entry.side, entry.plan, to_ms(bar.open_time))
        self.held.quantity += quantity
        self.held.entered += quantity
        self.held.value += quantity * price
        self.held.best = bar.open  # (13)
        entry.left -= quantity
        if not entry.left:
            self.entry = None

    # --- liquidation (14) -------------------------------------------------------------------------------------

    def _liquidation_level(self) -> Decimal:
        assert self.held is not None
        return fill_rule.liquidation_level(
            self.instrument, self.held.side.opposite, self.held.value / self.held.entered
        )

    def _bankruptcy(self) -> Decimal:
        assert self.held is not None
        return fill_rule.bankruptcy_price(self.instrument, self.held.side.opposite, self.held.value / self.held.entered)

    def _liquidate(self, t: int, reference: Decimal) -> None:
        assert self.held is not None
        bar, side = self.bars[t], self.held.side.opposite
        price = fill_rule.liquidation_price(
            self.instrument, side, reference, self._bankruptcy(), low=bar.low, high=bar.high
        )
        self._reduce(t, self.held.quantity, price, Purpose.LIQUIDATION)
        self.entry = None
        self.liquidated = True

    def _meet_liquidation_at_open(self, t: int) -> None:
        if self.held and fill_rule.is_reached(
            STOP, self.held.side.opposite, self._liquidation_level(), self.bars[t].open
        ):
            self._liquidate(t, self.bars[t].open)

    # --- resting orders (10 to 13) ----------------------------------------------------------------------------

    def _meet(self, t: int, purpose: OrderPurpose, reference: Decimal) -> None:
        """Fill what was met at `reference`; a stop that does not fill wholly is in work from here on."""
        if self.held is None:
            return
        if purpose is Purpose.LIQUIDATION:
            self._liquidate(t, reference)
            return
        bar, side = self.bars[t], self.held.side.opposite
        kind = LIMIT if purpose is Purpose.TAKE_PROFIT else STOP
        if kind is STOP:
            self.leaving = self.leaving or purpose
            if self.entry is not None and self.entry.side is self.held.side:
                self.entry = None  # (7): its own entry; that of a turn-round waits for the exit
        price = fill_rule.resting_price(self.instrument, kind, side, reference, low=bar.low, high=bar.high)
        self._reduce(t, self._take(self.held.quantity), price, purpose)

    def _meet_at_open(self, t: int) -> None:
        self._meet_liquidation_at_open(t)  # of what this open has brought
        if self.held is None:
            return
        plan, side, open_ = self.held.plan, self.held.side.opposite, self.bars[t].open
        levels = [
            (Purpose.STOP, STOP, plan.stop),
            (Purpose.TRAILING_STOP, STOP, self._trailing_level()),
            (Purpose.TAKE_PROFIT, LIMIT, plan.take_profit),
        ]
        for purpose, kind, level in levels:
            if level is not None and fill_rule.is_reached(kind, side, level, open_):
                self._meet(t, purpose, open_)

    def _trailing_level(self) -> Decimal | None:
        assert self.held is not None
        if self.held.plan.trailing is None:
            return None
        return fill_rule.trailing_level(
            self.instrument, self.held.side.opposite, self.held.best, self.held.plan.trailing
        )

    def _meet_on_path(self, t: int) -> None:
        if self.held is None:
            return
        bar, plan, side = self.bars[t], self.held.plan, self.held.side.opposite
        waypoints = fill_rule.path(bar.open, bar.high, bar.low, bar.close)
        met: list[tuple[tuple[int, Decimal], OrderPurpose, Decimal]] = []
        for purpose, kind, level in (
            (Purpose.LIQUIDATION, STOP, self._liquidation_level()),
            (Purpose.STOP, STOP, plan.stop),
        ):
            if level is not None and (point := fill_rule.touch_point(kind, side, level, waypoints)):
                met.append((point, purpose, level))
        if plan.trailing is not None:
            trail = fill_rule.trail(self.instrument, side, self.held.best, plan.trailing, waypoints)
            self.held.best = trail.best
            if trail.touch is not None and trail.level is not None:
                met.append((trail.touch, Purpose.TRAILING_STOP, trail.level))
        if plan.take_profit is not None and (point := fill_rule.touch_point(LIMIT, side, plan.take_profit, waypoints)):
            met.append((point, Purpose.TAKE_PROFIT, plan.take_profit))
        for _, purpose, level in sorted(met, key=lambda found: found[0]):
            self._meet(t, purpose, level)

    # --- decide (1 to 7) --------------------------------------------------------------------------------------

    def _decide(self, t: int) -> None:
        if self.leaving:
            return
        target = self.signals.target[t]
        side = {1.0: Side.BUY, -1.0: Side.SELL}.get(float(target))
        if self.entry is not None and target in (0.0, float(-self.entry.side.sign)):
            self.entry = None
        if self.held is not None:
            if not np.isnan(target) and side is not self.held.side:
                self.leaving = Purpose.EXIT
            elif self._held_long_enough(t):
                self.leaving = Purpose.TIME_EXIT
            if self.leaving:
                self.entry = None
        if self.entry is not None or side is None:
            return
        if self.held is None or self.leaving is Purpose.EXIT:
            self._ask_entry(t, side)
        elif not self.leaving:
            self._ask_scale_in(t, side)

    def _held_long_enough(self, t: int) -> bool:
        assert self.held is not None
        hold = self.held.plan.hold
        end_ms = to_ms(self.bars[t].open_time) + self.timeframe.ms
        return hold is not None and end_ms - self.held.since_ms >= hold * self.timeframe.ms

    def _equity(self, t: int) -> Decimal:
        return self.allocation + self.cash + self._signed() * self.bars[t].close

    def _ask_entry(self, t: int, side: Side) -> None:
        s, i = self.signals, self.instrument
        weight = to_decimal(float(s.weight[t]), fill_rule.WEIGHT_STEP)
        quantity = fill_rule.entry_quantity(i, self.allocation, weight, self.bars[t].close, self._equity(t))
        if quantity:
            plan = _Plan(
                _number(s.stop, t, i.tick_size), _number(s.take_profit, t, i.tick_size),
                _number(s.trailing, t, fill_rule.TRAILING_STEP), _number(s.hold, t, Decimal(1)),
            )  # fmt: skip
            self.entry = _Entry(Purpose.ENTRY, side, quantity, plan)

    def _ask_scale_in(self, t: int, side: Side) -> None:
        assert self.held is not None
        share = _number(self.signals.add, t, fill_rule.WEIGHT_STEP)
        if share is None or self.held.shrunk:
            return
        quantity = fill_rule.scale_in_quantity(
            self.instrument, self.allocation, share, self.bars[t].close, self._equity(t), self.held.quantity
        )
        if quantity:
            self.entry = _Entry(Purpose.SCALE_IN, side, quantity, self.held.plan)


def _number(column: FloatArray | None, t: int, step: Decimal) -> Decimal | None:
    return None if column is None or np.isnan(column[t]) else to_decimal(float(column[t]), step)


def play(
    bars: Sequence[Bar], signals: Signals, instrument: Instrument, allocation: Decimal,
    timeframe: Timeframe = MINUTE, rates: FloatArray | None = None,
) -> Played:  # fmt: skip
    """One symbol from flat; prices and volumes of the bars must lie on the grid.

    Args:
        rates: funding rate due at each open, NaN for nothing; None where the instrument's holds.
    """
    cents = allocation.quantize(fill_rule.ALLOCATION_STEP, rounding=ROUND_DOWN)
    return _Executor(bars, signals, instrument, cents, timeframe, rates).play()
