"""The fill rule played in Decimal from `domain.fill_rule` alone: slow, plain, and the yardstick of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from include.domain import fill_rule
from include.domain.bars import Bar, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import OrderPurpose, OrderType, Side
from include.domain.instruments import Instrument
from tests.unit.fill_rule_cases import ExpectedFill

RESTING = {OrderPurpose.STOP: OrderType.STOP_MARKET, OrderPurpose.TAKE_PROFIT: OrderType.LIMIT}


@dataclass
class _Position:
    side: Side | None = None
    quantity: Decimal = Decimal(0)


def play(bars: Sequence[Bar], signals: Signals, instrument: Instrument, allocation: Decimal) -> list[ExpectedFill]:
    """Fills of one symbol; bars must lie on the tick grid."""
    fills: list[ExpectedFill] = []
    held = _Position()
    levels: dict[OrderPurpose, Decimal] = {}
    for t, bar in enumerate(bars):
        if t:
            _open(fills, held, levels, t, bars, signals, instrument, allocation)
        if held.side is not None:
            _rest(fills, held, levels, t, bar, instrument)
    return fills


def _open(fills, held, levels, t, bars, signals, instrument, allocation) -> None:  # type: ignore[no-untyped-def]
    bar, decided = bars[t], t - 1
    target = signals.target[decided]
    sign = 0 if held.side is None else held.side.sign
    if np.isnan(target) or int(target) == sign:
        return
    if held.side is not None:
        side = held.side.opposite
        price = fill_rule.market_price(instrument, bar.open, side, bar.low, bar.high)
        fills.append(ExpectedFill(t, side, held.quantity, price, OrderPurpose.EXIT))
        held.side = None
        levels.clear()
    if target == 0:
        return
    weight = to_decimal(float(signals.weight[decided]), fill_rule.WEIGHT_STEP)
    quantity = fill_rule.entry_quantity(instrument, allocation, weight, bars[decided].close)
    if quantity == 0:
        return
    side = Side.BUY if target > 0 else Side.SELL
    price = fill_rule.market_price(instrument, bar.open, side, bar.low, bar.high)
    fills.append(ExpectedFill(t, side, quantity, price, OrderPurpose.ENTRY))
    held.side, held.quantity = side, quantity
    for purpose, column in ((OrderPurpose.STOP, signals.stop), (OrderPurpose.TAKE_PROFIT, signals.take_profit)):
        if not np.isnan(column[decided]):
            levels[purpose] = to_decimal(float(column[decided]), instrument.tick_size)


def _rest(fills, held, levels, t, bar, instrument) -> None:  # type: ignore[no-untyped-def]
    side = held.side.opposite
    at_open = [p for p in RESTING if p in levels and fill_rule.is_reached(RESTING[p], side, levels[p], bar.open)]
    if at_open:
        purpose, reference = at_open[0], bar.open
    else:
        waypoints = fill_rule.path(bar.open, bar.high, bar.low, bar.close)
        points = {p: fill_rule.touch_point(RESTING[p], side, levels[p], waypoints) for p in RESTING if p in levels}
        met = {p: point for p, point in points.items() if point is not None}
        if not met:
            return
        purpose = min(met, key=lambda p: met[p])
        reference = levels[purpose]
    price = fill_rule.resting_price(instrument, RESTING[purpose], side, reference, low=bar.low, high=bar.high)
    fills.append(ExpectedFill(t, side, held.quantity, price, purpose))
    held.side = None
    levels.clear()
