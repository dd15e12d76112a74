"""The fill rule (`docs/fill-rule.md`) for one symbol as a numba kernel in whole ticks and lots.

Integers make it exact: every price and quantity equals, to the last digit, what `include/domain/fill_rule.py` gives
in Decimal. `tests/unit/test_kernel.py` and `tests/property/test_kernel_laws.py` hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from math import ceil, gcd
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from include.domain.bars import Bars, FloatArray, IntArray, Signals
from include.domain.enums import Liquidity, OrderPurpose, Side
from include.domain.errors import ConfigurationError
from include.domain.fill_rule import ALLOCATION_STEP, WEIGHT_STEP
from include.domain.instruments import Instrument

ByteArray = NDArray[np.int8]

PURPOSES: tuple[OrderPurpose, ...] = (
    OrderPurpose.ENTRY,
    OrderPurpose.EXIT,
    OrderPurpose.STOP,
    OrderPurpose.TAKE_PROFIT,
)
"""Meaning of the codes in `Fills.purpose`."""
_ENTRY, _EXIT, _STOP, _TAKE_PROFIT = range(4)
_EXACT = 2**53
_WORD = 2**64


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of one symbol in the order in which they happened; all arrays have shape (k,).

    Attributes:
        bar_index: row of the bar that filled.
        time_ms: open time of that bar, epoch milliseconds UTC.
        side: +1 buy, -1 sell.
        lots: quantity in whole lots; `quantity` is the same in base currency.
        price: quote currency; converting to the tick grid restores the exact decimal.
        fee: quote currency, positive is paid.
        purpose: index into `PURPOSES`.
    """

    instrument: Instrument
    bar_index: IntArray
    time_ms: IntArray
    side: ByteArray
    lots: IntArray
    quantity: FloatArray
    price: FloatArray
    fee: FloatArray
    purpose: ByteArray

    def __len__(self) -> int:
        return int(self.bar_index.shape[0])

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def side_of(self, row: int) -> Side:
        return Side.BUY if self.side[row] > 0 else Side.SELL

    def purpose_of(self, row: int) -> OrderPurpose:
        return PURPOSES[int(self.purpose[row])]

    @property
    def maker(self) -> NDArray[np.bool_]:
        """Take-profits rest and pay the maker fee; everything else takes."""
        maker: NDArray[np.bool_] = self.purpose == _TAKE_PROFIT
        return maker

    def liquidity_of(self, row: int) -> Liquidity:
        return Liquidity.MAKER if self.purpose[row] == _TAKE_PROFIT else Liquidity.TAKER


class _Steps(NamedTuple):
    """An instrument and an allocation as integer ratios; what each means stands in `_steps`."""

    tick_num: int
    tick_den: int
    cost_num: int
    cost_den: int
    lots_num_wrapped: int
    lots_num: float
    lots_den: int
    min_value: int


def simulate(bars: Bars, signals: Signals, instrument: Instrument, allocation: Decimal) -> Fills:
    """Play the signals on the bars by the fill rule.

    Args:
        signals: as long as `bars`; targets in {+1, 0, -1, NaN} (`strategies.protocol.checked_signals` sees to it).
        allocation: quote currency for this symbol (`domain.fill_rule.symbol_allocation`), counted to the cent.

    Raises:
        ValueError: bars and signals differ in length.
        ConfigurationError: prices or steps too fine for exact 64-bit arithmetic; never rounded silently.
    """
    if len(bars) != len(signals):
        raise ValueError(f"{bars.symbol}: {len(signals)} signals for {len(bars)} bars")
    steps = _steps(instrument, allocation, *_price_range(bars))
    rows = _play(
        bars.open, bars.high, bars.low, bars.close,
        signals.target, signals.weight, signals.stop, signals.take_profit, steps,
    )  # fmt: skip
    bar_index, side, lots, ticks, purpose = (np.ascontiguousarray(rows[:, i]) for i in range(5))
    tick, lot = instrument.tick_size.as_integer_ratio(), instrument.lot_size.as_integer_ratio()
    price = ticks * tick[0] / tick[1]
    quantity = lots * lot[0] / lot[1]
    rate = np.where(purpose == _TAKE_PROFIT, float(instrument.maker_fee_rate), float(instrument.taker_fee_rate))
    return Fills(
        instrument, bar_index, bars.open_time[bar_index], side.astype(np.int8), lots, quantity, price,
        quantity * price * rate, purpose.astype(np.int8),
    )  # fmt: skip


def nearest_steps(values: FloatArray, step: Decimal) -> IntArray:
    """Nearest multiple of `step` for each value, ties to the even one: exactly `domain.conversion.to_decimal`.

    Not-finite values give the smallest int64, which equals no price.
    """
    num, den = step.as_integer_ratio()
    steps: IntArray = _nearest_all(values, num, den)
    return steps


def _price_range(bars: Bars) -> tuple[float, float]:
    return (float(bars.low.min()), float(bars.high.max())) if len(bars) else (1.0, 1.0)


def _steps(instrument: Instrument, allocation: Decimal, lowest: float, highest: float) -> _Steps:
    tick_num, tick_den = instrument.tick_size.as_integer_ratio()
    lot_num, lot_den = instrument.lot_size.as_integer_ratio()
    cost_num, cost_den = instrument.market_cost_fraction.as_integer_ratio()
    # lots = weight_steps * allocation_steps * (both steps' size) / (close_ticks * tick * lot), as one fraction
    money = allocation.quantize(ALLOCATION_STEP, rounding=ROUND_DOWN) * WEIGHT_STEP
    num = money.as_integer_ratio()[0] * tick_den * lot_den
    den = money.as_integer_ratio()[1] * tick_num * lot_num
    common = gcd(num, den) or 1
    num, den = num // common, den // common
    min_num, min_den = (instrument.min_notional / 1).as_integer_ratio()
    min_value = -(-min_num * tick_den * lot_den // (min_den * tick_num * lot_num))  # in ticks x lots, rounded up
    top = ceil(highest * tick_den / tick_num) + 1
    # Products must fit 63 bits, and ratios that become floats 53, or the last digit could be wrong.
    most_lots = allocation / (Decimal(repr(lowest)) * instrument.lot_size) if lowest > 0 else Decimal(_WORD)
    fits = top * (cost_den + cost_num) < 2**62 and top * den < 2**61 and min_value < 2**62 and most_lots < 2**62
    if not fits or 4 * top * tick_num > _EXACT or 4 * tick_den > _EXACT:
        raise ConfigurationError(
            f"{instrument.symbol}: tick {instrument.tick_size} and lot {instrument.lot_size} are too fine for prices "
            f"around {highest:g}; declare the venue's real steps"
        )
    wrapped = (num + 2**63) % _WORD - 2**63
    return _Steps(tick_num, tick_den, cost_num, cost_den, wrapped, float(num), den, min_value)


@numba.njit(cache=True, nogil=True)
def _nearest(value: float, num: int, den: int) -> int:
    """round-half-even(value / (num/den)) of the decimal that `value` prints as, not of its binary neighbour.

    The half-way point is computed correctly rounded, so comparing floats compares the decimals they stand for.
    """
    quotient = value * den / num
    below = int(np.floor(quotient))
    if abs(quotient - below - 0.5) > 1e-3:  # far from half-way the quotient itself decides, without a second division
        return below + int(quotient - below > 0.5)
    middle = (2 * below + 1) * num / (2 * den)
    if value > middle or (value == middle and below % 2 != 0):
        return below + 1
    return below


@numba.njit(cache=True, nogil=True)
def _nearest_all(values: FloatArray, num: int, den: int) -> IntArray:
    out = np.empty(values.shape[0], dtype=np.int64)
    for i in range(values.shape[0]):
        out[i] = _nearest(values[i], num, den) if np.isfinite(values[i]) else np.iinfo(np.int64).min
    return out


@numba.njit(cache=True, nogil=True)
def _worsened(reference: int, side: int, low: int, high: int, steps: _Steps) -> int:
    """`fill_rule.market_price` in ticks."""
    exact = reference * (steps.cost_den + side * steps.cost_num)
    if side > 0:
        return min(-(-exact // steps.cost_den), high)
    return max(exact // steps.cost_den, low)


@numba.njit(cache=True, nogil=True)
def _entry_lots(weight: float, close: int, steps: _Steps) -> int:
    """`fill_rule.entry_quantity` in lots; zero below the minimum notional.

    The float quotient may be off by a lot; the remainder decides. It is small, so it is right modulo 2^64 even
    where the products it comes from are not.
    """
    weight_steps = _nearest(weight, 1, 1_000_000)
    divisor = steps.lots_den * close
    lots = int(weight_steps * steps.lots_num / divisor)
    remainder = weight_steps * steps.lots_num_wrapped - lots * divisor
    while remainder < 0:
        lots -= 1
        remainder += divisor
    while remainder >= divisor:
        lots += 1
        remainder -= divisor
    if float(lots) * float(close) > 2.0 * steps.min_value + 2.0:
        return lots
    return lots if lots * close >= steps.min_value else 0


@numba.njit(cache=True, nogil=True)
def _resting(
    position: int, stop: int, profit: int, open_: int, high: int, low: int, rising: bool, steps: _Steps
) -> tuple[int, int]:
    """(purpose, price in ticks) of the protective order that this bar fills; purpose -1 for none.

    A level of 0 is no order. Prices are mirrored for shorts, so that the stop is always below.
    """
    sign = position
    near, far = (low, high) if sign > 0 else (high, low)
    if stop and sign * open_ <= sign * stop:
        return _STOP, _worsened(open_, -sign, low, high, steps)
    if profit and sign * open_ >= sign * profit:
        return _TAKE_PROFIT, open_
    stopped = stop != 0 and sign * near <= sign * stop
    profited = profit != 0 and sign * far >= sign * profit
    # The path visits the low first when rising: the stop side for longs, the profit side for shorts.
    if stopped and (not profited or rising == (sign > 0)):
        return _STOP, _worsened(stop, -sign, low, high, steps)
    if profited:
        return _TAKE_PROFIT, profit
    return -1, 0


@numba.njit(cache=True, nogil=True)
def _with_room(rows: IntArray, count: int) -> IntArray:
    """The rows, doubled when the two fills that a step can add might not fit."""
    return np.concatenate((rows, np.empty_like(rows))) if count + 2 > rows.shape[0] else rows


@numba.njit(cache=True, nogil=True)
def _next_event(
    low: FloatArray, high: FloatArray, target: FloatArray, position: int, floor: float, ceiling: float, t: int
) -> int:
    """First row from `t` on where a protective order may be met or the target asks for a change; n for none."""
    n = target.shape[0]
    if position == 0:
        while t < n and (target[t] == 0.0 or np.isnan(target[t])):
            t += 1
        return t
    held = float(position)
    while t < n and low[t] > floor and high[t] < ceiling and (target[t] == held or np.isnan(target[t])):
        t += 1
    return t


@numba.njit(cache=True, nogil=True)
def _play(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray,
    target: FloatArray, weight: FloatArray, stop: FloatArray, take_profit: FloatArray, steps: _Steps,
) -> IntArray:  # fmt: skip
    """Rows of (bar, side, lots, price in ticks, purpose)."""
    num, den = steps.tick_num, steps.tick_den
    tick = num / den
    n = open_.shape[0]
    rows = np.empty((1024, 5), dtype=np.int64)
    count = 0
    position, lots, stop_level, profit_level = 0, 0, 0, 0
    floor, ceiling = -np.inf, np.inf  # while the bar stays inside, no protective order can be near
    exiting, entering, entry_lots, decided = False, 0, 0, 0
    t = 0
    while t < n:
        if exiting or entering:
            rows = _with_room(rows, count)
            o = _nearest(open_[t], num, den)
            h = _nearest(high[t], num, den)
            l = _nearest(low[t], num, den)
            if exiting:
                rows[count] = (t, -position, lots, _worsened(o, -position, l, h, steps), _EXIT)
                count += 1
                position = 0
            if entering:
                rows[count] = (t, entering, entry_lots, _worsened(o, entering, l, h, steps), _ENTRY)
                count += 1
                position, lots = entering, entry_lots
                stop_level = 0 if np.isnan(stop[decided]) else _nearest(stop[decided], num, den)
                profit_level = 0 if np.isnan(take_profit[decided]) else _nearest(take_profit[decided], num, den)
                below, above = (stop_level, profit_level) if position > 0 else (profit_level, stop_level)
                floor = (below + 1) * tick if below else -np.inf
                ceiling = (above - 1) * tick if above else np.inf
            exiting, entering = False, 0
        if position != 0 and (low[t] <= floor or high[t] >= ceiling):
            rows = _with_room(rows, count)
            o, c = _nearest(open_[t], num, den), _nearest(close[t], num, den)
            h, l = _nearest(high[t], num, den), _nearest(low[t], num, den)
            purpose, price = _resting(position, stop_level, profit_level, o, h, l, c >= o, steps)
            if purpose >= 0:
                rows[count] = (t, -position, lots, price, purpose)
                count += 1
                position = 0
        want = target[t]
        if t + 1 < n and not np.isnan(want) and want != position:
            exiting = position != 0
            if want != 0:
                entry_lots = _entry_lots(weight[t], _nearest(close[t], num, den), steps)
                entering = int(want) if entry_lots > 0 else 0
                decided = t
        t += 1
        if not (exiting or entering):
            t = _next_event(low, high, target, position, floor, ceiling, t)
    return rows[:count].copy()
