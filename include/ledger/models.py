"""Tables of the ledger (SQLAlchemy 2, typed declarative). Repositories use them; nothing else does.

Conventions: NUMERIC for money and quantities, TIMESTAMPTZ for instants, the vocabularies of `include.domain` as named
CHECK constraints, JSON kept as the exact text that was hashed with a generated JSONB column beside it for queries.
The append-only triggers live in the migrations; `APPEND_ONLY` names the tables they guard.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from include.domain.approvals import Decision
from include.domain.deployments import VenueKind
from include.domain.enums import (
    DeploymentStatus,
    DesiredState,
    Liquidity,
    Mode,
    OrderPurpose,
    OrderStatus,
    OrderType,
    Role,
    Severity,
    Side,
    Stage,
    TimeInForce,
    TradingState,
)
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.qualification.verdict import Verdict

APPEND_ONLY = ("evidence", "approvals", "audit", "trials", "order_events", "fills", "funding", "profiles")


class UtcTime(TypeDecorator[datetime]):
    """TIMESTAMPTZ that refuses times without a zone and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; every time in Airlock is aware")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, Decimal: Numeric(), str: Text(), int: BigInteger(), float: Double()}


def _one_of(column: str, vocabulary: type[StrEnum]) -> CheckConstraint:
    words = ", ".join(f"'{member.value}'" for member in vocabulary)
    return CheckConstraint(f"{column} IN ({words})", name=column)


def _finite(column: str, above: str | None = None) -> CheckConstraint:
    # In PostgreSQL NaN sorts above infinity, so the upper bound refuses both.
    lower = f"{column} > {above}" if above else f"{column} > '-Infinity'"
    return CheckConstraint(f"{lower} AND {column} < 'Infinity'", name=column)


def _json(source: str) -> Mapped[dict[str, Any]]:
    return mapped_column(JSONB, Computed(f"({source})::jsonb", persisted=True), nullable=True)


class ProfileRow(Base):
    """Exact content of a profile that something was declared under, by its hash."""

    __tablename__ = "profiles"

    hash: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    content: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class CandidateRow(Base):
    __tablename__ = "candidates"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    content: Mapped[str]
    document: Mapped[dict[str, Any]] = _json("content")
    registered_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class EvidenceRow(Base):
    __tablename__ = "evidence"
    __table_args__ = (
        _one_of("stage", Stage),
        _one_of("verdict", Verdict),
        Index(None, "candidate_id", "stage", "profile_hash", "sequence"),
    )

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chain: Mapped[str]
    recorded_at: Mapped[datetime]
    digest: Mapped[str]
    candidate_id: Mapped[str] = mapped_column(ForeignKey("candidates.id"))
    stage: Mapped[str]
    profile: Mapped[str]
    profile_hash: Mapped[str]
    verdict: Mapped[str]
    content: Mapped[str]
    document: Mapped[dict[str, Any]] = _json("content")


class ApprovalRow(Base):
    __tablename__ = "approvals"
    __table_args__ = (_one_of("role", Role), _one_of("decision", Decision), Index(None, "candidate_id", "sequence"))

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chain: Mapped[str]
    recorded_at: Mapped[datetime]
    digest: Mapped[str]
    candidate_id: Mapped[str] = mapped_column(ForeignKey("candidates.id"))
    role: Mapped[str]
    person: Mapped[str]
    decision: Mapped[str]
    content: Mapped[str]
    document: Mapped[dict[str, Any]] = _json("content")


class AuditTableRow(Base):
    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chain: Mapped[str]
    recorded_at: Mapped[datetime]
    digest: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    content: Mapped[str]
    document: Mapped[dict[str, Any]] = _json("content")


class TrialRow(Base):
    __tablename__ = "trials"
    __table_args__ = (Index(None, "family", "candidate_id", "fingerprint"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    family: Mapped[str]
    candidate_id: Mapped[str]
    fingerprint: Mapped[str]
    sharpe: Mapped[float | None]


class DeploymentRow(Base):
    __tablename__ = "deployments"
    __table_args__ = (
        _one_of("mode", Mode),
        _one_of("venue_kind", VenueKind),
        _one_of("desired", DesiredState),
        _one_of("status", DeploymentStatus),
        _finite("capital", above="0"),
        CheckConstraint("capital_fraction > 0 AND capital_fraction <= 1", name="capital_fraction"),
        CheckConstraint("NOT real_money OR (mode = 'LIVE' AND venue_kind = 'EXCHANGE')", name="real_money"),
        Index(None, "desired", "status"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    candidate_id: Mapped[str] = mapped_column(ForeignKey("candidates.id"), index=True)
    profile: Mapped[str]
    profile_hash: Mapped[str]
    mode: Mapped[str]
    venue_kind: Mapped[str]
    dataset: Mapped[str]
    account: Mapped[str]
    url: Mapped[str]
    replay_start: Mapped[datetime | None]
    replay_end: Mapped[datetime | None]
    real_money: Mapped[bool] = mapped_column(server_default=text("false"))
    capital: Mapped[Decimal]
    capital_fraction: Mapped[Decimal]
    session_key: Mapped[str]
    desired: Mapped[str]
    status: Mapped[str]
    status_reason: Mapped[str]
    created_at: Mapped[datetime]


class LeaseRow(Base):
    __tablename__ = "leases"

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    holder: Mapped[str]
    token: Mapped[int]
    expires_at: Mapped[datetime]


class HeartbeatRow(Base):
    __tablename__ = "heartbeats"

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    token: Mapped[int]
    beat_at: Mapped[datetime]
    event_time: Mapped[datetime | None]
    bars: Mapped[int]
    progress: Mapped[float]
    feed: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class TradingStateRow(Base):
    __tablename__ = "trading_states"
    __table_args__ = (
        _one_of("state", TradingState),
        CheckConstraint("scope = 'all' OR scope LIKE 'account:_%' OR scope LIKE 'deployment:_%'", name="scope"),
        CheckConstraint("set_by <> '' AND reason <> ''", name="accountable"),
    )

    scope: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    set_by: Mapped[str]
    reason: Mapped[str]
    set_at: Mapped[datetime]


_FINISHED = ", ".join(f"'{status.value}'" for status in OrderStatus if is_terminal(ORDER_TRANSITIONS, status))


class OrderRow(Base):
    __tablename__ = "orders"
    __table_args__ = (
        _one_of("purpose", OrderPurpose),
        _one_of("side", Side),
        _one_of("type", OrderType),
        _one_of("time_in_force", TimeInForce),
        _one_of("status", OrderStatus),
        _finite("quantity", above="0"),
        _finite("reference_price"),
        CheckConstraint(
            "(price IS NOT NULL) = (type IN ('LIMIT', 'STOP_LIMIT', 'TAKE_PROFIT_LIMIT'))", name="limit_price"
        ),
        CheckConstraint(
            "(stop_price IS NOT NULL) = "
            "(type IN ('STOP_MARKET', 'STOP_LIMIT', 'TAKE_PROFIT_MARKET', 'TAKE_PROFIT_LIMIT'))",
            name="stop_price",
        ),
        CheckConstraint("(callback_rate IS NOT NULL) = (type = 'TRAILING_STOP_MARKET')", name="callback_rate"),
        CheckConstraint("hold_bars >= 1", name="hold_bars"),
        CheckConstraint("filled_quantity >= 0 AND filled_quantity <= quantity", name="filled_quantity"),
        UniqueConstraint("deployment_id", "client_order_id"),  # what a fill points at
        Index(None, "deployment_id", "created_at", "client_order_id"),
        Index(
            "ix_orders_working",
            "deployment_id",
            "created_at",
            postgresql_where=text(f"status NOT IN ({_FINISHED})"),
        ),
    )

    client_order_id: Mapped[str] = mapped_column(primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"))
    symbol: Mapped[str]
    bar_time: Mapped[datetime]
    purpose: Mapped[str]
    side: Mapped[str]
    type: Mapped[str]
    quantity: Mapped[Decimal]
    reference_price: Mapped[Decimal]
    price: Mapped[Decimal | None]
    stop_price: Mapped[Decimal | None]
    reduce_only: Mapped[bool]
    sequence: Mapped[int] = mapped_column(Integer)
    protective_stop: Mapped[Decimal | None]
    protective_take_profit: Mapped[Decimal | None]
    protective_trailing: Mapped[Decimal | None]
    hold_bars: Mapped[int | None]
    callback_rate: Mapped[Decimal | None]
    time_in_force: Mapped[str]
    status: Mapped[str]
    filled_quantity: Mapped[Decimal]
    venue_order_id: Mapped[str | None]
    reason: Mapped[str]
    created_at: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer)


class OrderEventRow(Base):
    """Every accepted change of an order, in order; never edited."""

    __tablename__ = "order_events"
    __table_args__ = (_one_of("status", OrderStatus), Index(None, "client_order_id", "version"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    client_order_id: Mapped[str] = mapped_column(ForeignKey("orders.client_order_id"))
    version: Mapped[int] = mapped_column(Integer)
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    status: Mapped[str]
    filled_quantity: Mapped[Decimal]
    trade_id: Mapped[str | None]
    reported_status: Mapped[str | None]
    reported_quantity: Mapped[Decimal | None]
    reported_at: Mapped[datetime | None]
    reason: Mapped[str]


class FillRow(Base):
    """A fact from the venue. A trade id counts once per deployment and symbol: the venue's own identity of a trade
    is (account, symbol, trade id), an order belongs to one deployment, and a replay's exchange belongs to one too."""

    __tablename__ = "fills"
    __table_args__ = (
        _one_of("side", Side),
        _one_of("liquidity", Liquidity),
        _finite("quantity", above="0"),
        _finite("price", above="0"),
        _finite("fee"),
        ForeignKeyConstraint(["deployment_id", "client_order_id"], ["orders.deployment_id", "orders.client_order_id"]),
        UniqueConstraint("deployment_id", "symbol", "trade_id"),
        Index(None, "client_order_id"),
        Index(None, "deployment_id", "filled_at", "trade_id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    deployment_id: Mapped[str]
    client_order_id: Mapped[str]
    symbol: Mapped[str]
    trade_id: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    price: Mapped[Decimal]
    fee: Mapped[Decimal]
    liquidity: Mapped[str]
    filled_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class FundingRow(Base):
    """A fact from the venue, counted once per deployment and symbol by the venue's own id."""

    __tablename__ = "funding"
    __table_args__ = (
        _finite("amount"),
        UniqueConstraint("deployment_id", "symbol", "payment_id"),
        Index(None, "deployment_id", "paid_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"))
    symbol: Mapped[str]
    payment_id: Mapped[str]
    amount: Mapped[Decimal]
    paid_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class EquityRow(Base):
    __tablename__ = "equity"
    __table_args__ = (_finite("equity"), _finite("cash"), _finite("unrealised"))

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    equity: Mapped[Decimal]
    cash: Mapped[Decimal]
    unrealised: Mapped[Decimal]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class HighWaterRow(Base):
    __tablename__ = "high_water"
    __table_args__ = (_finite("equity"),)

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    equity: Mapped[Decimal]
    raised_at: Mapped[datetime]


class IncidentRow(Base):
    __tablename__ = "incidents"
    __table_args__ = (_one_of("severity", Severity), Index(None, "opened_at"))

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    severity: Mapped[str]
    code: Mapped[str]
    subject: Mapped[str]
    message: Mapped[str]
