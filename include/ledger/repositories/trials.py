"""Trials: every backtest of a strategy family, for statistics that must know how often one looked."""

from __future__ import annotations

import math

from sqlalchemy import Connection, func, insert, select

from include.ledger.models import TrialRow


class TrialRepository:
    """Implements `ports.Trials`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, family: str, candidate_id: str, fingerprint: str, sharpe: float | None) -> None:
        known = sharpe if sharpe is not None and math.isfinite(sharpe) else None
        self._connection.execute(
            insert(TrialRow).values(family=family, candidate_id=candidate_id, fingerprint=fingerprint, sharpe=known)
        )

    def count(self, family: str) -> int:
        """Distinct trials: the same candidate on the same data, run again, is not another look."""
        looks = (
            select(TrialRow.candidate_id, TrialRow.fingerprint).where(TrialRow.family == family).distinct().subquery()
        )
        return self._connection.execute(select(func.count()).select_from(looks)).scalar_one()
