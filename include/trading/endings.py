"""Giving up on a deployment, loudly: one way for engine and trader."""

from __future__ import annotations

from include.domain.deployments import Deployment
from include.domain.enums import DeploymentStatus, DesiredState, Severity
from include.ports import Ledger


def give_up(ledger: Ledger, deployment: Deployment, by: str, code: str, reason: str) -> None:
    """Mark a deployment FAILED, stop wanting it, and open an incident; a person may ask for it again.

    The desired state moves too, so that a restarted trader does not begin the same failure from the start.
    """
    with ledger.begin() as work:
        work.deployments.mark(deployment.id, DeploymentStatus.FAILED, reason[:500])
        work.deployments.request(deployment.id, DesiredState.STOPPED, by, f"gave up: {reason}"[:500])
        work.incidents.open(Severity.CRITICAL, code, f"deployment:{deployment.id}", reason)
        work.commit()
