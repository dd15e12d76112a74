"""What an account could be exposed to if the venue did its worst: measured once for all size rules of a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from include.domain.enums import Side
from include.domain.fill_rule import liquidation_level
from include.domain.instruments import symbol_id
from include.risk.question import ZERO, Question

_QUOTES = ("USDT", "USDC", "BUSD", "USD", "EUR", "BTC", "ETH")


@dataclass(frozen=True, slots=True)
class Exposure:
    """Notionals in quote currency if any subset of the working orders and the asked one filled."""

    notional: Mapping[str, Decimal]
    """Largest absolute notional by symbol; symbols that cannot hold anything are not in it."""
    gross: Decimal
    net: Decimal
    """Largest of longs less shorts and of shorts less longs."""
    assets: Mapping[str, Decimal]
    """Notional by base asset: the same asset against two quotes is one exposure."""
    liquidation: Decimal | None
    """Where the exchange would close the resulting position, at worst; None where that cannot be said, or no limit
    asks."""


@lru_cache(maxsize=4_096)
def base_asset(symbol: str) -> str:
    """`BTC/USDT`, `BTC-USDT`, `BTCUSDT` and `BTC/USDC:USDC` are all exposure to `BTC`."""
    for separator in "/-":
        if separator in symbol:
            return symbol.partition(separator)[0].upper()
    name = symbol_id(symbol)
    quote = next((q for q in _QUOTES if name.endswith(q) and len(name) > len(q)), "")
    return name.removesuffix(quote)


def measure_exposure(q: Question) -> Exposure:
    """Exposure after the asked order, in one pass over positions and working orders.

    Reduce-only orders may fill first or not at all, so adding ones count from flat and from the position. In the net,
    a hedge that such an order may take away is no hedge. A symbol without a mark counts as nothing here: it has a
    reason of its own (PRICE_MISSING).
    """
    positions, marks, intent = q.account.positions, q.account.marks, q.intent
    bought: dict[str, Decimal] = {}
    sold: dict[str, Decimal] = {}
    leaving: set[str] = set()
    for order in q.account.working:
        wish = order.intent
        if wish.reduce_only:
            leaving.add(wish.symbol)
        else:
            side = bought if wish.side is Side.BUY else sold
            side[wish.symbol] = side.get(wish.symbol, ZERO) + order.remaining
    side = bought if intent.side is Side.BUY else sold
    side[intent.symbol] = side.get(intent.symbol, ZERO) + intent.quantity
    notional: dict[str, Decimal] = {}
    gross = upper = lower = ZERO
    for symbol in {**positions, **bought, **sold}:
        held, more, less = positions.get(symbol, ZERO), bought.get(symbol, ZERO), sold.get(symbol, ZERO)
        price = marks.get(symbol, ZERO)
        if symbol == intent.symbol:
            price = max(price, intent.reference_price)
        if more or less:
            highest, lowest = held + more, held - less
            worst = max(abs(highest), abs(lowest), more, less)
        else:
            highest = lowest = held
            worst = abs(held)
        if not worst:
            continue
        if symbol in leaving:
            highest, lowest = max(highest, more), min(lowest, -less)
        notional[symbol] = worst * price
        gross += worst * price
        upper += highest * price
        lower += lowest * price
    return Exposure(notional, gross, max(upper, -lower), _by_asset(notional), _liquidation(q))


def _by_asset(notional: Mapping[str, Decimal]) -> dict[str, Decimal]:
    assets: dict[str, Decimal] = {}
    for symbol, value in notional.items():
        asset = base_asset(symbol)
        assets[asset] = assets.get(asset, ZERO) + value
    return assets


def _liquidation(q: Question) -> Decimal | None:
    """The average price lies between what is held at and what is asked now, so the worse of the two is the worst
    whatever the quantities are: more can never look safer than less."""
    side, symbol, price = q.intent.side, q.intent.symbol, q.intent.reference_price
    is_asked = q.limits.stop_before_liquidation or q.limits.min_liquidation_distance_fraction is not None
    if not is_asked or q.instrument is None or price <= 0:
        return None
    if q.account.positions.get(symbol, ZERO) * side.sign > 0:
        entry = q.account.entry_prices.get(symbol, ZERO)
        if entry <= 0:
            return None
        price = max(price, entry) if side is Side.BUY else min(price, entry)
    return liquidation_level(q.instrument, side.opposite, price)
