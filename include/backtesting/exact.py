"""Prices, quantities and money of one instrument as integers, for the kernel: exact, or refused.

A price is a whole number of ticks, a quantity of lots, and money of *units* (one tick on one lot), with fees and
funding carried in hundred-millionths of a unit beside. Every function here equals one of `domain.fill_rule`.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from math import ceil, gcd
from typing import NamedTuple

import numba
import numpy as np

from include.domain.bars import FloatArray, IntArray
from include.domain.errors import ConfigurationError
from include.domain.fill_rule import ALLOCATION_STEP, RATE_STEP, WEIGHT_STEP
from include.domain.instruments import Instrument

MOST_TICKS = 2**42
"""Above this a float price times a float number of ticks could be half a thousandth of a tick wrong."""
_WORD = 2**64
_ROOM = 2**62
PARTS = 10**8
"""Of a unit, in which fees and funding are carried; `RATE_STEP` makes them whole."""


class Scale(NamedTuple):
    """An instrument and an allocation as integers and integer ratios; `_inverse` are floats that save divisions.

    Attributes:
        tick_*: size of a tick. lot_*: size of a lot.
        cost_*: half-spread and slippage as a fraction of the price.
        lots_*: lots for a hundred-millionth of quote currency at a price of one tick, leverage included; the numerator
            modulo 2^64 and as a float.
        cent_*: cents in a unit.
        most: units that an account may gain or lose; beyond, sums would not fit 63 bits.
        allocation: in cents.
        min_value: minimum notional in units, rounded up. least: equity below which it is out of reach, in cents.
        maker, taker, liquidation: fee rates in `RATE_STEP`s.
        long_*, short_*: liquidation level over average entry price; a long's is zero where it cannot be liquidated.
        ruined_long_*, ruined_short_*: bankruptcy price over average entry price.
        volume_*: share of a bar's volume that may be taken; the denominator is zero for no limit.
    """

    tick_num: int
    tick_den: int
    tick_inverse: float
    tick: float
    lot_num: int
    lot_den: int
    cost_num: int
    cost_den: int
    cost_inverse: float
    lots_wrapped: int
    lots_num: float
    lots_den: int
    cent_num: int
    cent_den: int
    most: int
    allocation: int
    min_value: int
    least: int
    maker: int
    taker: int
    liquidation: int
    long_num: int
    long_den: int
    short_num: int
    short_den: int
    ruined_long_num: int
    ruined_short_num: int
    ruined_den: int
    volume_num: int
    volume_den: int


def scale_of(instrument: Instrument, allocation: Decimal, lowest: float, highest: float, volume: float) -> Scale:
    """The integers of an instrument.

    Args:
        allocation: quote currency, counted to the cent.
        lowest, highest: range of the prices. volume: largest of a bar.

    Raises:
        ConfigurationError: something does not fit 63 bits, or a rate has more than eight decimals.
    """
    tick, lot = _ratio(instrument.tick_size), _ratio(instrument.lot_size)
    cents = allocation.quantize(ALLOCATION_STEP, rounding=ROUND_FLOOR)
    unit = (tick[0] * lot[0], tick[1] * lot[1])
    atom = _ratio(ALLOCATION_STEP * WEIGHT_STEP * instrument.leverage)
    lots_num, lots_den = _reduced(atom[0] * unit[1], atom[1] * unit[0])
    cent_num, cent_den = _reduced(unit[0] * 100, unit[1])
    minimum = _ratio(instrument.min_notional)
    cost = _ratio(instrument.market_cost_fraction)
    leverage, maintenance = instrument.leverage, _ratio(instrument.maintenance_margin_rate)
    long_ = _reduced((leverage - 1) * maintenance[1], leverage * (maintenance[1] - maintenance[0]))
    short = _reduced((leverage + 1) * maintenance[1], leverage * (maintenance[1] + maintenance[0]))
    share = _ratio(instrument.participation) if instrument.participation is not None else (0, 0)
    top = ceil(highest * tick[1] / tick[0]) + 1
    most_lots = float(cents) * leverage * lot[1] / (lowest * lot[0])
    products = (
        top * (cost[0] + cost[1]), 2 * top * lots_den, most_lots * top * cent_num, most_lots * top * 2,
        most_lots * 1024, int(cents * 100) * 10**6, -(-minimum[0] * unit[1] // (minimum[1] * unit[0])),
        2 * top * max(*long_, *short, 2 * leverage), volume * lot[1] / lot[0] * max(share[0], 1024),
    )  # fmt: skip
    floats = (4 * top * tick[0], 4 * tick[1], top * (2**53 // MOST_TICKS))
    if max(products) >= _ROOM or max(floats) > 2**53:
        raise too_fine(instrument, highest)
    return Scale(
        tick_num=tick[0], tick_den=tick[1], tick_inverse=tick[1] / tick[0], tick=tick[0] / tick[1],
        lot_num=lot[0], lot_den=lot[1],
        cost_num=cost[0], cost_den=cost[1], cost_inverse=1 / cost[1],
        lots_wrapped=(lots_num + 2**63) % _WORD - 2**63, lots_num=float(lots_num), lots_den=lots_den,
        cent_num=cent_num, cent_den=cent_den, most=_ROOM // (2 * cent_num), allocation=int(cents * 100),
        min_value=-(-minimum[0] * unit[1] // (minimum[1] * unit[0])),
        least=ceil(instrument.min_notional * 100 / leverage),
        maker=rate_steps(instrument, instrument.maker_fee_rate),
        taker=rate_steps(instrument, instrument.taker_fee_rate),
        liquidation=rate_steps(instrument, instrument.taker_fee_rate + instrument.liquidation_fee_rate),
        long_num=long_[0], long_den=long_[1], short_num=short[0], short_den=short[1],
        ruined_long_num=leverage - 1, ruined_short_num=leverage + 1, ruined_den=leverage,
        volume_num=share[0], volume_den=share[1],
    )  # fmt: skip


def too_fine(instrument: Instrument, highest: float) -> ConfigurationError:
    """What to raise where exact arithmetic would need more than 63 bits."""
    return ConfigurationError(
        f"{instrument.symbol}: tick {instrument.tick_size} and lot {instrument.lot_size} are too fine for prices "
        f"around {highest:g} and this capital; declare the venue's real steps"
    )


def rate_steps(instrument: Instrument, rate: Decimal) -> int:
    """A rate in `RATE_STEP`s.

    Raises:
        ConfigurationError: it has more than eight decimals, or is not between -1 and 1.
    """
    steps = rate / RATE_STEP
    if steps != steps.to_integral_value() or abs(rate) > 1:
        raise ConfigurationError(
            f"{instrument.symbol}: a rate of {rate} is not between -1 and 1 with at most eight decimals"
        )
    return int(steps)


def nearest_steps(values: FloatArray, step: Decimal) -> IntArray:
    """Nearest multiple of `step` for each value, ties to the even one: exactly `domain.conversion.to_decimal`.

    Not-finite values give the smallest int64, which equals no price.
    """
    num, den = step.as_integer_ratio()
    steps: IntArray = _nearest_all(values, num, den)
    return steps


def _ratio(value: Decimal) -> tuple[int, int]:
    return value.as_integer_ratio()


def _reduced(num: int, den: int) -> tuple[int, int]:
    common = gcd(num, den) or 1
    return num // common, den // common


@numba.njit(cache=True, nogil=True, error_model="numpy")
def nearest(value: float, num: int, den: int) -> int:
    """round-half-even(value / (num/den)) of the decimal that `value` prints as, not of its binary neighbour.

    The half-way point is computed correctly rounded, so comparing floats compares the decimals they stand for.
    """
    quotient = value * den / num
    below = int(np.floor(quotient))
    if abs(quotient - below - 0.5) > 1e-3:  # far from half-way the quotient itself decides, without a second division
        return below + int(quotient - below > 0.5)
    return int(_near_half(value, below, num, den))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _near_half(value: float, below: int, num: int, den: int) -> int:
    middle = (2 * below + 1) * num / (2 * den)
    if value > middle or (value == middle and below % 2 != 0):
        return below + 1
    return below


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ticks_of(price: float, s: Scale) -> int:
    """`nearest` on the tick grid by a multiplication, for prices below `MOST_TICKS` ticks."""
    quotient = price * s.tick_inverse
    below = int(quotient)
    rest = quotient - below
    if abs(rest - 0.5) > 1e-3:
        return below + int(rest > 0.5)
    return int(_near_half(price, below, s.tick_num, s.tick_den))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest_all(values: FloatArray, num: int, den: int) -> IntArray:
    out = np.empty(values.shape[0], dtype=np.int64)
    for i in range(values.shape[0]):
        out[i] = nearest(values[i], num, den) if np.isfinite(values[i]) else np.iinfo(np.int64).min
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def worsened(reference: int, side: int, low: int, high: int, s: Scale) -> int:
    """`fill_rule.market_price` in ticks."""
    exact = reference * (s.cost_den + side * s.cost_num)
    price = int(exact * s.cost_inverse)  # off by one at most: a price has less than 43 bits
    rest = exact - price * s.cost_den
    if rest < 0:
        price, rest = price - 1, rest + s.cost_den
    elif rest >= s.cost_den:
        price, rest = price + 1, rest - s.cost_den
    return min(price + int(rest > 0), high) if side > 0 else max(price, low)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def half_even(num: int, den: int) -> int:
    """num / den to the nearest whole number, ties to the even one; both positive."""
    whole = num // den
    rest = 2 * (num - whole * den)
    return whole + int(rest > den or (rest == den and whole % 2 != 0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def equity_cents(value: int, parts: int, s: Scale) -> int:
    """The symbol's equity rounded down to the cent; `value` is what it has brought in units, less `parts`."""
    taken = -(-parts * s.cent_num // PARTS) if parts else 0
    return s.allocation + (value * s.cent_num - taken) // s.cent_den


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ruined(spent: int, parts: int, s: Scale) -> bool:
    """Whether a symbol without a position can never enter again, at whatever price; its equity stays what it is."""
    return spent > 0 and equity_cents(-spent, parts, s) < s.least


@numba.njit(cache=True, nogil=True, error_model="numpy")
def affordable(money: int, close: int, s: Scale) -> int:
    """Lots that `money` (hundred-millionths of quote currency) and leverage buy at `close`.

    The float quotient may be off by a lot; the remainder decides. It is small, so it is right modulo 2^64 even
    where the products it comes from are not.
    """
    divisor = s.lots_den * close
    lots = int(money * s.lots_num / divisor)
    remainder = money * s.lots_wrapped - lots * divisor
    while remainder < 0:
        lots -= 1
        remainder += divisor
    while remainder >= divisor:
        lots += 1
        remainder -= divisor
    return lots


@numba.njit(cache=True, nogil=True, error_model="numpy")
def entry_lots(weight: float, close: int, value: int, parts: int, s: Scale) -> int:
    """`fill_rule.entry_quantity` in lots; zero below the minimum notional.

    Args:
        value: what the symbol has brought so far, open profit included, in units; `parts` to be taken off.
    """
    money = nearest(weight, 1, 1_000_000) * s.allocation
    if value <= 0:  # else nothing is missing from the allocation
        money = min(money, max(equity_cents(value, parts, s), 0) * 1_000_000)
    lots = affordable(money, close, s)
    return lots if lots * close >= s.min_value else 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def added_lots(share: float, close: int, held: int, value: int, parts: int, s: Scale) -> int:
    """`fill_rule.scale_in_quantity` in lots; `held` is unsigned."""
    most = min(s.allocation, max(equity_cents(value, parts, s), 0)) * 1_000_000
    money = min(nearest(share, 1, 1_000_000) * s.allocation, most)
    lots = min(affordable(money, close, s), affordable(most, close, s) - held)
    return lots if lots > 0 and lots * close >= s.min_value else 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def booked(whole: int, parts: int, units: int, rate: int) -> tuple[int, int]:
    """(whole, parts) with `units` x `rate` (in `RATE_STEP`s, of any sign) added; parts stay in [0, PARTS)."""
    high = units // PARTS
    parts += (units - high * PARTS) * rate
    carry = parts // PARTS
    return whole + high * rate + carry, parts - carry * PARTS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def liquidation_ticks(sign: int, entry: int, s: Scale) -> int:
    """`fill_rule.liquidation_level` of a position with a rounded average entry price, in ticks."""
    if sign > 0:
        return -(-entry * s.long_num // s.long_den)
    return entry * s.short_num // s.short_den


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bankruptcy_ticks(sign: int, entry: int, s: Scale) -> int:
    """`fill_rule.bankruptcy_price` of a position with a rounded average entry price, in ticks."""
    if sign > 0:
        return -(-entry * s.ruined_long_num // s.ruined_den)
    return entry * s.ruined_short_num // s.ruined_den


@numba.njit(cache=True, nogil=True, error_model="numpy")
def liquidated_at(sign: int, entry: int, reference: int, low: int, high: int, s: Scale) -> int:
    """`fill_rule.liquidation_price` in ticks."""
    price, bankruptcy = worsened(reference, -sign, low, high, s), bankruptcy_ticks(sign, entry, s)
    return int(max(price, bankruptcy) if sign > 0 else min(price, bankruptcy))
