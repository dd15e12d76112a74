"""Candidates: stored once, addressed by their content."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from include.domain.ids import canonical_json
from include.ledger.models import CandidateRow
from include.qualification.candidate import Candidate, rebuild_candidate


class CandidateRepository:
    """Implements `ports.Candidates`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, candidate: Candidate) -> bool:
        statement = (
            insert(CandidateRow)
            .values(id=candidate.id, name=candidate.name, content=canonical_json(candidate.document()))
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(CandidateRow.id)
        )
        return self._connection.execute(statement).one_or_none() is not None

    def get(self, candidate_id: str) -> Candidate | None:
        statement = select(CandidateRow.content).where(CandidateRow.id == candidate_id)
        content = self._connection.execute(statement).scalar_one_or_none()
        return None if content is None else rebuild_candidate(json.loads(content))

    def all(self) -> Sequence[Candidate]:
        """Oldest first."""
        statement = select(CandidateRow.content).order_by(CandidateRow.registered_at, CandidateRow.id)
        return [rebuild_candidate(json.loads(content)) for content in self._connection.execute(statement).scalars()]
