"""A margin account written down and read back: JSON with exact decimals as text. What can be derived is not written.

Written between calls only, when no bar's path is half walked. A restored account goes on exactly as the first would.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import orjson

from include.domain.enums import PositionSide
from include.domain.instruments import Instrument
from include.qualification.profile import Document
from include.venues.matching.account import Account
from include.venues.matching.book import Book
from include.venues.matching.brackets import Bracket
from include.venues.matching.changes import Income, MarginMove
from include.venues.matching.orders import Prices, Resting, Trade
from include.venues.matching.positions import Position, Terms
from include.venues.matching.reservations import Bound


class BookState(Document):
    """Where a symbol's market stands for the account."""

    mark: Decimal | None
    at_open: bool
    opened_at: int | None
    budget: Decimal | None
    prices: Prices | None


class AccountState(Document):
    """Everything an account is made of."""

    format: Literal[1] = 1
    initial_wallet: Decimal
    wallet: Decimal
    hedged: bool
    warned: bool
    last_order_id: int
    last_trade_id: int = 0
    brackets: dict[str, tuple[Bracket, ...]]
    terms: dict[str, Terms]
    positions: tuple[tuple[str, PositionSide, Position], ...]
    realised: tuple[tuple[str, PositionSide, Decimal], ...]
    books: dict[str, BookState]
    orders: tuple[Resting, ...]
    trades: tuple[Trade, ...]
    flows: tuple[Income, ...]
    margin_moves: tuple[MarginMove, ...]
    bound: dict[int, Bound]
    countdowns: dict[str, int]


def write_book(book: Book) -> BookState:
    """Where a book's market stands; its orders are written with the account's."""
    return BookState(
        mark=book.mark, at_open=book.at_open, opened_at=book.opened_at, budget=book.budget, prices=book.prices
    )


def read_book(kept: BookState, book: Book) -> None:
    """Let a new book's market stand where the old one's stood."""
    book.mark, book.at_open, book.opened_at = kept.mark, kept.at_open, kept.opened_at
    book.budget, book.prices = kept.budget, kept.prices


def document(account: Account) -> dict[str, Any]:
    """The account as JSON values."""
    margin = account.margin
    working = {number: order for book in account.books.values() for number, order in book.orders.items()}
    state = AccountState(
        initial_wallet=account.initial_wallet, wallet=margin.wallet, hedged=margin.hedged, warned=account.warned,
        last_order_id=account.last_order_id, last_trade_id=account.last_trade_id,
        brackets=margin.brackets, terms=margin.terms,
        positions=tuple((*key, position) for key, position in margin.positions.items()),
        realised=tuple((*key, profit) for key, profit in margin.realised.items()),
        books={symbol: write_book(book) for symbol, book in account.books.items()},
        # A trailing stop moves without news: the book's version of a working order is the newer one.
        orders=tuple(working.get(number, order) for number, order in account.orders.items()),
        trades=tuple(account.trades), flows=tuple(account.flows), margin_moves=tuple(account.margin_moves),
        bound=account.reservations.bound, countdowns=account.countdowns,
    )  # fmt: skip
    return state.model_dump(mode="json")


def from_document(instruments: Mapping[str, Instrument], raw: Mapping[str, Any]) -> Account:
    """The account that `document` wrote, on the same instruments.

    Raises:
        ValueError: it is not such a document, or one of other symbols (pydantic's ValidationError is one).
    """
    state = AccountState.model_validate_json(orjson.dumps(raw))
    if state.books.keys() != instruments.keys():
        raise ValueError(f"the account trades {', '.join(state.books)}, not {', '.join(instruments)}")
    account = Account(instruments, state.initial_wallet, state.brackets)
    margin = account.margin
    margin.wallet, margin.hedged, margin.terms = state.wallet, state.hedged, dict(state.terms)
    margin.positions = {(symbol, side): position for symbol, side, position in state.positions}
    margin.realised = {(symbol, side): profit for symbol, side, profit in state.realised}
    account.warned, account.last_order_id = state.warned, state.last_order_id
    account.flows, account.margin_moves = list(state.flows), list(state.margin_moves)
    account.countdowns = dict(state.countdowns)
    for symbol, kept in state.books.items():
        read_book(kept, account.books[symbol])
    for order in state.orders:
        _restore_order(account, order, state.bound.get(order.id))
    for trade in state.trades:
        account.add_trade(trade)
    account.last_trade_id = max(account.last_trade_id, state.last_trade_id)
    return account


def _restore_order(account: Account, order: Resting, bound: Bound | None) -> None:
    account.orders[order.id] = order
    account.by_client_id[order.request.client_order_id] = order.id
    if order.triggered_id is not None:
        account.children[order.triggered_id] = order.id
    if order.is_open:
        account.books[order.request.symbol].orders[order.id] = order
        account.reservations.bind(order, bound)
        if order.request.good_till is not None:
            account.dated[order.id] = order.request.good_till
