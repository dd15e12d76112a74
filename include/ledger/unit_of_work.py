"""The ledger on PostgreSQL: transactions over the repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, exc, text

from include import ports
from include.domain.errors import OutcomeUnknownError
from include.ledger.connection import build_engine, describe, translated
from include.ledger.repositories.alerts import AlertRepository
from include.ledger.repositories.audit import AuditRepository
from include.ledger.repositories.candidates import CandidateRepository
from include.ledger.repositories.deployments import DeploymentRepository
from include.ledger.repositories.evidence import ApprovalRepository, EvidenceRepository
from include.ledger.repositories.incidents import IncidentRepository
from include.ledger.repositories.leases import LeaseRepository
from include.ledger.repositories.orders import OrderRepository
from include.ledger.repositories.outbox import OutboxRepository
from include.ledger.repositories.profiles import ProfileRepository
from include.ledger.repositories.trading_states import TradingStateRepository
from include.ledger.repositories.trials import TrialRepository

_RETURN_EARLY = text("SET LOCAL synchronous_commit = off")


class PostgresUnitOfWork:
    """One transaction; implements `ports.UnitOfWork`. Made by `PostgresLedger.begin` only."""

    def __init__(self, connection: Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        audit = AuditRepository(connection)
        self.audit: ports.Audit = audit
        self.candidates: ports.Candidates = CandidateRepository(connection)
        self.profiles: ports.Profiles = ProfileRepository(connection)
        self.evidence: ports.EvidenceLog = EvidenceRepository(connection)
        self.approvals: ports.Approvals = ApprovalRepository(connection)
        self.trials: ports.Trials = TrialRepository(connection)
        self.deployments: ports.Deployments = DeploymentRepository(connection, audit)
        self.leases: ports.Leases = LeaseRepository(connection)
        self.trading_states: ports.TradingStates = TradingStateRepository(connection, audit)
        self.orders: ports.Orders = OrderRepository(connection)
        self.incidents: ports.Incidents = IncidentRepository(connection)
        self.alerts: ports.Alerts = AlertRepository(connection, audit)
        self.outbox: ports.Outbox = OutboxRepository(connection)

    def commit(self, *, durable: bool = True) -> None:
        """Commit everything since `begin` (or the last commit); on disk when it returns, unless told otherwise.

        Raises:
            OutcomeUnknownError: the connection broke while committing; read the ledger before doing it again.
        """
        try:
            if not durable:
                self._connection.execute(_RETURN_EARLY)
            self._connection.commit()
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise OutcomeUnknownError(
                f"{self._where}: the connection broke during a commit; read the ledger to see whether it happened"
            ) from None


class PostgresLedger:
    """Implements `ports.Ledger` on any PostgreSQL. Thread-safe: each `begin` uses a connection of its own.

    Errors of every use: RetryableError (database away, lock not granted, no space; nothing happened),
    RejectedError (a constraint or an append-only table refused), ConfigurationError (not migrated).
    """

    def __init__(self, url: str) -> None:
        self._where = describe(url)
        self._engine = build_engine(url)

    @contextmanager
    def begin(self) -> Iterator[ports.UnitOfWork]:
        with translated(self._where), self._engine.connect() as connection:
            yield PostgresUnitOfWork(connection, self._where)

    def close(self) -> None:
        """Close idle connections; the ledger can be used again afterwards."""
        self._engine.dispose()

    def __repr__(self) -> str:
        return f"PostgresLedger({self._where})"
