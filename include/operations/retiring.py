"""Ending live sessions on the stack's own sandbox exchange in good order.

That exchange keeps its accounts in memory. Whoever stops it first closes what trades there, so that the ledger's books
end flat instead of holding positions at an exchange that no longer exists.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from include import bootstrap
from include.config.settings import Settings
from include.domain.deployments import Deployment, VenueKind
from include.domain.enums import DeploymentStatus, DesiredState, Mode
from include.domain.errors import AirlockError
from include.ports import Ledger
from include.trading.kill_switch import deployment_scope, halt

_STOPS_WITHIN_SECS = 12.0
_FLAT_WITHIN_SECS = 20.0


def sandbox_sessions(ledger: Ledger) -> Sequence[Deployment]:
    """Live deployments on a sandbox exchange that are meant to run."""
    with ledger.begin() as work:
        live = work.deployments.all(Mode.LIVE)
    return [d for d in live if d.desired is DesiredState.RUNNING and d.connection.kind is VenueKind.SANDBOX]


def retire_sandbox_sessions(settings: Settings, *, by: str, reason: str) -> list[str]:
    """Stop every session on the sandbox exchange, cancel its orders and close its positions.

    Returns:
        One line for everything that could not be done; empty when all is flat. Never raises for a venue's sake.
    """
    ledger = bootstrap.open_ledger(settings)
    sessions = sandbox_sessions(ledger)
    for deployment in sessions:
        with ledger.begin() as work:
            work.deployments.request(deployment.id, DesiredState.STOPPED, by, reason)
            work.commit()
    _wait_stopped(ledger, sessions)
    failures: list[str] = []
    for deployment in sessions:
        failures += _flatten(settings, ledger, deployment, by, reason)
    return failures


def _wait_stopped(ledger: Ledger, sessions: Sequence[Deployment]) -> None:
    """Give the trader time to end the engines; one that stays is fenced off by the halt that follows."""
    deadline = time.monotonic() + _STOPS_WITHIN_SECS
    waiting = {deployment.id for deployment in sessions}
    while waiting and time.monotonic() < deadline:
        with ledger.begin() as work:
            known = [work.deployments.get(deployment_id) for deployment_id in sorted(waiting)]
        waiting = {d.id for d in known if d is not None and d.status is DeploymentStatus.RUNNING}
        time.sleep(0.2)


def _flatten(settings: Settings, ledger: Ledger, deployment: Deployment, by: str, reason: str) -> list[str]:
    async def work() -> tuple[str, ...]:
        switch = halt(
            ledger, lambda found: bootstrap.build_venue(settings, found), scope=deployment_scope(deployment.id), by=by,
            reason=reason, flatten=True,
        )  # fmt: skip
        return (await asyncio.wait_for(switch, _FLAT_WITHIN_SECS)).failures

    try:
        return list(asyncio.run(work()))
    except TimeoutError:
        return [f"deployment {deployment.short_id}: its exchange did not answer within {_FLAT_WITHIN_SECS:.0f} s"]
    except AirlockError as error:
        return [f"deployment {deployment.short_id}: {error}"]
