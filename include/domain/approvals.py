"""A person's recorded decision about exact evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.domain.enums import Role
from include.domain.times import iso


class Decision(StrEnum):
    APPROVE = "APPROVE"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class Approval:
    """One role's answer, bound to the candidate, the profile's hash and the evidence digests that were shown."""

    candidate_id: str
    profile_hash: str
    role: Role
    person: str
    decision: Decision
    comment: str
    evidence_digests: tuple[str, ...]
    asked_at: datetime
    answered_at: datetime
    source: Mapping[str, Any]
    """Where the answer was read: DAG, run, task, try."""

    def document(self) -> dict[str, Any]:
        """Plain JSON form: what the ledger stores and chains."""
        return {
            "candidate_id": self.candidate_id,
            "profile_hash": self.profile_hash,
            "role": self.role.value,
            "person": self.person,
            "decision": self.decision.value,
            "comment": self.comment,
            "evidence_digests": list(self.evidence_digests),
            "asked_at": iso(self.asked_at),
            "answered_at": iso(self.answered_at),
            "source": dict(self.source),
        }
