"""Rows to frozen values and back: the one place where the ledger's columns meet the domain's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from include.domain.approvals import Approval, Decision
from include.domain.deployments import Deployment, EquityPoint, Lease, TradingStateRecord, VenueConnection, VenueKind
from include.domain.enums import (
    DeploymentStatus,
    DesiredState,
    Liquidity,
    Mode,
    OrderPurpose,
    OrderStatus,
    OrderType,
    Role,
    Side,
    Stage,
    TimeInForce,
    TradingState,
)
from include.domain.orders import Fill, FundingPayment, Intent, Order
from include.domain.times import parse_utc
from include.ports import RecordedApproval, RecordedEvidence
from include.qualification.verdict import Verdict

AnyRow = Row[Any]


def read_evidence(row: AnyRow) -> RecordedEvidence:
    return RecordedEvidence(
        row.sequence, row.digest, row.chain, row.candidate_id, Stage(row.stage), row.profile, row.profile_hash,
        Verdict(row.verdict), row.recorded_at, json.loads(row.content),
    )  # fmt: skip


def read_approval(row: AnyRow) -> RecordedApproval:
    document = json.loads(row.content)
    return RecordedApproval(row.sequence, row.chain, approval_from(document))


def approval_from(document: Mapping[str, Any]) -> Approval:
    """The approval whose `document()` this is."""
    return Approval(
        candidate_id=document["candidate_id"],
        profile_hash=document["profile_hash"],
        role=Role(document["role"]),
        person=document["person"],
        decision=Decision(document["decision"]),
        comment=document["comment"],
        evidence_digests=tuple(document["evidence_digests"]),
        asked_at=parse_utc(document["asked_at"]),
        answered_at=parse_utc(document["answered_at"]),
        source=document["source"],
    )


def write_deployment(deployment: Deployment) -> dict[str, Any]:
    connection = deployment.connection
    return {
        "id": deployment.id, "candidate_id": deployment.candidate_id, "profile": deployment.profile,
        "profile_hash": deployment.profile_hash, "mode": deployment.mode.value, "venue_kind": connection.kind.value,
        "dataset": connection.dataset, "account": connection.account, "url": connection.url,
        "replay_start": connection.start, "replay_end": connection.end,
        "real_money": connection.real_money, "capital": deployment.capital,
        "capital_fraction": deployment.capital_fraction, "session_key": deployment.session_key,
        "desired": deployment.desired.value, "status": deployment.status.value,
        "status_reason": deployment.status_reason, "created_at": deployment.created_at,
    }  # fmt: skip


def read_deployment(row: AnyRow) -> Deployment:
    connection = VenueConnection(
        VenueKind(row.venue_kind), row.dataset, row.account, row.url, row.replay_start, row.replay_end,
        row.real_money,
    )  # fmt: skip
    return Deployment(
        row.id, row.candidate_id, row.profile, row.profile_hash, Mode(row.mode), connection, row.capital,
        row.capital_fraction, row.session_key, DesiredState(row.desired), DeploymentStatus(row.status),
        row.status_reason, row.created_at,
    )  # fmt: skip


def read_lease(row: AnyRow) -> Lease:
    return Lease(row.deployment_id, row.holder, row.token, row.expires_at)


def read_trading_state(row: AnyRow) -> TradingStateRecord:
    return TradingStateRecord(row.scope, TradingState(row.state), row.set_by, row.reason, row.set_at)


def write_order(order: Order) -> dict[str, Any]:
    intent = order.intent
    return {
        "client_order_id": order.client_order_id, "deployment_id": intent.deployment_id, "symbol": intent.symbol,
        "bar_time": intent.bar_time, "purpose": intent.purpose.value, "side": intent.side.value,
        "type": intent.type.value, "quantity": intent.quantity, "reference_price": intent.reference_price,
        "price": intent.price, "stop_price": intent.stop_price, "reduce_only": intent.reduce_only,
        "sequence": intent.sequence, "protective_stop": intent.protective_stop,
        "protective_take_profit": intent.protective_take_profit, "protective_trailing": intent.protective_trailing,
        "hold_bars": intent.hold_bars, "callback_rate": intent.callback_rate,
        "time_in_force": order.time_in_force.value,
        "status": order.status.value, "filled_quantity": order.filled_quantity,
        "venue_order_id": order.venue_order_id, "reason": order.reason, "created_at": order.created_at,
        "version": order.version,
    }  # fmt: skip


def read_order(row: AnyRow) -> Order:
    intent = Intent(
        row.deployment_id, row.symbol, row.bar_time, OrderPurpose(row.purpose), Side(row.side), OrderType(row.type),
        row.quantity, row.reference_price, row.price, row.stop_price, row.reduce_only, row.sequence,
        row.protective_stop, row.protective_take_profit, row.protective_trailing, row.hold_bars, row.callback_rate,
    )  # fmt: skip
    return Order(
        row.client_order_id, intent, TimeInForce(row.time_in_force), OrderStatus(row.status), row.filled_quantity,
        row.venue_order_id, row.reason, row.created_at, row.version,
    )  # fmt: skip


def write_fill(fill: Fill) -> dict[str, Any]:
    """Columns that are the fill's own; deployment and symbol are its order's."""
    return {
        "trade_id": fill.trade_id, "side": fill.side.value, "quantity": fill.quantity, "price": fill.price,
        "fee": fill.fee, "liquidity": fill.liquidity.value,
        "filled_at": require_aware(fill.filled_at, "filled_at"),
    }  # fmt: skip


def read_fill(row: AnyRow) -> Fill:
    return Fill(
        row.trade_id, row.client_order_id, row.symbol, Side(row.side), row.quantity, row.price, row.fee,
        Liquidity(row.liquidity), row.filled_at,
    )  # fmt: skip


def read_funding(row: AnyRow) -> FundingPayment:
    return FundingPayment(row.payment_id, row.symbol, row.amount, row.paid_at)


def read_equity(row: AnyRow) -> EquityPoint:
    return EquityPoint(row.at, row.equity, row.cash, row.unrealised)


def require_aware(moment: datetime, what: str) -> datetime:
    """Refuse a time without a zone before it reaches SQL written by hand."""
    if moment.tzinfo is None:
        raise ValueError(f"{what} {moment.isoformat()} has no time zone; every time in Airlock is aware")
    return moment
