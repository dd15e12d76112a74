"""The fill rule of `docs/fill-rule.md` as exact Decimal arithmetic: the formulas that every executor shares.

Pure functions, no state. The sandbox exchange and the engine call these; the backtest kernel computes the same
numbers in integers (ticks and lots), and `tests/unit/fill_rule_cases.py` holds all of them to one table.

How an executor plays one bar (numbers of the rule in brackets):
1. open: `funding_due` times are paid (16); a liquidation that the open has reached (14);
2. open: market orders in work fill at `market_price(open)`, reducing ones first, then the older ones (8, 9);
3. open: resting orders that `is_reached` by the open fill at `resting_price(open)` (11), before them a liquidation
   that an entry of this open has brought within reach (14);
4. path: the others in the order of `touch_point` and `trail` along `path`, each at `resting_price(level)` (12, 13).
A stop or take-profit that was placed by an entry of this very bar takes part in 3 and 4 like any other. Fills share
`bar_capacity` (15).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from include.domain.enums import OrderType, Side
from include.domain.instruments import Instrument

WEIGHT_STEP = Decimal("0.000001")
"""A weight counts to six decimals; finer differences are noise of float arithmetic."""
ALLOCATION_STEP = Decimal("0.01")
TRAILING_STEP = Decimal("0.001")
"""Distances of trailing stops count to 0.1 %, the step of Binance's callback rate."""
MIN_TRAILING, MAX_TRAILING = Decimal("0.001"), Decimal("0.1")
RATE_STEP = Decimal("0.00000001")
"""Rates of fees and funding have at most this precision, so that integers can carry them exactly."""
FUNDING_EVERY_MS = 8 * 3_600_000

Path = tuple[Decimal, Decimal, Decimal, Decimal]


def symbol_allocation(capital: Decimal, symbols: int) -> Decimal:
    """Equal share of the capital for each symbol, rounded down to the cent; fixed for the whole run."""
    return (capital / symbols).quantize(ALLOCATION_STEP, rounding=ROUND_DOWN)


def entry_quantity(
    instrument: Instrument, allocation: Decimal, weight: Decimal, close: Decimal, equity: Decimal | None = None
) -> Decimal:
    """Quantity of an entry decided at `close` (3): floor_to_lot(min(weight x allocation, equity) x leverage / close).

    Zero when that is below the minimum notional at `close`: then nothing is asked for. `allocation` and `equity` count
    to the cent and `weight` to `WEIGHT_STEP`.

    Args:
        equity: the symbol's at this close; None when it is known to be at least the allocation.
    """
    money = weight.quantize(WEIGHT_STEP) * _cents(allocation)
    if equity is not None:
        money = min(money, max(_cents(equity), Decimal(0)))
    quantity = _affordable(instrument, money, close)
    return quantity if quantity * close >= instrument.min_notional else Decimal(0)


def scale_in_quantity(
    instrument: Instrument, allocation: Decimal, share: Decimal, close: Decimal, equity: Decimal, held: Decimal
) -> Decimal:
    """Quantity to add at `close` to a position of `held` (unsigned) (5); zero when it is below the minimum notional."""
    most = min(_cents(allocation), max(_cents(equity), Decimal(0)))
    money = min(share.quantize(WEIGHT_STEP) * _cents(allocation), most)
    quantity = min(_affordable(instrument, money, close), _affordable(instrument, most, close) - held)
    return quantity if quantity > 0 and quantity * close >= instrument.min_notional else Decimal(0)


def _affordable(instrument: Instrument, money: Decimal, close: Decimal) -> Decimal:
    lots = money * instrument.leverage // (close * instrument.lot_size)
    return lots * instrument.lot_size


def _cents(money: Decimal) -> Decimal:
    return money.quantize(ALLOCATION_STEP, rounding=ROUND_FLOOR)


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


@dataclass(frozen=True, slots=True)
class Trail:
    """A trailing stop after a bar's path: the best price it has seen, and where it was met if it was."""

    best: Decimal
    touch: tuple[int, Decimal] | None = None
    """(leg, distance from the leg's start), comparable with `touch_point`."""
    level: Decimal | None = None
    """Where it was met."""


def trailing_level(instrument: Instrument, side: Side, best: Decimal, distance: Decimal) -> Decimal:
    """Where a trailing stop rests (13).

    Args:
        side: of the stop: SELL protects a long, BUY a short.
        best: highest (for SELL) or lowest (for BUY) price since the position was last enlarged.
        distance: fraction of `best`, a multiple of `TRAILING_STEP`.
    """
    level = nearest_tick(instrument, best * (1 + side.sign * distance))
    nearest = best + side.sign * instrument.tick_size  # nearer, an order would be met where it was placed
    return min(level, nearest) if side is Side.SELL else max(level, nearest)


def trail(instrument: Instrument, side: Side, best: Decimal, distance: Decimal, waypoints: Path) -> Trail:
    """Follow a bar's path with a trailing stop that the open has not reached."""
    best = _better(side, best, waypoints[0])
    for leg, (start, end) in enumerate(pairwise(waypoints)):
        level = trailing_level(instrument, side, best, distance)
        if is_reached(OrderType.STOP_MARKET, side, level, end):
            return Trail(best, (leg, abs(level - start)), level)
        best = _better(side, best, end)
    return Trail(best)


def _better(side: Side, best: Decimal, price: Decimal) -> Decimal:
    return max(best, price) if side is Side.SELL else min(best, price)


def bar_capacity(instrument: Instrument, volume: Decimal) -> Decimal | None:
    """Largest quantity that the fills of a bar of this volume may take (15); None for no limit."""
    if instrument.participation is None:
        return None
    lots = (volume / instrument.lot_size).to_integral_value(rounding=ROUND_HALF_EVEN)
    return (lots * instrument.participation).to_integral_value(rounding=ROUND_DOWN) * instrument.lot_size


def liquidation_level(instrument: Instrument, side: Side, entry_price: Decimal, extra: Decimal = Decimal(0)) -> Decimal:
    """Price at which an isolated position's margin falls to the maintenance margin (14).

    Args:
        side: of the liquidation: SELL closes a long, BUY a short.
        entry_price: average of the position.
        extra: margin for each unit beyond `e / L`, where an account has added some.

    Returns:
        the level on the tick grid; zero for a long that cannot be liquidated (leverage 1).
    """
    level = _used_up(instrument, side, entry_price, extra) / (1 + side.sign * instrument.maintenance_margin_rate)
    return instrument.worse_price(level, side.opposite)


def bankruptcy_price(instrument: Instrument, side: Side, entry_price: Decimal, extra: Decimal = Decimal(0)) -> Decimal:
    """Price at which a position's margin is used up: no liquidation fills at a worse one (14)."""
    return instrument.worse_price(_used_up(instrument, side, entry_price, extra), side.opposite)


def _used_up(instrument: Instrument, side: Side, entry_price: Decimal, extra: Decimal) -> Decimal:
    # An average price may have no end in decimals; on the tick grid every executor has the same one.
    entry_price = nearest_tick(instrument, entry_price)
    return entry_price * (instrument.leverage + side.sign) / instrument.leverage + side.sign * extra


def liquidation_price(
    instrument: Instrument, side: Side, reference: Decimal, bankruptcy: Decimal, *, low: Decimal, high: Decimal
) -> Decimal:
    """Fill price of a liquidation met at `reference`: worsened like a stop, but no worse than `bankruptcy`."""
    price = market_price(instrument, reference, side, low, high)
    return max(price, bankruptcy) if side is Side.SELL else min(price, bankruptcy)


def liquidation_fee(instrument: Instrument, quantity: Decimal, price: Decimal, bankruptcy: Decimal) -> Decimal:
    """Taker and liquidation fee of a liquidation at `price`, at most what is left of the margin (17)."""
    rate = instrument.taker_fee_rate + instrument.liquidation_fee_rate
    return quantity * min(price * rate, abs(price - bankruptcy))


def funding_due(last_open_ms: int, open_ms: int) -> int:
    """How many funding times lie after one open and up to another (16); epoch milliseconds UTC."""
    return open_ms // FUNDING_EVERY_MS - last_open_ms // FUNDING_EVERY_MS


def _waits_below(order_type: OrderType, side: Side) -> bool:
    """True for orders that a falling price meets: sell stops and buy limits."""
    return (order_type is OrderType.STOP_MARKET) == (side is Side.SELL)
