"""How a deployment ends by itself: its replay is over, or it is given up loudly; one way for engine and trader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.domain.deployments import Deployment
from include.domain.enums import DeploymentStatus, DesiredState, Severity
from include.domain.times import iso
from include.ports import Ledger
from include.trading.session import Session

ACCOUNT_RECONCILED = "account.reconciled"
"""Audit action written at the end of a replay: what venue and ledger both say the account holds."""


def give_up(ledger: Ledger, deployment: Deployment, by: str, code: str, reason: str) -> None:
    """Mark a deployment FAILED, stop wanting it, and open an incident; a person may ask for it again.

    The desired state moves too, so that a restarted trader does not begin the same failure from the start.
    """
    with ledger.begin() as work:
        work.deployments.mark(deployment.id, DeploymentStatus.FAILED, reason[:500])
        work.deployments.request(deployment.id, DesiredState.STOPPED, by, f"gave up: {reason}"[:500])
        work.incidents.open(Severity.CRITICAL, code, f"deployment:{deployment.id}", reason)
        work.commit()


def complete(ledger: Ledger, session: Session, feed: Mapping[str, Any] | None) -> None:
    """The replay is over: record what both sides say the account holds and what the feed was like, then the status."""
    with ledger.begin() as work:
        work.audit.record(
            "engine",
            ACCOUNT_RECONCILED,
            session.deployment.id,
            {
                "ledger_wallet": format(session.expected_wallet or 0, "f"),
                "venue_wallet": format(session.venue_wallet or 0, "f"),
                "positions": {s: format(q, "f") for s, q in sorted(session.book.portfolio.quantities().items())},
                "equity": format(session.last_equity, "f"),
                "event_time": iso(session.now),
                "bars": session.bars_handled,
                "feed": feed,
            },
        )
        work.deployments.mark(session.deployment.id, DeploymentStatus.COMPLETED)
        work.commit()
