"""Watching running sessions from the ledger alone: are they over, silent, or in breach of their limits?

The `evaluate_*` functions are pure. Each answer says `outcome` (COMPLETED, STOPPED, FAILED or TROUBLE) and `reason`;
None means that there is nothing to say yet. `QUESTIONS` is what Airflow's triggers ask, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from include import bootstrap
from include.config.risk_limits import deployment_limits
from include.config.settings import load_settings
from include.domain.deployments import Deployment, Heartbeat
from include.domain.enums import DeploymentStatus, DesiredState, Severity, TradingState
from include.domain.errors import AirlockError, ConfigurationError
from include.domain.reason_codes import RiskCode
from include.ports import Ledger, Notice
from include.risk.limits import Limits
from include.stages.ladder import recorded_profile
from include.stages.live import DeploymentHealth, observe_deployment

Answer = dict[str, str]
TROUBLE = "TROUBLE"
SILENT_AFTER = timedelta(seconds=15)
"""An engine beats every second; this long without a beat, it or the trader above it is gone."""
START_GRACE = timedelta(seconds=90)
"""How long a session may take from being asked for to its first beat (venue start, history, reconciliation)."""


def evaluate_end(deployment: Deployment) -> Answer | None:
    """How a session ended; None while it runs or is about to."""
    status = deployment.status
    if status in (DeploymentStatus.COMPLETED, DeploymentStatus.FAILED):
        return {"outcome": status.value, "reason": deployment.status_reason}
    if status is not DeploymentStatus.RUNNING and deployment.desired is DesiredState.STOPPED:
        return {"outcome": DeploymentStatus.STOPPED.value, "reason": deployment.status_reason}
    return None


def evaluate_silence(
    deployment: Deployment, heartbeat: Heartbeat | None, watched_since: datetime, now: datetime
) -> Answer | None:
    """Trouble when a session that should run has not beaten for `SILENT_AFTER` (`START_GRACE` at first)."""
    if end := evaluate_end(deployment):
        return end
    last = watched_since if heartbeat is None else max(heartbeat.beat_at, watched_since)
    beaten = heartbeat is not None and heartbeat.beat_at >= watched_since
    limit = SILENT_AFTER if beaten else START_GRACE
    if now - last <= limit:
        return None
    silence = (now - last).total_seconds()
    return {"outcome": TROUBLE, "reason": f"no heartbeat for {silence:.0f} s (status {deployment.status.value})"}


def evaluate_breach(health: DeploymentHealth, limits: Limits) -> Answer | None:
    """Trouble when a session is halted or its equity is beyond a limit of the profile.

    Equity that is not known yet is nothing to judge: nothing has been handled, so nothing has been traded.
    """
    if health.state is TradingState.HALTED:
        return {"outcome": TROUBLE, "reason": f"{RiskCode.STATE_HALTED.value} trading is halted"}
    for code, measured, limit in (
        (RiskCode.DRAWDOWN_LIMIT, health.drawdown, limits.max_drawdown_fraction),
        (RiskCode.LOSS_DAILY, health.daily_loss, limits.max_daily_loss_fraction),
    ):
        if measured is not None and not measured < float(limit):  # a NaN is trouble too
            return {"outcome": TROUBLE, "reason": f"{code.value} measured={measured:.4f} limit={limit}"}
    return None


# --- shell ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _ledger() -> Ledger:
    return bootstrap.open_ledger(load_settings())


def require_deployment(deployment_id: str) -> Deployment:
    """Raises ConfigurationError when the ledger does not know the deployment."""
    with _ledger().begin() as work:
        deployment = work.deployments.get(deployment_id)
    if deployment is None:
        raise ConfigurationError(f"deployment {deployment_id[:12]} is not in the ledger; `airlock status` lists them")
    return deployment


def observe_end(deployment_id: str) -> Answer | None:
    return evaluate_end(require_deployment(deployment_id))


def silence_watch() -> Callable[[str], Answer | None]:
    """A watch that starts now: what was before it is not silence."""
    since = datetime.now(UTC)

    def observe(deployment_id: str) -> Answer | None:
        with _ledger().begin() as work:
            deployment, heartbeat = work.deployments.get(deployment_id), work.deployments.heartbeat(deployment_id)
        if deployment is None:
            return {"outcome": TROUBLE, "reason": "the ledger does not know this deployment"}
        return evaluate_silence(deployment, heartbeat, since, datetime.now(UTC))

    return observe


def observe_breach(deployment_id: str) -> Answer | None:
    deployment = require_deployment(deployment_id)
    if end := evaluate_end(deployment):
        return end
    try:
        with _ledger().begin() as work:
            profile = recorded_profile(work, deployment)
        limits = deployment_limits(load_settings().environment, profile, deployment)
    except AirlockError as error:
        return {"outcome": TROUBLE, "reason": f"limits cannot be read: {error}"}
    return evaluate_breach(observe_deployment(_ledger(), deployment_id, datetime.now(UTC)), limits)


QUESTIONS: Mapping[str, Callable[[], Callable[[str], Answer | None]]] = MappingProxyType(
    {"end": lambda: observe_end, "silence": silence_watch, "breach": lambda: observe_breach}
)


def report_trouble(deployment_id: str, watcher: str, reason: str) -> None:
    """Tell people, and keep it in the ledger as an incident."""
    settings = load_settings()
    code = reason.split(" ", 1)[0] if reason.split(" ", 1)[0].isupper() else "HEARTBEAT_LOST"
    with _ledger().begin() as work:
        work.incidents.open(Severity.CRITICAL, code, f"deployment:{deployment_id}", f"{watcher}: {reason}")
        work.commit()
    bootstrap.build_notifier(settings).send(
        Notice(Severity.CRITICAL, f"Deployment {deployment_id[:12]}: {reason}", (f"noticed by {watcher}",))
    )
