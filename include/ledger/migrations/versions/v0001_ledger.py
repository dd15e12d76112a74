"""The first schema: everything the ladder and the trader write down.

Vocabularies are spelt out on purpose: a migration describes the past and must not change with the enums.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
APPEND_ONLY = ("evidence", "approvals", "audit", "trials", "order_events", "fills")
ORDER_STATUS = (
    "status IN ('INITIALIZED', 'DENIED', 'SUBMITTED', 'SUBMISSION_UNKNOWN', 'ACCEPTED', 'PARTIALLY_FILLED', "
    "'PENDING_CANCEL', 'FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')"
)


def upgrade() -> None:
    _create_ladder()
    _create_deployments()
    _create_trading()
    _refuse_edits()


def downgrade() -> None:
    """Refused: undoing this would throw away evidence, approvals and orders."""
    raise RuntimeError("the first migration is not undone: restore a backup into another database instead")


def _create_ladder() -> None:
    """Candidates and what was measured, decided and done about them."""
    op.create_table(
        "candidates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), sa.Computed("(content)::jsonb", persisted=True), nullable=True),
        sa.Column("registered_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
    )
    op.create_table(
        "evidence",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("profile_hash", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), sa.Computed("(content)::jsonb", persisted=True), nullable=True),
        sa.CheckConstraint(
            "stage IN ('DATA_GATE', 'BACKTEST', 'SIMULATION', 'QUALIFICATION', 'SIGN_OFF', 'PROMOTION', 'LIVE')",
            name=op.f("ck_evidence_stage"),
        ),
        sa.CheckConstraint(
            "verdict IN ('PENDING', 'RUNNING', 'PASS', 'FAIL', 'INCONCLUSIVE', 'ERROR')",
            name=op.f("ck_evidence_verdict"),
        ),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidates.id"], name=op.f("fk_evidence_candidate_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_evidence")),
    )
    op.create_index(
        op.f("ix_evidence_candidate_id_stage_profile_hash_sequence"),
        "evidence",
        ["candidate_id", "stage", "profile_hash", "sequence"],
    )
    op.create_table(
        "approvals",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), sa.Computed("(content)::jsonb", persisted=True), nullable=True),
        sa.CheckConstraint("decision IN ('APPROVE', 'REJECT')", name=op.f("ck_approvals_decision")),
        sa.CheckConstraint(
            "role IN ('PROJECT_LEAD', 'RISK_MANAGER', 'MLOPS_ENGINEER', 'TRADING_OPERATIONS')",
            name=op.f("ck_approvals_role"),
        ),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidates.id"], name=op.f("fk_approvals_candidate_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_candidate_id_sequence"), "approvals", ["candidate_id", "sequence"])
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), sa.Computed("(content)::jsonb", persisted=True), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"])
    op.create_table(
        "trials",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sharpe", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
    )
    op.create_index(
        op.f("ix_trials_family_candidate_id_fingerprint"), "trials", ["family", "candidate_id", "fingerprint"]
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("opened_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.CheckConstraint("severity IN ('INFO', 'WARNING', 'CRITICAL')", name=op.f("ck_incidents_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(op.f("ix_incidents_opened_at"), "incidents", ["opened_at"])


def _create_deployments() -> None:
    """What should trade, who may, and whether it is allowed to."""
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("profile_hash", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("venue_kind", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("replay_start", TIME, nullable=True),
        sa.Column("replay_end", TIME, nullable=True),
        sa.Column("capital", sa.Numeric(), nullable=False),
        sa.Column("capital_fraction", sa.Numeric(), nullable=False),
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("capital > 0 AND capital < 'Infinity'", name=op.f("ck_deployments_capital")),
        sa.CheckConstraint("desired IN ('RUNNING', 'STOPPED')", name=op.f("ck_deployments_desired")),
        sa.CheckConstraint("mode IN ('SIMULATION', 'LIVE')", name=op.f("ck_deployments_mode")),
        sa.CheckConstraint(
            "status IN ('PENDING', 'RUNNING', 'STOPPED', 'COMPLETED', 'FAILED')", name=op.f("ck_deployments_status")
        ),
        sa.CheckConstraint("venue_kind IN ('REPLAY', 'SANDBOX')", name=op.f("ck_deployments_venue_kind")),
        sa.CheckConstraint(
            "capital_fraction > 0 AND capital_fraction <= 1", name=op.f("ck_deployments_capital_fraction")
        ),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidates.id"], name=op.f("fk_deployments_candidate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_candidate_id"), "deployments", ["candidate_id"])
    op.create_index(op.f("ix_deployments_desired_status"), "deployments", ["desired", "status"])
    op.create_table(
        "leases",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_leases_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_leases")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", TIME, nullable=False),
        sa.Column("event_time", TIME, nullable=True),
        sa.Column("bars", sa.BigInteger(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_heartbeats_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "trading_states",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_at", TIME, nullable=False),
        sa.CheckConstraint(
            "scope = 'all' OR scope LIKE 'account:_%' OR scope LIKE 'deployment:_%'",
            name=op.f("ck_trading_states_scope"),
        ),
        sa.CheckConstraint("set_by <> '' AND reason <> ''", name=op.f("ck_trading_states_accountable")),
        sa.CheckConstraint("state IN ('ACTIVE', 'REDUCE_ONLY', 'HALTED')", name=op.f("ck_trading_states_state")),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_trading_states")),
    )
    op.create_table(
        "equity",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("equity", sa.Numeric(), nullable=False),
        sa.Column("cash", sa.Numeric(), nullable=False),
        sa.Column("unrealised", sa.Numeric(), nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("cash > '-Infinity' AND cash < 'Infinity'", name=op.f("ck_equity_cash")),
        sa.CheckConstraint("equity > '-Infinity' AND equity < 'Infinity'", name=op.f("ck_equity_equity")),
        sa.CheckConstraint("unrealised > '-Infinity' AND unrealised < 'Infinity'", name=op.f("ck_equity_unrealised")),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_equity_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "at", name=op.f("pk_equity")),
    )
    op.create_table(
        "high_water",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("equity", sa.Numeric(), nullable=False),
        sa.Column("raised_at", TIME, nullable=False),
        sa.CheckConstraint("equity > '-Infinity' AND equity < 'Infinity'", name=op.f("ck_high_water_equity")),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_high_water_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_high_water")),
    )


def _create_trading() -> None:
    """Orders, what happened to them, and fills."""
    op.create_table(
        "orders",
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("bar_time", TIME, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("reference_price", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("stop_price", sa.Numeric(), nullable=True),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("protective_stop", sa.Numeric(), nullable=True),
        sa.Column("protective_take_profit", sa.Numeric(), nullable=True),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", sa.Numeric(), nullable=False),
        sa.Column("venue_order_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("reported_at", TIME, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(price IS NOT NULL) = (type = 'LIMIT')", name=op.f("ck_orders_limit_price")),
        sa.CheckConstraint("(stop_price IS NOT NULL) = (type = 'STOP_MARKET')", name=op.f("ck_orders_stop_price")),
        sa.CheckConstraint(
            "purpose IN ('ENTRY', 'EXIT', 'TAKE_PROFIT', 'STOP', 'FLATTEN')", name=op.f("ck_orders_purpose")
        ),
        sa.CheckConstraint("quantity > 0 AND quantity < 'Infinity'", name=op.f("ck_orders_quantity")),
        sa.CheckConstraint(
            "reference_price > '-Infinity' AND reference_price < 'Infinity'", name=op.f("ck_orders_reference_price")
        ),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_orders_side")),
        sa.CheckConstraint(
            ORDER_STATUS,
            name=op.f("ck_orders_status"),
        ),
        sa.CheckConstraint("time_in_force IN ('GTC', 'IOC', 'FOK')", name=op.f("ck_orders_time_in_force")),
        sa.CheckConstraint("type IN ('MARKET', 'LIMIT', 'STOP_MARKET')", name=op.f("ck_orders_type")),
        sa.CheckConstraint(
            "filled_quantity >= 0 AND filled_quantity <= quantity", name=op.f("ck_orders_filled_quantity")
        ),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_orders_deployment_id")),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_orders")),
        sa.UniqueConstraint("deployment_id", "client_order_id", name=op.f("uq_orders_deployment_id_client_order_id")),
    )
    op.create_index(
        op.f("ix_orders_deployment_id_created_at_client_order_id"),
        "orders",
        ["deployment_id", "created_at", "client_order_id"],
    )
    op.create_index(
        "ix_orders_working",
        "orders",
        ["deployment_id", "created_at"],
        postgresql_where=sa.text("status NOT IN ('DENIED', 'FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')"),
    )
    op.create_table(
        "order_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", sa.Numeric(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=True),
        sa.Column("reported_status", sa.Text(), nullable=True),
        sa.Column("reported_quantity", sa.Numeric(), nullable=True),
        sa.Column("reported_at", TIME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            ORDER_STATUS,
            name=op.f("ck_order_events_status"),
        ),
        sa.ForeignKeyConstraint(
            ["client_order_id"], ["orders.client_order_id"], name=op.f("fk_order_events_client_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
    )
    op.create_index(op.f("ix_order_events_client_order_id_version"), "order_events", ["client_order_id", "version"])
    op.create_table(
        "fills",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False),
        sa.Column("fee", sa.Numeric(), nullable=False),
        sa.Column("liquidity", sa.Text(), nullable=False),
        sa.Column("filled_at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("fee > '-Infinity' AND fee < 'Infinity'", name=op.f("ck_fills_fee")),
        sa.CheckConstraint("liquidity IN ('MAKER', 'TAKER')", name=op.f("ck_fills_liquidity")),
        sa.CheckConstraint("price > 0 AND price < 'Infinity'", name=op.f("ck_fills_price")),
        sa.CheckConstraint("quantity > 0 AND quantity < 'Infinity'", name=op.f("ck_fills_quantity")),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_fills_side")),
        sa.ForeignKeyConstraint(
            ["deployment_id", "client_order_id"],
            ["orders.deployment_id", "orders.client_order_id"],
            name=op.f("fk_fills_deployment_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("deployment_id", "symbol", "trade_id", name=op.f("uq_fills_deployment_id_symbol_trade_id")),
    )
    op.create_index(op.f("ix_fills_client_order_id"), "fills", ["client_order_id"])
    op.create_index(
        op.f("ix_fills_deployment_id_filled_at_trade_id"), "fills", ["deployment_id", "filled_at", "trade_id"]
    )


def _refuse_edits() -> None:
    """What was recorded stays recorded: the database itself refuses UPDATE, DELETE and TRUNCATE."""
    op.execute(
        """
        CREATE FUNCTION airlock_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'table % is append-only: % is refused', TG_TABLE_NAME, TG_OP;
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION airlock_append_only()"
        )
