"""Funding, equity and its high-water mark: the part of `ports.Orders` that is about money, not orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Numeric, Text, select, text

from include.domain.deployments import EquityPoint
from include.domain.orders import FundingPayment
from include.ledger.codec import read_equity, read_funding, require_aware
from include.ledger.models import EquityRow, FundingRow, UtcTime
from include.ledger.repositories.activity import read_activity
from include.ports import Activity

_RECORD_EQUITY = text(
    """
    INSERT INTO equity (deployment_id, at, equity, cash, unrealised)
    SELECT :deployment_id, p.at, p.equity, p.cash, p.unrealised
    FROM unnest(CAST(:at AS timestamptz[]), CAST(:equity AS numeric[]), CAST(:cash AS numeric[]),
        CAST(:unrealised AS numeric[])) AS p (at, equity, cash, unrealised)
    ON CONFLICT (deployment_id, at) DO UPDATE SET equity = excluded.equity, cash = excluded.cash,
        unrealised = excluded.unrealised
    """
)
_RECORD_FUNDING = text(
    """
    INSERT INTO funding (deployment_id, symbol, payment_id, amount, paid_at)
    SELECT :deployment_id, p.symbol, p.payment_id, p.amount, p.paid_at
    FROM unnest(CAST(:symbol AS text[]), CAST(:payment_id AS text[]), CAST(:amount AS numeric[]),
        CAST(:paid_at AS timestamptz[])) AS p (symbol, payment_id, amount, paid_at)
    ON CONFLICT (deployment_id, symbol, payment_id) DO NOTHING
    RETURNING payment_id, symbol, amount, paid_at
    """
).columns(payment_id=Text(), symbol=Text(), amount=Numeric(), paid_at=UtcTime())
_RAISE_HIGH_WATER = text(
    """
    INSERT INTO high_water AS mark (deployment_id, equity, raised_at)
    VALUES (:deployment_id, :equity, clock_timestamp())
    ON CONFLICT (deployment_id) DO UPDATE SET equity = GREATEST(mark.equity, excluded.equity),
        raised_at = CASE WHEN excluded.equity > mark.equity THEN excluded.raised_at ELSE mark.raised_at END
    RETURNING equity
    """
)


class EquityRepository:
    """Completed to `ports.Orders` by `OrderRepository`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record_equity(self, deployment_id: str, points: Sequence[EquityPoint]) -> None:
        """Store points; one that is there is replaced, so a bar handled again after a restart counts once."""
        latest = {require_aware(point.at, "equity time"): point for point in points}
        if not latest:
            return
        self._connection.execute(
            _RECORD_EQUITY,
            {
                "deployment_id": deployment_id,
                "at": list(latest),
                "equity": [point.equity for point in latest.values()],
                "cash": [point.cash for point in latest.values()],
                "unrealised": [point.unrealised for point in latest.values()],
            },
        )

    def record_funding(self, deployment_id: str, payments: Sequence[FundingPayment]) -> Sequence[FundingPayment]:
        if not payments:
            return ()
        new = self._connection.execute(
            _RECORD_FUNDING,
            {
                "deployment_id": deployment_id,
                "symbol": [payment.symbol for payment in payments],
                "payment_id": [payment.payment_id for payment in payments],
                "amount": [payment.amount for payment in payments],
                "paid_at": [require_aware(payment.paid_at, "paid_at") for payment in payments],
            },
        )
        return [read_funding(row) for row in new]

    def funding(self, deployment_id: str) -> Sequence[FundingPayment]:
        statement = (
            select(FundingRow.__table__)
            .where(FundingRow.deployment_id == deployment_id)
            .order_by(FundingRow.paid_at, FundingRow.symbol)
        )
        return [read_funding(row) for row in self._connection.execute(statement)]

    def equity(self, deployment_id: str, since: datetime | None = None) -> Sequence[EquityPoint]:
        """Oldest first; `since` is inclusive."""
        statement = select(EquityRow.__table__).where(EquityRow.deployment_id == deployment_id).order_by(EquityRow.at)
        if since is not None:
            statement = statement.where(EquityRow.at >= since)
        return [read_equity(row) for row in self._connection.execute(statement)]

    def high_water(self, deployment_id: str, equity: Decimal) -> Decimal:
        mark: Decimal = self._connection.execute(
            _RAISE_HIGH_WATER, {"deployment_id": deployment_id, "equity": equity}
        ).scalar_one()
        return mark

    def activity(self, deployment_id: str, start: datetime, end: datetime) -> Activity:
        return read_activity(self._connection, deployment_id, start, end)
