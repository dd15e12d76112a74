"""Evidence and approvals: append-only and hash-chained."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from include.domain.approvals import Approval
from include.domain.enums import Stage
from include.ledger import chain
from include.ledger.codec import read_approval, read_evidence
from include.ledger.models import ApprovalRow, EvidenceRow
from include.ports import RecordedApproval, RecordedEvidence
from include.qualification.evidence import Evidence


class EvidenceRepository:
    """Implements `ports.EvidenceLog`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, evidence: Evidence) -> RecordedEvidence:
        columns = {
            "candidate_id": evidence.candidate_id, "stage": evidence.stage.value, "profile": evidence.profile,
            "profile_hash": evidence.profile_hash, "verdict": evidence.verdict.value,
        }  # fmt: skip
        return read_evidence(chain.append(self._connection, "evidence", evidence.document(), columns))

    def latest(self, candidate_id: str, stage: Stage, profile_hash: str) -> RecordedEvidence | None:
        statement = (
            select(EvidenceRow.__table__)
            .where(
                EvidenceRow.candidate_id == candidate_id,
                EvidenceRow.stage == stage.value,
                EvidenceRow.profile_hash == profile_hash,
            )
            .order_by(EvidenceRow.sequence.desc())
            .limit(1)
        )
        row = self._connection.execute(statement).one_or_none()
        return None if row is None else read_evidence(row)

    def of_candidate(self, candidate_id: str) -> Sequence[RecordedEvidence]:
        """In the order in which they were recorded."""
        statement = (
            select(EvidenceRow.__table__).where(EvidenceRow.candidate_id == candidate_id).order_by(EvidenceRow.sequence)
        )
        return [read_evidence(row) for row in self._connection.execute(statement)]


class ApprovalRepository:
    """Implements `ports.Approvals`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, approval: Approval) -> RecordedApproval:
        columns = {
            "candidate_id": approval.candidate_id, "role": approval.role.value, "person": approval.person,
            "decision": approval.decision.value,
        }  # fmt: skip
        return read_approval(chain.append(self._connection, "approvals", approval.document(), columns))

    def of_candidate(self, candidate_id: str) -> Sequence[RecordedApproval]:
        """In the order in which they were recorded."""
        statement = (
            select(ApprovalRow.__table__).where(ApprovalRow.candidate_id == candidate_id).order_by(ApprovalRow.sequence)
        )
        return [read_approval(row) for row in self._connection.execute(statement)]
