"""Small valid values for tests of the ledger and of what reads it; each call may override any field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from include.domain.approvals import Approval, Decision
from include.domain.deployments import Deployment, Lease, VenueConnection, VenueKind, deployment_id
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
)
from include.domain.ids import client_order_id
from include.domain.orders import Fill, Intent, Order, OrderReport
from include.domain.times import Timeframe
from include.ports import Ledger
from include.qualification.candidate import Candidate
from include.qualification.criterion import Comparison, Criterion, Measurement, evaluate_criterion
from include.qualification.evidence import Evidence
from include.qualification.verdict import Verdict

NOON = datetime(2024, 3, 5, 12, 0, tzinfo=UTC)
PROFILE_HASH = "f" * 64


def sample_candidate(name: str = "sample", **params: Any) -> Candidate:
    return Candidate(
        name, "include.strategies.sample:Sample", MappingProxyType(params or {"window": 20}), ("BTC/USDT",),
        Timeframe(60), "synthetic", "ada", "a" * 64,
    )  # fmt: skip


def sample_evidence(candidate: Candidate, **changes: Any) -> Evidence:
    metrics = {"win_rate": Measurement(0.95, 0.93, 0.97, 1_200), "sharpe": Measurement(2.1)}
    result = evaluate_criterion(Criterion("win_rate", Comparison.GE, 0.93), metrics)
    evidence = Evidence(
        candidate.id, Stage.BACKTEST, "five-year", PROFILE_HASH, "d" * 64, NOON, metrics, (result,), Verdict.PASS,
        synthetic=True, details={"tiny": 1e-7, "large": 1e16, "whole": 2.0}, artefacts={"trades.parquet": "e" * 64},
    )  # fmt: skip
    return replace(evidence, **changes)


def sample_approval(candidate: Candidate, **changes: Any) -> Approval:
    approval = Approval(
        candidate.id, PROFILE_HASH, Role.RISK_MANAGER, "grace", Decision.APPROVE, "looks fine", ("d" * 64,), NOON,
        NOON, {"dag_id": "qualification", "run_id": "r1", "task_id": "sign_off", "try_number": 1},
    )  # fmt: skip
    return replace(approval, **changes)


def sample_deployment(candidate: Candidate, mode: Mode = Mode.SIMULATION, key: str = "k", **changes: Any) -> Deployment:
    connection = VenueConnection(VenueKind.SANDBOX, "synthetic", "paper", "http://127.0.0.1:1")
    deployment = Deployment(
        deployment_id(candidate.id, mode, key), candidate.id, "five-year", PROFILE_HASH, mode, connection,
        Decimal("80000"), Decimal("0.1"), key, DesiredState.RUNNING, DeploymentStatus.PENDING, "", NOON,
    )  # fmt: skip
    return replace(deployment, **changes)


def sample_order(deployment: Deployment, sequence: int = 0, **changes: Any) -> Order:
    """An entry of 1.5 BTC that was never sent; `changes` go to the intent."""
    intent = replace(
        Intent(
            deployment.id, "BTC/USDT", NOON, OrderPurpose.ENTRY, Side.BUY, OrderType.MARKET, Decimal("1.5"),
            Decimal("60000.10"), sequence=sequence,
        ),
        **changes,
    )  # fmt: skip
    key = client_order_id(deployment.id, intent.symbol, intent.bar_time, intent.purpose, sequence)
    return Order(key, intent, TimeInForce.IOC, OrderStatus.INITIALIZED, Decimal(0), None, "", NOON)


def sample_fill(order: Order, trade_id: str = "1", quantity: str = "1.5", **changes: Any) -> Fill:
    fill = Fill(
        trade_id, order.client_order_id, order.intent.symbol, order.intent.side, Decimal(quantity),
        Decimal("60001.30"), Decimal("45.00"), Liquidity.TAKER, NOON,
    )  # fmt: skip
    return replace(fill, **changes)


def sample_report(order: Order, status: OrderStatus, fill: Fill | None = None, **changes: Any) -> OrderReport:
    report = OrderReport(
        order.client_order_id, "v-1", order.intent.symbol, status, fill.quantity if fill else Decimal(0), NOON, fill
    )
    return replace(report, **changes)


def put_deployment(ledger: Ledger, mode: Mode = Mode.SIMULATION, key: str = "k", **changes: Any) -> Deployment:
    """Candidate and deployment, committed."""
    candidate = sample_candidate()
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        deployment = uow.deployments.create(sample_deployment(candidate, mode, key, **changes))
        uow.commit()
    return deployment


def put_lease(ledger: Ledger, deployment: Deployment, holder: str = "host-a", ttl_secs: float = 60) -> Lease:
    """A live lease, committed."""
    with ledger.begin() as uow:
        lease = uow.leases.acquire(deployment.id, holder, ttl_secs)
        uow.commit()
    assert lease is not None
    return lease
