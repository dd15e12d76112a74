"""Reconciliation: two snapshots in, typed differences out, and the written rule for each kind. Pure.

The comparator knows no remedy and the rules see no snapshot. Laws (tested): equal snapshots give no difference; after
the remedies of one pass a second pass finds nothing, or finds something that only a person may decide.
Tolerance: one cent on the wallet, none on quantities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from include.domain.enums import OrderPurpose
from include.domain.orders import Fill, FundingPayment, Order, OrderReport

_OF_ONE_CLOSE = (OrderPurpose.ENTRY, OrderPurpose.SCALE_IN, OrderPurpose.EXIT, OrderPurpose.TIME_EXIT)
WALLET_TOLERANCE = Decimal("0.01")
ZERO = Decimal(0)


class DifferenceKind(StrEnum):
    """What may differ between ledger and venue."""

    ORDER_NOT_OPEN = "ORDER_NOT_OPEN"
    """Working in the ledger, not among the venue's open orders."""
    ORDER_BEHIND = "ORDER_BEHIND"
    """Open at the venue in another state or with other fills than the ledger has."""
    ORDER_FOREIGN = "ORDER_FOREIGN"
    """Open at the venue, unknown to the ledger or finished there."""
    FILL_MISSING = "FILL_MISSING"
    """A fill of one of our orders that the ledger does not have."""
    FILL_FOREIGN = "FILL_FOREIGN"
    """A fill of an order that is not ours."""
    FUNDING_MISSING = "FUNDING_MISSING"
    """A funding payment of one of our positions that the ledger does not have."""
    POSITION = "POSITION"
    WALLET = "WALLET"


class Remedy(StrEnum):
    ADOPT = "ADOPT"
    """The venue's word is taken over: it is about an order that the ledger knows."""
    RESOLVE = "RESOLVE"
    """The venue is asked about this one order."""
    HALT = "HALT"
    """Nobody but a person may explain it."""


REMEDIES: Mapping[DifferenceKind, Remedy] = MappingProxyType(
    {
        DifferenceKind.ORDER_NOT_OPEN: Remedy.RESOLVE,
        DifferenceKind.ORDER_BEHIND: Remedy.ADOPT,
        DifferenceKind.ORDER_FOREIGN: Remedy.HALT,
        DifferenceKind.FILL_MISSING: Remedy.ADOPT,
        DifferenceKind.FILL_FOREIGN: Remedy.HALT,
        DifferenceKind.FUNDING_MISSING: Remedy.ADOPT,
        DifferenceKind.POSITION: Remedy.HALT,
        DifferenceKind.WALLET: Remedy.HALT,
    }
)


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """What the ledger says."""

    working: Sequence[Order]
    known_order_ids: frozenset[str]
    trades: frozenset[tuple[str, str]]
    """(symbol, trade id) of every recorded fill."""
    payments: frozenset[tuple[str, str]]
    """(symbol, payment id) of all recorded funding."""
    positions: Mapping[str, Decimal]
    wallet: Decimal | None
    """What the venue's wallet should hold; None where it is not known yet, which is itself a difference."""


@dataclass(frozen=True, slots=True)
class VenueSnapshot:
    """What the venue says."""

    open_orders: Sequence[OrderReport]
    fills: Sequence[Fill]
    funding: Sequence[FundingPayment]
    positions: Mapping[str, Decimal]
    wallet: Decimal | None
    taken_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One disagreement; `subject` is a client order id, a trade id or a symbol."""

    kind: DifferenceKind
    subject: str
    ledger: str
    venue: str

    def __str__(self) -> str:
        return f"{self.kind.value} subject={self.subject} ledger={self.ledger} venue={self.venue}"


def compare_snapshots(ledger: LedgerSnapshot, venue: VenueSnapshot) -> tuple[Difference, ...]:
    """Every difference, sorted; empty means the two agree."""
    return tuple(
        sorted([*_compare_orders(ledger, venue), *_compare_fills(ledger, venue), *_compare_money(ledger, venue)])
    )


def _compare_orders(ledger: LedgerSnapshot, venue: VenueSnapshot) -> list[Difference]:
    working = {order.client_order_id: order for order in ledger.working}
    opened = {report.client_order_id: report for report in venue.open_orders}
    found = [
        Difference(DifferenceKind.ORDER_NOT_OPEN, key, order.status.value, "not open")
        for key, order in working.items()
        if key not in opened
    ]
    for key, report in opened.items():
        order = working.get(key)
        if order is None:
            ours = "finished" if key in ledger.known_order_ids else "unknown"
            found.append(Difference(DifferenceKind.ORDER_FOREIGN, key, ours, report.status.value))
        elif _behind(order, report):
            found.append(
                Difference(
                    DifferenceKind.ORDER_BEHIND,
                    key,
                    f"{order.status.value}:{order.filled_quantity}",
                    f"{report.status.value}:{report.filled_quantity}",
                )
            )
    return found


def _behind(order: Order, report: OrderReport) -> bool:
    # A cancel that never arrived shows as PENDING_CANCEL here and as a plain open order there: it is sent again.
    return order.status is not report.status or order.filled_quantity != report.filled_quantity


def _compare_fills(ledger: LedgerSnapshot, venue: VenueSnapshot) -> list[Difference]:
    found = []
    for fill in venue.fills:
        if (fill.symbol, fill.trade_id) in ledger.trades:
            continue
        ours = fill.client_order_id in ledger.known_order_ids
        kind = DifferenceKind.FILL_MISSING if ours else DifferenceKind.FILL_FOREIGN
        theirs = f"{fill.client_order_id} {fill.side.value} {fill.quantity}@{fill.price}"
        found.append(Difference(kind, f"{fill.symbol}#{fill.trade_id}", "none", theirs))
    return found


def _compare_money(ledger: LedgerSnapshot, venue: VenueSnapshot) -> list[Difference]:
    found = [
        Difference(DifferenceKind.FUNDING_MISSING, f"{paid.symbol}#{paid.payment_id}", "none", str(paid.amount))
        for paid in venue.funding
        if (paid.symbol, paid.payment_id) not in ledger.payments
    ]
    found += [
        Difference(DifferenceKind.POSITION, symbol, str(ours), str(theirs))
        for symbol in sorted(ledger.positions.keys() | venue.positions.keys())
        if (ours := ledger.positions.get(symbol, ZERO)) != (theirs := venue.positions.get(symbol, ZERO))
    ]
    unknown = ledger.wallet is None or venue.wallet is None
    if unknown or abs(ledger.wallet - venue.wallet) > WALLET_TOLERANCE:  # type: ignore[operator]
        found.append(Difference(DifferenceKind.WALLET, "wallet", str(ledger.wallet), str(venue.wallet)))
    return found


def must_halt(differences: Sequence[Difference]) -> bool:
    """True when at least one difference has no remedy but a person."""
    return any(REMEDIES[difference.kind] is Remedy.HALT for difference in differences)


def may_resend(order: Order, *, last_bar_time: datetime | None, position: Decimal) -> bool:
    """Whether an order that definitively never reached the venue is sent again (under the same id).

    Entries, scale-ins and exits are decisions of one close and are resent while that bar is still the last one; later,
    the strategy decides anew. Protection is resent as long as there is a position for it to protect.
    """
    if order.intent.purpose in _OF_ONE_CLOSE:
        return order.intent.bar_time == last_bar_time
    return position * order.intent.side.sign < 0
