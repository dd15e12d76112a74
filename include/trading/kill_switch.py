"""Kill switch: halt in the ledger first, then cancel and flatten at the venue itself. Needs neither engine nor trader.

Order of steps, each safe to repeat:
1. HALTED is committed: from here on no write-ahead passes, whoever tries, so nothing new can appear behind us.
2. Every open order of the account is cancelled, also those the ledger does not know.
3. If asked, positions are closed by reduce-only market orders, recorded in the ledger before they are sent.

Step 3 has a write path of its own (`Orders.record_emergency`) because the normal one demands a lease and an ACTIVE
state, and both are what is missing in an emergency. It is safe without them: a reduce-only order can only shrink a
position, so two kill switches at once, or one beside a living engine, close it at most once between them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.domain.deployments import Deployment, TradingStateRecord, VenueKind
from include.domain.enums import DeploymentStatus, OrderPurpose, OrderStatus, OrderType, Side, TimeInForce, TradingState
from include.domain.errors import AirlockError, OutcomeUnknownError, RejectedError, RetryableError, TransitionError
from include.domain.orders import Intent, Order, OrderReport, Position
from include.ports import Ledger, Venue
from include.trading.book import OrderBook, is_working
from include.trading.order_manager import CLOCK_MARGIN, fill_reports, new_order

ALL = "all"
FOLLOW_TURNS, FOLLOW_SECS = 25, 0.2
"""How long a flatten order is watched before the command returns."""
Connect = Callable[[Deployment], Venue]
"""Builds the venue of a deployment's account."""


def account_scope(account: str) -> str:
    return f"account:{account}"


def deployment_scope(deployment_id: str) -> str:
    return f"deployment:{deployment_id}"


@dataclass(frozen=True, slots=True)
class HaltResult:
    """What a halt achieved. `failures` is one line per thing that could not be done; empty means all done."""

    record: TradingStateRecord
    canceled: tuple[str, ...] = ()
    flattened: tuple[Position, ...] = ()
    failures: tuple[str, ...] = ()


def deployments_in(scope: str, deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """Deployments that a scope covers."""
    return tuple(d for d in deployments if scope in (ALL, account_scope(d.connection.account), deployment_scope(d.id)))


def targets_of(scope: str, deployments: Sequence[Deployment]) -> tuple[Deployment, ...]:
    """One deployment for each account of the scope that may have something at its venue: the newest of the account.

    An exchange of a replay lives only while its deployment runs; before and after there is nothing to cancel.
    """
    newest: dict[tuple[str, str, str], Deployment] = {}
    for deployment in sorted(deployments_in(scope, deployments), key=lambda d: (d.created_at, d.id)):
        connection = deployment.connection
        if connection.kind is VenueKind.REPLAY and deployment.status is not DeploymentStatus.RUNNING:
            continue
        own = deployment.id if connection.kind is VenueKind.REPLAY else connection.account
        newest[(connection.kind.value, connection.url, own)] = deployment
    return tuple(newest.values())


async def halt(
    ledger: Ledger, connect: Connect, *, scope: str, by: str, reason: str, cancel: bool = True, flatten: bool = False
) -> HaltResult:
    """Stop a scope from trading; cancel its accounts' working orders and flatten their positions if asked.

    A venue that fails does not keep the others from being stopped: every failure is listed in the result.

    Args:
        connect: builds the venue of a deployment.

    Raises:
        ConfigurationError: no name or no reason was given; nothing was done.
        RetryableError: the ledger does not answer; nothing was done.
    """
    with ledger.begin() as work:
        record = work.trading_states.set(scope, TradingState.HALTED, by, reason)
        targets = targets_of(scope, work.deployments.all()) if cancel or flatten else ()
        work.commit()
    results = await asyncio.gather(
        *(_stop_account(ledger, connect, target, cancel=cancel, flatten=flatten) for target in targets),
        return_exceptions=True,
    )
    failures = [f"deployment {d.short_id}: {r}" for d, r in zip(targets, results, strict=True) if _failed(r)]
    done = [result for result in results if isinstance(result, _Stopped)]
    return HaltResult(
        record,
        tuple(sorted({key for result in done for key in result.canceled})),
        tuple(position for result in done for position in result.flattened),
        tuple(failures + [line for result in done for line in result.failures]),
    )


def resume(ledger: Ledger, *, scope: str, by: str, reason: str) -> TradingStateRecord:
    """Lift a halt in the name of a person; the only way back to ACTIVE. Audited like every change of state.

    Raises:
        ConfigurationError: no name or no reason was given.
    """
    with ledger.begin() as work:
        record = work.trading_states.set(scope, TradingState.ACTIVE, by, reason)
        work.commit()
    return record


def _failed(result: object) -> bool:
    if isinstance(result, BaseException) and not isinstance(result, AirlockError):
        raise result  # a defect, not an outcome
    return isinstance(result, AirlockError)


@dataclass(frozen=True, slots=True)
class _Stopped:
    canceled: tuple[str, ...]
    flattened: tuple[Position, ...]
    failures: tuple[str, ...]


async def _stop_account(
    ledger: Ledger, connect: Connect, deployment: Deployment, *, cancel: bool, flatten: bool
) -> _Stopped:
    with ledger.begin() as work:
        candidate = work.candidates.get(deployment.candidate_id)
    if candidate is None:
        raise RejectedError(f"candidate {deployment.candidate_id[:12]} is not in the ledger", code="CANDIDATE_MISSING")
    venue = connect(deployment)
    canceled: list[str] = []
    failures: list[str] = []
    flattened: list[Position] = []
    try:
        await venue.connect(candidate.symbols, candidate.timeframe)
        if cancel:
            canceled, failures = await _cancel_all(ledger, venue)
        for position in (await venue.positions()) if flatten else ():
            try:
                await _close_position(ledger, venue, deployment, position)
                flattened.append(position)
            except AirlockError as error:
                failures.append(f"{position.symbol} {position.quantity} not flattened: {error}")
    finally:
        await venue.close()
    return _Stopped(tuple(canceled), tuple(flattened), tuple(failures))


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
        if _failed(answer):
            failures.append(f"{report.symbol} {report.client_order_id} not cancelled: {answer}")
            continue
        canceled.append(report.client_order_id)
        if report.client_order_id in known and isinstance(answer, OrderReport):
            with ledger.begin() as work:
                work.orders.apply(report.client_order_id, answer)
                work.commit()
    return canceled, failures


async def _close_position(ledger: Ledger, venue: Venue, deployment: Deployment, position: Position) -> None:
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
    await _record_flatten(ledger, venue, order, report)


async def _record_flatten(ledger: Ledger, venue: Venue, order: Order, report: OrderReport) -> None:
    """Follow the order to its end for a moment; what takes longer, the next engine reads from the venue."""
    for _ in range(FOLLOW_TURNS):
        fills = await venue.fills(order.intent.symbol, order.created_at - CLOCK_MARGIN)
        with ledger.begin() as work:
            for carrier in fill_reports(order, fills, OrderBook(Decimal(0))):
                order = work.orders.apply(order.client_order_id, carrier)
            order = work.orders.apply(order.client_order_id, report)
            work.commit()
        if not is_working(order):
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
