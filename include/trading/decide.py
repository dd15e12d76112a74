"""What to ask for at a bar's close: rules 1-7 of `docs/fill-rule.md` as a pure function of ledger facts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from include.domain.bars import Bar, FloatArray, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side
from include.domain.fill_rule import TRAILING_STEP
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.domain.times import Timeframe, to_ms
from include.risk.sizing import size_entry, size_scale_in
from include.trading.book import is_working
from include.trading.standing import History, Standing

ENLARGING = (OrderPurpose.ENTRY, OrderPurpose.SCALE_IN)
LEAVING = (OrderPurpose.EXIT, OrderPurpose.TIME_EXIT, OrderPurpose.FLATTEN)
STOPS = (OrderPurpose.STOP, OrderPurpose.TRAILING_STOP)


@dataclass(frozen=True, slots=True)
class Wish:
    """One row of a strategy's signals (see `Signals` for the meaning of each)."""

    target: float
    weight: float
    stop: float
    take_profit: float
    trailing: float = math.nan
    hold: float = math.nan
    add: float = math.nan


def last_wish(signals: Signals) -> Wish:
    """The decision row: the last one."""
    columns = (
        signals.target, signals.weight, signals.stop, signals.take_profit, signals.trailing, signals.hold, signals.add
    )  # fmt: skip
    return Wish(*map(_last, columns))


def _last(column: FloatArray | None) -> float:
    return math.nan if column is None else float(column[-1])


@dataclass(frozen=True, slots=True)
class Situation:
    """One symbol at one close, as the ledger has it."""

    standing: Standing
    entry: Order | None
    """The order that opened the present position; None when flat."""
    entering: tuple[Order, ...]
    """Entries and scale-ins in work (7)."""
    is_leaving: bool
    """Whether an exit, or a stop that has triggered, is in work (7)."""
    is_liquidated: bool
    """Whether the exchange ever closed a position in this symbol (14)."""


def observe_situation(orders: Sequence[Order], history: History, bar: Bar, timeframe: Timeframe) -> Situation:
    """How a symbol stood at a bar's close.

    Args:
        orders: the deployment's orders of this symbol since the entry of its present position, and all working ones.

    Orders decided at this very close, and what has filled since, do not count: after a crash the bar is decided once
    more, and must come out the same.
    """
    close_time = bar.open_time + timeframe.delta
    standing, since = history.before(close_time), history.filled_since(close_time)
    earlier = [_without(o, since.get(o.client_order_id)) for o in orders if o.intent.bar_time < bar.open_time]
    in_work = [order for order in earlier if is_working(order)]
    return Situation(
        standing=standing,
        entry=entry_of(standing.quantity, earlier),
        entering=tuple(order for order in in_work if order.intent.purpose in ENLARGING),
        is_leaving=any(order.intent.purpose in LEAVING or is_met(order) for order in in_work),
        is_liquidated=any(order.intent.purpose is OrderPurpose.LIQUIDATION for order in orders),
    )


def _without(order: Order, filled_since: Decimal | None) -> Order:
    """The order as it was before its last fills."""
    if not filled_since:
        return order
    before = order.filled_quantity - filled_since
    status = OrderStatus.PARTIALLY_FILLED if before else OrderStatus.ACCEPTED
    return replace(order, status=status, filled_quantity=before)


def entry_of(position: Decimal, orders: Sequence[Order]) -> Order | None:
    """The entry that opened a position of this signed quantity: the newest with fills on its side."""
    filled = [
        order
        for order in orders
        if order.intent.purpose is OrderPurpose.ENTRY
        and order.filled_quantity > 0
        and order.intent.side.sign * position > 0
    ]
    return max(filled, key=lambda order: order.intent.bar_time, default=None)


def is_met(order: Order) -> bool:
    """Whether a stop or trailing stop has been met by the market: it leaves, whole or bit by bit."""
    if order.intent.purpose not in STOPS:
        return False
    return order.status is OrderStatus.TRIGGERED or order.filled_quantity > 0 or order.intent.type is OrderType.MARKET


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do at a close, in this order."""

    withdraw: tuple[Order, ...] = ()
    """Entries in work whose rest is not wanted any more."""
    intents: tuple[Intent, ...] = ()
    """None, a scale-in, an exit, an entry, or an exit and then an entry."""


NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class Close:
    """Where and when is decided.

    Attributes:
        bar: the bar that has closed.
        allocation: the symbol's fixed share of the capital.
    """

    deployment_id: str
    bar: Bar
    timeframe: Timeframe
    instrument: Instrument
    allocation: Decimal

    def equity(self, standing: Standing) -> Decimal:
        """The symbol's equity at this close (3)."""
        return standing.equity(self.allocation, self.bar.close)


def decide(close: Close, wish: Wish, situation: Situation) -> Decision:
    """What to ask for in one symbol at one close.

    Deterministic: the same arguments give the same intents and so the same client order ids, which is what makes
    deciding a bar twice (after a crash) harmless.

    Raises:
        DataError: the wish holds an infinite level.
    """
    if situation.is_liquidated or situation.is_leaving:
        return NOTHING
    position, entering = situation.standing.quantity, situation.entering
    held = _sign(position)
    side = entering[0].intent.side.sign if entering else held
    wanted = side if math.isnan(wish.target) else _sign(wish.target)
    if wanted != side:
        intents = [exit_intent(close, position)] if held else []
        if wanted:
            intents += _entry(close, wish, Side.BUY if wanted > 0 else Side.SELL, situation.standing)
        return Decision(_withdrawable(entering), tuple(intents))
    if _is_over_time(close, situation):
        return Decision(_withdrawable(entering), (exit_intent(close, position, OrderPurpose.TIME_EXIT),))
    if wish.target == held and not entering:
        return Decision(intents=tuple(_scale_in(close, wish, situation)))
    return NOTHING


def _sign(value: float | Decimal) -> int:
    return (value > 0) - (value < 0)


def _withdrawable(entering: Sequence[Order]) -> tuple[Order, ...]:
    """What certainly is at the venue. Anything else is resolved first, and decided about at the next close."""
    return tuple(o for o in entering if o.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED))


def _is_over_time(close: Close, situation: Situation) -> bool:
    """Rule 6: `hold` bars' time has passed since the open of the bar of the position's first fill."""
    entry, opened_at = situation.entry, situation.standing.opened_at
    if entry is None or entry.intent.hold_bars is None or opened_at is None:
        return False
    step = close.timeframe.ms
    first_open = to_ms(opened_at) // step * step
    return to_ms(close.bar.open_time) + step - first_open >= entry.intent.hold_bars * step


def exit_intent(close: Close, position: Decimal, purpose: OrderPurpose = OrderPurpose.EXIT) -> Intent:
    """Leave the whole position at market."""
    return _market(close, purpose, Side.SELL if position > 0 else Side.BUY, abs(position), reduce_only=True)


def _entry(close: Close, wish: Wish, side: Side, standing: Standing) -> list[Intent]:
    quantity = size_entry(
        close.instrument, close.allocation, wish.weight, close.bar.close, close.equity(standing)
    )  # fmt: skip
    if quantity <= 0:
        return []
    return [
        _market(
            close,
            OrderPurpose.ENTRY,
            side,
            quantity,
            protective_stop=_level(wish.stop, close.instrument.tick_size),
            protective_take_profit=_level(wish.take_profit, close.instrument.tick_size),
            protective_trailing=_level(wish.trailing, TRAILING_STEP),
            hold_bars=None if math.isnan(wish.hold) else int(wish.hold),
        )
    ]


def _scale_in(close: Close, wish: Wish, situation: Situation) -> list[Intent]:
    standing, entry = situation.standing, situation.entry
    if entry is None or standing.has_shrunk:
        return []
    quantity = size_scale_in(
        close.instrument, close.allocation, wish.add, close.bar.close, close.equity(standing), abs(standing.quantity)
    )
    return [_market(close, OrderPurpose.SCALE_IN, entry.intent.side, quantity)] if quantity > 0 else []


def _market(close: Close, purpose: OrderPurpose, side: Side, quantity: Decimal, **details: object) -> Intent:
    values: dict[str, object] = {
        "deployment_id": close.deployment_id, "symbol": close.bar.symbol, "bar_time": close.bar.open_time,
        "purpose": purpose, "side": side, "type": OrderType.MARKET, "quantity": quantity,
        "reference_price": close.bar.close,
    }  # fmt: skip
    return Intent(**values, **details)  # type: ignore[arg-type]


def _level(level: float, step: Decimal) -> Decimal | None:
    """Nearest step; a level that rounds to zero can never be met and is no order, as in the backtest kernel."""
    return None if math.isnan(level) else to_decimal(level, step) or None
