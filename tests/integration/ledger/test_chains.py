"""Evidence, approvals and audit: what is stored, how it is chained, and how tampering shows."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from include.domain.enums import Role, Stage
from include.domain.errors import ConfigurationError, RejectedError
from include.domain.ids import digest
from include.ledger.unit_of_work import PostgresLedger
from tests.postgres import run_sql
from tests.samples import PROFILE_HASH, sample_approval, sample_candidate, sample_evidence

_WITHOUT_TRIGGERS = "SET session_replication_role = replica; "
"""What only a superuser can do, and what the chains are for."""


@pytest.fixture
def filled(ledger: PostgresLedger) -> PostgresLedger:
    """Three rows in each chain."""
    candidate = sample_candidate()
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        for stage in (Stage.DATA_GATE, Stage.BACKTEST, Stage.SIMULATION):
            uow.evidence.record(sample_evidence(candidate, stage=stage))
        for role in (Role.PROJECT_LEAD, Role.RISK_MANAGER, Role.MLOPS_ENGINEER):
            uow.approvals.record(sample_approval(candidate, role=role))
        for number in range(3):
            uow.audit.record("ada", "test.act", f"thing:{number}", {"number": number, "share": 1e-7})
        uow.commit()
    return ledger


def _verify(ledger: PostgresLedger) -> list[str]:
    with ledger.begin() as uow:
        return list(uow.audit.verify_chains())


def test_evidence_comes_back_exactly_with_the_digest_it_had(ledger: PostgresLedger) -> None:
    candidate = sample_candidate()
    evidence = sample_evidence(candidate)
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        recorded = uow.evidence.record(evidence)
        uow.commit()
    with ledger.begin() as uow:
        found = uow.evidence.latest(candidate.id, Stage.BACKTEST, PROFILE_HASH)
    assert found == recorded
    assert found is not None
    assert found.digest == evidence.digest == digest(found.document)
    assert found.document["details"] == {"tiny": 1e-7, "large": 1e16, "whole": 2.0}


def test_the_latest_evidence_is_that_of_the_same_stage_and_profile(ledger: PostgresLedger) -> None:
    candidate = sample_candidate()
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        first = uow.evidence.record(sample_evidence(candidate))
        second = uow.evidence.record(sample_evidence(candidate, synthetic=False))
        uow.evidence.record(sample_evidence(candidate, profile_hash="0" * 64))
        assert uow.evidence.latest(candidate.id, Stage.BACKTEST, PROFILE_HASH) == second
        assert uow.evidence.latest(candidate.id, Stage.DATA_GATE, PROFILE_HASH) is None
        assert [e.sequence for e in uow.evidence.of_candidate(candidate.id)] == [first.sequence, 2, 3]


def test_evidence_of_an_unknown_candidate_is_refused(ledger: PostgresLedger) -> None:
    with pytest.raises(RejectedError, match="fk_evidence_candidate_id"), ledger.begin() as uow:
        uow.evidence.record(sample_evidence(sample_candidate()))


def test_an_approval_comes_back_as_it_was_given(ledger: PostgresLedger) -> None:
    candidate = sample_candidate()
    approval = sample_approval(candidate)
    with ledger.begin() as uow:
        uow.candidates.register(candidate)
        uow.approvals.record(approval)
        uow.commit()
    with ledger.begin() as uow:
        assert [recorded.approval for recorded in uow.approvals.of_candidate(candidate.id)] == [approval]


def test_audit_lists_the_newest_first_and_one_subject_oldest_first(filled: PostgresLedger) -> None:
    with filled.begin() as uow:
        uow.audit.record("grace", "test.act", "thing:0", {"again": True})
        assert [row.subject for row in uow.audit.recent(2)] == ["thing:0", "thing:2"]
        assert [row.actor for row in uow.audit.of_subject("thing:0", "test.act")] == ["ada", "grace"]
        assert uow.audit.of_subject("thing:0", "other") == []


def test_an_audit_row_names_who_acted(ledger: PostgresLedger) -> None:
    with pytest.raises(ConfigurationError, match="must be named"), ledger.begin() as uow:
        uow.audit.record(" ", "test.act", "thing", {})


def test_untouched_chains_verify(filled: PostgresLedger) -> None:
    assert _verify(filled) == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE evidence SET verdict = 'FAIL' WHERE sequence = 2", "evidence row 2"),
        ("UPDATE evidence SET recorded_at = recorded_at + interval '1 ms' WHERE sequence = 3", "row 3"),
        (
            "UPDATE evidence SET content = replace(content, '0.95', '0.99') WHERE sequence = 1",
            "row 1: its content was changed",
        ),
        ("UPDATE approvals SET person = 'mallory' WHERE sequence = 1", "approvals row 1"),
        ("UPDATE audit SET actor = 'mallory' WHERE sequence = 2", "audit row 2"),
        ("DELETE FROM audit WHERE sequence = 2", "audit row 3: rows 2 to 2 are missing"),
        ("DELETE FROM audit WHERE sequence = 1", "audit row 2: rows 1 to 1 are missing"),
    ],
)
def test_tampering_behind_the_triggers_shows(
    filled: PostgresLedger, database_url: str, statement: str, complaint: str
) -> None:
    run_sql(database_url, _WITHOUT_TRIGGERS + statement)
    broken = _verify(filled)
    assert any(complaint in line for line in broken), broken


def test_swapping_the_contents_of_two_rows_shows(filled: PostgresLedger, database_url: str) -> None:
    run_sql(
        database_url,
        _WITHOUT_TRIGGERS
        + "UPDATE audit a SET content = b.content, digest = b.digest, subject = b.subject FROM audit b "
        "WHERE (a.sequence, b.sequence) IN ((1, 2), (2, 1))",
    )
    assert len(_verify(filled)) == 2


def test_rows_cut_off_the_end_show_against_an_end_kept_elsewhere(filled: PostgresLedger, database_url: str) -> None:
    with filled.begin() as uow:
        kept = uow.audit.heads(datetime.now(UTC) + timedelta(days=1))
        assert [(head.name, head.sequence) for head in kept] == [("evidence", 3), ("approvals", 3), ("audit", 3)]
        assert uow.audit.verify_chains(kept) == []
        assert uow.audit.heads(datetime(2020, 1, 1, tzinfo=UTC)) == []
    run_sql(database_url, _WITHOUT_TRIGGERS + "DELETE FROM audit WHERE sequence = 3")
    assert _verify(filled) == []
    with filled.begin() as uow:
        assert len(uow.audit.verify_chains(kept)) == 1
        uow.audit.record("mallory", "test.act", "thing:2", {"number": 2, "share": 1e-7})
        (line,) = uow.audit.verify_chains(kept)
    assert line.startswith("audit row 3: it is not the row that was there")


def test_writers_of_one_chain_take_turns(ledger: PostgresLedger) -> None:
    numbers = itertools.count()

    def append(_: int) -> None:
        with ledger.begin() as uow:
            uow.audit.record("ada", "test.act", f"thing:{next(numbers)}", {})
            uow.commit()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(append, range(40)))
    assert _verify(ledger) == []
    with ledger.begin() as uow:
        assert [row.sequence for row in uow.audit.recent()] == list(range(40, 0, -1))


def test_a_row_that_was_rolled_back_leaves_no_hole(filled: PostgresLedger) -> None:
    with filled.begin() as uow:
        uow.audit.record("ada", "test.act", "thing:lost", {})
    with filled.begin() as uow:
        assert uow.audit.record("ada", "test.act", "thing:kept", {}).sequence == 4
        uow.commit()
    assert _verify(filled) == []
