"""Processes we started: remembered by pid and start time, ended with everything below them, and nothing else.

A pid alone is no identity: the kernel gives it to somebody else after a while. Pid and start time together are.
Every process of a stack also carries `MARKER` in its environment, so one whose parent died is still found.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from include.operations.private_files import read_json, write_json
from include.trading.processes import find_process, started_at

MARKER = "AIRLOCK_RUN_STACK"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process as it was when we started it."""

    name: str
    pid: int
    created: float
    """Start time, seconds since 1970, as `psutil` reports it."""

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "pid": self.pid, "created": self.created}

    def find(self) -> psutil.Process | None:
        """The very process, or None when it ended (even when its pid lives on as another process)."""
        return find_process(self.pid, self.created)


def observe(name: str, pid: int) -> ProcessRecord:
    """Record of a running process. Raises psutil.NoSuchProcess when it has ended."""
    return ProcessRecord(name, pid, psutil.Process(pid).create_time())


def record_path(run: Path, name: str) -> Path:
    return run / f"{name}.pid"


def save_record(run: Path, record: ProcessRecord) -> None:
    write_json(record_path(run, record.name), record.document())


def load_records(run: Path) -> list[ProcessRecord]:
    """Records of every pid file in `run`, by name."""
    records = []
    for path in sorted(run.glob("*.pid")):
        document = read_json(path) or {}
        with contextlib.suppress(KeyError, TypeError, ValueError):
            records.append(ProcessRecord(str(document["name"]), int(document["pid"]), float(document["created"])))
    return records


def forget_record(run: Path, name: str) -> None:
    record_path(run, name).unlink(missing_ok=True)


def find_marked(marker: str) -> list[psutil.Process]:
    """Every process of this user that carries the stack's marker, ourselves and our ancestors left out."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in own and process.environ().get(MARKER) == marker:
                found.append(process)
    return found


def survivors(record: ProcessRecord) -> list[psutil.Process]:
    """What is left of a process's session after its leader has ended: children that lost their parent.

    Every process we start leads a session of its own, and the kernel gives a session's number to nobody else
    while it has members. (The marker does not find all of them: some programs overwrite their environment when
    they rename themselves, Airflow's workers among them.)
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == record.pid:
                found.append(process)
    leader = next((process for process in found if process.pid == record.pid), None)
    with contextlib.suppress(psutil.Error):
        if leader is not None and not started_at(leader, record.created):
            return []  # the number belongs to somebody else by now
    return [process for process in found if process is not leader]


def with_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes and everything below them, each once."""
    found: dict[int, psutil.Process] = {}
    for process in processes:
        found[process.pid] = process
        with contextlib.suppress(psutil.Error):
            found.update({child.pid: child for child in process.children(recursive=True)})
    return list(found.values())


def end(processes: Sequence[psutil.Process], *, grace_secs: float) -> int:
    """Ask processes to end, wait, then make them and whatever is left below them end.

    Returns:
        How many had to be killed.
    """
    family = with_children(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(processes, timeout=grace_secs)
    left = [process for process in with_children(family) if _runs(process)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
    return len(left)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
