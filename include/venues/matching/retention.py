"""What an account forgets, as Binance does, so that a long replay does not grow for ever. Working orders never are.

USD-M: an order that ended without a fill is found for three days after it was made, any other closed order for ninety;
trades for six months. Spot: an order that ended without a fill is found for ninety days, all else for ever.
Ids go on counting, and money is what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from include.domain.times import DAY_MS
from include.venues.matching.account import Account
from include.venues.matching.orders import Resting
from include.venues.matching.spot import SpotAccount

UNFILLED_MS = 3 * DAY_MS
CLOSED_MS = 90 * DAY_MS
TRADES_MS = 180 * DAY_MS
INCOME_MS = 90 * DAY_MS
"""How far back `income` answers; the flows themselves are few and kept."""
SPOT_UNFILLED_MS = 90 * DAY_MS


def forget(account: Account, now: int) -> None:
    """Drop the closed orders and the trades that are too old at `now` (venue milliseconds)."""
    for order in _closed(account.orders.values(), now, UNFILLED_MS, CLOSED_MS):
        _drop(account.orders, account.by_client_id, order)
        if order.triggered_id is not None:
            account.children.pop(order.triggered_id, None)
    old = next((n for n, trade in enumerate(account.trades) if trade.at >= now - TRADES_MS), len(account.trades))
    for trade in account.trades[:old]:
        account.trades_of.pop(trade.order_id, None)
    del account.trades[:old]


def forget_spot(account: SpotAccount, now: int) -> None:
    """Drop the closed orders that are too old at `now` (venue milliseconds)."""
    for order in _closed(account.orders.values(), now, SPOT_UNFILLED_MS, None):
        _drop(account.orders, account.ids, order)
        account.quote_quantities.pop(order.id, None)


def _closed(orders: Iterable[Resting], now: int, unfilled: int, filled: int | None) -> list[Resting]:
    def is_old(order: Resting) -> bool:
        kept = filled if order.filled else unfilled
        return not order.is_open and kept is not None and order.created_at < now - kept

    return [order for order in orders if is_old(order)]


def _drop(orders: MutableMapping[int, Resting], ids: MutableMapping[str, int], order: Resting) -> None:
    del orders[order.id]
    if ids.get(order.request.client_order_id) == order.id:
        del ids[order.request.client_order_id]
