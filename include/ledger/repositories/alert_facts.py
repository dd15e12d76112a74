"""What alert rules are judged by, summed up by the database: a deployment with a million fills is not read out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Numeric, text

from include.domain.alerts import EquityFacts, HourFacts, TradeFacts
from include.domain.enums import OrderPurpose, OrderStatus, OrderType
from include.ledger.codec import require_aware
from include.ledger.models import UtcTime

# Flat to flat per symbol, as everywhere. A fill that turns a position over ends one trade and begins the next, which
# carries the position on at that fill's price; its whole fee is the ended trade's.
_TRADES = text(
    """
    WITH signed AS (
        SELECT symbol, filled_at, trade_id, price, fee,
            CASE side WHEN 'BUY' THEN quantity ELSE -quantity END AS quantity
        FROM fills WHERE deployment_id = :deployment_id
    ), placed AS (
        SELECT *, sum(quantity) OVER course AS held, coalesce(sum(quantity) OVER earlier, 0) AS held_before
        FROM signed
        WINDOW course AS (PARTITION BY symbol ORDER BY filled_at, length(trade_id), trade_id),
            earlier AS (PARTITION BY symbol ORDER BY filled_at, length(trade_id), trade_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), marked AS (
        SELECT *, held_before <> 0 AND sign(held) <> sign(held_before) AS ends FROM placed
    ), numbered AS (
        SELECT *, coalesce(sum(ends::int) OVER (PARTITION BY symbol ORDER BY filled_at, length(trade_id), trade_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS trade
        FROM marked
    ), trades AS (
        SELECT symbol, trade, bool_or(ends) AS closed, min(filled_at) AS begun_at, max(filled_at) AS ended_at,
            sum(-quantity * price - fee) + sum(CASE WHEN ends THEN held * price ELSE 0 END) AS made,
            sum(CASE WHEN ends THEN held * price ELSE 0 END) AS carried
        FROM numbered GROUP BY symbol, trade
    ), results AS (
        SELECT symbol, closed, made - coalesce(lag(carried) OVER (PARTITION BY symbol ORDER BY trade), 0)
            + CASE WHEN EXISTS (SELECT 1 FROM funding WHERE deployment_id = :deployment_id) THEN
                (SELECT coalesce(sum(amount), 0) FROM funding f WHERE f.deployment_id = :deployment_id
                    AND f.symbol = trades.symbol AND f.paid_at > begun_at AND f.paid_at <= ended_at)
                ELSE 0 END AS net
        FROM trades
    )
    SELECT (SELECT count(*) FROM results WHERE closed) AS closed,
        (SELECT count(*) FROM results WHERE closed AND net > 0) AS won,
        (SELECT coalesce(sum(abs(held * price)), 0) FROM (
            SELECT DISTINCT ON (symbol) held, price FROM placed
            ORDER BY symbol, filled_at DESC, length(trade_id) DESC, trade_id DESC) AS last) AS gross
    """
).columns(gross=Numeric())
_SENT = text(
    f"""
    SELECT count(*) FILTER (WHERE status NOT IN ('{OrderStatus.INITIALIZED}', '{OrderStatus.DENIED}')) AS sent,
        count(*) FILTER (WHERE status = '{OrderStatus.REJECTED}') AS rejected,
        count(*) FILTER (WHERE purpose = '{OrderPurpose.LIQUIDATION}') AS liquidations,
        count(*) FILTER (WHERE EXISTS (SELECT 1 FROM order_events e WHERE e.client_order_id = o.client_order_id
            AND e.status = '{OrderStatus.SUBMISSION_UNKNOWN}')) AS unknown
    FROM orders o WHERE deployment_id = :deployment_id AND created_at >= :start
    """  # noqa: S608 - words of our own enums
)
_SLIPPAGE = text(
    f"""
    SELECT count(*) AS fills, max(CASE f.side WHEN 'BUY' THEN f.price - o.reference_price
        ELSE o.reference_price - f.price END / o.reference_price) AS worst
    FROM fills f JOIN orders o USING (deployment_id, client_order_id)
    WHERE f.deployment_id = :deployment_id AND f.filled_at >= :start AND o.type = '{OrderType.MARKET}'
        AND o.reference_price > 0
    """  # noqa: S608 - words of our own enums
)
_EQUITY = text(
    """
    SELECT last.at, last.equity, peak.equity AS peak,
        (SELECT equity FROM equity WHERE deployment_id = :deployment_id
            AND at <= date_trunc('day', last.at, 'UTC') ORDER BY at DESC LIMIT 1) AS day_open
    FROM (SELECT at, equity FROM equity WHERE deployment_id = :deployment_id ORDER BY at DESC LIMIT 1) AS last
    LEFT JOIN high_water peak ON peak.deployment_id = :deployment_id
    """
).columns(at=UtcTime(), equity=Numeric(), peak=Numeric(), day_open=Numeric())


class AlertFacts:
    """Completed to `ports.Alerts` by `AlertRepository`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def trades(self, deployment_id: str) -> TradeFacts:
        row = self._connection.execute(_TRADES, {"deployment_id": deployment_id}).one()
        return TradeFacts(row.closed, row.won, row.gross)

    def trading_since(self, deployment_id: str, start: datetime) -> HourFacts:
        keys = {"deployment_id": deployment_id, "start": require_aware(start, "start")}
        sent = self._connection.execute(_SENT, keys).one()
        filled = self._connection.execute(_SLIPPAGE, keys).one()
        worst = None if filled.worst is None else float(filled.worst)
        return HourFacts(sent.sent, sent.rejected, sent.liquidations, sent.unknown, filled.fills, worst)

    def equity(self, deployment_id: str) -> EquityFacts | None:
        row = self._connection.execute(_EQUITY, {"deployment_id": deployment_id}).one_or_none()
        if row is None:
            return None
        return EquityFacts(row.at, row.equity, row.day_open, max(row.equity, row.peak or row.equity))
