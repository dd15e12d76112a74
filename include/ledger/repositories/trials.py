"""Trials: every backtest of a strategy family, for statistics that must know how often one looked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from include.ledger.models import TrialRow

_LOOK = (TrialRow.candidate_id, TrialRow.fingerprint)
"""What makes a trial another look: the same candidate on the same data, run again, is not one."""


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

    def sharpes(self, family: str) -> Sequence[float | None]:
        """One value for each distinct trial, the latest where it was run again."""
        latest = (
            select(TrialRow.sharpe, func.min(TrialRow.id).over(partition_by=_LOOK).label("first"))
            .where(TrialRow.family == family)
            .distinct(*_LOOK)
            .order_by(*_LOOK, TrialRow.id.desc())
            .subquery()
        )
        rows = self._connection.execute(select(latest.c.sharpe).order_by(latest.c.first))
        return [row.sharpe for row in rows]
