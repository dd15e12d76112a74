"""Engine and replay-exchange processes: started detached, remembered on disk, found again after the trader's own death.

A pid alone is no identity, because the kernel gives it away again; pid and start time together are.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

_SAME_START_SECS = 1.0
"""Start times are read in clock ticks against the boot time, which moves a little when the clock is set."""
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Child:
    """A process the trader started, now or in an earlier life."""

    role: str
    """`engine` or `exchange`."""
    deployment_id: str
    pid: int
    created: float
    """Start time as psutil reports it."""
    url: str = ""
    """Exchange: where it listens, once it has said so."""
    key: str = ""
    secret: str = ""
    """Exchange: the random credentials of its one account; worthless anywhere else."""

    @property
    def holder(self) -> str:
        """Name under which an engine of this pid holds leases."""
        return holder_name(self.pid)

    def process(self) -> psutil.Process | None:
        """The very process, or None when it has ended."""
        return find_process(self.pid, self.created)

    def terminate(self) -> None:
        """Ask it to end."""
        if (process := self.process()) is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()

    def kill(self) -> None:
        """Make it end."""
        if (process := self.process()) is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def find_process(pid: int, created: float) -> psutil.Process | None:
    """The process that had this pid and start time (seconds since 1970), or None when it has ended."""
    try:
        process = psutil.Process(pid)
        return process if started_at(process, created) and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def started_at(process: psutil.Process, created: float) -> bool:
    """Whether a process started then (seconds since 1970). Raises psutil.NoSuchProcess when it has ended."""
    return abs(float(process.create_time()) - created) <= _SAME_START_SECS


def holder_name(pid: int) -> str:
    """Lease holder: host and process."""
    return f"{socket.gethostname()}:{pid}"


class ProcessFolder:
    """Records of the children under `run`, one private file each, and their logs under `logs`."""

    def __init__(self, run: Path, logs: Path) -> None:
        self._run, self._logs = run / "trading", logs

    def spawn(self, role: str, deployment_id: str, argv: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process in a session of its own, so that what ends the trader does not end it.

        Its standard output goes to a file, not to a pipe: a pipe would break when the trader dies.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{role}-{deployment_id[:12]}.log"
        with self._output(role, deployment_id).open("wb") as output, log.open("ab") as errors:
            started = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=dict(environment),
                start_new_session=True,
            )  # fmt: skip
        _CHILDREN[started.pid] = started
        child = Child(role, deployment_id, started.pid, psutil.Process(started.pid).create_time())
        self.save(child)
        return child

    def save(self, child: Child) -> None:
        """Write a record in one step, readable by this user alone."""
        handle, name = tempfile.mkstemp(dir=self._run)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), PRIVATE)
            json.dump(asdict(child), stream)
        Path(name).replace(self._record(child.role, child.deployment_id))

    def load(self, role: str, deployment_id: str) -> Child | None:
        """The record of a child; None when there is none or it cannot be read."""
        try:
            return Child(**json.loads(self._record(role, deployment_id).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def all(self) -> tuple[Child, ...]:
        """Every recorded child, by file name."""
        names = [path.stem.split("-", 1) for path in sorted(self._run.glob("*.json"))]
        children = (self.load(role, deployment_id) for role, deployment_id in names)
        return tuple(child for child in children if child is not None)

    def forget(self, child: Child) -> None:
        self._record(child.role, child.deployment_id).unlink(missing_ok=True)
        self._output(child.role, child.deployment_id).unlink(missing_ok=True)

    def announced(self, exchange: Child) -> Child | None:
        """The exchange with the address it has printed; None while it has not printed one."""
        try:
            text = self._output(exchange.role, exchange.deployment_id).read_text(encoding="utf-8")
        except OSError:
            return None
        line, complete, _ = text.partition("\n")
        if not complete:
            return None
        try:
            url = json.loads(line)["url"]
        except (ValueError, KeyError, TypeError):
            return None
        return replace(exchange, url=str(url))

    def _record(self, role: str, deployment_id: str) -> Path:
        return self._run / f"{role}-{deployment_id}.json"

    def _output(self, role: str, deployment_id: str) -> Path:
        return self._run / f"{role}-{deployment_id}.out"


_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def reap() -> None:
    """Collect children of this process that have ended, so that none stays a zombie."""
    for pid, started in list(_CHILDREN.items()):
        if started.poll() is not None:
            del _CHILDREN[pid]


def wait_until_gone(children: Sequence[Child], grace_secs: float) -> None:
    """Wait for processes to end; those that do not are made to."""
    running = [process for child in children if (process := child.process()) is not None]
    _, alive = psutil.wait_procs(running, timeout=grace_secs)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    reap()
