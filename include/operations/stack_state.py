"""What a stack says about itself in `AIRLOCK_HOME/run/stack.json`: phase, addresses, components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from include.operations.private_files import read_json, write_json


class Phase(StrEnum):
    """Life of a stack; STOPPED is also what an absent file means."""

    STARTING = "STARTING"
    READY = "READY"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class StackState:
    """Snapshot for `airlock up`, `airlock down` and everyone who needs an address. Holds no secret."""

    phase: Phase
    message: str = ""
    """What is being done, or why it failed, in one line."""
    airflow_url: str = ""
    exchange_url: str = ""
    passwords_file: str = ""
    started_at: str = ""
    ready_secs: float | None = None
    exit_code: int = 0
    """FAILED only: what the command line should exit with."""
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "phase": self.phase.value, "message": self.message, "airflow_url": self.airflow_url,
            "exchange_url": self.exchange_url, "passwords_file": self.passwords_file, "started_at": self.started_at,
            "ready_secs": self.ready_secs, "exit_code": self.exit_code,
            "components": {name: dict(part) for name, part in self.components.items()},
        }  # fmt: skip


def state_path(run: Path) -> Path:
    return run / "stack.json"


def save_state(run: Path, state: StackState) -> None:
    write_json(state_path(run), state.document())


def load_state(run: Path) -> StackState:
    """The last snapshot; STOPPED when there is none. A killed supervisor leaves its last words: ask the lock too."""
    document = read_json(state_path(run))
    if document is None:
        return StackState(Phase.STOPPED)
    return StackState(**{**document, "phase": Phase(document["phase"])})
