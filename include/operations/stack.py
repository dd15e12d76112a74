"""The local stack: PostgreSQL, Airflow, sandbox exchange and trader on one machine.

Entry points: `up` (start in the background and wait), `serve` (the supervisor itself, in the foreground), `down`.

One lock file per AIRLOCK_HOME says whether a stack runs: the kernel frees it when the supervisor dies, however it dies.
The database outlives a killed supervisor; `down` ends it too. Everything listens on loopback or on a unix socket.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psutil

from include.config.settings import PROJECT_ROOT, Settings
from include.domain.errors import AirlockError, ConfigurationError, FatalError, RetryableError
from include.domain.ids import digest
from include.domain.times import iso
from include.operations import processes
from include.operations.airflow_environment import passwords_file
from include.operations.private_files import ensure_folder, reason_in
from include.operations.stack_state import Phase, StackState, load_state, save_state

Report = Callable[[str], None]
SUPERVISOR = "supervisor"
_STARTS_WITHIN_SECS = 240.0
_STOPS_WITHIN_SECS = 60.0


def stack_marker(home: Path) -> str:
    """Value of the marker that every process of this home's stack carries; another copy has another."""
    return digest({"stack": str(home)})[:24]


@contextmanager
def _lock(run: Path, *, patience_secs: float = 0.0) -> Iterator[IO[str] | None]:
    """The stack's lock while it is ours; None when a supervisor holds it."""
    ensure_folder(run)
    deadline = time.monotonic() + patience_secs
    with (run / "stack.lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                yield None
            else:
                yield handle
            return


def is_running(settings: Settings) -> bool:
    """True while a supervisor of this home is alive."""
    if not (settings.run / "stack.lock").exists():
        return False
    with _lock(settings.run) as lock:
        return lock is None


def up(settings: Settings, report: Report) -> tuple[StackState, bool]:
    """Start the stack in the background and wait until every part is healthy.

    Returns:
        Its state, and True when it was running already.

    Raises:
        AirlockError: it did not come up; the reason in one line. Nothing is left running.
    """
    if is_running(settings):
        return _wait_ready(settings, None, report), True
    ensure_folder(settings.run)
    ensure_folder(settings.logs)
    save_state(settings.run, StackState(Phase.STARTING, "starting the supervisor"))
    with (settings.logs / f"{SUPERVISOR}.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "include.cli", "up", "--foreground"], stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True, cwd=PROJECT_ROOT,
            env={**os.environ, "AIRLOCK_HOME": str(settings.home), "PYTHONPATH": str(PROJECT_ROOT)},
        )  # fmt: skip
    try:
        return _wait_ready(settings, child, report), False
    except BaseException:
        down(settings, lambda _: None)
        raise


def _wait_ready(settings: Settings, child: subprocess.Popen[bytes] | None, report: Report) -> StackState:
    deadline = time.monotonic() + _STARTS_WITHIN_SECS
    log = settings.logs / f"{SUPERVISOR}.log"
    said = ""
    while time.monotonic() < deadline:
        state = load_state(settings.run)
        if state.message != said:
            said = state.message
            report(said)
        if state.phase is Phase.READY:
            return state
        if state.phase is Phase.FAILED:
            kind = ConfigurationError if state.exit_code == ConfigurationError.exit_code else FatalError
            raise kind(f"the stack did not start: {state.message}")
        if child is not None and child.poll() is not None:
            raise FatalError(
                f"the stack's supervisor ended with status {child.returncode}: {reason_in(log)}; its log is {log}"
            )
        time.sleep(0.2)
    raise RetryableError(
        f"the stack is not healthy after {_STARTS_WITHIN_SECS:.0f} s ({said}); its logs are in {settings.logs}"
    )


def down(settings: Settings, report: Report) -> bool:
    """End exactly what this home's stack started, database included.

    Returns:
        True when there was anything to end.
    """
    from include.ledger.embedded import server_url, stop_server

    found = False
    supervisor = next((r.find() for r in processes.load_records(settings.run) if r.name == SUPERVISOR), None)
    if supervisor is not None and supervisor.pid != os.getpid():
        found = True
        report("stopping the stack")
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(_STOPS_WITHIN_SECS)
        except psutil.TimeoutExpired:
            processes.end([supervisor], grace_secs=1.0)
    found = sweep(settings) > 0 or found
    if server_url(settings.home) is not None:
        found = True
        report("stopping the database")
        stop_server(settings.home)
    if settings.run.exists() and load_state(settings.run).phase is not Phase.FAILED:
        save_state(settings.run, StackState(Phase.STOPPED))
    return found


def sweep(settings: Settings) -> int:
    """End what a killed supervisor left behind: by pid file, session and marker; returns how many it was."""
    records = processes.load_records(settings.run)
    recorded = [process for r in records if (process := r.find()) is not None]
    lost = [process for r in records if r.pid != os.getpid() for process in processes.survivors(r)]
    marked = [p for p in processes.find_marked(stack_marker(settings.home)) if not _is_database(p)]
    left = {process.pid: process for process in (*recorded, *lost, *marked) if process.pid != os.getpid()}
    processes.end(list(left.values()), grace_secs=8.0)
    for record in processes.load_records(settings.run):
        if record.pid != os.getpid():
            processes.forget_record(settings.run, record.name)
    return len(left)


def _is_database(process: psutil.Process) -> bool:
    """The embedded server inherits the marker, but is ended in its own way."""
    try:
        return process.name().startswith("postgres")
    except psutil.Error:
        return True


def serve(settings: Settings, report: Report) -> None:
    """Be the supervisor: start everything, keep it running, end it on SIGTERM or SIGINT.

    Raises:
        ConfigurationError: a stack of this home runs already, or a port that was asked for is busy.
        AirlockError: something did not start; everything has been ended again.
    """
    from include.operations.starting import start_stack

    # `is_running` holds the lock for an instant to ask; a supervisor holds it for good.
    with _lock(settings.run, patience_secs=1.0) as lock:
        if lock is None:
            raise ConfigurationError(f"a stack already runs in {settings.home}; `airlock down` stops it")
        os.environ[processes.MARKER] = stack_marker(settings.home)
        sweep(settings)
        processes.save_record(settings.run, processes.observe(SUPERVISOR, os.getpid()))
        stopping = _stop_on_signals()
        started = time.monotonic()
        state = StackState(
            Phase.STARTING, "starting the database", started_at=iso(datetime.now(UTC)),
            passwords_file=str(passwords_file(settings.home)),
        )  # fmt: skip
        save_state(settings.run, state)
        supervisor = None
        try:
            supervisor, state = start_stack(settings, state, report, stopping)
            state = replace(state, phase=Phase.READY, message="ready", ready_secs=round(time.monotonic() - started, 1))
            report(f"ready after {state.ready_secs} s")
            while not stopping():
                supervisor.tick(time.monotonic())
                parts = {s.name: {"pid": s.pid, "restarts": s.restarts, "note": s.note} for s in supervisor.states()}
                if parts != state.components or load_state(settings.run).phase is not Phase.READY:
                    state = replace(state, components=parts)
                    save_state(settings.run, state)
                time.sleep(0.5)
            state = replace(state, phase=Phase.STOPPING, message="stopping")
        except AirlockError as error:
            state = replace(state, phase=Phase.FAILED, message=str(error), exit_code=error.exit_code)
            raise
        finally:
            save_state(settings.run, state)
            _end_everything(settings, supervisor, state)


def _end_everything(settings: Settings, supervisor: object, state: StackState) -> None:
    from include.ledger.embedded import stop_server
    from include.operations.supervisor import Supervisor

    if isinstance(supervisor, Supervisor):
        if state.phase is not Phase.FAILED:
            _close_sandbox_sessions(settings)
        supervisor.stop()
    sweep(settings)
    stop_server(settings.home)
    if state.phase is not Phase.FAILED:
        save_state(settings.run, StackState(Phase.STOPPED))
    processes.forget_record(settings.run, SUPERVISOR)


def _close_sandbox_sessions(settings: Settings) -> None:
    """The sandbox exchange and its accounts end with the stack, so what trades there is closed first."""
    from include.operations.retiring import retire_sandbox_sessions

    try:
        for line in retire_sandbox_sessions(settings, by="stack", reason="the stack and its sandbox exchange stop"):
            print(f"not closed: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the supervisor's log
    except AirlockError as error:
        print(f"live sessions could not be closed: {error}", file=sys.stderr, flush=True)  # noqa: T201


def _stop_on_signals() -> Callable[[], bool]:
    """Turn SIGTERM and SIGINT into an answer to "shall I stop?"."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: asked.append(received))
    return lambda: bool(asked)
