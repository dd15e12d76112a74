"""Plays bars of one coin on one margin account, with orders named in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from include.domain.enums import OrderType, Side
from include.domain.instruments import Instrument
from include.venues.matching import Account, Bracket, Change, Event, Execution, Prices, Request, Resting
from include.venues.matching.orders import PRICED, TRIGGERED
from tests.unit.fill_rule_case import COIN

MINUTE_MS = 60_000
FLAT_BAR = ("100", "101", "99", "100")


def prices(*texts: str, volume: str = "", funding: str = "") -> Prices:
    open_, high, low, close = (Decimal(text) for text in texts)
    return Prices(open_, high, low, close, Decimal(volume) if volume else None, Decimal(funding) if funding else None)


def request(
    name: str, side: Side, quantity: str, kind: OrderType = OrderType.MARKET, level: str = "", **more: Any
) -> Request:
    """`level` is the limit price of a LIMIT and the trigger of a conditional order."""
    wish = {"price": Decimal(level)} if level and kind is OrderType.LIMIT else {}
    wish |= {"stop_price": Decimal(level)} if level and kind in TRIGGERED else {}
    if kind in PRICED and "limit" in more:
        wish["price"] = Decimal(more.pop("limit"))
    return Request(name, COIN.symbol, side, kind, Decimal(quantity), **wish, **more)


def executions(events: Sequence[Event]) -> list[Execution]:
    return [event for event in events if isinstance(event, Execution)]


def changes(events: Sequence[Event]) -> list[Change]:
    return [event for event in events if isinstance(event, Change)]


class Player:
    """One account, one symbol, minute bars from time zero."""

    def __init__(self, wallet: str = "10000", *, brackets: Sequence[Bracket] | None = None, **instrument: Any) -> None:
        """`instrument`: what is different from the coin of the fill rule's table."""
        self.coin: Instrument = replace(COIN, **instrument)
        tables = {COIN.symbol: brackets} if brackets else None
        self.account = Account({COIN.symbol: self.coin}, Decimal(wallet), tables)
        self.now = 0
        self.bar_prices = prices(*FLAT_BAR)

    def open(self, *texts: str, **more: str) -> list[Event]:
        self.bar_prices = prices(*texts, **more)
        return self.account.open_phase({COIN.symbol: self.bar_prices}, self.now)

    def finish(self) -> list[Event]:
        quarter = MINUTE_MS // 4
        legs = [self.now + quarter * leg for leg in (1, 2, 3)]
        events = self.account.path_phase({COIN.symbol: self.bar_prices}, legs)
        self.now += MINUTE_MS
        return events

    def bar(self, *texts: str, **more: str) -> list[Event]:
        return self.open(*texts, **more) + self.finish()

    def send(self, *arguments: Any, **more: Any) -> list[Event]:
        return self.account.submit(request(*arguments, **more), self.now)

    def order(self, name: str) -> Resting:
        found = self.account.order(name)
        assert found is not None
        return found

    @property
    def quantity(self) -> Decimal:
        return self.account.holding(COIN.symbol).quantity


def fills(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Name, quantity and price of every fill."""
    found = [e.trade for e in executions(events) if e.trade is not None]
    return [(t.client_order_id, format(t.quantity.normalize(), "f"), format(t.price.normalize(), "f")) for t in found]


def kinds(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What happened to which order."""
    return [(e.type.value, e.order.request.client_order_id) for e in executions(events)]
