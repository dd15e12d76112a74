"""The fill rule of `docs/fill-rule.md` as exact Decimal arithmetic: the formulas that every executor shares.

Pure functions, no state. The sandbox exchange and the engine call these; the backtest kernel computes the same
numbers in integers (ticks and lots), and `tests/unit/fill_rule_cases.py` holds all of them to one table.

How an executor plays one bar:
1. open: market orders decided on the last close fill at `market_price(open)`; exits first, then entries;
2. open: resting orders that `is_reached` by the open fill at `resting_price(open)`, stops before take-profits;
3. path: the others in the order of `touch_point` along `path`, each at `resting_price(level)`.
A stop or take-profit that was placed by an entry of this very bar takes part in 2 and 3 like any other.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from include.domain.enums import OrderType, Side
from include.domain.instruments import Instrument

WEIGHT_STEP = Decimal("0.000001")
"""A weight counts to six decimals; finer differences are noise of float arithmetic."""
ALLOCATION_STEP = Decimal("0.01")

Path = tuple[Decimal, Decimal, Decimal, Decimal]


def symbol_allocation(capital: Decimal, symbols: int) -> Decimal:
    """Equal share of the capital for each symbol, rounded down to the cent; fixed for the whole run."""
    return (capital / symbols).quantize(ALLOCATION_STEP, rounding=ROUND_DOWN)


def entry_quantity(instrument: Instrument, allocation: Decimal, weight: Decimal, close: Decimal) -> Decimal:
    """Quantity of an entry decided at `close`: floor_to_lot(weight x allocation / close).

    Zero when that is below the minimum notional at `close`: then nothing is asked for. `allocation` counts to the
    cent and `weight` to `WEIGHT_STEP`.
    """
    money = weight.quantize(WEIGHT_STEP) * allocation.quantize(ALLOCATION_STEP, rounding=ROUND_DOWN)
    quantity = (money // (close * instrument.lot_size)) * instrument.lot_size
    return quantity if quantity * close >= instrument.min_notional else Decimal(0)


def nearest_tick(instrument: Instrument, level: Decimal) -> Decimal:
    """A stop or take-profit level on the tick grid: nearest tick, ties to the even one."""
    return (level / instrument.tick_size).to_integral_value(rounding=ROUND_HALF_EVEN) * instrument.tick_size


def market_price(instrument: Instrument, reference: Decimal, side: Side, low: Decimal, high: Decimal) -> Decimal:
    """Fill price of a market order or a triggered stop: `reference` worsened by half-spread and slippage, rounded to
    the tick against the trader, and never outside the bar's range (`low`..`high`): nobody traded beyond it.
    """
    worsened = instrument.worse_price(reference * (1 + side.sign * instrument.market_cost_fraction), side)
    return min(worsened, high) if side is Side.BUY else max(worsened, low)


def is_reached(order_type: OrderType, side: Side, level: Decimal, price: Decimal) -> bool:
    """Whether a resting STOP_MARKET or LIMIT order fills when the market stands at `price`; touching is enough."""
    return price <= level if _waits_below(order_type, side) else price >= level


def resting_price(
    instrument: Instrument, order_type: OrderType, side: Side, reference: Decimal, *, low: Decimal, high: Decimal
) -> Decimal:
    """Fill price of a resting order: a limit fills at `reference` itself, a stop at `reference` worsened.

    `reference` is the open when the open had already reached the order, else the order's own level.
    """
    return reference if order_type is OrderType.LIMIT else market_price(instrument, reference, side, low, high)


def path(open_: Decimal, high: Decimal, low: Decimal, close: Decimal) -> Path:
    """Prices the bar visits: open, low, high, close when close >= open, else open, high, low, close."""
    return (open_, low, high, close) if close >= open_ else (open_, high, low, close)


def touch_point(order_type: OrderType, side: Side, level: Decimal, waypoints: Path) -> tuple[int, Decimal] | None:
    """Where along the path a resting order that the open had not reached is met first; None when it is not.

    Returns:
        (leg, distance from the leg's start): comparable, so that the smallest of several orders fills first.
    """
    for leg, (start, end) in enumerate(pairwise(waypoints)):
        if is_reached(order_type, side, level, end):
            return leg, abs(level - start)
    return None


def _waits_below(order_type: OrderType, side: Side) -> bool:
    """True for orders that a falling price meets: sell stops and buy limits."""
    return (order_type is OrderType.STOP_MARKET) == (side is Side.SELL)
