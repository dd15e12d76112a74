"""Matching core of the sandbox exchange: pure, deterministic, exact.

`orders` (values) and `book` (working orders of one symbol along a bar) know no money; `account` puts a margin account
behind books (`margin`, `positions`, `brackets`, `changes`), and `state` writes it down.
"""

from include.venues.matching.account import Account, Event
from include.venues.matching.book import Book, Clearing
from include.venues.matching.brackets import DEFAULT_LEVERAGE, Bracket, build_brackets
from include.venues.matching.changes import Change, ChangeReason, Held, Income, IncomeType
from include.venues.matching.orders import (
    Execution,
    ExecutionType,
    Expiry,
    Prices,
    Refusal,
    RefusedError,
    Request,
    Resting,
    Trade,
)

__all__ = [
    "DEFAULT_LEVERAGE",
    "Account",
    "Book",
    "Bracket",
    "Change",
    "ChangeReason",
    "Clearing",
    "Event",
    "Execution",
    "ExecutionType",
    "Expiry",
    "Held",
    "Income",
    "IncomeType",
    "Prices",
    "Refusal",
    "RefusedError",
    "Request",
    "Resting",
    "Trade",
    "build_brackets",
]
