"""Orders, their events and fills.

Why an order can neither be lost nor doubled:

- Not lost: `write_ahead` commits before anything is sent, so whatever the venue may know, the ledger knows too; a
  restart finds it in `working` and asks the venue by the same client order id.
- Not doubled: the id is a function of the decision and the table's primary key. The same decision after a crash
  meets the row that is there and is refused with TransitionError; only reconciliation goes on from there.
- Not sent by two: the lease row is read FOR SHARE in the same transaction, so a takeover (an UPDATE of that row)
  waits for our commit and then sees the order, or came first and our token no longer matches.
- Not sent into a halt: the trading states are read FOR SHARE too. Setting one locks the whole table against
  that, so it waits for orders under way, which the kill switch then finds in the ledger, and later ones see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Boolean, TextualSelect, func, select, text

from include.domain.deployments import effective_state
from include.domain.enums import Mode, OrderPurpose, OrderStatus, TradingState
from include.domain.errors import ConfigurationError, FatalError, LeaseLostError, RejectedError, TransitionError
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal, move
from include.domain.order_updates import apply_report
from include.domain.orders import Fill, Order, OrderReport
from include.domain.reason_codes import RiskCode
from include.ledger.codec import read_fill, read_order, require_aware, write_fill, write_order
from include.ledger.models import FillRow, OrderRow
from include.ledger.repositories.equity import EquityRepository

_ORDERS = OrderRow.metadata.tables["orders"]
_NAMES = tuple(column.name for column in _ORDERS.columns)
_COLUMNS = ", ".join(_NAMES)
_FINISHED = tuple(status.value for status in OrderStatus if is_terminal(ORDER_TRANSITIONS, status))
_WRITTEN = tuple(name for name in _NAMES if name != "reported_at")

# The server ends a transaction that holds these locks and goes quiet (a frozen engine), or a halt would wait for it.
_PERMISSION = text(
    """
    WITH held AS MATERIALIZED (
        SELECT token, expires_at FROM leases WHERE deployment_id = :deployment_id FOR SHARE
    ), states AS MATERIALIZED (
        SELECT s.scope, s.state FROM trading_states s
        JOIN deployments d ON s.scope IN ('all', 'account:' || d.account, 'deployment:' || d.id)
        WHERE d.id = :deployment_id FOR SHARE OF s
    )
    SELECT d.mode, d.account,
        (SELECT token FROM held) AS token,
        (SELECT expires_at > clock_timestamp() FROM held) AS live,
        (SELECT jsonb_object_agg(scope, state) FROM states) AS states,
        set_config('idle_in_transaction_session_timeout', '2000', true)
    FROM deployments d WHERE d.id = :deployment_id
    """
)


def _storing(on_conflict: str) -> TextualSelect:
    """Insert an order and its first event in one statement; returns the stored row, or nothing on a conflict."""
    return text(
        f"""
        WITH stored AS (
            INSERT INTO orders ({", ".join(_WRITTEN)}) VALUES ({", ".join(f":{name}" for name in _WRITTEN)})
            ON CONFLICT (client_order_id) {on_conflict} RETURNING {_COLUMNS}
        ), event AS (
            INSERT INTO order_events (client_order_id, version, status, filled_quantity, reason)
            SELECT client_order_id, version, status, filled_quantity, reason FROM stored
        )
        SELECT {_COLUMNS} FROM stored
        """  # noqa: S608 - column names of our own table
    ).columns(*_ORDERS.c)


_STORE_SUBMITTED = _storing(
    "DO UPDATE SET status = 'SUBMITTED', version = orders.version + 1 WHERE orders.status = 'INITIALIZED'"
)
_STORE_FACT = _storing("DO NOTHING")
_LOCK_ORDER = text(
    f"SELECT {_COLUMNS} FROM orders WHERE client_order_id = :client_order_id FOR UPDATE"  # noqa: S608
).columns(*_ORDERS.c)
# One statement: the fill is inserted from the row that was locked, so whoever waited for the lock inserts after the
# other's commit, and the unique trade id decides whose fill is new.
_LOCK_ORDER_AND_ADD_FILL = text(
    f"""
    WITH locked AS (
        SELECT {_COLUMNS} FROM orders WHERE client_order_id = :client_order_id FOR UPDATE
    ), added AS (
        INSERT INTO fills (deployment_id, client_order_id, symbol, trade_id, side, quantity, price, fee, liquidity,
            filled_at)
        SELECT deployment_id, client_order_id, symbol, :trade_id, :side, CAST(:quantity AS numeric),
            CAST(:price AS numeric), CAST(:fee AS numeric), :liquidity, CAST(:filled_at AS timestamptz) FROM locked
        ON CONFLICT (deployment_id, symbol, trade_id) DO NOTHING RETURNING id
    )
    SELECT {_COLUMNS}, EXISTS (SELECT FROM added) AS new_fill FROM locked
    """  # noqa: S608
).columns(*_ORDERS.c, new_fill=Boolean())
_CHANGE = text(
    f"""
    WITH changed AS (
        UPDATE orders SET status = :status, filled_quantity = :filled_quantity, venue_order_id = :venue_order_id,
            reason = :reason, version = :version,
            reported_at = GREATEST(reported_at, CAST(:reported_at AS timestamptz))
        WHERE client_order_id = :client_order_id AND version = :version - 1 RETURNING {_COLUMNS}
    ), event AS (
        INSERT INTO order_events (client_order_id, version, status, filled_quantity, trade_id, reported_status,
            reported_quantity, reported_at, reason)
        SELECT client_order_id, version, status, filled_quantity, :trade_id, :reported_status,
            CAST(:reported_quantity AS numeric), CAST(:reported_at AS timestamptz), :event_reason FROM changed
    )
    SELECT {_COLUMNS} FROM changed
    """  # noqa: S608
).columns(*_ORDERS.c)


class OrderRepository(EquityRepository):
    """Implements `ports.Orders`."""

    # --- before the venue ------------------------------------------------------------------------------------

    def write_ahead(self, order: Order, token: int) -> Order:
        deployment_id = order.intent.deployment_id
        row = self._connection.execute(_PERMISSION, {"deployment_id": deployment_id}).one_or_none()
        if row is None:
            raise ConfigurationError(f"deployment {deployment_id[:12]} is not in the ledger; create it before trading")
        if row.token != token or not row.live:
            raise LeaseLostError(
                f"deployment {deployment_id[:12]}: lease token {token} is not a live one; stop trading"
            )
        _require_permission(order, row)
        return self._store_submitted(order)

    def record_emergency(self, order: Order) -> Order:
        if order.intent.purpose is not OrderPurpose.FLATTEN or not order.intent.reduce_only:
            raise ValueError(f"order {order.client_order_id}: only a reduce-only FLATTEN goes around the lease")
        return self._store_submitted(order)

    def _store_submitted(self, order: Order) -> Order:
        stored = self._connection.execute(
            _STORE_SUBMITTED, _parameters(replace(order, status=OrderStatus.SUBMITTED))
        ).one_or_none()
        if stored is None:
            known = self.get(order.client_order_id)
            current = known.status.value if known else "UNKNOWN"
            raise TransitionError(f"order {order.client_order_id}", current, OrderStatus.SUBMITTED.value)
        return read_order(stored)

    def record_liquidation(self, order: Order) -> bool:
        if order.intent.purpose is not OrderPurpose.LIQUIDATION:
            raise ValueError(f"order {order.client_order_id}: only the exchange's own orders are stored as facts")
        accepted = replace(order, status=OrderStatus.ACCEPTED)
        return self._connection.execute(_STORE_FACT, _parameters(accepted)).one_or_none() is not None

    def record_denied(self, order: Order, reason: str) -> None:
        """Keep a denial; where the id is known already, what is known stays."""
        denied = replace(order, status=OrderStatus.DENIED, reason=reason)
        self._connection.execute(_STORE_FACT, _parameters(denied))

    # --- after the venue -------------------------------------------------------------------------------------

    def apply(self, client_order_id: str, report: OrderReport) -> Order:
        """See `domain.order_updates.apply_report` for the rule.

        Raises:
            FatalError: the order is not in the ledger, or the trade id belongs to another order.
        """
        row, new_fill = self._lock_and_add(client_order_id, report.fill)
        order = read_order(row)
        changed = apply_report(order, report, new_fill=new_fill, last_reported_at=row.reported_at)
        if changed is order:
            return order
        return self._change(
            changed,
            {
                "trade_id": report.fill.trade_id if report.fill and new_fill else None,
                "reported_status": report.status.value,
                "reported_quantity": report.filled_quantity,
                "reported_at": require_aware(report.reported_at, "reported_at"),
                "event_reason": report.reason,
            },
        )

    def mark(self, client_order_id: str, status: OrderStatus, reason: str = "") -> Order:
        order = read_order(self._lock(client_order_id))
        subject = f"order {client_order_id}"
        move(ORDER_TRANSITIONS, order.status, status, subject=subject)
        if status is order.status:
            return order
        if status is OrderStatus.FILLED and order.remaining:
            raise TransitionError(f"{subject} with {order.remaining} not filled", order.status.value, status.value)
        changed = replace(order, status=status, reason=reason or order.reason, version=order.version + 1)
        return self._change(changed, {"event_reason": reason})

    def _lock(self, client_order_id: str) -> Any:
        return _known(
            client_order_id, self._connection.execute(_LOCK_ORDER, {"client_order_id": client_order_id}).one_or_none()
        )

    def _lock_and_add(self, client_order_id: str, fill: Fill | None) -> tuple[Any, bool]:
        """The locked order, and whether the fill was new. The row itself decides, not an earlier look."""
        if fill is None:
            return self._lock(client_order_id), False
        values = {**write_fill(fill), "client_order_id": client_order_id}
        row = _known(client_order_id, self._connection.execute(_LOCK_ORDER_AND_ADD_FILL, values).one_or_none())
        if not row.new_fill:
            self._require_same_fill(row, fill)
        return row, row.new_fill

    def _change(self, order: Order, event: Mapping[str, Any]) -> Order:
        blank = dict.fromkeys(("trade_id", "reported_status", "reported_quantity", "reported_at"))
        values = {
            "client_order_id": order.client_order_id, "status": order.status.value, "version": order.version,
            "filled_quantity": order.filled_quantity, "venue_order_id": order.venue_order_id, "reason": order.reason,
        }  # fmt: skip
        return read_order(self._connection.execute(_CHANGE, {**blank, **values, **event}).one())

    def _require_same_fill(self, order: Any, fill: Fill) -> None:
        """A trade id that is known must name the very same trade."""
        known = self._connection.execute(
            select(FillRow.__table__).where(
                FillRow.deployment_id == order.deployment_id,
                FillRow.symbol == order.symbol,
                FillRow.trade_id == fill.trade_id,
            )
        ).one()
        same = (fill.client_order_id, fill.side.value, fill.quantity, fill.price)
        if (known.client_order_id, known.side, known.quantity, known.price) != same:
            raise FatalError(
                f"trade {fill.trade_id} of {order.symbol}: recorded for order {known.client_order_id} and now "
                f"reported differently for {fill.client_order_id}; stop and compare with the venue"
            )

    # --- reading ---------------------------------------------------------------------------------------------

    def get(self, client_order_id: str) -> Order | None:
        row = self._connection.execute(select(_ORDERS).where(OrderRow.client_order_id == client_order_id)).one_or_none()
        return None if row is None else read_order(row)

    def working(self, deployment_id: str) -> Sequence[Order]:
        return self._orders(deployment_id, OrderRow.status.not_in(_FINISHED))

    def all(self, deployment_id: str) -> Sequence[Order]:
        """Oldest first."""
        return self._orders(deployment_id)

    def _orders(self, deployment_id: str, *conditions: Any) -> list[Order]:
        statement = (
            select(_ORDERS)
            .where(OrderRow.deployment_id == deployment_id, *conditions)
            .order_by(OrderRow.created_at, OrderRow.client_order_id)
        )
        return [read_order(row) for row in self._connection.execute(statement)]

    def fills(self, deployment_id: str) -> Sequence[Fill]:
        # Trade ids are numbers at most venues: by length first, 9 comes before 10.
        statement = (
            select(FillRow.__table__)
            .where(FillRow.deployment_id == deployment_id)
            .order_by(FillRow.filled_at, func.length(FillRow.trade_id), FillRow.trade_id)
        )
        return [read_fill(row) for row in self._connection.execute(statement)]


def _known(client_order_id: str, row: Any) -> Any:
    if row is None:
        raise FatalError(f"order {client_order_id} is not in the ledger; another program uses this account")
    return row


def _parameters(order: Order) -> dict[str, Any]:
    require_aware(order.intent.bar_time, "bar_time")
    require_aware(order.created_at, "created_at")
    return write_order(order)


def _require_permission(order: Order, row: Any) -> None:
    """REDUCE_ONLY lets orders through that cannot enlarge a position; HALTED lets none: flattening during a halt is
    the kill switch's own business and does not come this way."""
    known = {scope: TradingState(state) for scope, state in (row.states or {}).items()}
    state = effective_state(Mode(row.mode), order.intent.deployment_id, row.account, known)
    if state is TradingState.ACTIVE or (state is TradingState.REDUCE_ONLY and order.intent.reduce_only):
        return
    code = RiskCode.STATE_REDUCE_ONLY if state is TradingState.REDUCE_ONLY else RiskCode.STATE_HALTED
    raise RejectedError(f"order {order.client_order_id}: {code.value}: {code.description}", code=code.value)
