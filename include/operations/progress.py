"""How far a stage is, in a file that the demo shows: `AIRLOCK_HOME/run/progress/<candidate>-<stage>.json`."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from include.domain.enums import Stage
from include.domain.errors import AirlockError
from include.operations.private_files import read_json, write_json

_EVERY_SECS = 0.5


class ProgressFile:
    """A `ports.Progress` that writes at most twice a second; a file that cannot be written disturbs nobody."""

    def __init__(self, run: Path, candidate_id: str, stage: Stage) -> None:
        self._path = progress_path(run, candidate_id, stage)
        self._written = float("-inf")

    def __call__(self, done: float, message: str) -> None:
        now = time.monotonic()
        if now - self._written < _EVERY_SECS and done < 1.0:
            return
        self._written = now
        with contextlib.suppress(AirlockError):
            write_json(self._path, {"done": done, "message": message})


def progress_path(run: Path, candidate_id: str, stage: Stage) -> Path:
    return run / "progress" / f"{candidate_id[:16]}-{stage.value}.json"


def read_progress(run: Path, candidate_id: str, stage: Stage) -> tuple[float, str]:
    """Share done and what is being done; (0, "") when nothing is known."""
    document = read_json(progress_path(run, candidate_id, stage)) or {}
    return float(document.get("done", 0.0)), str(document.get("message", ""))
