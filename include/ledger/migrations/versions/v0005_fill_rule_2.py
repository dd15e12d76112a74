"""Fill rule version 2: trailing stops, holding limits, triggered stops, liquidations, and funding."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ORDER_STATUS = (
    "status IN ('INITIALIZED', 'DENIED', 'SUBMITTED', 'SUBMISSION_UNKNOWN', 'ACCEPTED', 'TRIGGERED', "
    "'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')"
)
ORDER_CHECKS = {
    "purpose": "purpose IN ('ENTRY', 'EXIT', 'TAKE_PROFIT', 'STOP', 'FLATTEN', 'SCALE_IN', 'TIME_EXIT', "
    "'TRAILING_STOP', 'LIQUIDATION')",
    "type": "type IN ('MARKET', 'LIMIT', 'STOP_MARKET', 'STOP_LIMIT', 'TAKE_PROFIT_MARKET', 'TAKE_PROFIT_LIMIT', "
    "'TRAILING_STOP_MARKET')",
    "time_in_force": "time_in_force IN ('GTC', 'IOC', 'FOK', 'GTX')",
    "status": ORDER_STATUS,
    "limit_price": "(price IS NOT NULL) = (type IN ('LIMIT', 'STOP_LIMIT', 'TAKE_PROFIT_LIMIT'))",
    "stop_price": "(stop_price IS NOT NULL) = "
    "(type IN ('STOP_MARKET', 'STOP_LIMIT', 'TAKE_PROFIT_MARKET', 'TAKE_PROFIT_LIMIT'))",
}
NEW_ORDER_CHECKS = {
    "callback_rate": "(callback_rate IS NOT NULL) = (type = 'TRAILING_STOP_MARKET')",
    "hold_bars": "hold_bars >= 1",
}


def upgrade() -> None:
    op.add_column("orders", sa.Column("protective_trailing", sa.Numeric(), nullable=True))
    op.add_column("orders", sa.Column("hold_bars", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("callback_rate", sa.Numeric(), nullable=True))
    for name, condition in ORDER_CHECKS.items():
        _replace_check("orders", name, condition)
    for name, condition in NEW_ORDER_CHECKS.items():
        op.create_check_constraint(op.f(f"ck_orders_{name}"), "orders", condition)
    _replace_check("order_events", "status", ORDER_STATUS)
    _create_funding()


def _replace_check(table: str, name: str, condition: str) -> None:
    full = op.f(f"ck_{table}_{name}")
    op.drop_constraint(full, table, type_="check")
    op.create_check_constraint(full, table, condition)


def _create_funding() -> None:
    op.create_table(
        "funding",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("paid_at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("amount > '-Infinity' AND amount < 'Infinity'", name=op.f("ck_funding_amount")),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_funding_deployment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_funding")),
        sa.UniqueConstraint(
            "deployment_id", "symbol", "payment_id", name=op.f("uq_funding_deployment_id_symbol_payment_id")
        ),
    )
    op.create_index(op.f("ix_funding_deployment_id_paid_at"), "funding", ["deployment_id", "paid_at"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON funding "
        "FOR EACH STATEMENT EXECUTE FUNCTION airlock_append_only()"
    )


def downgrade() -> None:
    """Refused: funding is part of the account, and what protects a position would be forgotten."""
    raise RuntimeError("this migration is not undone: restore a backup into another database instead")
