"""Hash chains of evidence, approvals and audit: append under a lock, verify from the first row.

Each row's chain value covers its own columns and, through the row before, everything earlier, so an edit behind
the triggers' back shows from that row on. Rows removed from the end leave no trace in the chain alone: whoever
kept an earlier end of the chain (every daily report shows it) can have that checked too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, select, text

from include.domain.ids import canonical_json, chain_digest
from include.ledger.models import ApprovalRow, AuditTableRow, EvidenceRow
from include.ports import ChainHead

GENESIS = "0" * 64
# Advisory lock numbers; together with the name of the table they are unique in this database.
_LOCKS: Mapping[str, int] = {"evidence": 5_164_011, "approvals": 5_164_012, "audit": 5_164_013}
# A process that freezes between its append and its commit would hold up everybody, a halt included: the server
# ends such a transaction after five seconds, and nothing of it was stored.
_LOCK = text("SELECT pg_advisory_xact_lock(:lock), set_config('idle_in_transaction_session_timeout', '5000', true)")
_COLUMNS: Mapping[str, tuple[Table, tuple[str, ...]]] = {
    "evidence": (
        EvidenceRow.metadata.tables["evidence"],
        ("digest", "candidate_id", "stage", "profile", "profile_hash", "verdict"),
    ),
    "approvals": (ApprovalRow.metadata.tables["approvals"], ("digest", "candidate_id", "role", "person", "decision")),
    "audit": (AuditTableRow.metadata.tables["audit"], ("digest", "actor", "action", "subject")),
}


def lock(connection: Connection, name: str) -> None:
    """Become the chain's only writer until the transaction ends."""
    connection.execute(_LOCK, {"lock": _LOCKS[name]})


def append(connection: Connection, name: str, document: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
    """Append a document to chain `name`; returns the stored row.

    Writers of one chain take turns from here to their commit. The lock is a statement of its own: the next
    statement's snapshot must be taken after the wait, or it would miss the row the other writer just committed.
    """
    table, _ = _COLUMNS[name]
    content = canonical_json(document)
    lock(connection, name)
    last = connection.execute(
        select(table.c.sequence, table.c.chain).order_by(table.c.sequence.desc()).limit(1)
    ).one_or_none()
    now = connection.execute(text("SELECT date_trunc('milliseconds', clock_timestamp())")).scalar_one()
    row = {
        "sequence": last.sequence + 1 if last else 1,
        "recorded_at": now,
        "digest": hashlib.sha256(content.encode()).hexdigest(),
        **columns,
    }
    row["chain"] = chain_digest(last.chain if last else GENESIS, _covered(name, row))
    return connection.execute(insert(table).values(**row, content=content).returning(table)).one()


def heads(connection: Connection, before: datetime) -> Sequence[ChainHead]:
    """Last row of each chain recorded before an instant."""
    found = []
    for name, (table, _) in _COLUMNS.items():
        statement = (
            select(table.c.sequence, table.c.chain)
            .where(table.c.recorded_at < before)
            .order_by(table.c.sequence.desc())
            .limit(1)
        )
        row = connection.execute(statement).one_or_none()
        if row is not None:
            found.append(ChainHead(name, row.sequence, row.chain))
    return found


def verify(connection: Connection) -> Sequence[str]:
    """One line per broken row of any chain; empty when all are intact."""
    return [line for name in _COLUMNS for line in _verify_one(connection, name)]


def compare_known(connection: Connection, known: Sequence[ChainHead]) -> Sequence[str]:
    """One line per chain end, kept elsewhere, that the ledger does not hold any more."""
    broken = []
    for head in known:
        table, _ = _COLUMNS[head.name]
        found = connection.execute(select(table.c.chain).where(table.c.sequence == head.sequence)).scalar_one_or_none()
        if found is None:
            broken.append(f"{head.name} row {head.sequence}: it is gone, though the chain once reached it")
        elif found != head.chain:
            broken.append(f"{head.name} row {head.sequence}: it is not the row that was there when its value was kept")
    return broken


def _verify_one(connection: Connection, name: str) -> list[str]:
    table, _ = _COLUMNS[name]
    broken: list[str] = []
    previous, expected = GENESIS, 1
    # On the statement: options of a connection would outlive this loop and turn the next INSERT into a cursor.
    statement = select(table).order_by(table.c.sequence).execution_options(yield_per=500)
    rows = connection.execute(statement)
    for row in rows:
        values = row._asdict()
        where = f"{name} row {row.sequence}"
        if row.sequence != expected:
            broken.append(f"{where}: rows {expected} to {row.sequence - 1} are missing")
        if hashlib.sha256(row.content.encode()).hexdigest() != row.digest:
            broken.append(f"{where}: its content was changed after it was recorded")
        elif chain_digest(previous, _covered(name, values)) != row.chain:
            broken.append(f"{where}: it does not follow from the row before; it or an earlier row was changed")
        previous, expected = row.chain, row.sequence + 1
    return broken


def _covered(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a chain value covers; the content is covered through its digest."""
    recorded_at: datetime = row["recorded_at"]
    return {
        "chain": name,
        "sequence": row["sequence"],
        "recorded_at": recorded_at,
        **{column: row[column] for column in _COLUMNS[name][1]},
    }
