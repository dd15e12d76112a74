"""Trading states by scope: persisted, audited, pushed to whoever trades."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection, select, text

from include.domain.deployments import Deployment, TradingStateRecord, effective_state, trading_scopes
from include.domain.enums import TradingState
from include.domain.errors import ConfigurationError
from include.ledger.codec import read_trading_state
from include.ledger.listening import TRADING_STATE_CHANNEL, notify
from include.ledger.models import TradingStateRow
from include.ledger.repositories.audit import AuditRepository

_SCOPE = re.compile(r"all|account:\S+|deployment:\S+")
# Waits for every order that is between its check and its commit (they hold ROW SHARE on this table, even where
# no row exists yet) and makes later ones wait for us. So once this commits, each order either is in the ledger,
# where the kill switch finds and cancels it, or will be denied.
_EXCLUDE_ORDERS = text("LOCK TABLE trading_states IN EXCLUSIVE MODE")
_SET = text(
    """
    INSERT INTO trading_states (scope, state, set_by, reason, set_at)
    VALUES (:scope, :state, :by, :reason, clock_timestamp())
    ON CONFLICT (scope) DO UPDATE SET state = excluded.state, set_by = excluded.set_by, reason = excluded.reason,
        set_at = excluded.set_at
    RETURNING scope, state, set_by, reason, set_at
    """
).columns(*TradingStateRow.__table__.c)


class TradingStateRepository:
    """Implements `ports.TradingStates`."""

    def __init__(self, connection: Connection, audit: AuditRepository) -> None:
        self._connection = connection
        self._audit = audit

    def effective(self, deployment: Deployment) -> TradingState:
        scopes = trading_scopes(deployment.id, deployment.connection.account)
        rows = self._connection.execute(
            select(TradingStateRow.scope, TradingStateRow.state).where(TradingStateRow.scope.in_(scopes))
        )
        known = {row.scope: TradingState(row.state) for row in rows}
        return effective_state(deployment.mode, deployment.id, deployment.connection.account, known)

    def set(self, scope: str, state: TradingState, by: str, reason: str) -> TradingStateRecord:
        if not by.strip() or not reason.strip():
            raise ConfigurationError(f"trading state of {scope}: a named person and a reason are required")
        if _SCOPE.fullmatch(scope) is None:
            raise ConfigurationError(
                f"trading state scope {scope!r} is not understood; write all, account:NAME or deployment:ID"
            )
        # Audit first: whoever needs both locks takes the chain's before the table's, so they cannot deadlock.
        self._audit.record(by, "trading_state.set", scope, {"state": state.value, "reason": reason})
        self._connection.execute(_EXCLUDE_ORDERS)
        row = self._connection.execute(_SET, {"scope": scope, "state": state.value, "by": by, "reason": reason}).one()
        notify(self._connection, TRADING_STATE_CHANNEL, scope)
        return read_trading_state(row)

    def all(self) -> Sequence[TradingStateRecord]:
        rows = self._connection.execute(select(TradingStateRow.__table__).order_by(TradingStateRow.scope))
        return [read_trading_state(row) for row in rows]
