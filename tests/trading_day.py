"""A small trading day written into a ledger through its own repositories, for tests of reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from include.domain.deployments import Deployment, EquityPoint
from include.domain.enums import Mode, OrderPurpose, OrderStatus, Side, TradingState
from include.domain.orders import Order
from include.ports import Ledger
from tests.samples import NOON, put_lease, sample_fill, sample_order, sample_report

BUY, SELL = Side.BUY, Side.SELL


def release(ledger: Ledger, deployment: Deployment) -> None:
    """A live deployment starts halted; a person lets it trade."""
    if deployment.mode is Mode.LIVE:
        with ledger.begin() as uow:
            uow.trading_states.set(f"deployment:{deployment.id}", TradingState.ACTIVE, "ada", "go-live")
            uow.commit()


def fill_order(ledger: Ledger, order: Order, token: int, *, price: str, at: datetime, fee: str = "1.00") -> None:
    """Write ahead and fill at once."""
    number = f"{order.intent.sequence + 1}"
    fill = replace(
        sample_fill(order, number, f"{order.intent.quantity}"), price=Decimal(price), fee=Decimal(fee), filled_at=at
    )
    with ledger.begin() as uow:
        uow.orders.write_ahead(order, token)
        uow.orders.apply(order.client_order_id, sample_report(order, OrderStatus.FILLED, fill, reported_at=at))
        uow.commit()


def trade(
    ledger: Ledger, deployment: Deployment, prices: list[tuple[str, str]], *, token: int, first: int = 0,
    leave_open: bool = False,
) -> None:  # fmt: skip
    """Long trades of one BTC from the first price to the second, a minute apart; equity after each fill.

    Args:
        first: sequence number of the first trade, so that later days go on where earlier ones ended.
        leave_open: the last pair is entered and not left.
    """
    cash = deployment.capital
    for n, (entry, leave) in enumerate(prices, start=first):
        legs = [(BUY, entry, OrderPurpose.ENTRY)]
        if not (leave_open and n == first + len(prices) - 1):
            legs.append((SELL, leave, OrderPurpose.EXIT))
        for leg, (side, price, purpose) in enumerate(legs):
            sequence, at = 2 * n + leg, NOON + timedelta(minutes=2 * n + leg)
            order = sample_order(
                deployment, sequence, side=side, purpose=purpose, quantity=Decimal(1), reduce_only=side is SELL
            )
            fill_order(ledger, order, token, price=price, at=at)
        cash += (Decimal(leave) - Decimal(entry) - 2) if len(legs) == 2 else Decimal(-1)
        open_profit = Decimal(leave) - Decimal(entry) if len(legs) == 1 else Decimal(0)
        point = EquityPoint(NOON + timedelta(minutes=2 * n + 1), cash + open_profit, cash, open_profit)
        with ledger.begin() as uow:
            uow.orders.record_equity(deployment.id, [point])
            uow.commit()


def put_trades(ledger: Ledger, deployment: Deployment, prices: list[tuple[str, str]], leave_open: bool = False) -> None:
    """Release, lease, trade."""
    release(ledger, deployment)
    trade(ledger, deployment, prices, token=put_lease(ledger, deployment).token, leave_open=leave_open)
