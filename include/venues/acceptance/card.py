"""What an acceptance card is, and what it runs on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum
from typing import Protocol

from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.errors import RejectedError
from include.domain.instruments import Instrument
from include.domain.orders import Intent, Order, OrderReport
from include.domain.times import Timeframe
from include.ports import Venue, VenueEvent


class CardFailedError(Exception):
    """A venue does not do what a card expects; the text says what was seen instead."""


class Need(StrEnum):
    """What a card needs of a venue; without it the card does not apply."""

    POSITIONS = "POSITIONS"
    """Contracts: positions that can be short, reduce-only orders, leverage."""
    STOPS = "STOPS"
    TRAILING = "TRAILING"
    STATES_CODES = "STATES_CODES"
    """Refusals carry the codes that the rig knows."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is particular to a venue.

    Attributes:
        offers: needs that it meets.
        codes: its codes by kind of refusal (`duplicate`, `nothing to reduce`, `notional`, `margin`, `lot`, `tick`,
            `unknown`).
        fills_at_once: a market order is answered with its fill; False where it waits for the next open.
    """

    offers: frozenset[Need] = frozenset(Need)
    codes: Mapping[str, str] = field(default_factory=dict)


class Rig(Protocol):
    """A connected venue, and a market that can be moved.

    Safe cards use the venue alone. `advance` moves the market one step and returns once everything it caused has
    arrived; `told` gives what has arrived since it was last asked.
    """

    venue: Venue
    symbols: Sequence[str]
    timeframe: Timeframe
    traits: Traits
    tag: str
    """Makes client ids of this run its own."""

    async def advance(self) -> None: ...

    def told(self) -> list[VenueEvent]: ...


@dataclass(frozen=True, slots=True)
class Card:
    """One acceptance card.

    Attributes:
        number: stable, numbered with gaps; never used twice.
        safe: may run on an account with real money: it reads, or places what cannot fill and takes it away again.
    """

    number: int
    title: str
    prerequisite: str
    sequence: str
    expectation: str
    run: Callable[[Rig], Awaitable[None]]
    safe: bool = False
    needs: frozenset[Need] = frozenset()

    @property
    def id(self) -> str:
        return f"{self.number:03d}"

    def applies_to(self, traits: Traits) -> bool:
        return self.needs <= traits.offers


def expect(holds: object, what: str) -> None:
    """Raise CardFailedError with what was seen, unless it holds."""
    if not holds:
        raise CardFailedError(what)


async def expect_refusal(rig: Rig, action: Awaitable[object], kind: str) -> None:
    """The venue must refuse, with its code where the rig knows it. Raises CardFailedError."""
    try:
        await action
    except RejectedError as error:
        wanted = rig.traits.codes.get(kind)
        expect(
            wanted in {None, error.code}, f"{kind}: refused with code {error.code!r} instead of {wanted!r} ({error})"
        )
        return
    raise CardFailedError(f"{kind}: not refused")


def build_order(
    rig: Rig,
    name: str,
    side: Side,
    quantity: Decimal,
    *,
    symbol: str = "",
    price: Decimal | None = None,
    stop: Decimal | None = None,
    kind: OrderType | None = None,
    callback: Decimal | None = None,
    reduce_only: bool = False,
    time_in_force: TimeInForce = TimeInForce.GTC,
) -> Order:
    """An order as the engine would send it; its id is the rig's tag and `name`."""
    if kind is None:
        kind = OrderType.LIMIT if price is not None else OrderType.STOP_MARKET if stop is not None else OrderType.MARKET
    at = datetime(2020, 1, 1, tzinfo=UTC)
    intent = Intent(
        deployment_id="acceptance", symbol=symbol or rig.symbols[0], bar_time=at, purpose=OrderPurpose.EXIT, side=side,
        type=kind, quantity=quantity, reference_price=price or stop or Decimal(1), price=price, stop_price=stop,
        callback_rate=callback, reduce_only=reduce_only,
    )  # fmt: skip
    return Order(f"{rig.tag}{name}", intent, time_in_force, OrderStatus.SUBMITTED, Decimal(0), None, "", at)


async def far_limit(rig: Rig, name: str, distance: Decimal = Decimal("0.05")) -> Order:
    """The smallest buy limit that the venue takes, `distance` below the last close. Raises CardFailedError."""
    symbol = rig.symbols[0]
    instrument: Instrument = (await rig.venue.instruments())[symbol]
    last = await rig.venue.history(symbol, 1)
    expect(last, f"{symbol}: no finished bar to measure a price against")
    raw = last[-1].close * (1 - distance)
    price = (raw / instrument.tick_size).to_integral_value(rounding=ROUND_DOWN) * instrument.tick_size
    lots = (instrument.min_notional * Decimal("1.1") / price / instrument.lot_size).to_integral_value(ROUND_UP)
    return build_order(rig, name, Side.BUY, max(lots, Decimal(1)) * instrument.lot_size, price=price)


def reports(events: Sequence[VenueEvent], name: str) -> list[OrderReport]:
    """Reports of one order among events."""
    return [e for e in events if isinstance(e, OrderReport) and e.client_order_id == name]
