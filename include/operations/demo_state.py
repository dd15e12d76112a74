"""What the demo knows about its candidates, and how it reads it: runs from Airflow, facts from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.config.settings import Settings
from include.domain.enums import Stage
from include.operations.progress import read_progress
from include.ports import Ledger
from include.qualification.profile import Profile
from include.qualification.verdict import Verdict
from include.stages.ladder import latest_evidence
from include.stages.live import observe_deployment


class Outcome(StrEnum):
    """How a candidate's climb ended."""

    CLIMBING = "CLIMBING"
    REFUSED = "REFUSED"
    PROMOTED = "PROMOTED"
    BROKEN = "BROKEN"
    """The run failed without a refusal: machinery, not candidate."""


@dataclass(slots=True)
class Climb:
    """One candidate on the ladder."""

    name: str
    candidate_id: str
    run_id: str
    started: float
    """Monotonic seconds."""
    rung: str = "queued"
    done: float = 0.0
    note: str = ""
    outcome: Outcome = Outcome.CLIMBING
    reasons: tuple[str, ...] = ()
    ended: float | None = None
    deployment_id: str = ""
    verdicts: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "candidate": self.name, "candidate_id": self.candidate_id, "run_id": self.run_id,
            "outcome": self.outcome.value, "verdicts": dict(self.verdicts), "reasons": list(self.reasons),
            "deployment_id": self.deployment_id,
            "elapsed_secs": None if self.ended is None else round(self.ended - self.started, 1),
        }  # fmt: skip


RUNGS: Mapping[str, str] = {
    "data_gate": "data gate",
    "backtest": "backtest",
    "start_simulation": "simulation",
    "wait_for_simulation": "simulation",
    "measure_simulation": "simulation",
    "check_qualification": "qualification",
    "sign_off_project_lead": "sign-offs",
    "sign_off_risk_manager": "sign-offs",
    "sign_off_mlops_engineer": "sign-offs",
    "sign_off_trading_operations": "sign-offs",
    "verify_sign_offs": "sign-offs",
    "promote": "promotion",
    "trigger_live_trading": "promotion",
}
"""What people call the tasks of the `qualification` DAG, in their order."""
_WORKING = ("running", "queued", "deferred", "awaiting_input", "scheduled", "up_for_retry", "restarting")
_MEASURED = {"data_gate": Stage.DATA_GATE, "backtest": Stage.BACKTEST}


def current_task(states: Mapping[str, str]) -> str:
    """The first task of the ladder that is at work; empty when none is."""
    return next((task for task in RUNGS if states.get(task) in _WORKING), "")


def observe_progress(
    settings: Settings, ledger: Ledger, climb: Climb, states: Mapping[str, str], now: datetime
) -> None:
    """Fill in rung, share done and a note from what the tasks and the engine write down."""
    task = current_task(states)
    if not task:
        return
    climb.rung = RUNGS[task]
    if task in _MEASURED:
        climb.done, climb.note = read_progress(settings.run, climb.candidate_id, _MEASURED[task])
    elif task == "wait_for_simulation":
        climb.done, climb.note = _simulation(ledger, climb, now)
    elif task.startswith("sign_off"):
        answered = [t for t in RUNGS if t.startswith("sign_off") and states.get(t) == "success"]
        climb.done, climb.note = len(answered) / 4, "asking people"
    else:
        climb.done, climb.note = 0.0, task.replace("_", " ")


def _simulation(ledger: Ledger, climb: Climb, now: datetime) -> tuple[float, str]:
    with ledger.begin() as work:
        mine = [d for d in work.deployments.all() if d.session_key == climb.run_id]
    if not mine:
        return 0.0, "starting"
    health = observe_deployment(ledger, mine[-1].id, now)
    when = f"{health.event_time:%Y-%m-%d %H:%M}" if health.event_time else "starting"
    return health.progress, f"{when}, {health.fills:,} fills"


def observe_verdicts(ledger: Ledger, climb: Climb, profile: Profile, since: datetime) -> tuple[str, ...]:
    """Verdicts recorded for the candidate in this run; the reasons of those that are not PASS."""
    with ledger.begin() as work:
        latest = latest_evidence(work, climb.candidate_id, profile)
    reasons: list[str] = []
    for stage, evidence in latest.items():
        if evidence is None or evidence.recorded_at < since:
            continue
        climb.verdicts[stage.value] = evidence.verdict.value
        if evidence.verdict is not Verdict.PASS:
            document = evidence.document
            error = document["details"].get("error")
            reasons += [f"{stage.value}: {error}"] if error else []
            reasons += [f"{stage.value}: {c['reason']}" for c in document["criteria"] if c["verdict"] != "PASS"]
    return tuple(reasons)
