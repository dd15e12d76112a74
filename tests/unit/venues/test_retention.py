"""What the exchange forgets after days of market time, and what it never forgets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.domain.enums import OrderType, Side
from include.domain.times import DAY_MS
from include.venues.matching import Account, Prices, Request, state
from include.venues.matching.retention import (
    CLOSED_MS,
    SPOT_UNFILLED_MS,
    TRADES_MS,
    UNFILLED_MS,
    forget,
    forget_spot,
)
from include.venues.matching.spot import SpotAccount
from tests.adapters.memory_market import make_instrument

COIN = make_instrument("BTC/USDT")
SYMBOL = COIN.symbol
BAR = Prices(Decimal(100), Decimal(101), Decimal(99), Decimal(100), Decimal(10))
LIMIT = Decimal(50)


def asked(name: str, price: Decimal | None = None, side: Side = Side.BUY) -> Request:
    return Request(name, SYMBOL, side, OrderType.LIMIT if price else OrderType.MARKET, Decimal(1), price)


def lived(at: int = 0) -> Account:
    """An account with one cancelled, one filled and one working order."""
    account = Account({SYMBOL: COIN}, Decimal(100_000))
    account.open_phase({SYMBOL: BAR}, at)
    account.submit(asked("cancelled", LIMIT), at)
    account.cancel(account.orders[1], at)
    account.submit(asked("filled"), at)
    account.submit(asked("working", LIMIT), at)
    return account


@pytest.mark.parametrize(
    ("age", "orders", "trades"),
    [
        (UNFILLED_MS, {"cancelled", "filled", "working"}, 1),
        (UNFILLED_MS + 1, {"filled", "working"}, 1),
        (CLOSED_MS, {"filled", "working"}, 1),
        (CLOSED_MS + 1, {"working"}, 1),
        (TRADES_MS, {"working"}, 1),
        (TRADES_MS + 1, {"working"}, 0),
    ],
)
def test_unfilled_orders_go_after_three_days_closed_ones_after_ninety_and_trades_after_half_a_year(
    age: int, orders: set[str], trades: int
) -> None:
    account = lived()
    wallet = account.wallet
    forget(account, age)
    assert {order.request.client_order_id for order in account.orders.values()} == orders == set(account.by_client_id)
    assert len(account.trades) == len(account.trades_of) == trades
    assert account.wallet == wallet
    assert account.holding(SYMBOL).quantity == 1


def test_ids_go_on_counting_also_across_a_restart() -> None:
    account = lived()
    forget(account, 400 * DAY_MS)
    account = state.from_document({SYMBOL: COIN}, state.document(account))
    account.submit(asked("later", side=Side.SELL), 400 * DAY_MS)
    assert [(trade.id, trade.order_id) for trade in account.trades] == [(2, 4)]


def test_an_id_that_is_used_again_is_not_forgotten_with_the_old_order() -> None:
    account = lived()
    account.submit(asked("cancelled", LIMIT), 4 * DAY_MS)
    forget(account, 4 * DAY_MS)
    found = account.order("cancelled")
    assert found is not None
    assert found.is_open


def test_spot_forgets_unfilled_orders_after_ninety_days_and_nothing_else() -> None:
    account = SpotAccount({SYMBOL: COIN}, {COIN.quote: Decimal(100_000)})
    account.open_phase({SYMBOL: BAR}, 0)
    account.submit(asked("cancelled", LIMIT), 0)
    account.cancel(1, 0)
    account.submit(asked("filled"), 0)
    account.submit(asked("working", LIMIT), 0)
    forget_spot(account, SPOT_UNFILLED_MS)
    assert set(account.ids) == {"cancelled", "filled", "working"}
    forget_spot(account, 1_000 * DAY_MS)
    assert set(account.ids) == {"filled", "working"}
    assert len(account.trades) == 1
