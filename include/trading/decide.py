"""What to ask for at a bar's close: rules 1-4 of `docs/fill-rule.md` as a pure function."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from include.domain.bars import Bar, Signals
from include.domain.conversion import to_decimal
from include.domain.enums import OrderPurpose, OrderType, Side
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order
from include.risk.sizing import size_entry


@dataclass(frozen=True, slots=True)
class Wish:
    """One row of a strategy's signals (see `Signals` for the meaning of each)."""

    target: float
    weight: float
    stop: float
    take_profit: float


def last_wish(signals: Signals) -> Wish:
    """The decision row: the last one."""
    return Wish(
        float(signals.target[-1]), float(signals.weight[-1]), float(signals.stop[-1]), float(signals.take_profit[-1])
    )


def decide(
    *,
    deployment_id: str,
    bar: Bar,
    wish: Wish,
    position: Decimal,
    working: Iterable[Order],
    instrument: Instrument,
    allocation: Decimal,
) -> tuple[Intent, ...]:
    """Intents of one symbol at one close: none, an exit, an entry, or an exit and then an entry.

    Deterministic: the same arguments give the same intents and so the same client order ids, which is what makes
    deciding a bar twice (after a crash) harmless.

    Args:
        position: signed quantity held now.
        working: the symbol's orders that are not in a terminal state.

    Raises:
        DataError: the wish holds an infinite level.
    """
    if math.isnan(wish.target):
        return ()
    # An entry or exit of an earlier bar that has not filled yet means the position is about to change: wait for it.
    # Those of this very bar do not count, or a bar decided again after a crash would come out differently.
    market = (OrderPurpose.ENTRY, OrderPurpose.EXIT)
    if any(order.intent.purpose in market and order.intent.bar_time != bar.open_time for order in working):
        return ()
    wanted = (wish.target > 0) - (wish.target < 0)
    held = (position > 0) - (position < 0)
    if wanted == held:
        return ()
    intents = [exit_intent(deployment_id, bar, position)] if held else []
    if wanted:
        intents += _entry(deployment_id, bar, wish, Side.BUY if wanted > 0 else Side.SELL, instrument, allocation)
    return tuple(intents)


def exit_intent(deployment_id: str, bar: Bar, position: Decimal) -> Intent:
    """Leave the whole position at market, decided at the bar's close."""
    return Intent(
        deployment_id=deployment_id,
        symbol=bar.symbol,
        bar_time=bar.open_time,
        purpose=OrderPurpose.EXIT,
        side=Side.SELL if position > 0 else Side.BUY,
        type=OrderType.MARKET,
        quantity=abs(position),
        reference_price=bar.close,
        reduce_only=True,
    )


def _entry(
    deployment_id: str, bar: Bar, wish: Wish, side: Side, instrument: Instrument, allocation: Decimal
) -> list[Intent]:
    quantity = size_entry(instrument, allocation, wish.weight, bar.close)
    if quantity <= 0:
        return []
    return [
        Intent(
            deployment_id=deployment_id,
            symbol=bar.symbol,
            bar_time=bar.open_time,
            purpose=OrderPurpose.ENTRY,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
            reference_price=bar.close,
            protective_stop=_level(wish.stop, instrument),
            protective_take_profit=_level(wish.take_profit, instrument),
        )
    ]


def _level(level: float, instrument: Instrument) -> Decimal | None:
    """Nearest tick; a level that rounds to zero can never be met and is no order, as in the backtest kernel."""
    return None if math.isnan(level) else to_decimal(level, instrument.tick_size) or None
