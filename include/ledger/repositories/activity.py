"""What was recorded about a deployment within a window of the ledger's clock: what daily reports are made of.

Only append-only rows and columns that never change are read, so a window that is over reads the same for ever.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from include.domain.deployments import EquityPoint
from include.domain.enums import OrderStatus
from include.ledger.codec import read_equity, read_fill, read_funding
from include.ledger.models import EquityRow, FillRow, FundingRow
from include.ports import Activity

_STATUS_AT_END = text(
    """
    SELECT DISTINCT ON (e.client_order_id) e.status, e.reason,
        min(e.recorded_at) OVER (PARTITION BY e.client_order_id) AS stored_at
    FROM order_events e JOIN orders o USING (client_order_id)
    WHERE o.deployment_id = :deployment_id AND e.recorded_at < :end
    ORDER BY e.client_order_id, e.id DESC
    """
)


def read_activity(connection: Connection, deployment_id: str, start: datetime, end: datetime) -> Activity:
    """See `ports.Orders.activity`."""
    fills = connection.execute(
        select(FillRow.__table__)
        .where(FillRow.deployment_id == deployment_id, FillRow.recorded_at < end)
        .order_by(FillRow.filled_at, func.length(FillRow.trade_id), FillRow.trade_id)
    ).all()
    funding = connection.execute(
        select(FundingRow.__table__)
        .where(FundingRow.deployment_id == deployment_id, FundingRow.recorded_at < end)
        .order_by(FundingRow.paid_at, FundingRow.symbol)
    ).all()
    of_deployment = EquityRow.deployment_id == deployment_id
    last_before = connection.execute(
        select(EquityRow.__table__)
        .where(of_deployment, EquityRow.recorded_at < start)
        .order_by(EquityRow.at.desc())
        .limit(1)
    ).one_or_none()
    peak = connection.execute(
        select(func.max(EquityRow.equity)).where(of_deployment, EquityRow.recorded_at < start)
    ).scalar_one()
    statuses, denials = _orders(connection, deployment_id, start, end)
    return Activity(
        fills_before=[read_fill(row) for row in fills if row.recorded_at < start],
        fills=[read_fill(row) for row in fills if row.recorded_at >= start],
        funding_before=[read_funding(row) for row in funding if row.recorded_at < start],
        funding=[read_funding(row) for row in funding if row.recorded_at >= start],
        equity_before=None if last_before is None else read_equity(last_before),
        peak_before=peak,
        equity=_equity(connection, deployment_id, start, end),
        orders=statuses,
        denials=denials,
    )


def _equity(connection: Connection, deployment_id: str, start: datetime, end: datetime) -> list[EquityPoint]:
    statement = (
        select(EquityRow.__table__)
        .where(EquityRow.deployment_id == deployment_id, EquityRow.recorded_at >= start, EquityRow.recorded_at < end)
        .order_by(EquityRow.at)
    )
    return [read_equity(row) for row in connection.execute(statement)]


def _orders(
    connection: Connection, deployment_id: str, start: datetime, end: datetime
) -> tuple[dict[OrderStatus, int], dict[str, int]]:
    rows = connection.execute(_STATUS_AT_END, {"deployment_id": deployment_id, "end": end}).all()
    stored = [row for row in rows if row.stored_at >= start]
    statuses = Counter(OrderStatus(row.status) for row in stored)
    reasons = Counter(row.reason.split(":")[0].split(" ")[0] for row in stored if row.status == OrderStatus.DENIED)
    return (
        {status: statuses[status] for status in OrderStatus if statuses[status]},
        {code or "UNKNOWN": reasons[code] for code in sorted(reasons)},
    )
