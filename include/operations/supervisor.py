"""Starts components as processes, restarts what dies with growing pauses, and ends all of them.

Entry point: `Supervisor`. Its caller owns the loop and the clock: `tick(now)` does what is due and returns at once.
Every start is written to a pid file before anything else happens, so that whoever comes after a killed supervisor knows
what it left behind.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from include.operations import processes
from include.operations.processes import ProcessRecord

FIRST_PAUSE_SECS = 1.0
LONGEST_PAUSE_SECS = 60.0
STEADY_SECS = 60.0
"""A component that ran this long starts over with the shortest pause when it dies."""
MAX_LOG_BYTES = 50_000_000


def always() -> str:
    """A component that may start at once."""
    return ""


@dataclass(frozen=True, slots=True)
class Component:
    """One process of the stack."""

    name: str
    argv: Callable[[], tuple[str, ...]]
    """Its command line, asked for at every start."""
    environment: Mapping[str, str]
    """The whole environment of the process."""
    blocked_by: Callable[[], str] = always
    """Why it cannot start yet, in words; empty when it can. Asked before every start."""
    stop_rank: int = 0
    """Lower ranks are ended first and have ended before the next rank is asked to."""
    grace_secs: float = 10.0


@dataclass(slots=True)
class _Slot:
    component: Component
    process: subprocess.Popen[bytes] | None = None
    record: ProcessRecord | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    restarts: int = 0
    note: str = ""


@dataclass(slots=True)
class ComponentState:
    """What a component is doing, for people."""

    name: str
    pid: int | None
    restarts: int
    note: str


@dataclass(slots=True)
class Supervisor:
    """Keeps components running; see the module's text."""

    run: Path
    logs: Path
    log: Callable[[str], None]
    _slots: dict[str, _Slot] = field(default_factory=dict)

    def add(self, components: Sequence[Component]) -> None:
        """Take components into care; they start at the next tick."""
        for component in components:
            self._slots[component.name] = _Slot(component)

    def tick(self, now: float) -> None:
        """Notice what died, start what is due. `now` is monotonic seconds."""
        for slot in self._slots.values():
            if slot.process is not None and slot.process.poll() is not None:
                self._bury(slot, now)
            if slot.process is None and now >= slot.due:
                self._start(slot, now)
            _trim(self.log_path(slot.component.name))

    def states(self) -> list[ComponentState]:
        return [
            ComponentState(name, slot.process.pid if slot.process else None, slot.restarts, slot.note)
            for name, slot in self._slots.items()
        ]

    def log_path(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def stop(self) -> None:
        """End every component, rank by rank, with everything below it."""
        for rank in sorted({slot.component.stop_rank for slot in self._slots.values()}):
            slots = [slot for slot in self._slots.values() if slot.component.stop_rank == rank]
            living = [process for slot in slots if slot.record and (process := slot.record.find())]
            grace = max(slot.component.grace_secs for slot in slots)
            killed = processes.end(living, grace_secs=grace)
            lost = [process for slot in slots if slot.record for process in processes.survivors(slot.record)]
            killed += processes.end(lost, grace_secs=1.0)
            if killed:
                self.log(f"{killed} process(es) of {', '.join(s.component.name for s in slots)} had to be killed")
            for slot in slots:
                if slot.process is not None:
                    slot.process.wait()
                slot.process = slot.record = None
                processes.forget_record(self.run, slot.component.name)

    def _start(self, slot: _Slot, now: float) -> None:
        component = slot.component
        slot.note = component.blocked_by()
        if slot.note:
            slot.due = now + 2.0
            return
        with self._open_log(component.name) as out:
            slot.process = subprocess.Popen(
                list(component.argv()), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=dict(component.environment), start_new_session=True, close_fds=True,
            )  # fmt: skip
        slot.started = now
        try:
            slot.record = processes.observe(component.name, slot.process.pid)
        except psutil.NoSuchProcess:
            return  # died at once; the next tick buries it
        processes.save_record(self.run, slot.record)

    def _bury(self, slot: _Slot, now: float) -> None:
        assert slot.process is not None  # noqa: S101 - the caller has just asked it
        code = slot.process.poll()
        slot.failures = 1 if now - slot.started >= STEADY_SECS else slot.failures + 1
        pause = backoff_secs(slot.failures)
        slot.note = f"ended with status {code}; starts again in {pause:.0f} s"
        self.log(f"{slot.component.name} {slot.note}; its log is {self.log_path(slot.component.name)}")
        if slot.record is not None:
            processes.end(processes.survivors(slot.record), grace_secs=1.0)
        slot.process, slot.record, slot.due = None, None, now + pause
        slot.restarts += 1
        processes.forget_record(self.run, slot.component.name)

    def _open_log(self, name: str) -> IO[bytes]:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.log_path(name).open("ab")


def backoff_secs(failures: int) -> float:
    """Pause before the next start after so many deaths in a row: 1, 2, 4 ... 60 s."""
    return float(min(FIRST_PAUSE_SECS * 2.0 ** max(failures - 1, 0), LONGEST_PAUSE_SECS))


def _trim(path: Path) -> None:
    """Keep one older part of a log; processes append, so cutting the file under them is safe."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.with_suffix(".log.1").write_bytes(path.read_bytes())
        with path.open("r+b") as log:
            log.truncate(0)
