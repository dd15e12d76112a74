"""Tasks around a live deployment: go-live checks, release to the market, emergency stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from include import bootstrap
from include.config.settings import load_settings
from include.domain.enums import DesiredState, Role, Severity
from include.domain.errors import FatalError, RejectedError
from include.operations import answers as recorded
from include.operations.airflow_client import HumanAnswer
from include.operations.people import holders_of
from include.operations.tasks.support import load_authorised, load_candidate, log, tell

RELEASE_TIMEOUT = timedelta(hours=72)


def check_go_live(deployment_id: str) -> str:
    """Stage LIVE, before the release: authorised, unchanged, and everything it needs works at the venue.

    Raises:
        RejectedError: every check that failed, in one line. Nothing is left at the venue.
    """
    from include.stages.live import check_go_live as check

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = load_authorised(ledger, deployment_id)
    candidate = load_candidate(ledger, deployment.candidate_id)
    checks = asyncio.run(check(ledger, deployment, candidate, bootstrap.build_venue(settings, deployment)))
    for item in checks:
        log.info("%-4s %s: %s", "ok" if item.passed else "FAIL", item.name, item.detail)
    failed = [f"{item.name}: {item.detail}" for item in checks if not item.passed]
    if failed or not checks:
        tell(settings, Severity.WARNING, f"Deployment {deployment.short_id} may not go live", failed)
        raise RejectedError(f"deployment {deployment.short_id} may not go live: {'; '.join(failed)}", code="GO_LIVE")
    return deployment.id


def build_release_question(deployment_id: str, role_name: str) -> dict[str, Any]:
    """Text and people of a release to the market."""
    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = load_authorised(ledger, deployment_id)
    candidate = load_candidate(ledger, deployment.candidate_id)
    people = holders_of(Role(role_name))
    where = deployment.connection
    subject = f"Release {candidate.name} to {where.dataset} ({where.kind.value.lower()})?"
    lines = [
        f"### {subject}",
        "",
        f"Capital {deployment.capital:,} ({deployment.capital_fraction:.0%}), account {where.account}"
        + (f" at {where.url}." if where.url else ".")
        + (" **This is real money.**" if where.real_money else ""),
        "",
        "The deployment is halted until you release it. It then trades by itself, within the limits of profile "
        f"{deployment.profile}, until it is stopped.",
    ]
    tell(settings, Severity.INFO, f"Release asked: {subject}", [f"asked of {', '.join(people.values())}"])
    return {
        "subject": subject, "body": recorded.render_release(deployment.id, lines), "people": people,
        "timeout_hours": RELEASE_TIMEOUT.total_seconds() / 3600,
    }  # fmt: skip


def release(deployment_id: str, answers: Sequence[HumanAnswer]) -> str:
    """Lift the halt in the name of the person whose recorded answer says so, then ask the trader to run it.

    Raises:
        RejectedError: there is no such answer, or the ladder does not authorise the deployment now.
    """
    from include.trading.kill_switch import deployment_scope, resume

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    deployment = load_authorised(ledger, deployment_id)
    holders = bootstrap.role_holders()[Role.TRADING_OPERATIONS]
    answer = recorded.require_release(deployment.id, answers, holders, RELEASE_TIMEOUT)
    reason = recorded.comment_of(answer) or f"released in {answer.run_id}"
    resume(ledger, scope=deployment_scope(deployment.id), by=answer.person, reason=reason)
    with ledger.begin() as work:
        work.deployments.request(deployment.id, DesiredState.RUNNING, answer.person, reason)
        work.commit()
    tell(settings, Severity.INFO, f"Deployment {deployment.short_id} is released", [f"by {answer.person}: {reason}"])
    return deployment.id


def emergency_stop(scope: str, by: str, reason: str, *, flatten: bool) -> str:
    """Halt a scope in a person's name, cancel its orders, flatten if asked; returns what was done in one line.

    Raises:
        RetryableError: the ledger does not answer; nothing was done.
        FatalError: halted, but something at a venue could not be done; says what.
    """
    from include.trading.kill_switch import halt

    settings = load_settings()
    ledger = bootstrap.open_ledger(settings)
    result = asyncio.run(
        halt(
            ledger, lambda deployment: bootstrap.build_venue(settings, deployment), scope=scope, by=by, reason=reason,
            flatten=flatten,
        )
    )  # fmt: skip
    done = f"{scope} is HALTED; {len(result.canceled)} orders cancelled, {len(result.flattened)} positions closed"
    tell(settings, Severity.CRITICAL, f"Emergency stop by {by}: {done}", [reason, *result.failures])
    if result.failures:
        raise FatalError(f"{done}; could not do: {'; '.join(result.failures)}")
    return done
