"""What a halt does at the venue: working orders cancelled, positions closed, every step in the ledger.

Closing has a write path of its own (`Orders.record_emergency`) because the normal one demands a lease and an ACTIVE
state, and both are what is missing in an emergency. It is safe without them: a reduce-only order can only shrink a
position, so two halts at once, or one beside a living engine, close it at most once between them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from include.domain.deployments import Deployment
from include.domain.enums import OrderPurpose, OrderStatus, OrderType, Side, TimeInForce
from include.domain.errors import AirlockError, OutcomeUnknownError, RejectedError, RetryableError, TransitionError
from include.domain.orders import Intent, Order, OrderReport, Position
from include.ports import Ledger, Venue
from include.trading.book import OrderBook, is_working
from include.trading.order_manager import CLOCK_MARGIN, fill_reports, new_order

FOLLOW_TURNS, FOLLOW_SECS = 25, 0.2
"""How long a flatten order is watched before we go on."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was done at one account. `failures` is one line per thing that could not be done."""

    canceled: tuple[str, ...] = ()
    flattened: tuple[str, ...] = ()
    """`SYMBOL QUANTITY` of every position that is being closed."""
    failures: tuple[str, ...] = ()


async def clear_account(
    ledger: Ledger, venue: Venue, deployment: Deployment, *, cancel: bool, flatten: bool, follow: bool = True
) -> Cleared:
    """Cancel every open order of a connected account, also those the ledger does not know, and close its positions.

    Args:
        follow: watch each closing order until it has filled, for a moment; False where only we move the market on.

    Raises:
        RetryableError, OutcomeUnknownError: the venue does not answer.
    """
    canceled: list[str] = []
    flattened: list[str] = []
    failures: list[str] = []
    if cancel:
        canceled, failures = await _cancel_all(ledger, venue)
    for position in (await venue.positions()) if flatten else ():
        try:
            await _close_position(ledger, venue, deployment, position, follow=follow)
            flattened.append(f"{position.symbol} {position.quantity}")
        except AirlockError as error:
            failures.append(f"{position.symbol} {position.quantity} not flattened: {error}")
    return Cleared(tuple(canceled), tuple(flattened), tuple(failures))


async def _cancel_all(ledger: Ledger, venue: Venue) -> tuple[list[str], list[str]]:
    """Cancel whatever is open, all at once, then write down what became of the orders that are ours."""
    opened = await venue.open_orders()
    with ledger.begin() as work:
        known = {r.client_order_id: order for r in opened if (order := work.orders.get(r.client_order_id)) is not None}
    answers = await asyncio.gather(
        *(venue.cancel(known.get(r.client_order_id) or _stand_in(r)) for r in opened), return_exceptions=True
    )
    canceled, failures = [], []
    for report, answer in zip(opened, answers, strict=True):
        if isinstance(answer, RejectedError):
            continue  # it filled or expired before the cancel arrived; the engine or reconciliation will read how
        if isinstance(answer, BaseException):
            if not isinstance(answer, AirlockError):
                raise answer  # a defect, not an outcome
            failures.append(f"{report.symbol} {report.client_order_id} not cancelled: {answer}")
            continue
        canceled.append(report.client_order_id)
        if report.client_order_id in known:
            with ledger.begin() as work:
                work.orders.apply(report.client_order_id, answer)
                work.commit()
    return canceled, failures


async def _close_position(
    ledger: Ledger, venue: Venue, deployment: Deployment, position: Position, *, follow: bool
) -> None:
    """One reduce-only market order, in the ledger before it is sent.

    Raises:
        RejectedError, OutcomeUnknownError, RetryableError: it was not sent, or it is not known whether it arrived.
    """
    at = await venue.server_time()
    intent = Intent(
        deployment_id=deployment.id,
        symbol=position.symbol,
        bar_time=at,
        purpose=OrderPurpose.FLATTEN,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        type=OrderType.MARKET,
        quantity=abs(position.quantity),
        reference_price=position.entry_price,
        reduce_only=True,
    )
    try:
        with ledger.begin() as work:
            order = work.orders.record_emergency(new_order(intent, at))
            work.commit()
    except TransitionError:
        return  # the very same flatten is on its way already
    try:
        report = await venue.submit(order)
    except (RejectedError, RetryableError) as error:
        _mark(ledger, order, OrderStatus.REJECTED, str(error))
        raise
    except OutcomeUnknownError as error:
        _mark(ledger, order, OrderStatus.SUBMISSION_UNKNOWN, str(error))
        raise
    await _record_flatten(ledger, venue, order, report, FOLLOW_TURNS if follow else 1)


async def _record_flatten(ledger: Ledger, venue: Venue, order: Order, report: OrderReport, turns: int) -> None:
    """Follow the order to its end for a moment; what takes longer, the engine reads from the venue."""
    for turn in range(turns):
        fills = await venue.fills(order.intent.symbol, order.created_at - CLOCK_MARGIN)
        with ledger.begin() as work:
            for carrier in fill_reports(order, fills, OrderBook(Decimal(0))):
                order = work.orders.apply(order.client_order_id, carrier)
            order = work.orders.apply(order.client_order_id, report)
            work.commit()
        if not is_working(order) or turn + 1 == turns:
            return
        await asyncio.sleep(FOLLOW_SECS)
        report = await venue.find_order(order.intent.symbol, order.client_order_id) or report


def _mark(ledger: Ledger, order: Order, status: OrderStatus, reason: str) -> None:
    with ledger.begin() as work:
        work.orders.mark(order.client_order_id, status, reason)
        work.commit()


def _stand_in(report: OrderReport) -> Order:
    """Something `Venue.cancel` can name for an order that the ledger does not know."""
    intent = Intent(
        deployment_id="",
        symbol=report.symbol,
        bar_time=report.reported_at,
        purpose=OrderPurpose.FLATTEN,
        side=Side.SELL,
        type=OrderType.MARKET,
        quantity=max(report.filled_quantity, Decimal(1)),
        reference_price=Decimal(1),
        reduce_only=True,
    )
    return Order(
        report.client_order_id, intent, TimeInForce.GTC, report.status, report.filled_quantity,
        report.venue_order_id, "", created_at=report.reported_at,
    )  # fmt: skip
