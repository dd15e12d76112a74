"""A spot account written down and read back, as `state` does for margin accounts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import orjson

from include.domain.instruments import Instrument
from include.qualification.profile import Document
from include.venues.matching.orders import Resting, Trade
from include.venues.matching.spot import SpotAccount, SpotBalance
from include.venues.matching.state import BookState, read_book, write_book


class SpotState(Document):
    """Everything a spot account is made of."""

    format: Literal[1] = 1
    balances: dict[str, SpotBalance]
    locks: dict[int, Decimal]
    last_id: int
    books: dict[str, BookState]
    orders: tuple[Resting, ...]
    trades: tuple[Trade, ...]
    quote_quantities: dict[int, Decimal]


def document(account: SpotAccount) -> dict[str, Any]:
    """The account as JSON values."""
    working = {number: order for book in account.books.values() for number, order in book.orders.items()}
    state = SpotState(
        balances=dict(account.balances()), locks=account.locks, last_id=account.last_id,
        books={symbol: write_book(book) for symbol, book in account.books.items()},
        # A trailing stop moves without news: the book's version of a working order is the newer one.
        orders=tuple(working.get(number, order) for number, order in account.orders.items()),
        trades=tuple(account.trades), quote_quantities=account.quote_quantities,
    )  # fmt: skip
    return state.model_dump(mode="json")


def from_document(instruments: Mapping[str, Instrument], raw: Mapping[str, Any]) -> SpotAccount:
    """The account that `document` wrote, on the same instruments.

    Raises:
        ValueError: it is not such a document, or one of other symbols (pydantic's ValidationError is one).
    """
    state = SpotState.model_validate_json(orjson.dumps(raw))
    if state.books.keys() != instruments.keys():
        raise ValueError(f"the account trades {', '.join(state.books)}, not {', '.join(instruments)}")
    account = SpotAccount(instruments, {asset: held.total for asset, held in state.balances.items()})
    account.restore(state.balances, state.locks, state.last_id)
    account.trades, account.quote_quantities = list(state.trades), dict(state.quote_quantities)
    for symbol, kept in state.books.items():
        read_book(kept, account.books[symbol])
    for order in state.orders:
        account.orders[order.id] = order
        account.ids[order.request.client_order_id] = order.id
        if order.is_open:
            account.books[order.request.symbol].orders[order.id] = order
    return account
