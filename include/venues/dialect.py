"""What differs between exchanges, as data: routes, names of parameters, readers of answers, streams.

`CcxtVenue` knows no exchange by name. A `Dialect` is a frozen table with one entry for each question that the venue
port asks; the tables are in `dialects`. A reader is a pure function of a `*_wire` module: strict on every field that it
uses, tolerant of additions; it raises KeyError, ValueError, TypeError or ArithmeticError when an answer is unreadable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from include.domain.bars import Bar
from include.domain.enums import MarginType, OrderType
from include.domain.instruments import Instrument
from include.domain.orders import Balance, Fill, FundingPayment, OrderReport, Position

Json = Mapping[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Market:
    """One connected market. `id` is the exchange's, `symbol` the candidate's spelling, `unified` ccxt's."""

    id: str
    symbol: str
    unified: str
    base: str
    quote: str
    info: Json


Markets = Mapping[str, Market]
"""Connected markets by the exchange's id."""


@dataclass(frozen=True, slots=True)
class MarketMessage:
    """A message of the market stream: when the exchange made it, and the bars that it finished."""

    event_ms: int
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A message of the user stream, with what it says about connected markets."""

    event_ms: int
    events: tuple[OrderReport | FundingPayment, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One REST question: ccxt's name of the route, what is always sent, and the way to the rows of the answer.

    Attributes:
        cursor: way to the mark of the next page; empty where an answer is whole.
        by_symbol: asked for one market; exchanges refuse parameters that they do not know.
    """

    method: str
    constant: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    cursor: tuple[str, ...] = ()
    by_symbol: bool = True

    def rows_of(self, answer: Any) -> Any:
        """The part of an answer that holds its rows. Raises KeyError or TypeError when it is not there."""
        return _along(answer, self.rows)

    def next_page(self, answer: Any) -> str:
        """Mark of the page after this answer; empty after the last."""
        return str(_along(answer, self.cursor) or "") if self.cursor else ""


def _along(answer: Any, way: tuple[str, ...]) -> Any:
    for key in way:
        answer = answer[key]
    return answer


class CancelAnswer(Enum):
    """What the answer to a cancel is."""

    ORDER = auto()
    """The order as it is now."""
    DONE = auto()
    """A confirmation that it is cancelled, without the order."""
    TAKEN = auto()
    """A receipt: the order itself has to be looked at."""


@dataclass(frozen=True, slots=True)
class OrderPlace:
    """One place where orders live at the exchange. `id_key` names our id in questions, `open` lists working orders."""

    id_key: str
    cancel: Route
    cancel_answer: CancelAnswer
    find: tuple[Route, ...]
    open: Route
    read: Callable[[Json, Market], OrderReport]


@dataclass(frozen=True, slots=True)
class Klines:
    """Finished bars by REST. `newest_first`: rows come in that order; `read` makes a bar of a row."""

    route: Route
    interval: str
    end: str
    page: int
    newest_first: bool
    read: Callable[[Sequence[Any], str], Bar]


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A list that is asked for by time: at most `span` and `page` rows at once, each row known by `key`.

    Attributes:
        time: field with the row's epoch milliseconds.
    """

    route: Route
    key: str
    time: str
    span: timedelta
    page: int


@dataclass(frozen=True, slots=True)
class TradeLog:
    """Fills by REST.

    Attributes:
        order_ids: orders of the same window, where a fill names its order by the exchange's id only.
        order_by_id: one order by the exchange's id, for the same purpose.
        read: makes a fill of a row and our id.
        client_id: our id as the row itself has it; None where it does not.
        is_fill: whether a row is a fill, where the list holds other things too.
    """

    trades: TimeWindow
    of_order: Route
    read: Callable[[Json, Market, str], Fill]
    order_ids: TimeWindow | None = None
    order_by_id: Route | None = None
    client_id: Callable[[Json], str] | None = None
    is_fill: Callable[[Json], bool] | None = None


@dataclass(frozen=True, slots=True)
class FundingLog:
    """Funding by REST; `read` makes a payment of a row."""

    window: TimeWindow
    read: Callable[[Json, Market], FundingPayment]


@dataclass(frozen=True, slots=True)
class MarginSetup:
    """How an account is brought to one-way positions and isolated margin: questions before changes.

    Attributes:
        leverage_keys: what the new leverage is called in `set_leverage`.
    """

    mode: Route
    is_hedged: Callable[[Any], bool]
    set_one_way: Route
    margin: Route
    read_margin: Callable[[Any], MarginType]
    set_isolated: Route
    leverage: Route
    read_leverage: Callable[[Any], int]
    set_leverage: Route
    leverage_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Names of `create_order` parameters as ccxt takes them for this exchange.

    Attributes:
        reduce_only: empty where the exchange knows no positions: a sell cannot exceed what is there, a reducing buy
            is refused.
        stop_loss, take_profit: trigger price of an order that waits for the price to move against or for the trader.
        directed: the exchange wants to be told from which side a trigger is met.
        callback: distance of a trailing stop; empty where there is none.
        callback_scale: what one (a whole price) is in that unit.
    """

    client_id: str
    reduce_only: str
    stop_loss: str
    take_profit: str
    directed: bool = False
    callback: str = ""
    callback_scale: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True)
class Limits:
    """How the exchange tells what has been used, in headers of every answer.

    Attributes:
        used: header (lower case) to (limit, window in seconds), where a header tells how much has been used.
        remaining: headers of what is left, of how much there is, and of when it starts anew (epoch milliseconds).
        stated: reads limits as in `used` out of the exchange's list of markets; they replace the table's own figures.
    """

    used: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    remaining: tuple[str, str, str] | None = None
    stated: Callable[[Json], Mapping[str, tuple[int, int]]] | None = None


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the key may do. `read` returns (may trade, may withdraw)."""

    route: Route
    read: Callable[[Json], tuple[bool, bool]]


class Sandbox(Enum):
    """How ccxt is told to use the exchange's own test environment."""

    TESTNET = auto()
    DEMO = auto()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One exchange and kind of market.

    Attributes:
        name: as accounts name it.
        ccxt_id: class of ccxt.pro.
        sandbox: kind of the exchange's own test environment.
        options: ccxt options on top of the common ones.
        order_types: what can be sent; anything else is refused before it is sent.
        margin, funding: None for spot, which has neither.
        clock: exchange's wall clock, by which requests are signed.
        market_time: time that it stamps on market data.
        places: where orders live, plain ones first.
        conditional: orders that live in the last place.
        watch_user: ccxt watch methods whose subscriptions make up the user stream.
        user_ready: confirmations that the user stream needs before it is open.
        answers_orders: a new order is answered with its state; False: with a receipt.
        not_found, unchanged: the exchange's codes for these two cases.
        sandbox_prefix: how our sandbox tells streams of this market from others of the same name.
    """

    name: str
    ccxt_id: str
    sandbox: Sandbox
    options: Mapping[str, Any]
    order_types: frozenset[OrderType]
    words: Words
    limits: Limits
    margin: MarginSetup | None
    funding: FundingLog | None
    clock: Route
    read_clock: Callable[[Any], datetime]
    market_time: Route
    read_market_time: Callable[[Any], datetime]
    klines: Klines
    fees: Route
    read_instrument: Callable[[Market, Any], Instrument]
    steps: Callable[[Json], tuple[Decimal, Decimal]]
    places: tuple[OrderPlace, ...]
    trade_log: TradeLog
    positions: Route
    read_positions: Callable[[Any, Markets], Sequence[Position]]
    balances: Route
    read_balances: Callable[[Any], Sequence[Balance]]
    permissions: Permissions
    read_market: Callable[[Any, Markets], MarketMessage | None]
    read_user: Callable[[Any, Markets], UserMessage | None]
    watch_user: tuple[str, ...]
    user_url: str
    user_ready: int
    conditional: frozenset[OrderType] = frozenset()
    answers_orders: bool = True
    not_found: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    sandbox_prefix: str = ""
